package person

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/claims"
	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/boltstore"
)

// clock is a clock that tests set.
type clock struct{ micros atomic.Int64 }

func (c *clock) Now() time.Time          { return time.UnixMicro(c.micros.Load()).UTC() }
func (c *clock) Advance(d time.Duration) { c.micros.Add(d.Microseconds()) }

// house is a manager over a real engine, with what it announced.
type house struct {
	*Manager
	t     *testing.T
	clock *clock
	path  string
	eng   store.Engine
	org   federation.Tenant
	// over is the layout that the house's tenants are spread over, if they are.
	over store.Layout
	// between, if set, stands between the manager and its engine.
	between func(store.Engine) store.Engine
	// lazy leaves what follows a commit to Run, as a crash does.
	lazy bool

	mu      sync.Mutex
	endings []string // persons whose sessions were ended
	broken  error    // what ending sessions answers
}

func open(t *testing.T) *house {
	t.Helper()
	return openOver(t, store.Layout{})
}

// openOver makes a house whose tenants are spread over a layout, unless that is zero.
func openOver(t *testing.T, over store.Layout) *house {
	t.Helper()
	h := &house{t: t, clock: &clock{}, path: filepath.Join(t.TempDir(), "store.db"), over: over}
	h.org = h.tenant("default")
	h.clock.micros.Store(time.Date(2031, 5, 6, 7, 8, 9, 123456000, time.UTC).UnixMicro())
	h.reopen()
	t.Cleanup(func() { _ = h.eng.Close() })
	return h
}

// reopen is a restart of the process.
func (h *house) reopen() {
	h.t.Helper()
	if h.eng != nil {
		if err := h.eng.Close(); err != nil {
			h.t.Fatal(err)
		}
	}
	var err error
	if h.eng, err = boltstore.Open(boltstore.Options{Path: h.path, Now: h.clock.Now, Partitions: h.over.Partitions}); err != nil {
		h.t.Fatal(err)
	}
	h.Manager = h.manager()
}

// manager is one more manager over the same engine: another node.
func (h *house) manager() *Manager {
	h.t.Helper()
	eng := h.eng
	if h.between != nil {
		eng = h.between(eng)
	}
	m, err := New(Options{
		Engine: eng, Layout: h.over, Plan: h.record, EndSessions: h.endSessions,
		Tenant: func(id string) (federation.Tenant, bool) { return h.tenant(id), id != "forgotten" },
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return m
}

func (h *house) tenant(id string) federation.Tenant {
	t := tenant(id)
	t.Place, t.Spread = h.over.Place(id), h.over
	return t
}

func tenant(id string) federation.Tenant {
	return federation.Tenant{ID: id, Place: store.Layout{Partitions: 1}.Place(id)}
}

func (h *house) endSessions(_ context.Context, t federation.Tenant, person string, cause federation.Cause, _ federation.Request) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.broken != nil {
		return h.broken
	}
	h.endings = append(h.endings, t.ID+" "+person+" "+string(cause))
	return nil
}

// told is what the log keeps of a change.
type told struct {
	Kind    federation.ChangeKind
	Person  federation.Person
	Request federation.Request
}

func (h *house) record(_ context.Context, c federation.Change) ([]store.Op, error) {
	b, err := json.Marshal(told{Kind: c.Kind, Person: *c.Person, Request: c.Request})
	return []store.Op{store.Append(c.Place().Partition, b)}, err
}

// log reads what was announced, by what was committed.
func (h *house) log() (kinds []federation.ChangeKind, last told) {
	h.t.Helper()
	for p := range max(h.over.Partitions, 1) {
		entries, err := h.eng.ReadLog(h.t.Context(), store.Partition(p), store.Position{}, 10_000, 0)
		if err != nil {
			h.t.Fatal(err)
		}
		for _, e := range entries {
			last = told{}
			if err := json.Unmarshal(e.Value, &last); err != nil {
				h.t.Fatal(err)
			}
			kinds = append(kinds, last.Kind)
		}
	}
	return kinds, last
}

// corp is an upstream with authority over its own domain.
func corp(change ...func(*federation.Upstream)) federation.Upstream {
	u := federation.Upstream{
		ID: "corp", Domains: []string{"corp.example"},
		CustomerFrom: []string{"customer_id", "sub"}, EmailFrom: []string{"email"},
	}
	for _, f := range change {
		f(&u)
	}
	return u
}

func login(subject string, bag claims.Set) federation.Login {
	return federation.Login{Upstream: "corp", Subject: subject, Claims: bag}
}

// signIn is a whole sign-in: resolve, plan, commit, and again when moved.
func (h *house) signIn(u federation.Upstream, l federation.Login) federation.Person {
	h.t.Helper()
	p, err := h.trySignIn(u, l)
	if err != nil {
		h.t.Fatal(err)
	}
	return p
}

func (h *house) trySignIn(u federation.Upstream, l federation.Login) (p federation.Person, err error) {
	return h.signInAt(h.Manager, u, l)
}

// signInAt is a sign-in at one of several nodes.
func (h *house) signInAt(m *Manager, u federation.Upstream, l federation.Login) (p federation.Person, err error) {
	for range 100 {
		k, err := m.Resolve(h.t.Context(), h.org, l)
		if err != nil {
			return p, err
		}
		if p, err = h.commitAt(m, u, k, l); !errors.Is(err, ErrMoved) {
			return p, err
		}
	}
	return p, ErrMoved
}

func (h *house) commit(u federation.Upstream, k Known, l federation.Login) (p federation.Person, err error) {
	return h.commitAt(h.Manager, u, k, l)
}

func (h *house) commitAt(m *Manager, u federation.Upstream, k Known, l federation.Login) (p federation.Person, err error) {
	_, err = store.Update(h.t.Context(), m.o.Engine, func(ctx context.Context) (ops []store.Op, err error) {
		p, ops, err = m.PlanSignIn(ctx, h.org, u, k, l, federation.Request{ID: "sign-in"})
		return ops, err
	})
	if err == nil && !h.lazy {
		m.Committed(h.t.Context(), h.org, k)
	}
	return p, err
}

// records are how many records there are, of every kind that persons own.
func (h *house) records() int {
	h.t.Helper()
	n := 0
	for _, kind := range []string{"person", "person.alias", "person.email", "person.customer", "person.deletion", "person.projection"} {
		n += len(h.all(kind))
	}
	return n
}

// all are the records of a kind, in all partitions.
func (h *house) all(kind string) (all []store.Record) {
	h.t.Helper()
	for p := range max(h.over.Partitions, 1) {
		recs, err := h.eng.Scan(h.t.Context(), store.Range{Partition: store.Partition(p), Kind: kind, Limit: 10_000})
		if err != nil {
			h.t.Fatal(err)
		}
		all = append(all, recs...)
	}
	return all
}
