package op_test

import (
	"testing"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/session"
	"github.com/drawbridge-id/drawbridge/federation/token"
)

// visits are the parts that relying parties have in the only live session.
func (h *house) visits(tenant string) []federation.Visit {
	h.t.Helper()
	all, _, err := h.sessions.List(h.t.Context(), h.tenant(tenant), session.Filter{}, "", 10)
	must(h.t, err)
	if len(all) != 1 {
		h.t.Fatalf("%d sessions", len(all))
	}
	return all[0].Clients
}

// TestWhoIsToldOfASessionsEnd: a relying party has its part in the session from
// the moment that there is a code for it, redeemed or not, and none while the
// user is asked.
func TestWhoIsToldOfASessionsEnd(t *testing.T) {
	h := open(t, func(s *setup) { s.change = func(c *federation.Client) { c.AskConsent = c.ID == "post" } })
	shop, post, b := h.party("default", "shop"), h.party("default", "post"), h.browser()
	asked := b.get(post.ask())
	if got := h.visits("default"); len(got) != 1 || got[0].Client != "post" || !got[0].Pending {
		t.Fatalf("while the user is asked: %+v", got)
	}
	shop.code(b.get(shop.ask()))
	again := b.get(post.ask())
	got := h.visits("default")
	if len(got) != 2 || !got[0].Pending || got[1].Client != "shop" || got[1].Pending || got[1].Subject == "" {
		t.Fatalf("%+v", got)
	}
	b.press(again, "deny")
	if got := h.visits("default"); !got[0].Pending {
		t.Fatalf("the user did not agree: %+v", got)
	}
	post.code(b.press(asked, "allow"))
	if got := h.visits("default"); got[0].Pending || got[0].Subject != got[1].Subject {
		t.Fatalf("%+v", got)
	}
	post.code(b.get(post.ask("prompt", "none")))
	h.clock.advance(1)
	b.get(post.ask("prompt", "consent"))
	if got := h.visits("default"); got[0].Pending {
		t.Fatalf("who was told already is not untold by asking again: %+v", got)
	}
}

// TestALogoutTokenIsNoHint: it is signed by the same key as an ID token, and is
// not one.
func TestALogoutTokenIsNoHint(t *testing.T) {
	h := open(t)
	shop, b := h.party("default", "shop"), h.browser()
	got := shop.claims(shop.signIn(b).ID)
	text, err := h.keys.LogoutToken(t.Context(), h.tenant("default"), shop.client, token.Farewell{Session: got["sid"].(string), Subject: got["sub"].(string)})
	must(t, err)
	b.get(shop.bye("id_token_hint", text)).shows(t, "error", 400)
	shop.refused(b.get(shop.ask("prompt", "none", "id_token_hint", text)), federation.InvalidRequest)
}
