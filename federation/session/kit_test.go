package session

import (
	"context"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/claims"
	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/boltstore"
)

const (
	idle = 30 * time.Minute
	most = 8 * time.Hour
)

// clock is a clock that tests set.
type clock struct{ micros atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.micros.Store(time.Date(2031, 5, 6, 7, 8, 9, 123000, time.UTC).UnixMicro())
	return c
}

func (c *clock) Now() time.Time          { return time.UnixMicro(c.micros.Load()).UTC() }
func (c *clock) Advance(d time.Duration) { c.micros.Add(d.Microseconds()) }

// house is a manager over a real engine, with what it announced.
type house struct {
	*Manager
	t     testing.TB
	clock *clock
	eng   store.Engine
	org   federation.Tenant
	// over is the layout that the house's tenant is spread over, if it is.
	over store.Layout
}

// open makes a house; change may alter the options.
func open(t testing.TB, change ...func(*Options)) *house {
	t.Helper()
	return openOver(t, store.Layout{}, change...)
}

// openOver makes a house whose tenant is spread over a layout, unless that is zero.
func openOver(t testing.TB, over store.Layout, change ...func(*Options)) *house {
	t.Helper()
	c := newClock()
	eng, err := boltstore.Open(boltstore.Options{Path: filepath.Join(t.TempDir(), "store.db"), Now: c.Now, Partitions: over.Partitions})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := eng.Close(); err != nil {
			t.Error(err)
		}
	})
	h := &house{t: t, clock: c, eng: eng, org: tenant("default"), over: over}
	h.org.Place, h.org.Spread = over.Place("default"), over
	h.Manager = h.manager(change...)
	return h
}

func tenant(id string) federation.Tenant {
	return federation.Tenant{ID: id, Issuer: "https://login.example/" + id, Place: store.Layout{Partitions: 1}.Place(id)}
}

// manager is one more manager over the same engine: another node.
func (h *house) manager(change ...func(*Options)) *Manager {
	h.t.Helper()
	o := Options{
		Engine: h.eng, Plan: h.record, Node: "node-1", Layout: h.over,
		Tenant: func(id string) (federation.Tenant, bool) {
			t := tenant(id)
			t.Place, t.Spread = h.over.Place(id), h.over
			return t, id != "forgotten"
		},
		Policy: func(federation.Tenant) Policy { return Policy{Idle: idle, Max: most} },
		Log:    slog.New(slog.DiscardHandler),
	}
	for _, f := range change {
		f(&o)
	}
	m, err := New(o)
	if err != nil {
		h.t.Fatal(err)
	}
	return m
}

// record writes every change into the log, in the change's own commit, so that
// what is read from the log is what really happened.
func (h *house) record(_ context.Context, c federation.Change) ([]store.Op, error) {
	return []store.Op{store.Append(c.Place().Partition, encode(h.t, c))}, nil
}

// told reads the logs.
func (h *house) told() []told {
	h.t.Helper()
	var all []told
	for p := range max(h.over.Partitions, 1) {
		all = append(all, h.toldAt(store.Partition(p))...)
	}
	return all
}

// toldAt reads the log of one partition.
func (h *house) toldAt(p store.Partition) []told {
	h.t.Helper()
	var all []told
	var after store.Position
	for {
		entries, err := h.eng.ReadLog(h.t.Context(), p, after, 1000, 0)
		if err != nil {
			h.t.Fatal(err)
		}
		if len(entries) == 0 {
			return all
		}
		for _, e := range entries {
			all = append(all, decode(h.t, e.Value))
			after = e.Position
		}
	}
}

// ends are the ends in the log.
func (h *house) ends() []told {
	var all []told
	for _, e := range h.told() {
		if e.Kind == federation.SessionEnded {
			all = append(all, e)
		}
	}
	return all
}

// begin starts a session as a sign-in does.
func (h *house) begin(person string, change ...func(*Begin)) Started {
	h.t.Helper()
	st, err := h.tryBegin(h.Manager, person, change...)
	if err != nil {
		h.t.Fatal(err)
	}
	return st
}

func (h *house) tryBegin(m *Manager, person string, change ...func(*Begin)) (Started, error) {
	b := h.beginning(m, person, change...)
	var st Started
	_, err := store.Update(h.t.Context(), h.eng, func(ctx context.Context) (ops []store.Op, err error) {
		st, ops, err = m.PlanBegin(ctx, h.org, b)
		return ops, err
	})
	if err == nil {
		m.Committed(st)
	}
	return st, err
}

func (h *house) beginning(m *Manager, person string, change ...func(*Begin)) Begin {
	b := Begin{
		ID: m.NewID(), Person: federation.Person{ID: person, Tenant: h.org.ID},
		Login:  federation.Login{Upstream: "corp", Subject: "s-" + person + "-" + federation.NewSecret()[:8], Claims: claims.Set{"email": "ada@corp.example"}, At: h.clock.Now()},
		Client: "shop", Request: federation.Request{ID: "begin", Addr: "192.0.2.7"},
	}
	for _, f := range change {
		f(&b)
	}
	if b.ID.Session != "" {
		b.ID = b.ID.For(h.org, b.Person.ID)
	}
	return b
}

// crowd begins many sessions in few commits; change is told which one it is.
func (h *house) crowd(n int, person string, change ...func(i int, b *Begin)) []Started {
	h.t.Helper()
	all := make([]Started, 0, n)
	var ops []store.Op
	for i := range n {
		b := h.beginning(h.Manager, person)
		for _, f := range change {
			f(i, &b)
		}
		b.ID = b.ID.For(h.org, b.Person.ID)
		st, more, err := h.PlanBegin(h.t.Context(), h.org, b)
		if err != nil {
			h.t.Fatal(err)
		}
		all, ops = append(all, st), append(ops, more...)
		if i%256 < 255 && i < n-1 {
			continue
		}
		if _, err := h.eng.Commit(h.t.Context(), ops...); err != nil {
			h.t.Fatal(err)
		}
		ops = nil
	}
	return all
}

// live reads a session that must be alive.
func (h *house) live(sid string) Held {
	h.t.Helper()
	held, err := h.Live(h.t.Context(), h.org, sid)
	if err != nil {
		h.t.Fatalf("Live: %v", err)
	}
	return held
}

// sweepNow makes one round as Run does.
func (h *house) sweepNow() {
	h.t.Helper()
	for p := range max(h.over.Partitions, 1) {
		if _, err := h.sweeper(store.Partition(p)).round(h.t.Context()); err != nil {
			h.t.Fatal(err)
		}
	}
}

// leftovers are the records that remain of kinds that sessions own.
func (h *house) leftovers() int {
	h.t.Helper()
	n := 0
	for _, kind := range []string{"session", "session.person", "session.upstream", dueKind} {
		for p := range max(h.over.Partitions, 1) {
			recs, err := h.eng.Scan(h.t.Context(), store.Range{Partition: store.Partition(p), Kind: kind, Limit: 10_000})
			if err != nil {
				h.t.Fatal(err)
			}
			n += len(recs)
		}
	}
	return n
}
