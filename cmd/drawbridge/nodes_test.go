package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/redisstore/redistest"
	"github.com/drawbridge-id/drawbridge/federation/upstream/upstreamtest"
)

// until waits for what must come, and fails the test when it does not: sooner
// than a lease runs out by itself, so that what was given back was given back.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	over := time.After(20 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-over:
			t.Fatalf("in vain waited for: %s", what)
		}
	}
}

// webhookSink takes webhooks and keeps their bodies.
type webhookSink struct {
	url string
	mu  sync.Mutex
	got []string
}

func newSink(t *testing.T) *webhookSink {
	t.Helper()
	s := &webhookSink{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // half a body is seen to be one
		s.mu.Lock()
		defer s.mu.Unlock()
		s.got = append(s.got, string(body))
	}))
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func (s *webhookSink) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got)
}

// balance is what a browser takes for the one provider: a balancer that sends
// each request to the next node.
func balance(t *testing.T, nodes ...*App) *App {
	t.Helper()
	var next atomic.Int64
	server := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host = "http", nodes[int(next.Add(1))%len(nodes)].PublicAddr()
		r.Out.Host = r.In.Host
	}})
	t.Cleanup(server.Close)
	front := &App{}
	front.listeners.public = server.Listener
	return front
}

// answered is what a management call answers.
func answered[T any](t *testing.T, app *App, path string) (all T) {
	t.Helper()
	status, _, body := manage(t, app, http.MethodGet, path, "")
	if err := json.Unmarshal([]byte(body), &all); err != nil || status != http.StatusOK {
		t.Fatalf("%s answers %d %s", path, status, body)
	}
	return all
}

// delivering is how many partitions each node delivers for.
func delivering(t *testing.T, app *App) map[string]int {
	t.Helper()
	held := map[string]int{}
	for p := range app.engine.Layout().Partitions {
		rec, err := app.engine.Get(t.Context(), store.Place{Partition: store.Partition(p)}.Key("lease", "delivery"))
		if err == nil {
			held[string(rec.Value)]++
		}
	}
	return held
}

type sessionsPage struct {
	Sessions []struct{ ID string }
}

type deliveriesPage struct {
	Items []struct {
		State, Session string
		Attempts       []json.RawMessage
	}
}

// storedIn is a file whose store is a Redis.
func storedIn(text string, server *redistest.Server) string {
	before, rest, _ := strings.Cut(text, "store: {")
	_, after, _ := strings.Cut(rest, "\n")
	return before + `store: {engine: redis, addresses: ["` + server.Addr() + "\"]}\nshutdown_delay: 0s\n" + after
}

// sameKeys rotates the keys on one node and finds them on the other.
func sameKeys(t *testing.T, one, two *App) {
	t.Helper()
	if status, _, body := manage(t, one, http.MethodPost, "/v1/tenants/default/keys/rotate", ""); status != http.StatusAccepted {
		t.Errorf("to rotate answers %d %s", status, body)
	}
	_, _, here := manage(t, one, http.MethodGet, "/v1/tenants/default/keys", "")
	_, _, there := manage(t, two, http.MethodGet, "/v1/tenants/default/keys", "")
	if here != there || strings.Count(here, `"next"`) != 3 || strings.Count(here, `"working"`) != 3 {
		t.Errorf("one node has %s, the other %s", here, there)
	}
	if status, _, body := manage(t, two, http.MethodDelete, "/v1/tenants/default/keys/none", ""); status != http.StatusNotFound {
		t.Errorf("to revoke what is not there answers %d %s", status, body)
	}
	var revoked struct {
		Keys []struct{ Kid, Standing string }
	}
	if err := json.Unmarshal([]byte(here), &revoked); err != nil {
		t.Fatal(err)
	}
	kid := revoked.Keys[0].Kid
	if status, _, body := manage(t, two, http.MethodDelete, "/v1/tenants/default/keys/"+kid, ""); status != http.StatusNoContent {
		t.Errorf("to revoke answers %d %s", status, body)
	}
	if _, _, left := manage(t, one, http.MethodGet, "/v1/tenants/default/keys", ""); strings.Contains(left, kid) {
		t.Errorf("a key that the other node revoked is there: %s", left)
	}
}

// TestTwoNodesOverOneRedis walks a journey whose every step is another node's,
// and stops one: the other has everything at once.
func TestTwoNodesOverOneRedis(t *testing.T) {
	t.Parallel()
	sink := newSink(t)
	text := file(t, upstreamtest.New(t).URL, `session_webhooks: [{id: crm, url: "`+sink.url+`", body: '{"sid":"${OidcSid}"}', headers: {Content-Type: application/json}}]`)
	text = storedIn(text, redistest.Start(t))
	text = strings.Replace(text, "    consent: skip", "    consent: skip\n    grant_types: [authorization_code, refresh_token]", 1)
	one, _ := serveOnce(t, operator(load(t, text+"\nnode_name: one\n")))
	two, stopTwo := serveOnce(t, operator(load(t, text+"\nnode_name: two\n")))

	until(t, "both nodes deliver", func() bool {
		held := delivering(t, one)
		return held["one"] > 0 && held["two"] > 0 && held["one"]+held["two"] == one.engine.Layout().Partitions
	})
	until(t, "both nodes are there", func() bool { return len(answered[nodeList](t, one, "/v1/nodes").Nodes) == 2 })
	if seen := answered[nodeList](t, two, "/v1/nodes"); !seen.Agree || seen.Nodes[0].Node != "one" || seen.Nodes[1].Node != "two" {
		t.Errorf("nodes of one configuration are %+v", seen)
	}

	sameKeys(t, one, two)
	b := newBrowser(t, balance(t, one, two))
	code := b.authorize("").Get("code")
	sid := answered[sessionsPage](t, two, "/v1/tenants/default/sessions").Sessions[0].ID
	access, _ := b.tokens(url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {"http://127.0.0.1:9100/callback"}})
	for range 2 {
		if status := b.userinfo(access); status != http.StatusOK {
			t.Errorf("userinfo answers %d", status)
		}
	}
	end := func(on, seenBy *App, sid string, nth int) {
		t.Helper()
		if status, _, body := manage(t, on, http.MethodDelete, "/v1/tenants/default/sessions/"+sid, ""); status != http.StatusNoContent {
			t.Fatalf("the end answers %d %s", status, body)
		}
		if status, _, _ := manage(t, seenBy, http.MethodGet, "/v1/tenants/default/sessions/"+sid, ""); status != http.StatusNotFound {
			t.Errorf("the other node answers %d for a session that has ended", status)
		}
		until(t, "the delivery is recorded", func() bool {
			items := answered[deliveriesPage](t, seenBy, "/v1/tenants/default/session-webhooks/crm/deliveries?state=delivered").Items
			return len(items) == nth
		})
		if got := sink.all(); len(got) != nth || got[nth-1] != `{"sid":"`+sid+`"}` {
			t.Errorf("webhooks of session %s: %q", sid, got)
		}
	}
	end(two, one, sid, 1)

	newBrowser(t, two).authorize("")
	left := answered[sessionsPage](t, one, "/v1/tenants/default/sessions").Sessions
	stopTwo()
	if held := delivering(t, one); held["two"] != 0 {
		t.Errorf("a node that has stopped holds leases: %v", held)
	}
	if seen := answered[nodeList](t, one, "/v1/nodes"); len(seen.Nodes) != 1 {
		t.Errorf("a node that has stopped is there: %+v", seen)
	}
	end(one, one, left[0].ID, 2)
	until(t, "the node that stayed delivers for all", func() bool { return delivering(t, one)["one"] == one.engine.Layout().Partitions })
}

// What is a node's own may differ; where the store is may not.
func TestConfigDigestOverRedis(t *testing.T) {
	t.Parallel()
	of := func(change func(*config.Store)) [32]byte {
		cfg := config.Config{Store: config.Store{Engine: "redis", Spool: "a", Replicas: 1, TLS: &config.StoreTLS{CAFile: "a", ServerName: "redis"}}}
		change(&cfg.Store)
		return configDigest(cfg)
	}
	for name, c := range map[string]struct {
		change func(*config.Store)
		same   bool
	}{
		"spool":        {func(s *config.Store) { s.Spool = "b" }, true},
		"certificates": {func(s *config.Store) { s.TLS.CAFile, s.TLS.CertFile, s.TLS.KeyFile = "b", "c", "k" }, true},
		"server name":  {func(s *config.Store) { s.TLS.ServerName = "other" }, false},
		"no TLS":       {func(s *config.Store) { s.TLS = nil }, false},
		"replicas":     {func(s *config.Store) { s.Replicas = 2 }, false},
		"a password":   {func(s *config.Store) { s.Password = config.NewSecret("x") }, false},
	} {
		if got := of(c.change) == of(func(*config.Store) {}); got != c.same {
			t.Errorf("%s: the same is %v", name, got)
		}
	}
}

// Nodes are shown to who has the scope, whatever its tenants, and to nobody else.
func TestNodesAreForThoseWhoMay(t *testing.T) {
	t.Parallel()
	cfg := load(t, file(t, upstreamtest.New(t).URL, ""))
	password, _ := secrets("PLATFORM_PASSWORD")
	credential := func(name, scope string) config.Credential {
		return config.Credential{Username: name, Password: config.NewSecret(password), Tenants: []string{"default"}, Scopes: []string{scope}}
	}
	cfg.Management.Credentials = []config.Credential{credential("watcher", "nodes"), credential("store", "store"), credential("sessions", "sessions")}
	app, _ := serveOnce(t, cfg)
	for _, c := range []struct {
		who, path string
		want      int
	}{
		{"watcher", "/v1/nodes", 200}, {"watcher", "/v1/nodes?all=1", 400}, {"watcher", "/v1/sessions", 403}, {"store", "/v1/nodes", 403},
		{"store", "/v1/store/backup", 403}, {"sessions", "/v1/nodes", 403}, {"nobody", "/v1/nodes", 401},
	} {
		if status, _, body := ask(t, "http://"+app.ManagementAddr()+c.path, http.MethodGet, c.who, password, "", ""); status != c.want {
			t.Errorf("%s %s: %d, want %d: %s", c.who, c.path, status, c.want, body)
		}
	}
}

// What hooks do now is read from the revision that is live.
func TestMetricsOfHooksFollowAReload(t *testing.T) {
	t.Parallel()
	text := file(t, upstreamtest.New(t).URL, "")
	app, _ := serveOnce(t, load(t, text+`
hooks: [{id: enrich, type: user_details, base_url: "http://127.0.0.1:1", path: /v1/customize-token, auth: {type: none}, on_failure: deny}]`))
	shows := func(line string) bool {
		_, _, body := ask(t, "http://"+app.ManagementAddr()+"/metrics", http.MethodGet, "", "", "", "")
		return strings.Contains(body, "\n"+line+"\n")
	}
	until(t, "the node has seen itself", func() bool { return shows("drawbridge_nodes 1") })
	const closed = `drawbridge_hook_breaker_state{hook="enrich",state="closed"} 1`
	if !shows(closed) || !shows(`drawbridge_hook_calls_in_flight{hook="enrich"} 0`) || !shows("drawbridge_nodes_differ_seconds 0") {
		t.Error("a hook's breaker is not shown")
	}
	app.Reload(t.Context(), load(t, text))
	if shows(closed) {
		t.Error("a hook that is gone is shown")
	}
}
