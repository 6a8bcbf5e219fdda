package op_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/notice"
	"github.com/drawbridge-id/drawbridge/federation/person"
	"github.com/drawbridge-id/drawbridge/federation/session"
	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/upstream/upstreamtest"
)

type tokenClaims = map[string]any

// sayLogout posts a logout token to a tenant.
func (h *house) sayLogout(tenant, upstream, token string) landing {
	h.t.Helper()
	res, err := h.corp.SendLogout(h.tenant(tenant).URL("/backchannel_logout/"+upstream), token)
	must(h.t, err)
	return landing{status: res.StatusCode, header: res.Header, page: body(h.t, res)}
}

// taken fails unless a logout token was carried out.
func (h *house) taken(l landing) {
	h.t.Helper()
	if l.status != http.StatusOK || l.header.Get("Cache-Control") != "no-store" || l.page != "" {
		h.t.Fatalf("%d %v %s", l.status, l.header, l.page)
	}
}

// in signs a user of the upstream's in, in a session of the upstream's.
func (p *party) in(subject, sid string) (*browser, tokens) {
	p.t.Helper()
	k := upstreamtest.Knobs{Subject: subject}
	if sid != "" {
		k.Claims = tokenClaims{"sid": sid}
	}
	p.h.corp.Set(k)
	b := p.h.browser()
	return b, p.signIn(b)
}

// gone fails unless a session has ended because the upstream said so.
func (p *party) gone(b *browser, got tokens) {
	p.t.Helper()
	if p.live(got.Access) || got.Refresh != "" && p.refresh(got.Refresh).Error != "invalid_grant" {
		p.t.Error("the session lives on")
	}
	p.refused(b.get(p.ask("prompt", "none")), federation.LoginRequired)
	for _, e := range p.h.events(federation.SessionEnded) {
		if e.Session == p.claims(got.ID)["sid"] && e.Cause == federation.Destroy && e.By == "corp" {
			return
		}
	}
	p.t.Errorf("no such end: %+v", p.h.events(federation.SessionEnded))
}

// houses runs a test for tenants in one place and for spread ones.
func houses(t *testing.T, f func(t *testing.T, h *house)) {
	t.Run("one place", func(t *testing.T) { f(t, open(t)) })
	t.Run("spread", func(t *testing.T) { f(t, open(t, func(s *setup) { s.over = store.Layout{Partitions: 8} })) })
}

func TestAnUpstreamEndsSessions(t *testing.T) {
	houses(t, func(t *testing.T, h *house) {
		shop := h.party("default", "shop")
		one, first := shop.in("alice", "up-1")
		two, second := shop.in("alice", "up-2")
		bobs, third := shop.in("bob", "up-3")
		_, foreign := h.party("acme", "shop").in("alice", "up-1")
		bySID := h.corp.LogoutToken(upstreamtest.Knobs{}, tokenClaims{"sub": nil, "sid": "up-1"})
		h.taken(h.sayLogout("default", "corp", bySID))
		shop.gone(one, first)
		if !shop.live(second.Access) || !shop.live(third.Access) || !h.party("acme", "shop").live(foreign.Access) {
			t.Fatal("a session that was not named has ended")
		}
		if !h.lines.has("logout by upstream", "corp", "back", "ended") {
			t.Error("no audit")
		}
		// Bob's session is not alice's, whatever she says.
		h.taken(h.sayLogout("default", "corp", h.corp.LogoutToken(upstreamtest.Knobs{}, tokenClaims{"sid": "up-3"})))
		if !shop.live(third.Access) {
			t.Fatal("one user's logout has ended another's session")
		}
		h.taken(h.sayLogout("default", "corp", h.corp.LogoutToken(upstreamtest.Knobs{}, nil)))
		shop.gone(two, second)
		h.taken(h.sayLogout("default", "corp", h.corp.LogoutToken(upstreamtest.Knobs{Subject: "bob"}, tokenClaims{"sid": "up-3"})))
		shop.gone(bobs, third)
		h.taken(h.sayLogout("default", "corp", h.corp.LogoutToken(upstreamtest.Knobs{Subject: "nobody"}, nil)))
		if ended := len(h.events(federation.SessionEnded)); ended != 3 || h.observed("corp back", "ended") != 3 || h.observed("corp back", "nothing") != 2 {
			t.Errorf("%d ends; %v", ended, h.results)
		}
	})
}

// TestTheSameLogoutTokenAgain does nothing, and is no error; another with its
// jti is.
func TestTheSameLogoutTokenAgain(t *testing.T) {
	h := open(t)
	shop := h.party("default", "shop")
	b, got := shop.in("alice", "")
	token := h.corp.LogoutToken(upstreamtest.Knobs{}, tokenClaims{"jti": "once"})
	h.taken(h.sayLogout("default", "corp", token))
	shop.gone(b, got)
	h.corp.Set(upstreamtest.Knobs{Claims: tokenClaims{"iat": time.Now().Add(2 * time.Second).Unix()}}) // the next second, without waiting for it
	later := shop.signIn(b)
	h.unchanged("a token shown again", func() { h.taken(h.sayLogout("default", "corp", token)) })
	if !shop.live(later.Access) || h.observed("corp back", "repeated") != 1 {
		t.Error("a token that is shown again ended what came later")
	}
	h.unchanged("another token with its jti", func() {
		other := h.corp.LogoutToken(upstreamtest.Knobs{}, tokenClaims{"jti": "once", "iat": time.Now().Add(30 * time.Second).Unix()})
		if l := h.sayLogout("default", "corp", other); l.status != http.StatusBadRequest {
			t.Errorf("%d", l.status)
		}
	})
	// A token that was not shown before is as late: it ends what is older only.
	h.taken(h.sayLogout("default", "corp", h.corp.LogoutToken(upstreamtest.Knobs{}, tokenClaims{"iat": time.Now().Add(-time.Minute).Unix()})))
	if !shop.live(later.Access) {
		t.Error("a late token has ended what came later")
	}
}

// TestLogoutTokensThatAreRefused has the rows of the conformance suite's plan for
// relying parties, and some of our own.
func TestLogoutTokensThatAreRefused(t *testing.T) {
	t.Parallel() // one of them waits for a key
	h := open(t, func(s *setup) { s.two = true })
	shop := h.party("default", "shop")
	_, got := shop.in("alice", "up-1")
	good := func(k upstreamtest.Knobs, c tokenClaims) string { return h.corp.LogoutToken(k, c) }
	const event = "http://schemas.openid.net/event/backchannel-logout"
	for name, token := range map[string]string{
		"alg none":                  good(upstreamtest.Knobs{Alg: "none"}, nil),
		"no event":                  good(upstreamtest.Knobs{}, tokenClaims{"events": nil}),
		"with a nonce":              good(upstreamtest.Knobs{}, tokenClaims{"nonce": "n"}),
		"wrong alg":                 good(upstreamtest.Knobs{Alg: "HS256"}, nil),
		"wrong aud":                 good(upstreamtest.Knobs{}, tokenClaims{"aud": "other"}),
		"wrong event":               good(upstreamtest.Knobs{}, tokenClaims{"events": tokenClaims{event + "x": tokenClaims{}}}),
		"wrong iss":                 good(upstreamtest.Knobs{}, tokenClaims{"iss": "https://evil.example"}),
		"wrong key":                 good(upstreamtest.Knobs{ForeignKey: true}, nil),
		"an ID token":               got.ID,
		"of another upstream":       h.partner.LogoutToken(upstreamtest.Knobs{}, nil),
		"in another's name":         h.partner.LogoutToken(upstreamtest.Knobs{}, tokenClaims{"iss": h.corp.URL}),
		"rubbish":                   "x.y.z",
		"folded":                    good(upstreamtest.Knobs{}, tokenClaims{"SUB": "bob"}),
		"old":                       good(upstreamtest.Knobs{}, tokenClaims{"iat": time.Now().Add(-3 * time.Hour).Unix()}),
		"expired":                   good(upstreamtest.Knobs{}, tokenClaims{"exp": time.Now().Add(-time.Hour).Unix()}),
		"without jti":               good(upstreamtest.Knobs{}, tokenClaims{"jti": nil}),
		"of a kind of its own":      good(upstreamtest.Knobs{Type: "secevent+jwt"}, nil),
		"longer than the body":      strings.Repeat("x", 17<<10),
		"longer than the parameter": strings.Repeat("x", 16<<10),
	} {
		h.unchanged(name, func() {
			l := h.sayLogout("default", "corp", token)
			if l.status != http.StatusBadRequest || object(t, l.page)["error"] != "invalid_request" || l.header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s: %d %v %s", name, l.status, l.header, l.page)
			}
		})
	}
	if !shop.live(got.Access) || !h.lines.has("logout by upstream", "refused") {
		t.Error("the session has ended, or nobody was told")
	}
}

func TestRequestsThatAreNoLogout(t *testing.T) {
	h := open(t, func(s *setup) {
		s.two = true
		s.upstream = func(u *federation.Upstream) {
			if u.ID == "partner" {
				u.ReadLogout, u.FrontChannelLogout = nil, false
			}
		}
	})
	shop := h.party("default", "shop")
	shop.in("alice", "up-1")
	const form = "application/x-www-form-urlencoded"
	token := h.corp.LogoutToken(upstreamtest.Knobs{}, nil)
	for name, tc := range map[string]struct {
		method, path, kind, body string
		status                   int
	}{
		"GET":                 {"GET", "/backchannel_logout/corp?logout_token=" + token, "", "", 405},
		"PUT":                 {"PUT", "/backchannel_logout/corp", form, "logout_token=" + token, 405},
		"in the query":        {"POST", "/backchannel_logout/corp?logout_token=" + token, form, "", 400},
		"no form":             {"POST", "/backchannel_logout/corp", "application/json", `{"logout_token":"` + token + `"}`, 400},
		"no token":            {"POST", "/backchannel_logout/corp", form, "token=" + token, 400},
		"an empty one":        {"POST", "/backchannel_logout/corp", form, "logout_token=", 400},
		"two":                 {"POST", "/backchannel_logout/corp", form, "logout_token=" + token + "&logout_token=" + token, 400},
		"an unknown upstream": {"POST", "/backchannel_logout/nobody", form, "logout_token=" + token, 404},
		"one that may not":    {"POST", "/backchannel_logout/partner", form, "logout_token=" + h.partner.LogoutToken(upstreamtest.Knobs{}, nil), 404},
		"nor by a frame":      {"GET", "/frontchannel_logout/partner?iss=" + url.QueryEscape(h.partner.URL) + "&sid=up-1", "", "", 404},
		"no upstream":         {"POST", "/backchannel_logout/", form, "logout_token=" + token, 404},
		"HEAD of the frame":   {"HEAD", "/frontchannel_logout/corp?iss=" + url.QueryEscape(h.corp.URL) + "&sid=up-1", "", "", 405},
		"POST to the frame":   {"POST", "/frontchannel_logout/corp", form, "iss=" + url.QueryEscape(h.corp.URL) + "&sid=up-1", 405},
		"a frame without sid": {"GET", "/frontchannel_logout/corp?iss=" + url.QueryEscape(h.corp.URL), "", "", 400},
		"a frame without iss": {"GET", "/frontchannel_logout/corp?sid=up-1", "", "", 400},
		"another's frame":     {"GET", "/frontchannel_logout/corp?iss=" + url.QueryEscape(h.partner.URL) + "&sid=up-1", "", "", 400},
		"two sids":            {"GET", "/frontchannel_logout/corp?iss=" + url.QueryEscape(h.corp.URL) + "&sid=up-1&sid=up-1", "", "", 400},
	} {
		h.unchanged(name, func() {
			if l := shop.send(tc.method, tc.path, tc.body, "Content-Type", tc.kind); l.status != tc.status {
				t.Errorf("%s: %d %s", name, l.status, l.page)
			}
		})
	}
}

// TestKeysThatCannotBeHad put a logout off; nothing is lost by it.
func TestKeysThatCannotBeHad(t *testing.T) {
	h := open(t)
	shop := h.party("default", "shop")
	b, got := shop.in("alice", "up-1")
	h.corp.Rotate() // what was fetched before the sign-in does not verify it
	h.corp.Set(upstreamtest.Knobs{KeysStatus: 500})
	h.clock.advance(10 * time.Second)
	token := h.corp.LogoutToken(upstreamtest.Knobs{}, tokenClaims{"sid": "up-1"})
	for range 3 {
		if l := h.sayLogout("default", "corp", token); l.status != http.StatusServiceUnavailable || l.header.Get("Retry-After") == "" {
			t.Fatalf("%d %s", l.status, l.page)
		}
	}
	forged := h.corp.LogoutToken(upstreamtest.Knobs{ForeignKey: true}, nil)
	if l := h.sayLogout("default", "corp", forged); l.status != http.StatusServiceUnavailable {
		t.Fatalf("%d", l.status)
	}
	h.clock.advance(10 * time.Second)
	if err := h.notices.Again(t.Context()); err == nil || !shop.live(got.Access) {
		t.Fatal("nobody could verify that")
	}
	h.corp.Set(upstreamtest.Knobs{})
	h.clock.advance(2 * time.Minute)
	must(t, h.notices.Again(t.Context()))
	shop.gone(b, got)
	if h.observed("corp back", "ended") != 1 || h.observed("corp back", "refused") != 1 || len(h.events(federation.SessionEnded)) != 1 {
		t.Errorf("%v", h.results)
	}
	h.unchanged("a round with nothing to do", func() { must(t, h.notices.Again(t.Context())) })
	h.taken(h.sayLogout("default", "corp", token))
}

func TestLogoutByUpstreamWhileTheStoreFails(t *testing.T) {
	h := open(t)
	shop := h.party("default", "shop")
	b, got := shop.in("alice", "up-1")
	token := h.corp.LogoutToken(upstreamtest.Knobs{}, tokenClaims{"sid": "up-1"})
	h.engine.arm(func([]storeOp) error { return errBroken }, nil)
	if l := h.sayLogout("default", "corp", token); l.status != http.StatusServiceUnavailable || strings.Contains(l.page, "fire") {
		t.Errorf("%d %s", l.status, l.page)
	}
	// The end of the session fails, but what was kept makes up for it.
	h.engine.arm(func(ops []storeOp) error {
		for _, op := range ops {
			if op.Key.Kind == "session" {
				return errBroken
			}
		}
		return nil
	}, nil)
	if l := h.sayLogout("default", "corp", token); l.status != http.StatusServiceUnavailable {
		t.Errorf("%d", l.status)
	}
	h.engine.arm(nil, nil)
	h.clock.advance(time.Minute)
	must(t, h.notices.Again(t.Context()))
	shop.gone(b, got)
	h.taken(h.sayLogout("default", "corp", token))
}

// TestALogoutMeetsASignIn that has its login already and no session yet: the
// user signs in again, and where the upstream goes on with what it has ended the
// relying party is told.
func TestALogoutMeetsASignIn(t *testing.T) {
	for name, c := range map[string]tokenClaims{"by sid": {"sub": nil, "sid": "up-1"}, "by subject": nil, "by both": {"sid": "up-1"}} {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			hooked := h.party("default", "hooked")
			var once sync.Once
			h.hooks.does(func(w http.ResponseWriter, _ *http.Request) {
				once.Do(func() {
					h.taken(h.sayLogout("default", "corp", h.corp.LogoutToken(upstreamtest.Knobs{}, c)))
					h.corp.Set(upstreamtest.Knobs{Claims: tokenClaims{"sid": "up-2", "iat": time.Now().Add(2 * time.Second).Unix()}})
				})
				w.WriteHeader(http.StatusNoContent)
			})
			h.corp.Set(upstreamtest.Knobs{Claims: tokenClaims{"sid": "up-1"}})
			b := h.browser()
			l := b.get(hooked.ask())
			if got := hooked.redeem(hooked.code(l)); !hooked.live(got.Access) {
				t.Error("the second login is no good")
			}
			if n := len(h.events(federation.SessionBegan)); n != 1 || h.corp.Hits("/authorize") != 2 {
				t.Errorf("%d sessions, %d visits", n, h.corp.Hits("/authorize"))
			}
			h.corp.Set(upstreamtest.Knobs{Claims: tokenClaims{"sid": "up-1", "iat": time.Now().Add(-time.Second).Unix()}})
			eve := h.browser()
			hooked.refused(eve.get(hooked.ask("state", "round")), federation.LoginRequired)
			if h.corp.Hits("/authorize") != 4 || eve.session("default") != "" {
				t.Errorf("%d visits", h.corp.Hits("/authorize"))
			}
			if !h.lines.has("signed out meanwhile by upstream") {
				t.Error("no audit")
			}
		})
	}
}

// TestALogoutRacesWithSignIns: when all is over no session of the login is left.
func TestALogoutRacesWithSignIns(t *testing.T) {
	houses(t, func(t *testing.T, h *house) {
		shop := h.party("default", "shop")
		for round := range 4 {
			sid := "race-" + federation.NewSecret()[:8]
			h.corp.Set(upstreamtest.Knobs{Claims: tokenClaims{"sid": sid}})
			claims := tokenClaims{"sid": sid}
			if round%2 == 1 {
				claims = tokenClaims{"sid": nil}
			}
			const n = 16
			browsers, backs, landed := make([]*browser, n), make([]*http.Request, n), make([]landing, n)
			for i := range n {
				browsers[i] = h.browser()
				backs[i] = browsers[i].request(http.MethodGet, shop.atCallback(browsers[i]).String(), nil)
			}
			var all sync.WaitGroup
			for i := range n {
				all.Go(func() { landed[i] = browsers[i].step(backs[i]) })
				if i == n/2 {
					all.Go(func() { h.taken(h.sayLogout("default", "corp", h.corp.LogoutToken(upstreamtest.Knobs{}, claims))) })
				}
			}
			all.Wait()
			left := 0
			for _, b := range browsers {
				if b.session("default") != "" && b.get(shop.ask("prompt", "none")).url.Query().Get("code") != "" {
					left++
				}
			}
			// A login of a second that is later than the token's is a new one to a
			// token that names the subject alone.
			if left > 0 && claims["sid"] != nil {
				t.Errorf("round %d: %d sessions have outlived their login", round, left)
			}
		}
	})
}

// TestAnotherNodeTakesTheLogout of a session that began here.
func TestAnotherNodeTakesTheLogout(t *testing.T) {
	h := open(t)
	shop := h.party("default", "shop")
	b, got := shop.in("alice", "up-1")
	sessions, err := session.New(session.Options{Engine: h.engine, Plan: plan, Policy: func(federation.Tenant) session.Policy { return session.Policy{Idle: idle, Max: most} }})
	must(t, err)
	persons, err := person.New(person.Options{Engine: h.engine, EndSessions: func(context.Context, federation.Tenant, string, federation.Cause, federation.Request) error {
		return nil
	}})
	must(t, err)
	node, err := notice.New(notice.Options{Engine: h.engine, Registry: h.registry.Load, Persons: persons, Sessions: sessions, Log: slog.New(slog.DiscardHandler), Now: h.clock.now})
	must(t, err)
	u, _ := h.registry.Load().Upstream("default", "corp")
	token := h.corp.LogoutToken(upstreamtest.Knobs{}, nil)
	must(t, node.Token(t.Context(), h.tenant("default"), u, token, federation.Request{ID: "r"}))
	shop.gone(b, got)
	h.unchanged("the same at this node", func() { h.taken(h.sayLogout("default", "corp", token)) })
}

func TestFrontChannelLogout(t *testing.T) {
	houses(t, func(t *testing.T, h *house) {
		shop := h.party("default", "shop")
		b, got := shop.in("alice", "up-1")
		_, other := shop.in("alice", "up-2")
		frame := h.URL + "/frontchannel_logout/corp?" + url.Values{"iss": {h.corp.URL}, "sid": {"up-1"}}.Encode()
		h.unchanged("a sid that nobody has", func() { h.browser().get(frame + "x") })
		l := h.browser().get(frame) // as from another site: without a cookie
		policy := l.header.Get("Content-Security-Policy")
		if l.status != http.StatusOK || !strings.HasSuffix(policy, "frame-ancestors "+h.corp.URL) || l.header.Get("X-Frame-Options") != "" || l.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%d %v", l.status, l.header)
		}
		shop.gone(b, got)
		if !shop.live(other.Access) || !h.lines.has("logout by upstream", "front", "ended") {
			t.Error("the other session has ended, or there is no audit")
		}
		h.unchanged("once more", func() { h.browser().get(frame) })
	})
}

// TestFrontChannelLogoutByCookie ends the browser's session in a frame, and not
// by a link.
func TestFrontChannelLogoutByCookie(t *testing.T) {
	h := open(t, func(s *setup) { s.two = true })
	shop := h.party("default", "shop")
	b, got := shop.in("alice", "")
	framed := func(path, dest string) landing {
		r := b.request(http.MethodGet, h.URL+path, nil)
		r.Header.Set("Sec-Fetch-Dest", dest)
		return b.step(r)
	}
	h.unchanged("what ends nothing", func() {
		for _, dest := range []string{"document", "image", ""} {
			if l := framed("/frontchannel_logout/corp", dest); l.status != http.StatusBadRequest {
				t.Errorf("%q: %d", dest, l.status)
			}
		}
		framed("/frontchannel_logout/partner", "iframe")
	})
	if !shop.live(got.Access) {
		t.Fatal("the session has ended")
	}
	if l := framed("/frontchannel_logout/corp", "iframe"); l.status != http.StatusOK || b.session("default") != "" {
		t.Errorf("%d", l.status)
	}
	shop.gone(b, got)
	if l := framed("/frontchannel_logout/corp", "iframe"); l.status != http.StatusOK {
		t.Errorf("without a session: %d", l.status)
	}
}

// TestALoginWithASidCostsTwoCommits, as any other.
func TestALoginWithASidCostsTwoCommits(t *testing.T) {
	h := open(t)
	shop := h.party("default", "shop")
	shop.in("alice", "up-0")
	before := h.engine.count()
	shop.in("alice", "up-1")
	if n := h.engine.count() - before; n != 2 {
		t.Errorf("%d commits", n)
	}
}
