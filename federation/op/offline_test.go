package op_test

import (
	"slices"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/token"
)

func (h *house) lifetimes() token.Lifetimes {
	return token.Lifetimes{Code: time.Minute, Access: 10 * time.Minute, ID: 5 * time.Minute,
		RefreshIdle: 30 * 24 * time.Hour, RefreshMax: 90 * 24 * time.Hour, RefreshGrace: 10 * time.Second}
}

// endsOffline does what the program does.
func (h *house) endsOffline(c federation.Change) bool {
	return slices.ContainsFunc(c.Session.Clients, func(v federation.Visit) bool {
		client, _ := h.registry.Load().Client(c.Tenant.ID, v.Client)
		return slices.Contains(client.Logout.OfflineEndsOn, c.Cause)
	})
}

// TestWhatEndsWithASession: what is bound to the session ends with it; what is
// offline does not, unless the client asked that it ends with ends of this kind.
func TestWhatEndsWithASession(t *testing.T) {
	for _, over := range []store.Layout{{}, {Partitions: 4}} {
		h := open(t, func(s *setup) {
			s.over = over
			s.change = func(c *federation.Client) {
				if c.ID == "post" {
					c.Logout.OfflineEndsOn = []federation.Cause{federation.Logout, federation.Destroy}
				}
			}
		})
		for name, tc := range map[string]struct {
			client, scope string
			cause         federation.Cause
			lives         bool
		}{
			"bound":                    {"shop", "openid", federation.Logout, false},
			"offline":                  {"shop", "openid offline_access", federation.Logout, true},
			"offline, killed":          {"shop", "openid offline_access", federation.Destroy, true},
			"bound to logout":          {"post", "openid offline_access", federation.Logout, false},
			"bound to logout, killed":  {"post", "openid offline_access", federation.Destroy, false},
			"bound to logout, expired": {"post", "openid offline_access", federation.IdleTimeout, true},
		} {
			h.pass(0) // the provider's clock is another
			p, b := h.party("default", tc.client), h.browser()
			got := p.signIn(b, "scope", tc.scope)
			late := p.code(b.get(p.ask("scope", tc.scope)))
			sid := p.claims(got.ID)["sid"].(string)
			if tc.cause == federation.IdleTimeout {
				h.clock.advance(idle + time.Second)
				b.get(p.ask("prompt", "none")) // who looks at it ends it
				got = p.refresh(got.Refresh)
			} else {
				must(t, h.sessions.End(t.Context(), h.tenant("default"), sid, tc.cause, federation.Request{}))
				if out := p.redeem(late); (out.status == 200) != tc.lives {
					t.Errorf("%s: the code that was not redeemed answers %d %s", name, out.status, out.Error)
				}
			}
			if live := p.live(got.Access); live != tc.lives {
				t.Errorf("%s: the access token is good: %v", name, live)
			}
			again := p.refresh(got.Refresh)
			if tc.lives != (again.status == 200) || !tc.lives && again.Error != string(federation.InvalidGrant) {
				t.Errorf("%s: the refresh token answers %d %s", name, again.status, again.Error)
			}
		}
	}
}
