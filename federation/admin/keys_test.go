package admin_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/admin"
	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/boltstore"
	"github.com/drawbridge-id/drawbridge/federation/token"
	"github.com/drawbridge-id/drawbridge/openapi/wire"
)

// clock is a clock that a test moves while others read it.
type clock struct{ at atomic.Int64 }

func (c *clock) now() time.Time          { return time.Unix(0, c.at.Load()).UTC() }
func (c *clock) advance(d time.Duration) { c.at.Add(int64(d)) }

// openKeys is the door of keys over a real keyring.
func openKeys(t *testing.T) (*door, *clock, *token.Keyring) {
	t.Helper()
	now := &clock{}
	now.at.Store(time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC).UnixNano())
	eng, err := boltstore.Open(boltstore.Options{Path: filepath.Join(t.TempDir(), "store.db"), Now: now.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := eng.Close(); err != nil {
			t.Error(err)
		}
	})
	ring, err := token.NewKeyring(token.KeyringOptions{
		Engine: eng, Now: now.now, RotateEvery: 90 * 24 * time.Hour, Overlap: 7 * 24 * time.Hour,
		Tenants: func() []federation.Tenant { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return serveKeys(t, admin.KeysOptions{
		Rotate: ring.Rotate,
		List: func(ctx context.Context, org federation.Tenant) (all []admin.Key, err error) {
			known, err := ring.Keys(ctx, org)
			for _, k := range known {
				all = append(all, admin.Key(k))
			}
			return all, err
		},
		Revoke: func(ctx context.Context, org federation.Tenant, kid string) (bool, error) {
			err := ring.Revoke(ctx, org, kid)
			if errors.Is(err, token.ErrNoKey) {
				return false, nil
			}
			return err == nil, err
		},
	}), now, ring
}

// standIn is a tenant without keys, all of whose calls run into an error.
func standIn(err *error) admin.KeysOptions {
	return admin.KeysOptions{
		List:   func(context.Context, federation.Tenant) ([]admin.Key, error) { return nil, *err },
		Rotate: func(context.Context, federation.Tenant) error { return *err },
		Revoke: func(context.Context, federation.Tenant, string) (bool, error) { return false, *err },
	}
}

func serveKeys(t *testing.T, o admin.KeysOptions) *door {
	t.Helper()
	d := &door{t: t}
	o.Tenant, o.Log = tenant, slog.New(slog.NewTextHandler(&d.log, nil))
	o.Tenancy = wire.Tenancy{
		Known: func(slug string) bool { _, ok := tenant(slug); return ok },
		Slug:  func(string) (string, bool) { return "", false },
	}
	k, err := admin.NewKeys(o)
	if err != nil {
		t.Fatal(err)
	}
	router := wire.NewRouter()
	k.Mount(router)
	d.server = httptest.NewServer(wire.Speak(wire.ProfileProblem)(keyHolders(t)(router)))
	t.Cleanup(d.server.Close)
	return d
}

// keyHolders are credentials of every kind.
func keyHolders(t *testing.T) func(http.Handler) http.Handler {
	t.Helper()
	var all []wire.Credential
	for name, may := range map[string]struct {
		scope   string
		tenants []string
	}{
		"operator": {"keys", []string{"default"}}, "both": {"keys", []string{"default", "other"}}, "every": {"keys", []string{wire.EveryTenant}},
		"reader": {"keys:read", []string{"default"}}, "changer": {"keys:change", []string{"default"}}, "sessions": {"sessions", []string{"default"}},
	} {
		all = append(all, wire.Credential{Username: name, Secrets: [][32]byte{sha256.Sum256([]byte(secret))}, Tenants: may.tenants, Scopes: []string{may.scope}})
	}
	auth, err := wire.Authenticate(wire.AuthOptions{Basic: all})
	if err != nil {
		t.Fatal(err)
	}
	return auth
}

// standing is each key's use and standing, by kid.
func (d *door) standing(status int, body string, want int) map[string]string {
	d.t.Helper()
	if status != want {
		d.t.Fatalf("%d %s", status, body)
	}
	d.holds("Keys", body)
	var page struct{ Keys []admin.Key }
	if err := json.Unmarshal([]byte(body), &page); err != nil {
		d.t.Fatal(err)
	}
	all := map[string]string{}
	for _, k := range page.Keys {
		all[k.ID] = k.Use + " " + k.Standing
	}
	return all
}

func count(all map[string]string, what string) (n int) {
	for _, s := range all {
		if strings.HasSuffix(s, what) {
			n++
		}
	}
	return n
}

// The way an operator replaces keys: rotate, wait, revoke. No answer on it has
// more of a key than everybody may know.
func TestRotateWaitRevoke(t *testing.T) {
	t.Parallel()
	d, now, ring := openKeys(t)
	org, _ := tenant("default")
	status, body := d.call("operator", "GET", "/v1/keys")
	before := d.standing(status, body, 200)
	if len(before) != 3 || count(before, "working") != 3 {
		t.Fatalf("at first %v", before)
	}
	signed, err := ring.Sign(t.Context(), org, federation.RS256, "", map[string]string{"a": "b"})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time changes nothing
		status, body = d.call("changer", "POST", "/v1/tenants/default/keys/rotate")
		if all := d.standing(status, body, 202); len(all) != 6 || count(all, "next") != 3 || count(all, "working") != 3 {
			t.Fatalf("rotated %v", all)
		}
	}
	now.advance(10 * time.Minute)
	status, body = d.call("reader", "GET", "/v1/tenants/default/keys")
	after := d.standing(status, body, 200)
	if count(after, "retired") != 3 || count(after, "working") != 3 || !strings.Contains(body, `"gone"`) {
		t.Fatalf("ten minutes later %v", after)
	}
	for _, hidden := range []string{"material", `"d"`, `"n"`, "private", "overlap"} {
		if strings.Contains(body, hidden) {
			t.Errorf("the answer holds %s: %s", hidden, body)
		}
	}
	for kid, was := range before {
		if !strings.Contains(after[kid], "retired") {
			t.Errorf("%s was %s and is %s", kid, was, after[kid])
		}
		if _, err := ring.Verify(t.Context(), org, signed); err != nil && strings.HasPrefix(was, "RS256") {
			t.Errorf("a retired key is not believed: %v", err)
		}
		for range 2 { // again, as long as it is remembered
			if status, body := d.call("operator", "DELETE", "/v1/keys/"+kid); status != 204 {
				t.Errorf("DELETE %s: %d %s", kid, status, body)
			}
		}
	}
	if _, err := ring.Verify(t.Context(), org, signed); !errors.Is(err, token.ErrNotOurs) {
		t.Errorf("a revoked key answers %v", err)
	}
	status, body = d.call("operator", "GET", "/v1/keys")
	if all := d.standing(status, body, 200); len(all) != 3 || count(all, "working") != 3 {
		t.Errorf("in the end %v", all)
	}
	for what, n := range map[string]int{"keys rotated by": 2, "key revoked by": 6, "caller=changer": 2, "agent_user=grace": 8, "kid=": 6, "tenant=default": 8} {
		if got := strings.Count(d.log.String(), what); got != n {
			t.Errorf("%q stands %d times in the audit, want %d: %s", what, got, n, d.log.String())
		}
	}
}

func TestKeyRefusals(t *testing.T) {
	t.Parallel()
	var none error
	d := serveKeys(t, standIn(&none))
	held := map[int]bool{} // the document, once for each status
	for _, c := range []struct {
		who, method, path string
		want              int
	}{
		{"", "GET", "/v1/keys", 401}, {"sessions", "GET", "/v1/keys", 403}, {"changer", "GET", "/v1/keys", 403},
		{"reader", "POST", "/v1/keys/rotate", 403}, {"reader", "DELETE", "/v1/keys/x", 403},
		{"operator", "GET", "/v1/tenants/other/keys", 403}, {"operator", "GET", "/v1/tenants/nowhere/keys", 403},
		{"every", "GET", "/v1/tenants/nowhere/keys", 403}, {"every", "GET", "/v1/tenants/other/keys", 200}, {"every", "GET", "/v1/keys", 400},
		{"both", "GET", "/v1/keys", 400}, {"both", "GET", "/v1/tenants/other/keys", 200},
		{"operator", "GET", "/v1/keys?all=1", 400}, {"operator", "POST", "/v1/keys/rotate?now=1", 400}, {"operator", "DELETE", "/v1/keys/x?y=1", 400},
		{"operator", "DELETE", "/v1/keys/no-such-key", 404}, {"operator", "DELETE", "/v1/keys/rotate", 404}, {"operator", "DELETE", "/v1/keys/%2e%2e", 400},
		{"operator", "DELETE", "/v1/keys/" + strings.Repeat("a", 300), 400}, {"operator", "GET", "/v1/keys/x", 405}, {"operator", "POST", "/v1/keys", 405},
		{"operator", "HEAD", "/v1/keys", 200}, {"operator", "GET", "/v1/keys", 200},
	} {
		status, body := d.call(c.who, c.method, c.path)
		if status != c.want {
			t.Errorf("%q %s %.60s: %d, want %d: %s", c.who, c.method, c.path, status, c.want, body)
		}
		switch {
		case held[status] || body == "":
			continue
		case status >= 400:
			d.holds("Problem", body)
		default:
			d.holds("Keys", body)
		}
		held[status] = true
	}
	if log := d.log.String(); strings.Contains(log, "audit") {
		t.Errorf("the audit tells of what did not happen: %s", log)
	}
}

// While the store does not work it is 503, to be tried again; what nobody
// expected is 500 and says nothing.
func TestKeysWhileTheStoreIsDown(t *testing.T) {
	t.Parallel()
	var fail error
	d := serveKeys(t, standIn(&fail))
	for _, c := range []struct {
		err  error
		want int
	}{
		{store.ErrUnavailable, 503}, {store.ErrUnknown, 503}, {store.ErrUnsafe, 503}, {store.ErrLost, 503}, {store.ErrClosed, 503}, {errors.New("secret"), 500},
	} {
		fail = fmt.Errorf("keys of tenant: %w", c.err)
		for _, call := range []string{"GET /v1/keys", "POST /v1/keys/rotate", "DELETE /v1/keys/x"} {
			method, path, _ := strings.Cut(call, " ")
			req := httptest.NewRequestWithContext(t.Context(), method, d.server.URL+path, bytes.NewReader(nil))
			req.RequestURI = ""
			req.SetBasicAuth("operator", secret)
			res, err := d.server.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			var body bytes.Buffer
			_, err = body.ReadFrom(res.Body)
			_ = res.Body.Close()
			if err != nil || res.StatusCode != c.want || (res.Header.Get("Retry-After") != "") != (c.want == 503) || strings.Contains(body.String(), c.err.Error()) {
				t.Errorf("%v: %s: %d %v %s", c.err, call, res.StatusCode, res.Header, body.String())
			}
		}
	}
}

func TestKeysNeedTheirParts(t *testing.T) {
	if _, err := admin.NewKeys(admin.KeysOptions{}); err == nil {
		t.Error("a door without keys is made")
	}
}
