package op_test

import (
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/upstream"
	"github.com/drawbridge-id/drawbridge/federation/upstream/upstreamtest"
)

// plain makes the upstream one of plain OAuth 2.0.
func plain(t *testing.T, change func(*upstream.OAuth2Options)) (func(*setup), *upstreamtest.Provider) {
	p := upstreamtest.New(t)
	p.Set(upstreamtest.Knobs{NoIDToken: true, TokenForm: true, RawUserinfo: `{"id":583231,"login":"octocat","email":"mona@mona.example"}`})
	o := upstream.OAuth2Options{
		Options: upstream.Options{ID: "corp", ClientID: p.ClientID, ClientSecret: federation.Secret(p.ClientSecret),
			HTTP: &http.Client{Timeout: 10 * time.Second}, Now: time.Now, Log: slog.New(slog.DiscardHandler), Scopes: []string{"user"}},
		Authorization: p.URL + "/authorize", Token: p.URL + "/token", Userinfo: p.URL + "/userinfo", SubjectClaim: "id",
	}
	if change != nil {
		change(&o)
	}
	c, err := upstream.NewOAuth2(o)
	must(t, err)
	return func(s *setup) {
		s.upstream = func(u *federation.Upstream) { u.Connector, u.Issuer, u.EndSessionURL = c, c.Issuer(), nil }
	}, p
}

// TestASignInByPlainOAuth2, with what it cannot prove.
func TestASignInByPlainOAuth2(t *testing.T) {
	with, up := plain(t, nil)
	h := open(t, with)
	h.corp = up
	p := h.party("default", "shop")
	b := h.browser()
	got := p.signIn(b)
	if info := p.userinfo(got.Access); info["email"] != "mona@mona.example" {
		t.Errorf("userinfo %v", info)
	}
	sub := p.claims(got.ID)["sub"]
	if again := p.claims(p.signIn(h.browser()).ID)["sub"]; again != sub || sub == "583231" {
		t.Errorf("sub %v, and then %v", sub, again)
	}
	for name, pairs := range map[string][]string{
		"prompt=login":       {"prompt", "login"},
		"max_age":            {"max_age", "3600"},
		"max_age, silently":  {"max_age", "3600", "prompt", "none"},
		"max_age of nothing": {"max_age", "0"},
	} {
		before := up.Hits("/authorize")
		p.refused(b.get(p.ask(pairs...)), federation.LoginRequired)
		if up.Hits("/authorize") != before {
			t.Errorf("%s: the user was sent there in vain", name)
		}
	}
	p.code(b.get(p.ask("prompt", "none"))) // the session is there all the same
}

func TestASignInByPlainOAuth2ThatIsAssumedToBeNew(t *testing.T) {
	with, up := plain(t, func(o *upstream.OAuth2Options) { o.AssumeAnew, o.Assurance.DefaultACR = true, "bronze" })
	h := open(t, with)
	h.corp = up
	p := h.party("default", "shop")
	b := h.browser()
	for _, pairs := range [][]string{nil, {"prompt", "login"}, {"max_age", "3600"}, {"max_age", "0"}} {
		claims := p.claims(p.signIn(b, pairs...).ID)
		if claims["acr"] != "bronze" || claims["auth_time"] == nil {
			t.Errorf("%v: %v", pairs, claims)
		}
	}
	if up.Asked().Get("client_id") == "" || up.Hits("/authorize") != 3 {
		t.Errorf("sent there %d times", up.Hits("/authorize"))
	}
}

// TestWordsForAssuranceOnTheWayThrough: a relying party never sees the
// upstream's.
func TestWordsForAssuranceOnTheWayThrough(t *testing.T) {
	h := open(t, func(s *setup) {
		s.connector = func(o *upstream.Options) {
			o.Assurance = upstream.Assurance{ACR: map[string]string{"gold": "urn:x:3", "silver": "urn:x:2"}, AMR: map[string]string{"sms": "otp"}}
		}
	})
	p := h.party("default", "shop")
	h.corp.Set(upstreamtest.Knobs{Claims: map[string]any{"acr": "urn:x:2", "amr": []string{"sms"}}})
	b := h.browser()
	claims := p.claims(p.signIn(b, "acr_values", "gold silver").ID)
	if amr, _ := claims["amr"].([]any); claims["acr"] != "silver" || len(amr) != 1 || amr[0] != "otp" {
		t.Errorf("claims %v", claims)
	}
	if asked := h.corp.Asked().Get("acr_values"); asked != "urn:x:3 urn:x:2" {
		t.Errorf("asked for %q", asked)
	}
	essential := `{"id_token":{"acr":{"essential":true,"values":["gold"]}}}`
	p.refused(b.get(p.ask("claims", essential)), federation.UnmetAuthentication)
	h.corp.Set(upstreamtest.Knobs{Claims: map[string]any{"acr": "urn:x:3"}})
	if claims := p.claims(p.signIn(b, "claims", essential).ID); claims["acr"] != "gold" {
		t.Errorf("claims %v", claims)
	}
}

// TestAnewMustBeTold: an upstream that does not say when cannot prove it.
func TestAnewMustBeTold(t *testing.T) {
	h := open(t)
	p := h.party("default", "shop")
	h.corp.Set(upstreamtest.Knobs{Omit: []string{"auth_time"}})
	b := h.browser()
	p.signIn(b)
	p.refused(b.get(p.ask("prompt", "login")), federation.LoginRequired)
	p.refused(b.get(p.ask("max_age", "600")), federation.LoginRequired)
	p.refused(b.get(p.ask("max_age", "600", "prompt", "none")), federation.LoginRequired)
	h.corp.Set(upstreamtest.Knobs{})
	p.signIn(b, "max_age", "600")
	before := h.corp.Hits("/authorize")
	p.signIn(b, "max_age", "600")
	if h.corp.Hits("/authorize") != before {
		t.Error("a recent login that is told is asked for again")
	}
}
