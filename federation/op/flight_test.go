package op_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/upstream/upstreamtest"
)

// flying is a sign-in at a step, and what the user does next.
type flying struct {
	b    *browser
	next func() landing
}

// flights are sign-ins of the client wide or ask, stopped at every step.
func (h *house) flights() map[string]flying {
	wide, ask := h.party("default", "wide"), h.party("default", "ask")
	all := map[string]flying{}
	for name, start := range map[string]func(b *browser) func() landing{
		"chooser": func(b *browser) func() landing {
			l := b.get(wide.ask())
			return func() landing { return b.click(l, "upstream-corp") }
		},
		"callback": func(b *browser) func() landing {
			at := b.step(b.request(http.MethodGet, wide.ask("login_hint", "a@corp.example"), nil)).url
			return func() landing { return b.get(at.String()) }
		},
		"posted": func(b *browser) func() landing {
			at := b.step(b.request(http.MethodPost, h.URL+"/authorize", wide.request("login_hint", "a@corp.example"))).url
			return func() landing { return b.get(at.String()) }
		},
		"consent": func(b *browser) func() landing {
			l := b.get(ask.ask())
			return func() landing { return b.press(l, "allow") }
		},
		"refusal": func(b *browser) func() landing {
			l := b.get(ask.ask())
			return func() landing { return b.press(l, "deny") }
		},
	} {
		b := h.browser()
		all[name] = flying{b, start(b)}
	}
	return all
}

func TestClientGoneMidFlight(t *testing.T) {
	s := &setup{two: true}
	h := open(t, two)
	for what, change := range map[string]func(c *federation.Client) bool{
		"the client is gone":       func(*federation.Client) bool { return false },
		"the redirect URI is gone": func(c *federation.Client) bool { c.RedirectURIs = []string{"https://moved.example/cb"}; return true },
	} {
		h.configure(s)
		flights := h.flights()
		h.gone(s, change)
		for name, f := range flights {
			h.unchanged(what+" at "+name, func() {
				if l := f.next(); l.away || l.find(t, "error") == nil {
					t.Errorf("%s at %s: %d %s", what, name, l.status, l.url)
				}
			})
		}
	}
}

// gone configures anew with both clients of flights changed.
func (h *house) gone(s *setup, change func(c *federation.Client) bool) {
	h.t.Helper()
	again := *s
	again.change = func(c *federation.Client) {
		if (c.ID == "wide" || c.ID == "ask") && !change(c) {
			c.ID = "other-" + c.ID
		}
	}
	h.configure(&again)
}

func TestUpstreamGoneMidFlight(t *testing.T) {
	s := &setup{two: true}
	h := open(t, two)
	flights := h.flights()
	h.gone(s, func(c *federation.Client) bool { c.Upstreams = []string{"partner"}; return true })
	ask, wide := h.party("default", "ask"), h.party("default", "wide")
	h.unchanged("an upstream that is not the client's any more", func() {
		asked := h.corp.Hits("/authorize")
		wide.refused(flights["chooser"].next(), federation.AccessDenied)
		if h.corp.Hits("/authorize") != asked {
			t.Error("the user was sent to the upstream")
		}
		wide.refused(flights["callback"].next(), federation.AccessDenied)
	})
	// Who was about to agree signs in where they still may.
	ask.code(flightConsent(ask, flights["consent"].next(), flights["consent"].b))
	if ended := h.events(federation.SessionEnded); len(ended) != 1 || ended[0].Cause != federation.Destroy {
		t.Errorf("%+v", ended)
	}
}

func flightConsent(p *party, l landing, b *browser) landing {
	p.t.Helper()
	return b.press(l.shows(p.t, "consent", 200), "allow")
}

// TestLogoutMidFlight: a way back that is gone is not taken.
func TestLogoutMidFlight(t *testing.T) {
	s := &setup{two: true}
	h := open(t, two)
	wide, b := h.party("default", "wide"), h.browser()
	got := wide.signIn(b, "login_hint", "a@corp.example")
	form := url.Values{"id_token_hint": {got.ID}, "post_logout_redirect_uri": {"https://shop.example/bye"}}
	posted := h.browser().step(b.request(http.MethodPost, h.URL+"/end_session", form)).url
	page := b.get(wide.bye("client_id", "wide", "post_logout_redirect_uri", "https://shop.example/bye")).shows(t, "logout", 200)
	h.gone(s, func(c *federation.Client) bool { c.PostLogoutRedirectURIs = nil; return true })
	h.unchanged("a logout whose way back is gone", func() {
		b.get(posted.String()).shows(t, "error", 400)
		b.press(page, "sign-out").shows(t, "error", 400)
	})
	b.press(b.get(h.URL+"/end_session"), "sign-out").shows(t, "signed-out", 200)
}

func TestTokensOfAClientThatIsGone(t *testing.T) {
	s := &setup{}
	h := open(t)
	ask, b := h.party("default", "wide"), h.browser()
	code, got := ask.code(b.get(ask.ask())), ask.signIn(b)
	h.gone(s, func(*federation.Client) bool { return false })
	if answer := ask.redeem(code); answer.status != 401 || answer.Error != "invalid_client" || answer.header.Get("WWW-Authenticate") == "" {
		t.Errorf("%+v", answer)
	}
	if ask.live(got.Access) || ask.refresh(got.Refresh).Error != "invalid_client" {
		t.Error("tokens of a client that is gone live on")
	}
	h.configure(s)
	if !ask.live(got.Access) || ask.refresh(got.Refresh).status != 200 {
		t.Error("a client that is back lost its tokens")
	}
}

// block marks a person as blocked, which no operation does yet.
func (h *house) block(id string) {
	h.t.Helper()
	people, at := store.NewTable[federation.Person](h.engine, store.TableOptions{Kind: "person", Schema: 1}), h.tenant("default").Place
	row, err := people.Get(h.t.Context(), at, id)
	must(h.t, err)
	row.Value.Blocked = true
	_, err = h.engine.Commit(h.t.Context(), people.Put(at, id, row.Value, time.Time{}))
	must(h.t, err)
}

func TestBlockedMidFlight(t *testing.T) {
	h := open(t)
	shop, hooked, b := h.party("default", "shop"), h.party("default", "hooked"), h.browser()
	got := shop.signIn(b, "scope", "openid offline_access")
	who, _ := shop.claims(got.ID)["sub"].(string)
	h.block(who)
	sessions := len(h.events(federation.SessionBegan))
	shop.refused(b.get(shop.ask()), federation.AccessDenied)
	shop.refused(b.get(shop.ask("prompt", "none")), federation.AccessDenied)
	shop.refused(b.get(shop.ask("prompt", "login")), federation.AccessDenied)
	stranger := h.browser()
	hooked.refused(stranger.get(hooked.ask()), federation.AccessDenied)
	if stranger.session("default") != "" || len(h.events(federation.SessionBegan)) != sessions || len(h.hooks.seen) != 0 {
		t.Error("a blocked person began a session, or was shown to the hook")
	}
	if failed := h.events(federation.SignInFailed); len(failed) != 4 || failed[3].Person != who {
		t.Errorf("%+v", failed)
	}
	if answer := shop.refresh(got.Refresh); answer.Error != "invalid_grant" || shop.live(got.Access) {
		t.Errorf("%+v", answer)
	}
}

func TestDeletedMidFlight(t *testing.T) {
	h := open(t)
	shop, b := h.party("default", "shop"), h.browser()
	got := shop.signIn(b, "scope", "openid offline_access")
	who, _ := shop.claims(got.ID)["sub"].(string)
	code := shop.code(b.get(shop.ask()))
	must(t, h.persons.Delete(t.Context(), h.tenant("default"), who, federation.Request{}))
	if answer := shop.redeem(code); answer.Error != "invalid_grant" {
		t.Errorf("%+v", answer)
	}
	if answer := shop.refresh(got.Refresh); answer.Error != "invalid_grant" || shop.live(got.Access) {
		t.Errorf("%+v", answer)
	}
	shop.refused(b.get(shop.ask("prompt", "none")), federation.LoginRequired)
	again := shop.signIn(b)
	if shop.claims(again.ID)["sub"] == who {
		t.Error("a deleted person came back")
	}

	// The person goes while the session has not ended yet.
	other := h.browser()
	h.corp.Set(upstreamtest.Knobs{Subject: "bob"})
	bob, _ := shop.claims(shop.signIn(other).ID)["sub"].(string)
	h.engine.arm(nil, func(k storeKey) error {
		if k.Kind == "person" && k.Local() == bob {
			return store.ErrNotFound
		}
		return nil
	})
	shop.refused(other.get(shop.ask("prompt", "none")), federation.LoginRequired)
	h.engine.arm(nil, nil)
}

// TestStoreThatFails leaves nothing half done, and no cookie.
func TestStoreThatFails(t *testing.T) {
	h := open(t)
	shop, b := h.party("default", "shop"), h.browser()
	got := shop.signIn(b)
	code := shop.code(b.get(shop.ask()))
	for name, arm := range map[string]func(){
		"all": func() {
			h.engine.arm(func([]storeOp) error { return errBroken }, func(storeKey) error { return errBroken })
		},
		"writes": func() { h.engine.arm(func([]storeOp) error { return errBroken }, nil) },
		"lost":   func() { h.engine.arm(func([]storeOp) error { return store.ErrUnknown }, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			h.unchanged(name, func() {
				arm()
				defer h.engine.arm(nil, nil)
				stranger := h.browser()
				shop.refused(stranger.get(shop.ask()), federation.TemporarilyUnavailable)
				if stranger.session("default") != "" {
					t.Error("a cookie was set")
				}
				shop.refused(b.get(shop.ask("prompt", "none")), federation.TemporarilyUnavailable)
				for _, answer := range []tokens{shop.redeem(code), shop.refresh(got.Refresh), revoke(shop, got.Access)} {
					if answer.status != http.StatusServiceUnavailable || answer.Error != "temporarily_unavailable" || answer.header.Get("Retry-After") == "" {
						t.Errorf("%+v", answer)
					}
				}
			})
		})
	}
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {"https://shop.example/cb"}}
	if answer := shop.token(form); answer.status != 200 || !shop.live(got.Access) || shop.refresh(got.Refresh).status != 200 {
		t.Errorf("after the outage: %+v", answer)
	}
	if h.observed("corp", "temporarily_unavailable") == 0 || contains(h.lines.all(), "shop secret") {
		t.Error("not counted, or a secret is in the log")
	}
}
