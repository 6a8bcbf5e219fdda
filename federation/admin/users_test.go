package admin_test

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/admin"
	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/openapi/wire"
)

// asked is what the door asked of the rooms below it, which the tests of the
// program have for real.
type asked struct {
	calls []string
	req   federation.Request
	err   error
}

func openUsers(t *testing.T) (*door, *asked) {
	t.Helper()
	d, a := &door{t: t}, &asked{}
	note := func(what string, org federation.Tenant, person string) {
		a.calls = append(a.calls, what+" "+org.ID+" "+person)
	}
	u, err := admin.NewUsers(admin.UsersOptions{
		Find: func(_ context.Context, org federation.Tenant, id string) (string, bool, error) {
			return "ada", org.ID == "default" && (id == "ada" || id == "corp|a/d a"), a.err
		},
		Block: func(_ context.Context, org federation.Tenant, person string, req federation.Request) error {
			note("block", org, person)
			a.req = req
			return nil
		},
		Unblock: func(_ context.Context, org federation.Tenant, person string, _ federation.Request) error {
			note("unblock", org, person)
			return nil
		},
		Consents: func(context.Context, federation.Tenant, string) ([]admin.Consent, error) {
			return []admin.Consent{{Client: "shop", Scopes: []string{"openid"}, At: time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)}}, nil
		},
		Withdraw: func(_ context.Context, org federation.Tenant, person, client string) (bool, error) {
			note("withdraw "+client, org, person)
			return client == "shop" || client == "a/b", nil
		},
		Logins: func(context.Context, federation.Tenant, string) ([]admin.Login, error) {
			return []admin.Login{{Upstream: "corp", Subject: "1"}, {Upstream: "partner", Subject: "p", Linked: time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)}}, nil
		},
		Unlink: func(_ context.Context, org federation.Tenant, person, upstream string, req federation.Request) error {
			note("unlink "+upstream, org, person)
			a.req = req
			return map[string]error{"corp": admin.ErrLastLogin, "blog": admin.ErrNoLogin}[upstream]
		},
		Tenant: tenant, Log: slog.New(slog.NewTextHandler(&d.log, nil)),
		Tenancy: wire.Tenancy{
			Known: func(slug string) bool { _, ok := tenant(slug); return ok },
			Slug:  func(string) (string, bool) { return "", false },
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	router := wire.NewRouter()
	u.Mount(router)
	var all []wire.Credential
	for name, scope := range map[string]string{"platform": "users", "blocker": "users:block", "reader": "users:consents:read", "unlinker": "users:logins", "contract": "users:read", "sessions": "sessions"} {
		all = append(all, wire.Credential{Username: name, Secrets: [][32]byte{sha256.Sum256([]byte(secret))}, Tenants: []string{"default"}, Scopes: []string{scope}})
	}
	auth, err := wire.Authenticate(wire.AuthOptions{Basic: all})
	if err != nil {
		t.Fatal(err)
	}
	d.server = httptest.NewServer(wire.Speak(wire.ProfileProblem)(auth(router)))
	t.Cleanup(d.server.Close)
	return d, a
}

func TestUsersDoor(t *testing.T) {
	d, a := openUsers(t)
	for _, base := range []string{"/v1/tenants/default/users/ada", "/v1/users/ada", "/v1/users/corp%7Ca%2Fd%20a"} {
		a.calls = nil
		for _, c := range []struct {
			method, path string
			want         int
		}{
			{"PUT", "/blocked", 204}, {"DELETE", "/blocked", 204}, {"DELETE", "/consents/shop", 204}, {"DELETE", "/consents/a%2Fb", 204},
			{"DELETE", "/consents/blog", 404}, {"GET", "/consents", 200}, {"HEAD", "/consents", 200},
			{"GET", "/blocked", 405}, {"POST", "/blocked", 405}, {"PUT", "/blocked?x=1", 400}, {"GET", "/consents?limit=1", 400},
		} {
			status, body := d.call("platform", c.method, base+c.path)
			if status != c.want {
				t.Errorf("%s %s: %d %s", c.method, base+c.path, status, body)
			}
			if status == 200 && body != "" {
				d.holds("Consents", body)
			}
		}
		if got := strings.Join(a.calls, ", "); got != "block default ada, unblock default ada, withdraw shop default ada, withdraw a/b default ada, withdraw blog default ada" {
			t.Errorf("asked %s", got)
		}
	}
	if a.req.CausedBy != "platform" || a.req.AgentUser != "grace" {
		t.Errorf("%+v", a.req)
	}
	log := d.log.String()
	for _, what := range []string{"user blocked", "user unblocked", "consent withdrawn"} {
		if !strings.Contains(log, what) || !strings.Contains(log, "caller=platform") || strings.Contains(log, "client=blog") {
			t.Errorf("log %s", log)
		}
	}
}

func TestUsersDoorIsForThoseWhoMay(t *testing.T) {
	d, a := openUsers(t)
	for _, c := range []struct {
		who, method, path string
		want              int
	}{
		{"", "PUT", "/v1/users/ada/blocked", 401}, {"sessions", "PUT", "/v1/users/ada/blocked", 403}, {"contract", "PUT", "/v1/users/ada/blocked", 403},
		{"reader", "DELETE", "/v1/users/ada/blocked", 403}, {"reader", "DELETE", "/v1/users/ada/consents/shop", 403}, {"blocker", "GET", "/v1/users/ada/consents", 403},
		{"platform", "PUT", "/v1/tenants/other/users/ada/blocked", 403}, {"platform", "PUT", "/v1/tenants/nowhere/users/ada/blocked", 403},
		{"platform", "PUT", "/v1/users/bob/blocked", 404}, {"platform", "PUT", "/v1/users/%00/blocked", 400}, {"platform", "PUT", "/v1/users//blocked", 400},
	} {
		if status, body := d.call(c.who, c.method, c.path); status != c.want {
			t.Errorf("%s %s %s: %d %s", c.who, c.method, c.path, status, body)
		}
	}
	if len(a.calls) != 0 || d.log.Len() != 0 {
		t.Errorf("%q %s", a.calls, d.log.String())
	}
	for who, path := range map[string]string{"blocker": "/v1/users/ada/blocked", "platform": "/v1/users/ada/blocked"} {
		if status, _ := d.call(who, "PUT", path); status != 204 {
			t.Errorf("%s: %d", who, status)
		}
	}
	a.err = store.ErrUnavailable
	if status, body := d.call("platform", "PUT", "/v1/users/ada/blocked"); status != 503 || strings.Contains(body, "store:") {
		t.Errorf("%d %s", status, body)
	}
	if _, err := admin.NewUsers(admin.UsersOptions{}); err == nil {
		t.Error("a door without anything behind it")
	}
}
