package op_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/upstream/upstreamtest"
)

// at is the auth_time of tokens.
func (p *party) at(got tokens) float64 {
	p.t.Helper()
	at, ok := p.claims(got.ID)["auth_time"].(float64)
	if !ok {
		p.t.Fatal("no auth_time")
	}
	return at
}

// pass moves the clock on, for the provider as well.
func (h *house) pass(d time.Duration) { h.passFor(d, "alice") }

// passFor has somebody else sign in from then on.
func (h *house) passFor(d time.Duration, subject string) {
	h.clock.advance(d)
	now := h.clock.now()
	h.corp.Set(upstreamtest.Knobs{Subject: subject, Claims: map[string]any{"iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "auth_time": now.Unix()}})
}

func TestPrompt(t *testing.T) {
	h := open(t)
	shop, b := h.party("default", "shop"), h.browser()
	h.unchanged("prompt=none without a session", func() {
		shop.refused(b.get(shop.ask("prompt", "none")), federation.LoginRequired)
	})
	first := shop.signIn(b)
	visits := func() int { return h.corp.Hits("/authorize") }
	asked := visits()

	silent := shop.signIn(b, "prompt", "none")
	if visits() != asked || shop.at(silent) != shop.at(first) || shop.claims(silent.ID)["sid"] != shop.claims(first.ID)["sid"] {
		t.Error("the silent sign-in is not the same session")
	}
	if told := h.events(federation.SignedIn); len(told) != 2 || !told[1].Silent {
		t.Errorf("events %+v", told)
	}
	h.pass(10 * time.Second)
	if again := shop.signIn(b, "prompt", "login"); visits() != asked+1 || shop.at(again) <= shop.at(first) {
		t.Error("prompt=login did not authenticate anew")
	}
	shop.signIn(b, "prompt", "select_account")
	if visits() != asked+2 {
		t.Error("select_account did not ask")
	}
	shop.signIn(b, "prompt", "login select_account")
	if visits() != asked+3 || len(h.events(federation.SessionBegan)) != 1 {
		t.Error("the same person does not continue the session")
	}
	b.get(shop.ask("prompt", "consent")).shows(t, "consent", http.StatusOK)

	// Who says that it was long ago did not authenticate anew.
	h.corp.Set(upstreamtest.Knobs{Claims: map[string]any{"auth_time": h.clock.now().Add(-time.Hour).Unix()}})
	shop.refused(b.get(shop.ask("prompt", "login")), federation.LoginRequired)
}

func TestMaxAge(t *testing.T) {
	h := open(t)
	shop, aged, b := h.party("default", "shop"), h.party("default", "aged"), h.browser()
	first := shop.signIn(b)
	asked := h.corp.Hits("/authorize")
	if again := shop.signIn(b, "max_age", "10000"); shop.at(again) != shop.at(first) || h.corp.Hits("/authorize") != asked {
		t.Error("max_age=10000 authenticated anew, or another auth_time came back")
	}
	shop.refused(b.get(shop.ask("max_age", "0", "prompt", "none")), federation.LoginRequired)
	aged.signIn(b)
	if h.corp.Hits("/authorize") != asked {
		t.Error("default_max_age is not met by a new session")
	}
	h.pass(90 * time.Second)
	shop.refused(b.get(shop.ask("max_age", "1", "prompt", "none")), federation.LoginRequired)
	aged.refused(b.get(aged.ask("prompt", "none")), federation.LoginRequired)
	aged.signIn(b, "max_age", "1000")
	if h.corp.Hits("/authorize") != asked {
		t.Error("the request does not win over default_max_age")
	}
	if again := shop.signIn(b, "max_age", "1"); shop.at(again) < shop.at(first)+90 {
		t.Error("max_age=1 gives an old auth_time")
	}
	now := shop.signIn(b, "max_age", "0")
	if h.corp.Hits("/authorize") != asked+2 || shop.at(now) == 0 {
		t.Error("max_age=0 did not authenticate anew")
	}

	// A provider whose clock is ahead does not make the login younger.
	ahead := h.clock.now().Add(50 * time.Second)
	h.corp.Set(upstreamtest.Knobs{Claims: map[string]any{"iat": ahead.Unix(), "exp": ahead.Add(time.Hour).Unix(), "auth_time": ahead.Unix()}})
	shop.signIn(b, "prompt", "login")
	h.clock.advance(10 * time.Second)
	shop.refused(b.get(shop.ask("max_age", "5", "prompt", "none")), federation.LoginRequired)

	h.corp.Set(upstreamtest.Knobs{Claims: map[string]any{"auth_time": h.clock.now().Add(-time.Hour).Unix()}})
	shop.refused(b.get(shop.ask("max_age", "3")), federation.LoginRequired)
}

func TestAskedForAssurance(t *testing.T) {
	h := open(t)
	shop, b := h.party("default", "shop"), h.browser()
	h.corp.Set(upstreamtest.Knobs{Claims: map[string]any{"acr": "low"}})
	shop.signIn(b)
	asked := h.corp.Hits("/authorize")
	shop.signIn(b, "acr_values", "low high")
	shop.signIn(b, "acr_values", "high", "prompt", "none")
	if h.corp.Hits("/authorize") != asked {
		t.Error("what is satisfied, or is only a wish, was asked for again")
	}
	h.corp.Set(upstreamtest.Knobs{Claims: map[string]any{"acr": "high"}})
	if got := shop.signIn(b, "acr_values", "high"); h.corp.Hits("/authorize") != asked+1 || shop.claims(got.ID)["acr"] != "high" {
		t.Error("the acr asked for did not reach the provider")
	}
}

func TestHints(t *testing.T) {
	h := open(t)
	shop, alice, other := h.party("default", "shop"), h.browser(), h.browser()
	token := shop.signIn(alice).ID
	h.corp.Set(upstreamtest.Knobs{Subject: "bob"})
	bobs := shop.signIn(other).ID
	h.corp.Set(upstreamtest.Knobs{})

	shop.signIn(alice, "id_token_hint", token, "prompt", "none")
	h.clock.advance(10 * time.Minute) // a hint is a memory: it may have expired
	shop.signIn(alice, "id_token_hint", token, "prompt", "none")
	h.unchanged("a hint of somebody else", func() {
		shop.refused(alice.get(shop.ask("id_token_hint", bobs, "prompt", "none")), federation.LoginRequired)
	})
	// Interactively the user has a chance to be who was asked for, or not.
	h.pass(0)
	session := alice.session("default")
	shop.refused(alice.get(shop.ask("id_token_hint", bobs)), federation.LoginRequired)
	if alice.session("default") != session {
		t.Error("the wrong user changed the session")
	}
	h.passFor(0, "bob")
	if got := shop.signIn(alice, "id_token_hint", bobs); shop.claims(got.ID)["sub"] != shop.claims(bobs)["sub"] {
		t.Error("the user who was asked for could not sign in")
	}
	shop.signIn(alice, "login_hint", "alice@elsewhere.example", "display", "popup", "ui_locales", "nl en", "claims_locales", "nl", "extra", "foobar")
}
