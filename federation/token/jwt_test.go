package token

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/claims"
	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

const api, files = "https://api.example", "urn:example:files"

// jwtShop is shop with JWT access tokens, for two resources.
func jwtShop() federation.Client {
	c := shop()
	c.Tokens = federation.ClientTokens{JWT: true, Alg: federation.ES256, Resources: []string{api, files}}
	return c
}

func (h *house) jwtTokens(c federation.Client, resources []string, asked ...string) Response {
	h.t.Helper()
	g := h.grant()
	g.Resources = resources
	g.Snapshot = claims.Snapshot{Released: claims.Set{"department": "r&d", "aud": "forged"}, InAccessToken: []string{"department", "aud", "absent"}}
	code, _ := h.signIn(g, pkce())
	r := redemption(code)
	r.Resources = asked
	out, err := h.issuer.Redeem(h.t.Context(), h.tenant, h.verified(c), r)
	if err != nil {
		h.t.Fatal(err)
	}
	return out
}

func TestJWTAccessToken(t *testing.T) {
	h := newHouse(t)
	out := h.jwtTokens(jwtShop(), nil)
	said := payloadOf(t, out.AccessToken)
	if said["department"] != "r&d" || said["aud"] != h.tenant.Issuer || said["acr"] != "urn:acr:2" || said["absent"] != nil {
		t.Errorf("%v", said)
	}
	if slug, ok := TenantOf(out.AccessToken); !ok || slug != "acme" {
		t.Errorf("it is of %q", slug)
	}
	access, err := h.issuer.Inspect(t.Context(), h.tenant, out.AccessToken)
	if err != nil || access.Grant.Client != "shop" {
		t.Fatalf("%+v, %v", access, err)
	}
	if _, err := h.issuer.Inspect(t.Context(), h.other, out.AccessToken); codeOf(err) != federation.InvalidToken {
		t.Errorf("another tenant: %v", err)
	}
	// Whoever reads the store has the name, and cannot make a token of it.
	jti, _ := said["jti"].(string)
	if name, ok := parseName(jti); !ok || name.String() != jti {
		t.Errorf("jti %q", jti)
	} else if rec, err := h.engine.Get(t.Context(), h.issuer.accesses.Key(name.at, name.id)); err != nil || len(rec.Value) == 0 {
		t.Errorf("no record under the jti: %v", err)
	}
	// One read more than the opaque token's none: the keys are known.
	h.engine.arm(nil, nil)
	if _, err := h.issuer.Inspect(t.Context(), h.tenant, out.AccessToken); err != nil {
		t.Fatal(err)
	}
	if commits, reads := h.engine.counts(); commits != 0 || reads != 1 {
		t.Errorf("%d commits, %d reads", commits, reads)
	}
	// A key that was revoked takes its tokens with it.
	keys, err := h.keys.Keys(t.Context(), h.tenant)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		if k.Use == "ES256" && k.Standing == "working" {
			if err := h.keys.Revoke(t.Context(), h.tenant, k.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	if h.live(out.AccessToken) {
		t.Error("good under a key that was revoked")
	}
	if err := h.issuer.Revoke(t.Context(), h.tenant, h.verified(jwtShop()), out.AccessToken, ""); err != nil {
		t.Error(err)
	}
}

func TestTargets(t *testing.T) {
	issuer := tenantOf("acme").Issuer
	for name, tc := range map[string]struct {
		granted, may, asked, want []string
		ok                        bool
	}{
		"nothing":                    {nil, nil, nil, nil, true},
		"the provider by name":       {nil, nil, []string{issuer}, nil, true},
		"more than the provider":     {nil, []string{api}, []string{api}, nil, false},
		"all":                        {[]string{api, files}, []string{files, api}, nil, []string{api, files}, true},
		"one":                        {[]string{api, files}, []string{files, api}, []string{files}, []string{files}, true},
		"one twice":                  {[]string{api, files}, []string{files, api}, []string{files, files}, []string{files}, true},
		"the provider was not":       {[]string{api}, []string{api}, []string{issuer}, nil, false},
		"taken away":                 {[]string{api, files}, []string{files}, nil, []string{files}, true},
		"taken away and asked for":   {[]string{api, files}, []string{files}, []string{api}, nil, false},
		"all taken away":             {[]string{api}, nil, nil, nil, false},
		"the provider and a service": {[]string{issuer, api}, []string{api}, nil, []string{issuer, api}, true},
	} {
		got, ok := target(tenantOf("acme"), federation.Client{Tokens: federation.ClientTokens{Resources: tc.may}}, federation.Grant{Resources: tc.granted}, tc.asked)
		if ok != tc.ok || ok && !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, %v", name, got, ok)
		}
	}
}

// A token for a resource is not one for ourselves; the family keeps what was
// granted, whatever its access tokens are narrowed to.
func TestNarrowedTokens(t *testing.T) {
	h := newHouse(t)
	for _, c := range []federation.Client{jwtShop(), func() federation.Client { c := jwtShop(); c.Tokens.JWT = false; return c }()} {
		out := h.jwtTokens(c, []string{api, files}, api)
		if h.live(out.AccessToken) {
			t.Error("it opens userinfo")
		}
		shown, err := h.issuer.Look(t.Context(), h.tenant, out.AccessToken)
		if err != nil || !slices.Equal(shown.Grant.Resources, []string{api}) {
			t.Errorf("%v, %v", shown.Grant.Resources, err)
		}
		next, err := h.issuer.Refresh(t.Context(), h.tenant, h.verified(c), RefreshRequest{Token: out.RefreshToken}, same)
		if err != nil {
			t.Fatal(err)
		}
		if shown, err = h.issuer.Look(t.Context(), h.tenant, next.AccessToken); err != nil || !slices.Equal(shown.Grant.Resources, []string{api, files}) {
			t.Errorf("%v, %v", shown.Grant.Resources, err)
		}
		h.engine.arm(nil, nil)
		_, err = h.issuer.Refresh(t.Context(), h.tenant, h.verified(c), RefreshRequest{Token: next.RefreshToken, Resources: []string{h.tenant.Issuer}}, same)
		wantCode(t, err, federation.InvalidTarget)
		if commits, _ := h.engine.counts(); commits != 0 {
			t.Error("a refusal wrote something")
		}
	}
}

// FuzzAccessNames: what is read out of a payload or a name is what was written.
func FuzzAccessNames(f *testing.F) {
	h := federation.NewHandle(store.Place{Tenant: "acme", Partition: 15})
	good := recordName{at: h.Place, id: h.ID()}.String()
	for _, s := range []string{good, `{"jti":"` + good + `"}`, `{"jti":"` + good + `","sid":"x"}`, `{"jti":1}`, `[]`, "", "..", "acme.0." + strings.Repeat("A", 48), "acme.01." + strings.Repeat("A", 48)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if n, ok := parseName(s); ok && n.String() != s {
			t.Fatalf("%q is read as %q", s, n)
		}
		if n, ok := readAccessJWT([]byte(s)); ok {
			if again, ok := parseName(n.String()); !ok || again != n.recordName || !n.jwt {
				t.Fatalf("%q is read as %+v", s, n)
			}
		}
		for _, text := range []string{s, "eyJ." + base64.RawURLEncoding.EncodeToString([]byte(s)) + "."} {
			if slug, ok := TenantOf(text); ok && !federation.ValidSlug(slug) {
				t.Fatalf("%q is of %q", text, slug)
			}
		}
	})
}
