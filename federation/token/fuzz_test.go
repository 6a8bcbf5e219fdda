package token

import (
	"errors"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/federation"
)

// FuzzPresented: no text but the very ones that were given out is a code, a
// token, a sealed value, or a JWT of ours, and none makes anything panic or
// changes what is good.
func FuzzPresented(f *testing.F) {
	h := newHouse(f)
	out, _ := h.tokens()
	spare, _ := h.signIn(h.grant(), pkce())
	sealed, err := h.keys.Seal(f.Context(), h.tenant, "p", []byte("plain"))
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{
		out.AccessToken, out.RefreshToken, out.IDToken, spare, sealed, "", ".", "..", "....", "acme.0.", "acme.0.A",
		"acme.65536." + strings.Repeat("A", 43), "acme.-1." + strings.Repeat("A", 43), "acme.0." + strings.Repeat("A", 43),
		out.RefreshToken + ".", "." + out.RefreshToken, strings.Repeat(".", 300), strings.Repeat("9", 70000),
		"acme.0." + strings.Repeat("A", 43) + ".18446744073709551616." + strings.Repeat("A", 43),
		"acme.0." + strings.Repeat("A", 43) + ".18446744073709551615." + strings.Repeat("A", 43),
		"acme.0.\x00" + strings.Repeat("A", 42), "\xff\xfe", "a.b.c", strings.ReplaceAll(out.IDToken, ".", ".."),
	} {
		f.Add(s)
	}
	client := h.verified(shop())
	f.Fuzz(func(t *testing.T, s string) {
		ctx := t.Context()
		_, err := h.issuer.Inspect(ctx, h.tenant, s)
		expect(t, "inspect", s == out.AccessToken, err, federation.InvalidToken)
		_, err = h.issuer.Look(ctx, h.tenant, s)
		expect(t, "look", s == out.AccessToken || s == out.RefreshToken, err, federation.InvalidToken)
		if s != spare {
			_, err = h.issuer.Redeem(ctx, h.tenant, client, redemption(s))
			expect(t, "redeem", false, err, federation.InvalidGrant)
		}
		if s != out.RefreshToken {
			_, err = h.issuer.Refresh(ctx, h.tenant, client, RefreshRequest{Token: s}, same)
			expect(t, "refresh", false, err, federation.InvalidGrant)
		}
		if s != out.RefreshToken && s != out.AccessToken {
			err = h.issuer.Revoke(ctx, h.tenant, client, s, s)
			expect(t, "revoke", true, err, "")
		}
		if _, err = h.keys.Verify(ctx, h.tenant, s); s != out.IDToken && !errors.Is(err, ErrNotOurs) {
			t.Errorf("verify: %v", err)
		}
		plain, err := h.keys.Open(ctx, h.tenant, "p", s)
		if !errors.Is(err, ErrNotOurs) && string(plain) != "plain" {
			t.Errorf("open: %v", err)
		}
		if _, err := h.issuer.Inspect(ctx, h.tenant, out.AccessToken); err != nil {
			t.Errorf("the good token is gone: %v", err)
		}
		if shown, ok := parseRefresh(s); ok {
			again := shown.handle.String() + "." + s[len(shown.handle.String())+1:]
			if again != s {
				t.Errorf("parsed into another text")
			}
		}
	})
}

func expect(t *testing.T, what string, good bool, err error, want federation.Code) {
	t.Helper()
	if good != (err == nil) || err != nil && codeOf(err) != want {
		t.Errorf("%s: %v", what, err)
	}
}

// FuzzVerifier: a code that is bound to a challenge opens to its verifier only.
func FuzzVerifier(f *testing.F) {
	for _, s := range []string{verifier, verifier + "=", "", strings.Repeat("~", 128), strings.Repeat("~", 129), "é" + verifier, verifier + "\x00", challengeOf(verifier)} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, shown, method string) {
		_, ok := pkce().proves(redemptionWith(shown), false)
		if ok != (shown == verifier) {
			t.Errorf("%q: %v", shown, ok)
		}
		b := CodeBinding{Challenge: shown, ChallengeMethod: method}
		if b.valid() && method != "S256" && (shown != "" || method != "") {
			t.Errorf("method %q is taken", method)
		}
	})
}

func redemptionWith(v string) Redemption {
	r := redemption("")
	r.Verifier = v
	return r
}
