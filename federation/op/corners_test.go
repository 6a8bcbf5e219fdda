package op_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/op"
	"github.com/drawbridge-id/drawbridge/federation/upstream/upstreamtest"
)

func TestNewNeedsItsParts(t *testing.T) {
	if h, err := op.New(op.Options{}); err == nil || h != nil {
		t.Error("a provider of nothing")
	}
}

// TestSubjectOfTheUpstream passes it through where that is configured.
func TestSubjectOfTheUpstream(t *testing.T) {
	h := open(t, func(s *setup) {
		s.upstream = func(u *federation.Upstream) { u.Subject, u.Name = federation.SubjectUpstream, "" }
	})
	shop, b := h.party("default", "shop"), h.browser()
	got := shop.signIn(b)
	if id, info := shop.claims(got.ID), shop.userinfo(got.Access); id["sub"] != "alice" || info["sub"] != "alice" {
		t.Errorf("%v %v", id, info)
	}
	shop.signIn(b, "prompt", "none", "id_token_hint", got.ID)
	if created := h.events(federation.PersonCreated); len(created) != 1 || created[0].Person == "alice" {
		t.Errorf("the person is %+v", created)
	}
}

func TestNothingToSignInWith(t *testing.T) {
	h := open(t, func(s *setup) { s.change = func(c *federation.Client) { c.Upstreams, c.Pipeline = nil, nil } })
	shop := h.party("default", "shop")
	shop.refused(h.browser().get(shop.ask()), federation.ServerError)
	h.configure(&setup{change: func(c *federation.Client) { c.Pipeline = nil }})
	shop.refused(h.browser().get(shop.ask()), federation.TemporarilyUnavailable)
}

// TestIssuerWithASlash has it in iss, and not twice in any address.
func TestIssuerWithASlash(t *testing.T) {
	h := open(t, func(s *setup) { s.late = true })
	late := h.party("late", "shop")
	meta := object(t, late.send(http.MethodGet, "/.well-known/openid-configuration", "").page)
	if meta["issuer"] != h.URL+"/t/late/" || meta["token_endpoint"] != h.URL+"/t/late/token" {
		t.Errorf("%v", meta)
	}
	b := h.browser()
	if got := late.claims(late.signIn(b).ID); got["iss"] != h.URL+"/t/late/" {
		t.Errorf("iss is %v", got["iss"])
	}
	late.refused(b.get(late.ask("scope", "-")), federation.InvalidScope)
}

// TestKeysThatCannotBeRead is an outage, whoever needs them.
func TestKeysThatCannotBeRead(t *testing.T) {
	h := open(t, two)
	h.configure(&setup{two: true, late: true})
	late, wide := h.party("late", "shop"), h.party("late", "wide")
	h.unchanged("keys that cannot be read", func() {
		h.engine.arm(func([]storeOp) error { return errBroken }, func(storeKey) error { return errBroken })
		defer h.engine.arm(nil, nil)
		if got := late.send(http.MethodGet, "/jwks", ""); got.status != 503 || object(t, got.page)["error"] != "temporarily_unavailable" {
			t.Errorf("%d %s", got.status, got.page)
		}
		late.refused(h.browser().get(late.ask()), federation.TemporarilyUnavailable)
		wide.refused(h.browser().get(wide.ask()), federation.TemporarilyUnavailable)
		late.refused(h.browser().get(late.ask("id_token_hint", "eyJhbGciOiJSUzI1NiIsImtpZCI6IngifQ.e30.AA")), federation.TemporarilyUnavailable)
		late.refused(h.browser().post(h.URL+"/t/late/authorize", late.request()), federation.TemporarilyUnavailable)
		for _, path := range []string{"/authorize/continue?request=x.YQ", "/end_session?id_token_hint=eyJhbGciOiJSUzI1NiIsImtpZCI6IngifQ.e30.AA"} {
			if l := h.browser().get(h.URL + "/t/late" + path); l.status != 503 || l.header.Get("Retry-After") == "" || l.find(t, "error") == nil {
				t.Errorf("%s: %d", path, l.status)
			}
		}
	})
}

func TestContinuations(t *testing.T) {
	h := open(t)
	shop := h.party("default", "shop")
	b := h.browser()
	sealed := b.step(b.request(http.MethodPost, h.URL+"/authorize", shop.request())).url
	for name, address := range map[string]string{
		"nothing": h.URL + "/authorize/continue", "rubbish": h.URL + "/authorize/continue?request=x", "twice": sealed.String() + "&" + sealed.RawQuery,
		"another purpose": strings.Replace(sealed.String(), "/authorize/", "/end_session/", 1), "another tenant": strings.Replace(sealed.String(), "/authorize/", "/t/acme/authorize/", 1),
		"tampered": sealed.String()[:len(sealed.String())-3] + "AAA",
	} {
		h.unchanged(name, func() {
			if l := b.get(address); l.status != 400 || l.find(t, "error") == nil {
				t.Errorf("%s: %d %s", name, l.status, l.url)
			}
		})
	}
	form := shop.request("nonce", strings.Repeat("n", 4000), "login_hint", strings.Repeat("l", 4000))
	shop.refused(b.post(h.URL+"/authorize", form), federation.InvalidRequest)
}

// TestWhatConsentShows has scopes without words for them and people without
// names.
func TestWhatConsentShows(t *testing.T) {
	h := open(t, func(s *setup) {
		s.change = func(c *federation.Client) { c.Scopes = append(c.Scopes, "orders:<read>") }
	})
	ask := h.party("default", "ask")
	for name, userinfo := range map[string]map[string]any{
		"a <b>name</b>": {"name": "a <b>name</b>", "email": nil}, "only@corp.example": {"name": nil, "email": "only@corp.example"},
	} {
		h.corp.Set(upstreamtest.Knobs{Subject: name, Userinfo: userinfo})
		l := h.browser().get(ask.ask("scope", "openid orders:<read>", "prompt", "consent")).shows(t, "consent", 200)
		if l.text(t, "account") != name || strings.Contains(l.page, "<b>") || !strings.Contains(l.page, "orders:&lt;read&gt;") {
			t.Errorf("%s", l.main())
		}
	}
}
