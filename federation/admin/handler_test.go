package admin_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"

	"github.com/drawbridge-id/drawbridge/claims"
	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/admin"
	"github.com/drawbridge-id/drawbridge/federation/session"
	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/boltstore"
	"github.com/drawbridge-id/drawbridge/openapi"
	"github.com/drawbridge-id/drawbridge/openapi/wire"
)

const secret = "s3cret-s3cret-s3cret-s3cret-s3cret"

// door is the whole door over a real engine, with credentials of every kind.
type door struct {
	t        *testing.T
	now      time.Time
	eng      store.Engine
	sessions *session.Manager
	server   *httptest.Server
	log      bytes.Buffer

	mu    sync.Mutex
	ended []federation.Change
}

func open(t *testing.T) *door {
	t.Helper()
	d := &door{t: t, now: time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)}
	eng, err := boltstore.Open(boltstore.Options{Path: filepath.Join(t.TempDir(), "store.db"), Now: func() time.Time { return d.now }, Partitions: 16})
	if err != nil {
		t.Fatal(err)
	}
	d.eng = eng
	d.sessions, err = session.New(session.Options{
		Engine: eng, Tenant: tenant, Plan: d.plan, Layout: eng.Layout(),
		Policy: func(federation.Tenant) session.Policy { return session.Policy{Idle: time.Hour, Max: 8 * time.Hour} },
	})
	if err != nil {
		t.Fatal(err)
	}
	h, err := admin.New(admin.Options{
		Sessions: d.sessions, Tenant: tenant, Log: slog.New(slog.NewTextHandler(&d.log, nil)),
		Tenancy: wire.Tenancy{
			Known: func(slug string) bool { _, ok := tenant(slug); return ok },
			Slug:  func(string) (string, bool) { return "", false },
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	router := wire.NewRouter()
	h.Mount(router)
	credential := func(name, scope string, tenants ...string) wire.Credential {
		return wire.Credential{Username: name, Secrets: [][32]byte{sha256.Sum256([]byte(secret))}, Tenants: tenants, Scopes: []string{scope}}
	}
	auth, err := wire.Authenticate(wire.AuthOptions{Basic: []wire.Credential{
		credential("platform", "sessions", "default"), credential("both", "sessions", "default", "other"),
		credential("wide", "sessions", "wide"), credential("reader", "sessions:read", "default"), credential("users", "users", "default"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	d.server = httptest.NewServer(wire.Speak(wire.ProfileProblem)(auth(router)))
	t.Cleanup(func() {
		d.server.Close()
		if err := eng.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func tenant(slug string) (federation.Tenant, bool) {
	known := slug == "default" || slug == "other" || slug == "wide"
	t := federation.Tenant{ID: slug, Place: store.Layout{}.Place(slug)}
	if slug == "wide" {
		t.Spread = store.Layout{Partitions: 16}
	}
	return t, known
}

func (d *door) plan(_ context.Context, c federation.Change) ([]store.Op, error) {
	if c.Kind == federation.SessionEnded {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.ended = append(d.ended, c)
	}
	return nil, nil
}

// begin signs somebody in, with everything that must not be shown.
func (d *door) begin(slug, person, client string) session.Started {
	d.t.Helper()
	t, _ := tenant(slug)
	b := session.Begin{
		ID: d.sessions.NewID().For(t, person), Person: federation.Person{ID: person}, Client: client, Level: 2,
		Login: federation.Login{
			Upstream: "corp", Subject: "248289761001", ACR: "gold", AuthTime: d.now,
			Claims:  claims.Set{"email": "hidden@corp.example"},
			IDToken: "hidden-id-token", RefreshToken: "hidden-refresh-token",
		},
		Request: federation.Request{Addr: "192.0.2.7", UserAgent: "Browser/1"},
	}
	var st session.Started
	_, err := store.Update(d.t.Context(), d.eng, func(ctx context.Context) (ops []store.Op, err error) {
		st, ops, err = d.sessions.PlanBegin(ctx, t, b)
		return ops, err
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return st
}

// call makes a call as somebody and reads the answer.
func (d *door) call(who, method, path string) (int, string) {
	d.t.Helper()
	req, err := http.NewRequestWithContext(d.t.Context(), method, d.server.URL+path, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	if who != "" {
		req.SetBasicAuth(who, secret)
	}
	req.Header.Set("x-onegini-api-agent-user", "grace")
	res, err := d.server.Client().Do(req)
	if err != nil {
		d.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var body bytes.Buffer
	if _, err := body.ReadFrom(res.Body); err != nil {
		d.t.Fatal(err)
	}
	if res.Header.Get("Cache-Control") != "no-store" {
		d.t.Errorf("%s %s may be cached", method, path)
	}
	return res.StatusCode, body.String()
}

// holds says whether an answer is what the document promises.
func (d *door) holds(schema, body string) {
	d.t.Helper()
	text, err := openapi.Document("management")
	if err != nil {
		d.t.Fatal(err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		d.t.Fatal(err)
	}
	var value any
	if err := json.Unmarshal([]byte(body), &value); err != nil {
		d.t.Fatal(err)
	}
	if err := doc.Components.Schemas[schema].Value.VisitJSON(value); err != nil {
		d.t.Errorf("not a %s: %v", schema, err)
	}
}

func TestGetAndEnd(t *testing.T) {
	d := open(t)
	person := uuid.NewString()
	st := d.begin("default", person, "shop")
	for _, base := range []string{"/v1/tenants/default/sessions/", "/v1/sessions/"} {
		status, body := d.call("platform", "GET", base+st.Session.ID)
		if status != 200 {
			t.Fatalf("%s: %d %s", base, status, body)
		}
		d.holds("Session", body)
		for _, hidden := range []string{"hidden", st.Session.SecretHash, "claims", "token", "secret"} {
			if strings.Contains(body, hidden) {
				t.Errorf("the answer holds %q: %s", hidden, body)
			}
		}
		for _, shown := range []string{st.Session.ID, person, st.Session.AuditID, "192.0.2.7", `"level":2`, `"client":"shop"`, `"upstream":"corp"`, `"order":"tenant"`,
			`"idle_deadline":"2031-05-06T08:08:09Z"`, `"max_deadline":"2031-05-06T15:08:09Z"`, `"deadline_cause":"IDLE_TIMEOUT"`} {
			if !strings.Contains(body, shown) {
				t.Errorf("the answer lacks %q: %s", shown, body)
			}
		}
	}
	path := "/v1/tenants/default/sessions/" + st.Session.ID
	for i, want := range []int{204, 404, 404} {
		if status, body := d.call("platform", "DELETE", path); status != want {
			t.Errorf("DELETE number %d: %d %s", i+1, status, body)
		}
	}
	if status, _ := d.call("platform", "GET", path); status != 404 {
		t.Errorf("GET afterwards: %d", status)
	}
	if len(d.ended) != 1 || d.ended[0].Cause != federation.Destroy || d.ended[0].Request.CausedBy != "platform" || d.ended[0].Request.AgentUser != "grace" {
		t.Errorf("ended %+v", d.ended)
	}
	if log := d.log.String(); strings.Count(log, "audit=true") != 1 || !strings.Contains(log, "caller=platform") || !strings.Contains(log, "agent_user=grace") {
		t.Errorf("log %q", log)
	}
}

// Sessions of a tenant that is spread by person are listed, shown and ended as
// any others, and say that order does not reach further than a person.
func TestSpreadTenant(t *testing.T) {
	d := open(t)
	want := map[string]bool{}
	var who string
	for range 30 {
		who = uuid.NewString()
		want[d.begin("wide", who, "shop").Session.ID] = true
	}
	for after := ""; ; {
		query := "limit=7"
		if after != "" {
			query += "&after=" + after
		}
		status, body := d.call("wide", "GET", "/v1/sessions?"+query)
		d.holds("Sessions", body)
		var page struct {
			Sessions []struct{ ID, Order string }
			Next     string
		}
		if err := json.Unmarshal([]byte(body), &page); err != nil || status != 200 {
			t.Fatalf("%d %v", status, err)
		}
		for _, s := range page.Sessions {
			if !want[s.ID] || s.Order != "person" {
				t.Fatalf("listed %+v", s)
			}
			delete(want, s.ID)
		}
		if after = page.Next; after == "" {
			break
		}
	}
	if len(want) != 0 {
		t.Errorf("%d are not listed", len(want))
	}
	sid := d.begin("wide", who, "shop").Session.ID
	if _, body := d.call("wide", "GET", "/v1/sessions?person="+who); strings.Count(body, `"audit_id"`) != 2 {
		t.Errorf("of one person: %s", body)
	}
	for _, want := range []int{204, 404} {
		if status, _ := d.call("wide", "DELETE", "/v1/sessions/"+sid); status != want {
			t.Errorf("DELETE: %d, want %d", status, want)
		}
	}
}

// A call after the deadline is too late, and ends the session by its timeout.
func TestEndAfterDeadline(t *testing.T) {
	d := open(t)
	st := d.begin("default", uuid.NewString(), "shop")
	d.now = d.now.Add(time.Hour)
	if status, _ := d.call("platform", "DELETE", "/v1/sessions/"+st.Session.ID); status != 404 {
		t.Errorf("DELETE: %d", status)
	}
	if len(d.ended) != 1 || d.ended[0].Cause != federation.IdleTimeout || d.ended[0].Request.CausedBy != "" {
		t.Errorf("ended %+v", d.ended)
	}
}

func TestList(t *testing.T) {
	d := open(t)
	ada, eve := uuid.NewString(), uuid.NewString()
	var want []string
	for i := range 7 {
		want = append(want, d.begin("default", ada, []string{"shop", "desk"}[i%2]).Session.ID)
	}
	d.begin("default", eve, "shop")
	d.begin("other", ada, "shop")
	slices.Sort(want)
	list := func(query string) (ids []string, next string) {
		status, body := d.call("platform", "GET", "/v1/sessions?"+query)
		if status != 200 {
			t.Fatalf("%s: %d %s", query, status, body)
		}
		d.holds("Sessions", body)
		var page struct {
			Sessions []struct{ ID string }
			Next     string
		}
		if err := json.Unmarshal([]byte(body), &page); err != nil {
			t.Fatal(err)
		}
		for _, s := range page.Sessions {
			ids = append(ids, s.ID)
		}
		return ids, page.Next
	}
	for query, n := range map[string]int{
		"": 8, "person=" + ada: 7, "person=" + eve: 1, "client=desk": 3, "person=" + ada + "&client=shop": 4, "person=" + uuid.NewString(): 0, "client=x": 0,
	} {
		if ids, next := list(query); len(ids) != n || next != "" {
			t.Errorf("%q lists %d, next %q", query, len(ids), next)
		}
	}
	var paged []string
	for after := ""; ; {
		query := "limit=2&person=" + ada
		if after != "" {
			query += "&after=" + after
		}
		ids, next := list(query)
		paged = append(paged, ids...)
		if after = next; next == "" {
			break
		}
	}
	if !slices.Equal(paged, want) {
		t.Errorf("paged %v, want %v", paged, want)
	}
	d.now = d.now.Add(time.Hour)
	if ids, _ := list(""); len(ids) != 0 {
		t.Errorf("%d sessions past their deadline are listed", len(ids))
	}
}

func TestRefusals(t *testing.T) {
	d := open(t)
	sid := d.begin("default", uuid.NewString(), "shop").Session.ID
	theirs := d.begin("other", uuid.NewString(), "shop").Session.ID
	for _, c := range []struct {
		who, method, path string
		want              int
	}{
		{"", "GET", "/v1/sessions", 401},
		{"nobody", "GET", "/v1/sessions", 401},
		{"", "DELETE", "/v1/sessions/" + sid, 401},
		{"users", "GET", "/v1/sessions", 403},
		{"users", "DELETE", "/v1/sessions/" + sid, 403},
		{"reader", "DELETE", "/v1/sessions/" + sid, 403},
		{"reader", "GET", "/v1/sessions/" + sid, 200},
		{"platform", "GET", "/v1/tenants/other/sessions", 403},
		{"platform", "GET", "/v1/tenants/nowhere/sessions", 403},
		{"platform", "GET", "/v1/sessions/" + theirs, 404},
		{"platform", "DELETE", "/v1/tenants/default/sessions/" + theirs, 404},
		{"both", "GET", "/v1/tenants/other/sessions/" + theirs, 200},
		{"both", "GET", "/v1/sessions", 400},
		{"platform", "GET", "/v1/sessions?person=x", 400},
		{"platform", "GET", "/v1/sessions?person=", 400},
		{"platform", "GET", "/v1/sessions?person=" + strings.ToUpper(uuid.NewString()), 400},
		{"platform", "GET", "/v1/sessions?client=", 400},
		{"platform", "GET", "/v1/sessions?after=..%2F..", 400},
		{"platform", "GET", "/v1/sessions?limit=0", 400},
		{"platform", "GET", "/v1/sessions?limit=101", 400},
		{"platform", "GET", "/v1/sessions?limit=1&limit=2", 400},
		{"platform", "GET", "/v1/sessions?foo=1", 400},
		{"platform", "GET", "/v1/sessions/" + sid + "?foo=1", 400},
		{"platform", "DELETE", "/v1/sessions/" + sid + "?foo=1", 400},
		{"platform", "GET", "/v1/sessions/%2e%2e", 400},
		{"platform", "GET", "/v1/sessions/a%00b", 400},
		{"platform", "GET", "/v1/sessions/" + strings.Repeat("a", 300), 400},
		{"platform", "GET", "/v1/sessions/" + strings.Repeat("a", 200), 404},
		{"platform", "GET", "/v1/sessions/not%2Fa%20sid", 404},
		{"platform", "GET", "/v1/sessions/" + sid + "/more", 404},
		{"platform", "POST", "/v1/sessions/" + sid, 405},
		{"platform", "DELETE", "/v1/sessions", 405},
		{"platform", "HEAD", "/v1/sessions/" + sid, 200},
	} {
		status, body := d.call(c.who, c.method, c.path)
		if status != c.want {
			t.Errorf("%q %s %.80s: %d, want %d: %s", c.who, c.method, c.path, status, c.want, body)
		}
		if status >= 400 {
			d.holds("Problem", body)
		}
	}
	if len(d.ended) != 0 {
		t.Errorf("%d sessions ended", len(d.ended))
	}
	if status, _ := d.call("platform", "GET", "/v1/sessions/"+sid); status != 200 {
		t.Errorf("in the end: %d", status)
	}
}

// Many who end one session: one does, the others are too late.
func TestRaceToEnd(t *testing.T) {
	d := open(t)
	sid := d.begin("default", uuid.NewString(), "shop").Session.ID
	var mu sync.Mutex
	got := make(map[int]int)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			status, _ := d.call("platform", "DELETE", "/v1/sessions/"+sid)
			mu.Lock()
			defer mu.Unlock()
			got[status]++
		})
	}
	wg.Wait()
	if fmt.Sprint(got) != "map[204:1 404:19]" {
		t.Errorf("answers %v", got)
	}
}
