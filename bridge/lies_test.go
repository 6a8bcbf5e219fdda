package bridge_test

import (
	"context"
	"testing"

	"github.com/drawbridge-id/drawbridge/bridge"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

// A directory that ignores what it was asked, says that users are another
// tenant's, or names one user differently each time is not believed.
func TestLyingDirectory(t *testing.T) {
	n := 0
	h := open(t, knobs{directory: func(d *bridge.Directory) {
		lie := func(context.Context, store.Place, string) (bridge.User, error) {
			return bridge.User{Tenant: "beta", ID: vera, Email: "vera@example.org", Customer: "vera"}, nil
		}
		d.FindByEmail, d.FindByCustomer = lie, lie
		d.Get = func(context.Context, store.Place, string) (bridge.User, error) {
			n++
			return bridge.User{Tenant: "beta", ID: string(rune('a' + n))}, nil
		}
	}})
	for _, s := range []step{
		get(users+"?email=ada@example.org", 404, "user_not_found"), get(users+"?customer=ada", 404, "user_not_found"),
		get(users+"?email=VERA@example.org", 200, "", has("tenant", "acme")), get(users+"?customer=vera", 200, "", has("tenant", "acme")),
		get(users+"/x", 200, "", has("tenant", "acme")), del(users+"/x", 404, "user_not_found"),
	} {
		a := h.do(s.call)
		if a.StatusCode != s.status || a.code() != s.code {
			t.Errorf("%s: %d %s", s.target, a.StatusCode, a.raw)
		}
		if s.check != nil {
			s.check(t, h, a)
		}
	}
}
