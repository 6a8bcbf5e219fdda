package session

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/boltstore"
	"github.com/drawbridge-id/drawbridge/federation/store/redisstore"
	"github.com/drawbridge-id/drawbridge/federation/store/redisstore/redistest"
)

// town is many tenants over a store of many partitions, and several nodes.
type town struct {
	*house
	layout  store.Layout
	tenants []federation.Tenant
	// commits counts what was asked of the store.
	commits atomic.Int64
}

type counting struct {
	store.Engine
	commits *atomic.Int64
}

func (c counting) Commit(ctx context.Context, ops ...store.Op) (store.Version, error) {
	c.commits.Add(1)
	return c.Engine.Commit(ctx, ops...)
}

// build makes a town over a bolt store.
func build(t testing.TB, partitions, tenants int) *town {
	t.Helper()
	c := newClock()
	eng, err := boltstore.Open(boltstore.Options{Path: filepath.Join(t.TempDir(), "store.db"), Now: c.Now, Partitions: partitions})
	if err != nil {
		t.Fatal(err)
	}
	return found(t, eng, c, tenants)
}

// buildOnRedis makes a town over a Redis server of its own, whose time goes on
// as the test's clock does.
func buildOnRedis(t testing.TB, partitions, tenants int) *town {
	t.Helper()
	c := newClock()
	start := c.Now()
	eng, err := redisstore.Open(t.Context(), redisstore.Options{
		Addresses: []string{redistest.Start(t).Addr()}, Now: time.Now, Partitions: partitions,
		Skew: func() time.Duration { return c.Now().Sub(start) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return found(t, eng, c, tenants)
}

// found settles tenants over an engine, which is closed when the test ends.
func found(t testing.TB, eng bench, c *clock, tenants int) *town {
	t.Helper()
	t.Cleanup(func() {
		if err := eng.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &town{layout: eng.Layout()}
	w.house = &house{t: t, clock: c, eng: counting{Engine: eng, commits: &w.commits}}
	for i := range tenants {
		id := fmt.Sprintf("t%d", i)
		w.tenants = append(w.tenants, federation.Tenant{ID: id, Place: w.layout.Place(id)})
	}
	w.Manager = w.node()
	return w
}

func (w *town) node(change ...func(*Options)) *Manager {
	return w.manager(append([]func(*Options){func(o *Options) {
		o.Layout = w.layout
		o.Tenant = func(id string) (federation.Tenant, bool) {
			return federation.Tenant{ID: id, Place: w.layout.Place(id)}, true
		}
	}}, change...)...)
}

// settleDown begins sessions of all tenants by turns.
func (w *town) settleDown(n int, change ...func(i int, b *Begin)) (all []Started) {
	w.t.Helper()
	for i, t := range w.tenants {
		w.org = t
		share := n / len(w.tenants)
		if i < n%len(w.tenants) {
			share++
		}
		all = append(all, w.crowd(share, fmt.Sprintf("p%d", i%7), change...)...)
	}
	return all
}

// endings are the ends in all logs, by the session's audit id.
func (w *town) endings() map[string][]federation.Cause {
	w.t.Helper()
	ends := map[string][]federation.Cause{}
	for p := range w.layout.Partitions {
		var after store.Position
		for {
			entries, err := w.eng.ReadLog(context.Background(), store.Partition(p), after, 1000, 0)
			if err != nil {
				w.t.Fatal(err)
			}
			for _, e := range entries {
				after = e.Position
				if c := decode(w.t, e.Value); c.Kind == federation.SessionEnded {
					ends[c.Session.AuditID] = append(ends[c.Session.AuditID], c.Cause)
				}
			}
			if len(entries) == 0 {
				break
			}
		}
	}
	return ends
}

// left are the due records that remain anywhere.
func (w *town) left() int {
	w.t.Helper()
	n, _, err := w.Count(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// Three nodes sweep sixteen partitions while people touch their sessions and
// log out and the clock goes on: every session ends once, in the log as well.
func TestThreeNodesSweepOneStore(t *testing.T) {
	for name, build := range map[string]func(testing.TB, int, int) *town{"bolt": build, "redis": buildOnRedis} {
		t.Run(name, func(t *testing.T) { raceOfNodes(t, build(t, 16, 48)) })
	}
}

func raceOfNodes(t *testing.T, w *town) {
	const sessions, actors = 600, 12
	all := w.settleDown(sessions, func(int, *Begin) { w.clock.Advance(time.Second) })
	byTenant := map[string]federation.Tenant{}
	for _, org := range w.tenants {
		byTenant[org.ID] = org
	}
	ctx, stop := context.WithCancel(t.Context())
	var nodes, people sync.WaitGroup
	for range 3 {
		node := w.node()
		nodes.Go(func() {
			for ctx.Err() == nil {
				var sweeps sync.WaitGroup
				for p := range w.layout.Partitions {
					sweeps.Go(func() {
						if _, err := node.sweeper(store.Partition(p)).round(t.Context()); err != nil {
							t.Errorf("round: %v", err)
						}
					})
				}
				sweeps.Wait()
			}
		})
	}
	for a := range actors {
		r := rand.New(rand.NewPCG(uint64(a), 11))
		people.Go(func() {
			for range 150 {
				st := all[r.IntN(len(all))]
				org := byTenant[st.Session.Tenant]
				var err error
				switch r.IntN(6) {
				case 0:
					err = w.End(ctx, org, st.Session.ID, federation.Logout, federation.Request{})
				case 1:
					w.clock.Advance(time.Duration(r.IntN(8000)) * time.Millisecond)
				default:
					var held Held
					if held, err = w.Live(ctx, org, st.Session.ID); err == nil {
						err = w.Touch(ctx, org, held)
					}
				}
				if err != nil && !errors.Is(err, ErrNotFound) {
					t.Errorf("act: %v", err)
				}
			}
		})
	}
	people.Wait()
	w.clock.Advance(2 * most)
	stop()
	nodes.Wait()
	for p := range w.layout.Partitions {
		for w.remain(store.Partition(p)) {
			if _, err := w.sweeper(store.Partition(p)).round(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	causes := map[federation.Cause]int{}
	ends := w.endings()
	for id, of := range ends {
		if len(of) != 1 {
			t.Errorf("session %s ended with %v", id, of)
		}
		causes[of[0]]++
	}
	if len(ends) != sessions || w.left() != 0 {
		t.Errorf("%d of %d sessions ended, %d due records are left", len(ends), sessions, w.left())
	}
	if causes[federation.Logout] == 0 || causes[federation.IdleTimeout] == 0 {
		t.Errorf("causes %v: the race was not one", causes)
	}
}

func (w *town) remain(p store.Partition) bool {
	w.t.Helper()
	rows, err := w.dues.Scan(context.Background(), store.Place{Partition: p}, "", "", 1)
	if err != nil {
		w.t.Fatal(err)
	}
	return len(rows) > 0
}

// A batch of expiries is few commits, and a race that is lost is none or few.
func TestASweepCostsFewCommits(t *testing.T) {
	w := build(t, 1, 1)
	w.settleDown(1000)
	w.clock.Advance(idle)
	w.commits.Store(0)
	if _, err := w.sweeper(0).round(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := w.commits.Load(); n > 1000/together+4 || len(w.endings()) != 1000 {
		t.Errorf("%d commits for %d ends", n, len(w.endings()))
	}
}

// What a rival has taken from under us is not fought over.
func TestALostRaceIsCheap(t *testing.T) {
	w := build(t, 1, 1)
	w.settleDown(batch)
	w.clock.Advance(idle)
	loser := w.sweeper(0)
	rows, err := w.dues.Scan(t.Context(), store.Place{}, "", "", batch)
	if err != nil {
		t.Fatal(err)
	}
	ripe, _ := loser.ripe(rows, w.clock.Now(), &tally{})
	if _, err := w.sweeper(0).round(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.commits.Store(0)
	got, err := loser.settle(t.Context(), ripe, w.clock.Now(), false)
	if err != nil || got.done != 0 || got.failed != 0 || got.lost == 0 {
		t.Errorf("%+v, %v", got, err)
	}
	if n := w.commits.Load(); n != 0 || len(w.endings()) != batch {
		t.Errorf("%d commits of the loser, %d ends", n, len(w.endings()))
	}
}

// A commit of many sessions of which one has just been used ends the others.
func TestOneConflictDoesNotKeepTheOthers(t *testing.T) {
	w := build(t, 1, 1)
	all := w.settleDown(together)
	busy := all[3].Session
	var once sync.Once
	w.Manager = w.node(func(o *Options) {
		o.Plan = func(ctx context.Context, c federation.Change) ([]store.Op, error) {
			if c.Session.ID != busy.ID { // the moment before the commit
				once.Do(func() {
					row, err := w.sessions.Get(ctx, w.org.Place, busy.ID)
					if err != nil {
						t.Error(err)
					}
					row.Value.Active = w.clock.Now()
					if _, err := w.eng.Commit(ctx, w.sessions.Replace(w.org.Place, busy.ID, row.Value, row.Version, time.Time{})); err != nil {
						t.Error(err)
					}
				})
			}
			return w.record(ctx, c)
		}
	})
	w.clock.Advance(idle)
	for range 2 {
		if _, err := w.sweeper(0).round(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if ends := w.endings(); len(ends) != together-1 || len(ends[busy.AuditID]) != 0 || w.left() != 1 {
		t.Errorf("%d ends, %d left", len(ends), w.left())
	}
}

// One partition that does not answer keeps no other from being swept.
func TestASlowPartitionDelaysNoOther(t *testing.T) {
	w := build(t, 4, 16)
	w.settleDown(64)
	w.clock.Advance(idle)
	stuck := stuckEngine{Engine: w.eng, partition: w.tenants[0].Place.Partition}
	node := w.node(func(o *Options) { o.Engine = stuck })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- node.Run(ctx) }()
	held := 0
	for _, org := range w.tenants {
		if org.Place.Partition == stuck.partition {
			held += 4
		}
	}
	var after store.Position
	for p := range w.layout.Partitions {
		for store.Partition(p) != stuck.partition && w.remain(store.Partition(p)) {
			entries, err := w.eng.ReadLog(t.Context(), store.Partition(p), after, 1000, 50*time.Millisecond)
			if err != nil {
				t.Fatal(err)
			}
			if len(entries) > 0 {
				after = entries[len(entries)-1].Position
			}
		}
		after = store.Position{}
	}
	if n := len(w.endings()); n != 64-held {
		t.Errorf("%d ends, %d held", n, held)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// stuckEngine never answers about one partition's due times.
type stuckEngine struct {
	store.Engine
	partition store.Partition
}

func (s stuckEngine) Scan(ctx context.Context, r store.Range) ([]store.Record, error) {
	if r.Partition == s.partition {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return s.Engine.Scan(ctx, r)
}
