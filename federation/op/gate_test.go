package op_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
)

// TestTheFileIsTightened: what a reload takes away from a client counts for what
// it was given before.
func TestTheFileIsTightened(t *testing.T) {
	var change func(*federation.Client)
	s := &setup{two: true, change: func(c *federation.Client) {
		if change != nil && c.ID == "wide" {
			change(c)
		}
	}}
	h := open(t, func(o *setup) { *o = *s })
	wide, b := h.party("default", "wide"), h.browser()
	hint := []string{"login_hint", "a@corp.example"}
	reload := func(f func(*federation.Client)) {
		change = f
		h.configure(s)
	}
	tok := wide.signIn(b, append(hint, "scope", "openid email offline_access")...)
	code := wide.code(b.get(wide.ask(hint...)))

	reload(func(c *federation.Client) {
		c.Scopes = slices.DeleteFunc(slices.Clone(c.Scopes), func(s string) bool { return s == "email" })
	})
	if got := wide.redeem(code); got.Error != "invalid_scope" {
		t.Errorf("a code with a scope that was taken away: %+v", got)
	}
	less := wide.refresh(tok.Refresh)
	if less.Scope != "openid offline_access" {
		t.Fatalf("%+v", less)
	}
	if claims := wide.userinfo(less.Access); claims["email"] != nil {
		t.Errorf("%v", claims)
	}
	reload(func(c *federation.Client) { c.Upstreams = []string{"partner"} })
	if got := wide.refresh(less.Refresh); got.Error != "invalid_grant" {
		t.Errorf("%+v", got)
	}
	wide.refused(b.get(wide.ask("prompt", "none")), federation.LoginRequired) // the session is not offered to it
	reload(func(c *federation.Client) { c.GrantTypes = []string{"refresh_token"} })
	wide.refused(b.get(wide.ask()), federation.UnauthorizedClient)
	if got := wide.redeem(code); got.Error != "unauthorized_client" {
		t.Errorf("%+v", got)
	}
	reload(nil)
	if got := wide.refresh(less.Refresh); got.Scope != "openid email offline_access" {
		t.Errorf("given back, the scope is %q: %s", got.Scope, got.Reason)
	}
}

// TestBlockedUnderWay: whatever is redeemed, refreshed or signed in while
// somebody is blocked is dead afterwards, also once they are unblocked.
func TestBlockedUnderWay(t *testing.T) {
	h := open(t)
	shop, tenant := h.party("default", "shop"), h.tenant("default")
	first := shop.signIn(h.browser())
	who, _ := shop.claims(first.ID)["sub"].(string)
	var mu sync.Mutex
	var all []tokens
	keep := func(tok tokens) {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, tok)
	}
	var rush sync.WaitGroup
	for range 6 {
		b := h.browser()
		l := b.get(shop.ask("scope", "openid offline_access"))
		code, tok := shop.code(l), shop.signIn(b, "scope", "openid offline_access")
		rush.Go(func() { keep(shop.redeem(code)) })
		rush.Go(func() { keep(shop.refresh(tok.Refresh)) })
		rush.Go(func() {
			if back := b.get(shop.ask("scope", "openid offline_access", "prompt", "none")); back.away && back.url.Query().Get("code") != "" {
				keep(shop.redeem(back.url.Query().Get("code")))
			}
		})
	}
	must(t, h.persons.Block(t.Context(), tenant, who, federation.Request{}))
	rush.Wait()
	check := func(when string) {
		t.Helper()
		for _, tok := range all {
			if tok.Access != "" && shop.live(tok.Access) || tok.Refresh != "" && shop.refresh(tok.Refresh).Error != "invalid_grant" {
				t.Errorf("%s: tokens live", when)
			}
		}
	}
	check("blocked")
	h.clock.advance(time.Second)
	must(t, h.persons.Unblock(t.Context(), tenant, who, federation.Request{}))
	check("unblocked")
	if n := h.live(t); n != 0 {
		t.Errorf("%d sessions live", n)
	}
}
