package op_test

import (
	"sync"
	"testing"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/session"
)

// live is how many sessions the only person of the default tenant has.
func (h *house) live(t *testing.T) int {
	t.Helper()
	found, _, err := h.sessions.List(t.Context(), h.tenant("default"), session.Filter{}, "", 100)
	must(t, err)
	return len(found)
}

func TestSessionQuota(t *testing.T) {
	h := open(t, func(s *setup) { s.quota = 2 })
	shop, first := h.party("default", "shop"), h.browser()
	bound, offline := shop.signIn(first), shop.signIn(first, "scope", "openid offline_access")
	second := h.browser()
	shop.signIn(second)
	shop.signIn(second, "prompt", "login") // the same session, with a new login
	if h.live(t) != 2 || !shop.live(bound.Access) {
		t.Fatalf("%d sessions", h.live(t))
	}
	shop.signIn(h.browser())
	if h.live(t) != 2 || shop.live(bound.Access) || shop.refresh(bound.Refresh).Error != "invalid_grant" || shop.refresh(offline.Refresh).status != 200 {
		t.Errorf("%d sessions; the first goes on, or what was to outlive it does not", h.live(t))
	}
	if ended := h.events(federation.SessionEnded); len(ended) != 1 || ended[0].Cause != federation.Destroy {
		t.Errorf("%+v", ended)
	}
}

func TestSessionQuotaRefuses(t *testing.T) {
	h := open(t, func(s *setup) { s.quota, s.refuse = 1, true })
	shop, b := h.party("default", "shop"), h.browser()
	tok := shop.signIn(b)
	shop.refused(h.browser().get(shop.ask()), federation.AccessDenied)
	if failed := h.events(federation.SignInFailed); len(failed) != 1 || !shop.live(tok.Access) {
		t.Errorf("%+v", failed)
	}
	shop.signIn(b, "prompt", "login")
	b.press(b.get(h.URL+"/end_session"), "sign-out")
	shop.signIn(h.browser())
}

// TestSessionQuotaOfRivals: sign-ins of the same instant do not both take the
// last place.
func TestSessionQuotaOfRivals(t *testing.T) {
	for _, refuse := range []bool{false, true} {
		h := open(t, func(s *setup) { s.quota, s.refuse = 3, refuse })
		shop := h.party("default", "shop")
		shop.signIn(h.browser())
		var rivals sync.WaitGroup
		for range 8 {
			b := h.browser()
			back := shop.atCallback(b).String()
			rivals.Go(func() { b.get(back) })
		}
		rivals.Wait()
		if n := h.live(t); n != 3 {
			t.Errorf("refuse %v: %d sessions", refuse, n)
		}
		if ended := len(h.events(federation.SessionEnded)); ended != map[bool]int{false: 6, true: 0}[refuse] {
			t.Errorf("refuse %v: %d ends", refuse, ended)
		}
	}
}
