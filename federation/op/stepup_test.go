package op_test

import (
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/session"
	"github.com/drawbridge-id/drawbridge/federation/upstream/upstreamtest"
)

// levels gives acrs an order.
func levels(s *setup) { s.levels = []string{"bronze", "silver", "gold"} }

// at has the next sign-ins of the default user be of an acr, "" for none.
func (h *house) at(p *upstreamtest.Provider, acr string) {
	k := upstreamtest.Knobs{}
	if acr != "" {
		k.Claims = map[string]any{"acr": acr}
	}
	p.Set(k)
}

// cookie is the browser's session cookie.
func (b *browser) cookie() string {
	b.t.Helper()
	org := b.h.tenant("default")
	for _, c := range b.jar.Cookies(b.request(http.MethodGet, b.h.URL, nil).URL) {
		if c.Name == session.CookieName(org.ID, org.Secure()) {
			return c.Value
		}
	}
	b.t.Fatal("no session")
	return ""
}

func (h *house) sessionOf(sid any) federation.Session {
	h.t.Helper()
	held, err := h.sessions.Live(h.t.Context(), h.tenant("default"), sid.(string))
	must(h.t, err)
	return held.Session
}

// causes are those of the sessions that have ended.
func (h *house) causes() []federation.Cause {
	var all []federation.Cause
	for _, e := range h.events(federation.SessionEnded) {
		all = append(all, e.Cause)
	}
	return all
}

// Who steps up has another session with another cookie, and keeps all that hangs
// on the old one.
func TestStepUp(t *testing.T) {
	for name, how := range map[string]func(*setup){"one partition": func(*setup) {}, "spread": spread} {
		t.Run(name, func(t *testing.T) {
			h := open(t, levels, how)
			shop, post, b := h.party("default", "shop"), h.party("default", "post"), h.browser()
			h.at(h.corp, "bronze")
			first := shop.signIn(b)
			other := post.signIn(b)
			late := post.code(b.get(post.ask()))
			id := shop.claims(first.ID)
			old, was := b.cookie(), h.sessionOf(id["sid"])
			if was.Level != 1 {
				t.Errorf("level %d", was.Level)
			}

			h.at(h.corp, "gold")
			before := h.corp.Hits("/authorize")
			next := shop.claims(shop.signIn(b, "acr_values", "gold").ID)
			if h.corp.Hits("/authorize") != before+1 || next["acr"] != "gold" || next["sid"] != id["sid"] || next["sub"] != id["sub"] {
				t.Errorf("stepped up to %v", next)
			}
			is := h.sessionOf(id["sid"])
			if is.Level != 3 || is.Reference != was.Reference || is.AuditID == was.AuditID || len(is.Clients) != 2 {
				t.Errorf("session %+v", is)
			}
			if got := h.causes(); !slices.Equal(got, []federation.Cause{federation.Upgrade}) {
				t.Errorf("causes %v", got)
			}
			if n := len(h.events(federation.SessionBegan)); n != 2 {
				t.Errorf("%d sessions began", n)
			}
			if b.cookie() == old {
				t.Error("the cookie is the old one")
			}
			if _, err := h.sessions.ByCookie(t.Context(), h.tenant("default"), old); err == nil {
				t.Error("the old cookie opens the new session")
			}
			if !shop.live(first.Access) || !post.live(other.Access) || shop.refresh(first.Refresh).status != 200 || post.redeem(late).status != 200 {
				t.Error("what was granted before did not go on")
			}
			// A stronger session is enough for who asks for less, and one no weaker login is an upgrade.
			before = h.corp.Hits("/authorize")
			shop.code(b.get(shop.ask("acr_values", "silver")))
			if h.corp.Hits("/authorize") != before {
				t.Error("gold is not enough for silver")
			}
			for _, acr := range []string{"gold", "bronze", ""} {
				h.at(h.corp, acr)
				shop.signIn(b, "prompt", "login")
			}
			if is = h.sessionOf(id["sid"]); is.Level != 3 || len(h.causes()) != 1 {
				t.Errorf("level %d, causes %v", is.Level, h.causes())
			}
			b.get(shop.bye()).shows(t, "sign-out", 200)
			must(t, h.sessions.End(t.Context(), h.tenant("default"), is.ID, federation.Logout, federation.Request{}))
			if shop.live(first.Access) {
				t.Error("what moved to the new session outlived it")
			}
		})
	}
}

// What is no step up goes on as it was.
func TestNoStepUp(t *testing.T) {
	for name, c := range map[string]struct {
		setup    func(*setup)
		from, to string
		as       string
		want     []federation.Cause
		asked    string
	}{
		"no levels":           {setup: func(*setup) {}, from: "bronze", to: "gold", asked: "gold"},
		"the same":            {setup: levels, from: "silver", to: "silver", asked: "gold"},
		"weaker":              {setup: levels, from: "silver", to: "bronze", asked: "gold"},
		"not listed":          {setup: levels, from: "bronze", to: "urn:x", asked: "gold"},
		"another person":      {setup: levels, from: "bronze", to: "gold", as: "eve", asked: "gold", want: []federation.Cause{federation.Destroy}},
		"from one not known":  {setup: levels, from: "", to: "bronze", asked: "bronze", want: []federation.Cause{federation.Upgrade}},
		"from one not listed": {setup: levels, from: "urn:x", to: "bronze", asked: "bronze", want: []federation.Cause{federation.Upgrade}},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t, c.setup)
			shop, b := h.party("default", "shop"), h.browser()
			h.at(h.corp, c.from)
			first := shop.claims(shop.signIn(b).ID)
			knobs := upstreamtest.Knobs{Subject: c.as, Claims: map[string]any{"acr": c.to}}
			h.corp.Set(knobs)
			next := shop.claims(shop.signIn(b, "acr_values", c.asked, "prompt", "login").ID)
			if got := h.causes(); !slices.Equal(got, c.want) {
				t.Errorf("causes %v, want %v", got, c.want)
			}
			if moved := first["sid"] == next["sid"]; moved != (c.as == "") {
				t.Errorf("the sid is the same: %v", moved)
			}
		})
	}
}

// A login that fails what was asked for changes no session.
func TestAStepUpThatFails(t *testing.T) {
	h := open(t, levels)
	shop, b := h.party("default", "shop"), h.browser()
	h.at(h.corp, "bronze")
	id := shop.claims(shop.signIn(b).ID)
	h.at(h.corp, "silver")
	shop.refused(b.get(shop.ask("claims", `{"id_token":{"acr":{"essential":true,"values":["gold"]}}}`)), federation.UnmetAuthentication)
	if s := h.sessionOf(id["sid"]); s.Level != 1 || len(h.causes()) != 0 {
		t.Errorf("level %d, causes %v", s.Level, h.causes())
	}
	shop.refused(b.get(shop.ask("prompt", "none", "claims", `{"id_token":{"acr":{"essential":true,"value":"gold"}}}`)), federation.LoginRequired)
}

// Two tabs that step up at once end the old session once, and neither is left
// without a session.
func TestTwoStepUpsAtOnce(t *testing.T) {
	h := open(t, levels)
	shop, b := h.party("default", "shop"), h.browser()
	h.at(h.corp, "bronze")
	shop.signIn(b)
	h.at(h.corp, "gold")
	one := b.step(b.request(http.MethodGet, shop.ask("acr_values", "gold", "state", "1"), nil))
	two := b.step(b.request(http.MethodGet, shop.ask("acr_values", "gold", "state", "2"), nil))
	var wg sync.WaitGroup
	landed := make([]landing, 2)
	for i, at := range []landing{one, two} {
		wg.Go(func() { landed[i] = b.get(at.url.String()) })
	}
	wg.Wait()
	for _, l := range landed {
		if got := shop.redeem(shop.code(l)); got.status != 200 || !shop.live(got.Access) {
			t.Errorf("%d %s", got.status, got.Error)
		}
	}
	upgrades := 0
	for _, cause := range h.causes() {
		if cause == federation.Upgrade {
			upgrades++
		}
	}
	if upgrades != 1 {
		t.Errorf("causes %v", h.causes())
	}
	shop.code(b.get(shop.ask("prompt", "none")))
}

func TestDiscoveryTellsOfLevels(t *testing.T) {
	for name, c := range map[string]struct {
		setup func(*setup)
		want  int
	}{"levels": {levels, 3}, "none": {func(*setup) {}, 0}} {
		meta := object(t, open(t, c.setup).party("default", "shop").send(http.MethodGet, "/.well-known/openid-configuration", "").page)
		if all, _ := meta["acr_values_supported"].([]any); len(all) != c.want {
			t.Errorf("%s: %v", name, all)
		}
	}
}
