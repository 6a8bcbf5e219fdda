package op_test

import (
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/drawbridge-id/drawbridge/federation"
)

// TestFirstSignInsRace: one person, whoever is first, and a session for each.
// The hook holds all of them back until each has found nobody.
func TestFirstSignInsRace(t *testing.T) {
	h := open(t)
	const n = 20
	shop := h.party("default", "hooked")
	var waiting atomic.Int64
	everybody := make(chan struct{})
	h.hooks.does(func(w http.ResponseWriter, _ *http.Request) {
		if waiting.Add(1) == n {
			close(everybody)
		}
		<-everybody
		w.WriteHeader(http.StatusNoContent)
	})
	browsers, backs := make([]*browser, n), make([]*url.URL, n)
	for i := range n {
		browsers[i] = h.browser()
		backs[i] = shop.atCallback(browsers[i])
	}
	landed := make([]landing, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { landed[i] = browsers[i].get(backs[i].String()) })
	}
	all.Wait()
	people, sessions := map[any]bool{}, map[any]bool{}
	for _, l := range landed {
		id := shop.claims(shop.redeem(shop.code(l)).ID)
		people[id["sub"]], sessions[id["sid"]] = true, true
	}
	if len(people) != 1 || len(sessions) != n || len(h.events(federation.PersonCreated)) != 1 || len(h.events(federation.SessionBegan)) != n || len(h.events(federation.SignedIn)) != n {
		t.Errorf("%d persons (%d created), %d sessions", len(people), len(h.events(federation.PersonCreated)), len(sessions))
	}
	for who := range people {
		id, _ := who.(string)
		p, err := h.persons.Get(t.Context(), h.tenant("default"), id)
		if err != nil || p.Logins != n {
			t.Errorf("%d sign-ins are counted as %d (%v)", n, p.Logins, err)
		}
	}
}

// TestOneSessionManyTabs completes silently many times at once.
func TestOneSessionManyTabs(t *testing.T) {
	h := open(t)
	shop, post, b := h.party("default", "shop"), h.party("default", "post"), h.browser()
	sid := shop.claims(shop.signIn(b).ID)["sid"]
	const n = 20
	landed := make([]landing, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			if i%2 == 0 {
				landed[i] = b.get(shop.ask("prompt", "none"))
			} else {
				landed[i] = b.get(post.ask("prompt", "none"))
			}
		})
	}
	all.Wait()
	codes := map[string]bool{}
	for i, l := range landed {
		p := shop
		if i%2 == 1 {
			p = post
		}
		code := p.code(l)
		codes[code] = true
		if got := p.claims(p.redeem(code).ID); got["sid"] != sid {
			t.Errorf("sid %v", got["sid"])
		}
	}
	if len(codes) != n || len(h.events(federation.SessionBegan)) != 1 {
		t.Errorf("%d codes", len(codes))
	}
}

// TestLogoutRaces: what is given out while a session ends dies with it.
func TestLogoutRaces(t *testing.T) {
	h := open(t)
	shop := h.party("default", "shop")
	for range 5 {
		b := h.browser()
		got := shop.signIn(b)
		const n = 8
		landed := make([]landing, n)
		var all sync.WaitGroup
		for i := range n {
			r := b.request(http.MethodGet, shop.ask("prompt", "none"), nil)
			all.Go(func() { landed[i] = b.walk(r) })
		}
		bye := b.request(http.MethodGet, shop.bye("id_token_hint", got.ID), nil)
		all.Go(func() { b.walk(bye) })
		all.Wait()
		for _, l := range landed {
			q := shop.answer(l)
			if q.Get("error") == "login_required" {
				continue
			}
			if answer := shop.redeem(shop.code(l)); answer.Error != "invalid_grant" {
				t.Errorf("a code of a session that is over: %+v", answer)
			}
		}
		if shop.live(got.Access) || b.session("default") != "" {
			t.Error("the session lives on")
		}
	}
	if ended := h.events(federation.SessionEnded); len(ended) != 5 {
		t.Errorf("%d sessions ended %d times", 5, len(ended))
	}
}

// TestSessionEndsUnderWay: a fresh login begins another one, a silent sign-in
// has to ask.
func TestSessionEndsUnderWay(t *testing.T) {
	h := open(t)
	hooked, b := h.party("default", "hooked"), h.browser()
	first := hooked.claims(hooked.signIn(b).ID)
	sid, _ := first["sid"].(string)
	h.hooks.does(func(w http.ResponseWriter, _ *http.Request) {
		if err := h.sessions.End(t.Context(), h.tenant("default"), sid, federation.Destroy, federation.Request{}); err != nil {
			t.Logf("end: %v", err) // the second time it is gone already
		}
		w.WriteHeader(http.StatusNoContent)
	})
	hooked.refused(b.get(hooked.ask("prompt", "none")), federation.LoginRequired)
	second := hooked.claims(hooked.signIn(b).ID)
	sid, _ = second["sid"].(string)
	third := hooked.claims(hooked.signIn(b, "prompt", "login").ID)
	if second["sid"] == first["sid"] || third["sid"] == second["sid"] || third["sub"] != first["sub"] {
		t.Errorf("%v, %v, %v", first, second, third)
	}
}
