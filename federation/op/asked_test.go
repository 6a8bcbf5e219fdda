package op_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/upstream/upstreamtest"
)

// TestClaimsAskedForByName: they are told where they were asked for, also at a
// refresh and silently, as far as the client may ask for their scopes.
func TestClaimsAskedForByName(t *testing.T) {
	h := open(t, func(s *setup) {
		s.change = func(c *federation.Client) {
			if c.ID == "once" {
				c.Scopes = []string{"openid", "profile"}
			}
		}
	})
	shop, once, b := h.party("default", "shop"), h.party("default", "once"), h.browser()
	h.corp.Set(upstreamtest.Knobs{Claims: map[string]any{"dept": "r&d", "phone_number": "+31 20", "address": "Main St 1", "salary": 9}})
	const asked = `{"userinfo":{"email":{"essential":true},"address":null,"salary":null,"auth_time":null},` +
		`"id_token":{"phone_number":{"value":"+1"},"email_verified":null,"auth_time":{"essential":true},"salary":null,"sub":null}}`
	judge := func(what string, got tokens) {
		t.Helper()
		id, info := shop.claims(got.ID), shop.userinfo(got.Access)
		address, _ := info["address"].(map[string]any)
		if id["phone_number"] != "+31 20" || id["email_verified"] != true || id["auth_time"] == nil || id["email"] != nil || id["salary"] != nil || id["department"] != "r&d" {
			t.Errorf("%s: ID token %v", what, id)
		}
		if info["email"] != "alice@corp.example" || address["formatted"] != "Main St 1" || info["phone_number"] != nil || info["email_verified"] != nil ||
			info["salary"] != nil || info["auth_time"] != nil || info["name"] != nil || info["department"] != "r&d" {
			t.Errorf("%s: userinfo %v", what, info)
		}
	}
	got := shop.signIn(b, "scope", "openid", "claims", asked)
	judge("sign-in", got)
	judge("refresh", shop.refresh(got.Refresh))
	judge("silent", shop.signIn(b, "scope", "openid", "claims", asked, "prompt", "none"))
	posted := b.post(h.URL+"/authorize", shop.request("scope", "openid", "claims", asked))
	judge("posted", shop.redeem(shop.code(posted)))
	judge("posted by a stranger", shop.redeem(shop.code(h.browser().post(h.URL+"/authorize", shop.request("scope", "openid", "claims", asked)))))

	// What the operator did not allow is not had by asking.
	got = once.signIn(b, "scope", "openid", "claims", `{"userinfo":{"email":null,"phone_number":null,"name":null},"id_token":{"EMAIL":null}}`)
	if info, id := once.userinfo(got.Access), once.claims(got.ID); info["email"] != nil || info["phone_number"] != nil || info["name"] != "Alice Liddell" || id["email"] != nil {
		t.Errorf("%v %v", info, id)
	}
	// Nor is it kept by having asked once.
	got = shop.signIn(b, "scope", "openid", "claims", asked)
	h.configure(&setup{change: func(c *federation.Client) { c.Scopes = []string{"openid", "profile"} }})
	next := shop.refresh(got.Refresh)
	if info, id := shop.userinfo(next.Access), shop.claims(next.ID); info["email"] != nil || id["phone_number"] != nil || info["department"] != "r&d" {
		t.Errorf("%v %v", info, id)
	}
}

func TestClaimsAskForAUser(t *testing.T) {
	h := open(t)
	shop, alice, other := h.party("default", "shop"), h.browser(), h.browser()
	is := func(sub any) string { return `{"id_token":{"sub":{"value":"` + sub.(string) + `"}}}` }
	alices := shop.claims(shop.signIn(alice).ID)["sub"]
	h.corp.Set(upstreamtest.Knobs{Subject: "bob"})
	bobs := shop.claims(shop.signIn(other).ID)["sub"]
	shop.signIn(alice, "claims", is(alices), "prompt", "none")
	shop.signIn(alice, "claims", `{"userinfo":{"sub":{"values":["x","`+alices.(string)+`"]}}}`, "prompt", "none")
	h.unchanged("somebody else was asked for", func() {
		shop.refused(alice.get(shop.ask("claims", is(bobs), "prompt", "none")), federation.LoginRequired)
		shop.refused(alice.get(shop.ask("claims", is("nobody"), "prompt", "none")), federation.LoginRequired)
	})
	if got := shop.signIn(alice, "claims", is(bobs)); shop.claims(got.ID)["sub"] != bobs {
		t.Error("the user who was asked for could not sign in")
	}
	h.corp.Set(upstreamtest.Knobs{})
	shop.refused(h.browser().get(shop.ask("claims", is(bobs))), federation.LoginRequired) // alice signs in instead
	shop.refused(alice.get(shop.ask("claims", is(bobs), "id_token_hint", shop.signIn(other, "prompt", "login").ID, "prompt", "none")), federation.LoginRequired)
}

func TestClaimsInsistOnAssurance(t *testing.T) {
	h := open(t)
	shop, b := h.party("default", "shop"), h.browser()
	const must, wish = `{"id_token":{"acr":{"essential":true,"values":["high","higher"]}}}`, `{"id_token":{"acr":{"values":["high"]}}}`
	acr := func(value any) { h.corp.Set(upstreamtest.Knobs{Claims: map[string]any{"acr": value}}) }
	acr("low")
	shop.refused(b.get(shop.ask("claims", must)), federation.UnmetAuthentication)
	if b.session("default") != "" || len(h.events(federation.SignedIn)) != 0 {
		t.Error("a session began all the same")
	}
	if got := shop.signIn(b, "claims", wish); shop.claims(got.ID)["acr"] != "low" {
		t.Error("a wish was refused")
	}
	session, asked := b.session("default"), h.corp.Hits("/authorize")
	shop.refused(b.get(shop.ask("claims", must, "prompt", "none")), federation.LoginRequired)
	shop.signIn(b, "claims", wish, "prompt", "none")
	if h.corp.Hits("/authorize") != asked {
		t.Error("prompt=none asked the upstream")
	}
	l := b.get(shop.ask("claims", must, "acr_values", "low"))
	shop.refused(l, federation.UnmetAuthentication)
	var sent string
	for _, hop := range l.hops {
		if u, _ := url.Parse(hop); u != nil && strings.HasPrefix(hop, h.corp.URL) {
			sent = u.Query().Get("acr_values")
		}
	}
	if sent != "high higher" {
		t.Errorf("the upstream was asked for %q", sent)
	}
	if b.session("default") != session || h.corp.Hits("/authorize") != asked+1 {
		t.Error("the session did not stay as it was, or the upstream was not asked")
	}
	h.corp.Set(upstreamtest.Knobs{}) // an upstream that says nothing has not said yes
	shop.refused(h.browser().get(shop.ask("claims", must)), federation.UnmetAuthentication)
	acr("higher")
	if got := shop.signIn(b, "claims", must); shop.claims(got.ID)["acr"] != "higher" {
		t.Error("what was met was refused")
	}
	asked = h.corp.Hits("/authorize")
	shop.signIn(b, "claims", must, "prompt", "none")
	if shop.signIn(b, "claims", must); h.corp.Hits("/authorize") != asked {
		t.Error("what the session meets was asked for again")
	}
}

// TestConsentToClaims: users are asked for what is asked for by name, and only
// what they agreed to is remembered.
func TestConsentToClaims(t *testing.T) {
	h := open(t)
	ask, b := h.party("default", "ask"), h.browser()
	h.corp.Set(upstreamtest.Knobs{Claims: map[string]any{"birthdate": "1980-01-01", "phone_number": "1"}})
	one := []string{"scope", "openid", "claims", `{"userinfo":{"birthdate":null,"department":null},"id_token":{"email":null}}`}
	ask.code(b.press(b.get(ask.ask("scope", "openid")), "allow"))
	ask.refused(b.get(ask.ask(append(one, "prompt", "none")...)), federation.ConsentRequired)
	l := b.get(ask.ask(one...)).shows(t, "consent", http.StatusOK)
	if l.text(t, "scope-claim birthdate") == "" || l.text(t, "scope-claim email") != "See your e-mail address" || l.find(t, "scope-claim department") != nil {
		t.Errorf("%s", l.page)
	}
	got := ask.redeem(ask.code(b.press(l, "allow")))
	if ask.userinfo(got.Access)["birthdate"] != "1980-01-01" || ask.claims(got.ID)["email"] != "alice@corp.example" {
		t.Errorf("%v", ask.userinfo(got.Access))
	}
	ask.signIn(b, append(one, "prompt", "none")...)
	ask.refused(b.get(ask.ask("scope", "openid", "prompt", "none", "claims", `{"userinfo":{"birthdate":null,"phone_number":null}}`)), federation.ConsentRequired)
	ask.refused(b.get(ask.ask("scope", "openid email", "prompt", "none")), federation.ConsentRequired) // the scope is more than the claim
	ask.code(b.press(b.get(ask.ask("scope", "openid phone")), "allow"))
	ask.signIn(b, "scope", "openid", "prompt", "none", "claims", `{"userinfo":{"phone_number":null,"birthdate":null}}`) // and includes it
}

func TestBadClaimsParameter(t *testing.T) {
	h := open(t)
	shop, b := h.party("default", "shop"), h.browser()
	shop.signIn(b)
	many := `{"userinfo":{"x":null`
	for i := range 40 {
		many += `,"` + strings.Repeat("y", i+20) + `":null`
	}
	h.unchanged("a bad claims parameter", func() {
		for name, text := range map[string]string{
			"no JSON": "{", "a list": "[]", "text": "email", "twice": `{"userinfo":{"a":null,"a":null}}`, "twins": `{"userinfo":{"a":null,"A":null}}`,
			"a section of text": `{"userinfo":"email"}`, "essential of text": `{"userinfo":{"a":{"essential":"yes"}}}`, "acr of a number": `{"id_token":{"acr":{"value":1}}}`,
			"too long": `{"userinfo":{"` + strings.Repeat("x", 4100) + `":null}}`, "too much": many + "}}", "NUL": "{\x00}", "no text": "\xff",
			"deep": `{"x":` + strings.Repeat("[", 600) + strings.Repeat("]", 600) + `}`,
		} {
			l := b.get(shop.ask("claims", text))
			if l.url.Query().Get("state") != "some state" {
				t.Errorf("%s: %s", name, l.url)
			}
			shop.refused(l, federation.InvalidRequest)
		}
		shop.refused(b.get(shop.ask("claims", "{}")+"&claims=%7B%7D"), federation.InvalidRequest)
	})
	shop.signIn(b, "claims", "", "claims_locales", "nl en")
	shop.signIn(b, "claims", `{"unknown":[1,2],"userinfo":{"name":{"essential":true,"purpose":"x"}}}`)
}
