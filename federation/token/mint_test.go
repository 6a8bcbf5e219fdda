package token

import (
	"context"
	"crypto"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/drawbridge-id/drawbridge/claims"
	"github.com/drawbridge-id/drawbridge/federation"
)

// relyingParty checks ID tokens as clients do: with go-oidc, over the
// published keys.
func (h *house) relyingParty(client string, algs ...string) *oidc.IDTokenVerifier {
	h.t.Helper()
	body, err := h.keys.JWKS(h.t.Context(), h.tenant)
	if err != nil {
		h.t.Fatal(err)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(body, &set); err != nil {
		h.t.Fatal(err)
	}
	keys := &oidc.StaticKeySet{}
	for _, k := range set.Keys {
		keys.PublicKeys = append(keys.PublicKeys, k.Key.(crypto.PublicKey))
	}
	return oidc.NewVerifier(h.tenant.Issuer, keys, &oidc.Config{ClientID: client, SupportedSigningAlgs: algs, Now: h.clock.now})
}

func payloadOf(t testing.TB, token string) map[string]any {
	t.Helper()
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256, jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]any{}
	if err := parsed.UnsafeClaimsWithoutVerification(&out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestIDToken(t *testing.T) {
	h := newHouse(t)
	for _, alg := range []federation.SigningAlg{federation.RS256, federation.ES256, ""} {
		t.Run("alg "+string(alg), func(t *testing.T) {
			h := h.in(t)
			client := shop()
			client.IDTokenAlg = alg
			code, g := h.signIn(h.grant(), pkce())
			out, err := h.issuer.Redeem(t.Context(), h.tenant, h.verified(client), redemption(code))
			if err != nil {
				t.Fatal(err)
			}
			want := string(alg)
			if alg == "" {
				want = "RS256"
			}
			checkIDToken(t, h, out, g, want)
		})
	}
}

func checkIDToken(t *testing.T, h *house, out Response, g federation.Grant, alg string) {
	t.Helper()
	tok, err := h.relyingParty("shop", alg).Verify(t.Context(), out.IDToken)
	if err != nil {
		t.Fatal(err)
	}
	if err := tok.VerifyAccessToken(out.AccessToken); err != nil {
		t.Error(err)
	}
	if tok.Subject != g.Subject || tok.Nonce != g.Nonce || !tok.IssuedAt.Equal(h.clock.now()) || !tok.Expiry.Equal(h.clock.now().Add(5*time.Minute)) {
		t.Errorf("sub %q, nonce %q, iat %v, exp %v", tok.Subject, tok.Nonce, tok.IssuedAt, tok.Expiry)
	}
	var head struct{ Alg, Kid, Typ string }
	jws, err := jose.ParseSignedCompact(out.IDToken, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
	if err != nil {
		t.Fatal(err)
	}
	head.Alg, head.Kid = jws.Signatures[0].Protected.Algorithm, jws.Signatures[0].Protected.KeyID
	head.Typ, _ = jws.Signatures[0].Protected.ExtraHeaders[jose.HeaderType].(string)
	if head.Alg != alg || head.Kid == "" || head.Typ != "JWT" {
		t.Errorf("header %+v", head)
	}
	got := payloadOf(t, out.IDToken)
	want := map[string]any{
		"iss": h.tenant.Issuer, "sub": g.Subject, "aud": "shop", "nonce": g.Nonce, "acr": "urn:acr:2", "sid": g.Session,
		"department": "r&d", "auth_time": float64(g.AuthTime.Unix()), "iat": float64(h.clock.now().Unix()),
		"exp": float64(h.clock.now().Add(5 * time.Minute).Unix()),
	}
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s is %v, want %v", name, got[name], value)
		}
	}
	if len(got) != len(want)+2 { // and amr, at_hash
		t.Errorf("the token has the claims %v", got)
	}
	if amr, _ := got["amr"].([]any); len(amr) != 2 || amr[0] != "pwd" {
		t.Errorf("amr is %v", got["amr"])
	}
}

// TestIDTokenOfARefresh: the same user, audience and authentication, and no
// nonce (OpenID Connect Core 1.0 §12.2).
func TestIDTokenOfARefresh(t *testing.T) {
	h := newHouse(t)
	first, g := h.tokens()
	h.clock.advance(5 * time.Minute)
	second, err := h.refresh(first.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := h.relyingParty("shop", "ES256").Verify(t.Context(), second.IDToken)
	if err != nil {
		t.Fatal(err)
	}
	if err := tok.VerifyAccessToken(second.AccessToken); err != nil {
		t.Error(err)
	}
	got := payloadOf(t, second.IDToken)
	if _, given := got["nonce"]; given {
		t.Error("a nonce")
	}
	if got["sub"] != g.Subject || got["aud"] != "shop" || got["auth_time"] != float64(g.AuthTime.Unix()) || got["sid"] != g.Session {
		t.Errorf("claims %v", got)
	}
	if !tok.IssuedAt.Equal(h.clock.now()) {
		t.Errorf("iat %v", tok.IssuedAt)
	}
}

// TestMintedClaimsHaveTheLastWord: whatever a snapshot says, and however it
// spells it, a claim that we assert is ours, and one that we do not assert is
// absent.
func TestMintedClaimsHaveTheLastWord(t *testing.T) {
	released := claims.Set{"department": "r&d", "email": "a@corp.example"}
	var names []string
	for _, name := range []string{"iss", "sub", "aud", "exp", "iat", "nbf", "jti", "nonce", "azp", "at_hash", "c_hash", "s_hash", "sid", "auth_time", "acr", "amr", "cnf", "events", "client_id", "scope", "typ"} {
		for _, spelt := range []string{name, strings.ToUpper(name), strings.ReplaceAll(name, "s", "ſ"), strings.ReplaceAll(name, "k", "\u212a")} {
			if _, there := released[spelt]; !there {
				released[spelt] = "forged"
				names = append(names, spelt)
			}
		}
	}
	at := time.Unix(1_900_000_000, 0)
	g := federation.Grant{Client: "shop", Subject: "alice", Snapshot: claims.Snapshot{Released: released, InIDToken: append(names, "department")}}
	got := idToken{issuer: "https://acme.example", grant: g, at: at, life: time.Minute}.claims()
	want := claims.Set{
		"iss": "https://acme.example", "sub": "alice", "aud": "shop", "iat": json.Number("1900000000"), "exp": json.Number("1900000060"), "department": "r&d",
	}
	if !got.Equal(want) {
		t.Errorf("the claims are %v", got.Names())
	}
}

func TestHookToken(t *testing.T) {
	h := newHouse(t)
	source := h.keys.HookToken(h.tenant, "https://hook.example/base")
	first, err := source(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := jwt.ParseSigned(first, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	if typ := parsed.Headers[0].ExtraHeaders[jose.HeaderType]; typ != "hook+jwt" {
		t.Errorf("typ %v", typ)
	}
	var set jose.JSONWebKeySet
	body, _ := h.keys.JWKS(t.Context(), h.tenant)
	if err := json.Unmarshal(body, &set); err != nil {
		t.Fatal(err)
	}
	var got jwt.Claims
	if err := parsed.Claims(set.Key(parsed.Headers[0].KeyID)[0].Key, &got); err != nil {
		t.Fatal(err)
	}
	if err := got.ValidateWithLeeway(jwt.Expected{Issuer: h.tenant.Issuer, AnyAudience: jwt.Audience{"https://hook.example/base"}, Time: h.clock.now()}, 0); err != nil {
		t.Error(err)
	}
	if got.ID == "" || got.Expiry.Time().Sub(got.IssuedAt.Time()) != 15*time.Minute {
		t.Errorf("jti %q, life %v", got.ID, got.Expiry.Time().Sub(got.IssuedAt.Time()))
	}
	shown := func(what string, same bool) string {
		t.Helper()
		text, err := source(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if (text == first) != same {
			t.Errorf("%s: the same token: %v, want %v", what, text == first, same)
		}
		return text
	}
	h.clock.advance(12*time.Minute - time.Microsecond)
	shown("before 80 % of its life", true)
	h.clock.advance(time.Microsecond)
	first = shown("at 80 % of its life", false)
	shown("the next one", true)
	h.clock.advance(-time.Hour)
	first = shown("the clock was set back", false)

	// A key that no longer signs may be gone by the time that the hook looks.
	h.clock.advance(90 * 24 * time.Hour)
	if err := h.keys.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.clock.advance(24*time.Hour - time.Minute)
	first = shown("a new day", false)
	h.clock.advance(time.Minute)
	shown("another key signs", false)
}
