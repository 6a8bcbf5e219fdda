package op_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/claims"
	"github.com/drawbridge-id/drawbridge/claims/hook"
	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/freshness"
	"github.com/drawbridge-id/drawbridge/federation/limit"
	"github.com/drawbridge-id/drawbridge/federation/notice"
	"github.com/drawbridge-id/drawbridge/federation/op"
	"github.com/drawbridge-id/drawbridge/federation/person"
	"github.com/drawbridge-id/drawbridge/federation/session"
	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/boltstore"
	"github.com/drawbridge-id/drawbridge/federation/token"
	"github.com/drawbridge-id/drawbridge/federation/upstream"
	"github.com/drawbridge-id/drawbridge/federation/upstream/upstreamtest"
	"github.com/drawbridge-id/drawbridge/openapi/wire"
)

const (
	idle = 30 * time.Minute
	most = 8 * time.Hour
	// soloHost has a tenant of its own.
	soloHost = "solo.example"
)

// clock is the time of day, moved on by tests. It ticks, because providers
// compare it with their own.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) advance(d time.Duration) { c.ahead.Add(int64(d)) }

// house is the whole provider behind a real listener, with a real store, a real
// hook and real upstreams.
type house struct {
	*httptest.Server
	t       testing.TB
	clock   *clock
	engine  *faulty
	path    string
	handler *op.Handler
	// made is what the handler was made of.
	made     op.Options
	limiter  *limit.Limiter
	persons  *person.Manager
	sessions *session.Manager
	keys     *token.Keyring
	notices  *notice.Receiver
	minter   *token.Issuer
	corp     *upstreamtest.Provider
	partner  *upstreamtest.Provider
	hooks    *hookServer
	lines    *lines
	registry atomic.Pointer[federation.Registry]
	refused  atomic.Int64
	tls      bool
	// over is what the tenants are spread over, if they are.
	over store.Layout

	mu      sync.Mutex
	results map[string]int // of sign-ins and limits, as observed
}

// open builds a house; change may alter what is configured.
func open(t testing.TB, change ...func(*setup)) *house {
	t.Helper()
	s := &setup{}
	h := &house{t: t, clock: &clock{}, hooks: newHookServer(t), lines: &lines{}, results: map[string]int{}, corp: upstreamtest.New(t)}
	for _, f := range change {
		f(s)
	}
	if s.two {
		h.partner = upstreamtest.New(t)
	}
	h.tls = s.tls
	h.path = filepath.Join(t.TempDir(), "drawbridge.db")
	h.over = s.over
	eng, err := boltstore.Open(boltstore.Options{Path: h.path, Now: h.clock.now, Partitions: s.over.Partitions})
	must(t, err)
	t.Cleanup(func() { must(t, eng.Close()) })
	h.engine = &faulty{Engine: eng}
	h.Server = httptest.NewUnstartedServer(http.HandlerFunc(h.ingress))
	if s.tls {
		h.StartTLS()
	} else {
		h.Start()
	}
	t.Cleanup(h.Close)
	h.build(s)
	return h
}

// build makes the rooms below and the provider, over the shared keys.
func (h *house) build(s *setup) {
	h.t.Helper()
	h.configure(s)
	for _, r := range ready() {
		r.Key.Partition = h.over.Place(r.Key.Place().Tenant).Partition
		_, err := h.engine.Commit(h.t.Context(), store.Create(r.Key, r.Value, time.Time{}))
		must(h.t, err)
	}
	log := slog.New(slog.NewJSONHandler(h.lines, nil))
	tenants := func() []federation.Tenant { return h.registry.Load().Tenants() }
	var err error
	h.keys, err = token.NewKeyring(token.KeyringOptions{
		Engine: h.engine, Tenants: tenants, Now: h.clock.now, Algs: func(t federation.Tenant) []federation.SigningAlg { return h.registry.Load().SigningAlgs(t.ID) }, RotateEvery: 90 * 24 * time.Hour, Overlap: 7 * 24 * time.Hour, Log: log,
	})
	must(h.t, err)
	must(h.t, h.keys.Ensure(h.t.Context()))
	h.persons, err = person.New(person.Options{
		Engine: h.engine, Layout: h.over, Plan: plan, Log: log,
		EndSessions: func(ctx context.Context, t federation.Tenant, who string, cause federation.Cause, req federation.Request) error {
			if _, err := h.sessions.EndAll(ctx, t, who, cause, req); err != nil {
				return err
			}
			_, err := h.minter.EndGrants(ctx, t, who, "")
			return err
		},
	})
	must(h.t, err)
	h.sessions, err = session.New(session.Options{
		Engine: h.engine, Layout: h.over, Plan: federation.Planners(plan, token.NoteEnds(h.engine, h.endsOffline, h.lifetimes), freshness.Forget(h.engine, nil)), Log: log, People: h.persons.All,
		Policy: func(federation.Tenant) session.Policy {
			return session.Policy{Idle: idle, Max: most, MaxPerPerson: s.quota, RefuseMore: s.refuse}
		},
	})
	must(h.t, err)
	h.minter, err = token.New(token.Options{
		Engine: h.engine, Keyring: h.keys, Sessions: h.sessions, Persons: h.persons, Log: log,
		Lifetimes: h.lifetimes,
	})
	must(h.t, err)
	h.notices, err = notice.New(notice.Options{
		Engine: h.engine, Layout: h.over, Registry: h.registry.Load, Persons: h.persons, Sessions: h.sessions, Log: log, Now: h.clock.now,
		Observe: func(upstream string, by notice.Channel, r notice.Result) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.results[upstream+" "+string(by)+" "+string(r)]++
		},
	})
	must(h.t, err)
	h.limiter = h.counter()
	h.made = op.Options{
		Engine: h.engine, Registry: h.registry.Load, Persons: h.persons, Sessions: h.sessions, Keys: h.keys, Issuer: h.minter, Notices: h.notices,
		Plan: plan, Log: log, Now: h.clock.now,
		Observe: op.Observer{
			SignIn: func(upstream, result string) {
				h.mu.Lock()
				defer h.mu.Unlock()
				h.results[upstream+" "+result]++
			},
			Refused: func(claims.Verdict) { h.refused.Add(1) },
			Limited: func(endpoint, by string) {
				h.mu.Lock()
				defer h.mu.Unlock()
				h.results["limited "+endpoint+" "+by]++
			},
		},
		Limiter: h.limiter, Limits: func() limit.Policy { return s.limits },
	}
	h.handler, err = op.New(h.made)
	must(h.t, err)
}

// ingress does what the edge does.
func (h *house) ingress(w http.ResponseWriter, r *http.Request) {
	info := &wire.RequestInfo{ID: federation.NewSecret()[:12]}
	if at, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		info.Addr = at.Addr()
	}
	defer func() {
		if p := recover(); p != nil {
			h.t.Errorf("%s %s panicked: %v", r.Method, r.URL.Path, p)
			panic(http.ErrAbortHandler)
		}
	}()
	h.handler.ServeHTTP(w, r.WithContext(wire.WithRequestInfo(r.Context(), info)))
}

// addr is host:port of the listener.
func (h *house) addr() string { return h.Listener.Addr().String() }

// issuer is a tenant's.
func (h *house) issuer(tenant string) string {
	t, _ := h.registry.Load().Tenant(tenant)
	return t.Issuer
}

func (h *house) tenant(id string) federation.Tenant {
	h.t.Helper()
	t, ok := h.registry.Load().Tenant(id)
	if !ok {
		h.t.Fatalf("no tenant %q", id)
	}
	return t
}

// observed is how often sign-ins at an upstream came to a result.
func (h *house) observed(upstream, result string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.results[upstream+" "+result]
}

// ready has the keys of all tenants: finding RSA primes is slow.
var ready = sync.OnceValue(func() []store.Record {
	dir, ctx := tempDir(), context.Background()
	defer dir.remove()
	eng, err := boltstore.Open(boltstore.Options{Path: filepath.Join(dir.path, "keys.db"), Now: time.Now})
	check(err)
	defer eng.Close()
	keys, err := token.NewKeyring(token.KeyringOptions{
		Engine: eng, Now: time.Now, RotateEvery: 90 * 24 * time.Hour, Overlap: 7 * 24 * time.Hour,
		Tenants: func() []federation.Tenant {
			var all []federation.Tenant
			for _, id := range []string{"default", "acme", "solo"} {
				all = append(all, federation.Tenant{ID: id, Place: store.Place{Tenant: id}})
			}
			return all
		},
	})
	check(err)
	check(keys.Ensure(ctx))
	found, err := eng.Scan(ctx, store.Range{Kind: "token.keys", Limit: 10})
	check(err)
	return found
})

// setup is what a house is configured with.
type setup struct {
	two, tls bool
	// over is what the tenants are spread over; zero is not at all.
	over store.Layout
	// quota is how many sessions a person may have, refuse what becomes of one more.
	quota  int
	refuse bool
	limits limit.Policy
	// late adds a tenant whose keys nobody has made yet.
	late   bool
	change func(*federation.Client)
	// signIn is what the tenants say of how users tell where they belong.
	signIn federation.SignIn
	// linking is what becomes of two upstreams' users with one address.
	linking federation.Linking
	// levels are the tenants' acr_levels.
	levels   []string
	upstream func(*federation.Upstream)
	// connector changes how upstreams are connected.
	connector func(*upstream.Options)
	hook      func(*hook.Options)
}

// configure makes a registry, also again for a configuration that changed.
func (h *house) configure(s *setup) {
	h.t.Helper()
	scheme := "http"
	if h.tls {
		scheme = "https"
	}
	_, port, err := net.SplitHostPort(h.addr())
	must(h.t, err)
	root := scheme + "://" + h.addr()
	tenants := []federation.Tenant{
		{ID: "default", Issuer: root},
		{ID: "acme", Issuer: root + "/t/acme"},
		{ID: "solo", Issuer: scheme + "://" + soloHost + ":" + port},
	}
	if s.late {
		tenants = append(tenants, federation.Tenant{ID: "late", Issuer: root + "/t/late/"})
	}
	for i := range tenants {
		tenants[i].Place, tenants[i].Spread = h.over.Place(tenants[i].ID), h.over
		tenants[i].SignIn, tenants[i].ACRLevels, tenants[i].Linking = s.signIn, s.levels, s.linking
	}
	var ups []federation.Upstream
	for _, t := range tenants {
		ups = append(ups, h.upstream(s, t.ID, "corp", h.corp, "corp.example"))
		if s.two {
			ups = append(ups, h.upstream(s, t.ID, "partner", h.partner, "partner.example"))
		}
	}
	if s.upstream != nil {
		for i := range ups {
			s.upstream(&ups[i])
		}
	}
	all := h.clients(s)
	if s.change != nil {
		for i := range all {
			s.change(&all[i])
		}
	}
	r, err := federation.NewRegistry(tenants, ups, all)
	must(h.t, err)
	h.registry.Store(r)
}

func (h *house) upstream(s *setup, tenant, id string, p *upstreamtest.Provider, domain string) federation.Upstream {
	h.t.Helper()
	o := upstream.Options{
		ID: id, Issuer: p.URL, ClientID: p.ClientID, ClientSecret: federation.Secret(p.ClientSecret),
		Scopes: []string{"openid", "email"}, HTTP: &http.Client{Timeout: 10 * time.Second}, Now: h.clock.now, Log: slog.New(slog.DiscardHandler),
	}
	if s.connector != nil {
		s.connector(&o)
	}
	c, err := upstream.New(o)
	must(h.t, err)
	return federation.Upstream{ID: id, Tenant: tenant, Name: "The " + id, Issuer: p.URL, Connector: c, Domains: []string{domain},
		Subject: federation.SubjectOwn, ReadLogout: c.ReadLogout, FrontChannelLogout: true, EmailFrom: []string{"email"}, CustomerFrom: []string{"customer_id", "sub"}}
}

// event is what the planner wrote of a change that was committed.
type event struct {
	Kind     federation.ChangeKind
	Tenant   string
	Person   string
	Session  string
	Client   string
	Upstream string
	Cause    federation.Cause
	Reason   string
	Silent   bool
	Verdicts []claims.Verdict
	// By is the upstream that asked for it.
	By string
	// At is the partition whose log has it.
	At store.Partition `json:"-"`
}

// plan puts a change into the log, so that only what was committed is seen.
func plan(_ context.Context, c federation.Change) ([]store.Op, error) {
	e := event{Kind: c.Kind, Tenant: c.Tenant.ID, Client: c.Client, Upstream: c.Upstream, Cause: c.Cause, Reason: c.Reason,
		Silent: c.Kind == federation.SignedIn && c.Login == nil, Verdicts: c.Verdicts, By: c.Request.Upstream}
	if c.Person != nil {
		e.Person = c.Person.ID
	}
	if c.Session != nil {
		e.Session = c.Session.ID
	}
	body, err := json.Marshal(e)
	return []store.Op{store.Append(c.Place().Partition, body)}, err
}

// events are those of a kind so far.
func (h *house) events(kind federation.ChangeKind) []event {
	h.t.Helper()
	var found []event
	for p := range max(h.over.Partitions, 1) {
		entries, err := h.engine.ReadLog(h.t.Context(), store.Partition(p), store.Position{}, 10_000, 0)
		must(h.t, err)
		for _, entry := range entries {
			e := event{At: store.Partition(p)}
			must(h.t, json.Unmarshal(entry.Value, &e))
			if e.Kind == kind {
				found = append(found, e)
			}
		}
	}
	return found
}
