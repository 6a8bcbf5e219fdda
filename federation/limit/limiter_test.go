package limit_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/limit"
	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/boltstore"
)

// house is a store and the clock of those who use it.
type house struct {
	t      testing.TB
	engine *engine
	at     atomic.Int64
}

// engine counts commits, and can be down.
type engine struct {
	store.Engine
	commits atomic.Int64
	down    atomic.Bool
	// lost: the next commit stands, and its answer is lost.
	lost atomic.Bool
}

func (e *engine) Commit(ctx context.Context, ops ...store.Op) (store.Version, error) {
	if e.down.Load() {
		return 0, store.ErrUnavailable
	}
	e.commits.Add(1)
	v, err := e.Engine.Commit(ctx, ops...)
	if e.lost.CompareAndSwap(true, false) {
		return 0, store.ErrUnknown
	}
	return v, err
}

func open(t testing.TB) *house {
	t.Helper()
	h := &house{t: t}
	h.at.Store(time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC).UnixNano())
	eng, err := boltstore.Open(boltstore.Options{Path: filepath.Join(t.TempDir(), "drawbridge.db"), Now: h.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := eng.Close(); err != nil {
			t.Error(err)
		}
	})
	h.engine = &engine{Engine: eng}
	return h
}

func (h *house) now() time.Time          { return time.Unix(0, h.at.Load()) }
func (h *house) advance(d time.Duration) { h.at.Add(int64(d)) }

// node is one more that counts over the store.
func (h *house) node(keys int) *limit.Limiter {
	h.t.Helper()
	l, err := limit.New(limit.Options{Engine: h.engine, Now: h.now, Keys: keys, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		h.t.Fatal(err)
	}
	return l
}

func flush(t testing.TB, nodes ...*limit.Limiter) {
	t.Helper()
	for _, l := range nodes {
		if err := l.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// records are those in the store.
func (h *house) records() []store.Record {
	h.t.Helper()
	all, err := h.engine.Scan(h.t.Context(), store.Range{Kind: "limit", Limit: 5000})
	if err != nil {
		h.t.Fatal(err)
	}
	return all
}

func use(who string, n int) limit.Use {
	return limit.Use{At: store.Place{Tenant: "default"}, What: "token address", Who: who, Rate: limit.Rate{N: n, Per: time.Minute}}
}

// take uses as often as it may, at most so often.
func take(l *limit.Limiter, u limit.Use, most int) int {
	for n := range most {
		if l.Take(u).Wait > 0 {
			return n
		}
	}
	return most
}

func TestALimitIsKept(t *testing.T) {
	h := open(t)
	l, u := h.node(10), use("192.0.2.1", 5)
	h.advance(20 * time.Second)
	if n := take(l, u, 100); n != 5 {
		t.Errorf("%d went through", n)
	}
	other, tenant, deed := use("192.0.2.2", 5), u, u
	tenant.At.Tenant, deed.What = "acme", "authorize address"
	for _, free := range []limit.Use{other, tenant, deed} {
		if l.Take(free).Wait != 0 {
			t.Errorf("%+v was counted as another", free)
		}
	}
	if off := (limit.Use{Who: "192.0.2.1"}); take(l, off, 1000) != 1000 {
		t.Error("no rate is a limit")
	}
}

// TestTheWaitIsTrue: a moment before its end it is too early, then it is not.
func TestTheWaitIsTrue(t *testing.T) {
	for _, into := range []time.Duration{0, time.Nanosecond, 17 * time.Second, time.Minute - time.Nanosecond} {
		h := open(t)
		l, u := h.node(10), use("192.0.2.1", 2)
		h.advance(into)
		take(l, u, 2)
		first, again := l.Take(u), l.Take(u)
		if want := time.Minute - into; first.Wait != want || again.Wait != want {
			t.Errorf("%v into the window: wait %v and %v", into, first.Wait, again.Wait)
		}
		if !first.First || again.First {
			t.Errorf("first: %v, %v", first.First, again.First)
		}
		h.advance(first.Wait - time.Nanosecond)
		if l.Take(u).Wait != time.Nanosecond {
			t.Error("the window ended early")
		}
		h.advance(time.Nanosecond)
		if n := take(l, u, 10); n != 2 {
			t.Errorf("%d in the next window", n)
		}
	}
}

func TestLookingIsNoUse(t *testing.T) {
	h := open(t)
	l, u := h.node(10), use("192.0.2.1", 1)
	for range 10 {
		if l.Look(u).Wait != 0 {
			t.Fatal("looking was counted")
		}
	}
	if l.Keys() != 0 {
		t.Error("looking takes room")
	}
	l.Take(u)
	if l.Look(u).Wait == 0 {
		t.Error("looking does not see the limit")
	}
}

func TestNodesAgree(t *testing.T) {
	h := open(t)
	a, b, u := h.node(10), h.node(10), use("192.0.2.1", 100)
	if n := take(a, u, 60); n != 60 {
		t.Fatal(n)
	}
	flush(t, a, b)
	if n := take(b, u, 25); n != 25 {
		t.Fatal(n)
	}
	flush(t, b) // it told of 25, and learned of 60
	if n := take(b, u, 100); n != 15 {
		t.Errorf("the second node let %d more through", n)
	}
	flush(t, b)
	a.Take(u)
	flush(t, a)
	if n := take(a, u, 100); n != 0 {
		t.Errorf("the first node let %d more through", n)
	}
	if len(h.records()) != 1 {
		t.Errorf("%d records", len(h.records()))
	}
	h.advance(2 * time.Minute)
	if len(h.records()) != 0 {
		t.Error("the record outlives its window")
	}
	if take(a, u, 100) != 100 {
		t.Error("the next window is not new")
	}
}

// TestOvershootIsBounded: what the package says of several nodes.
func TestOvershootIsBounded(t *testing.T) {
	h := open(t)
	u, through := use("192.0.2.1", 100), 0
	nodes := make([]*limit.Limiter, 5)
	for i := range nodes {
		nodes[i] = h.node(10)
	}
	for range 200 { // a use on each, told at once
		for _, l := range nodes {
			through += take(l, u, 1)
			flush(t, l)
		}
	}
	if most := 100 + len(nodes)*25; through > most || through < 100 {
		t.Errorf("%d went through, at most %d should", through, most)
	}
}

// TestTheUnusualAloneIsStored: a hundred thousand who do little cost nothing.
func TestTheUnusualAloneIsStored(t *testing.T) {
	h := open(t)
	l := h.node(1000)
	for i := range 100_000 {
		l.Take(use(fmt.Sprint(i%5000), 300))
		if i%1000 == 0 {
			flush(t, l)
		}
	}
	flush(t, l)
	if h.engine.commits.Load() != 0 || len(h.records()) != 0 {
		t.Errorf("%d commits", h.engine.commits.Load())
	}
	take(l, use("much", 300), 74)
	flush(t, l)
	if len(h.records()) != 0 {
		t.Error("stored below a quarter")
	}
	take(l, use("much", 300), 1000)
	flush(t, l)
	flush(t, l)
	take(l, use("much", 300), 1000)
	flush(t, l)
	if h.engine.commits.Load() != 1 || len(h.records()) != 1 {
		t.Errorf("%d commits for one counter that was told of once", h.engine.commits.Load())
	}
	for _, r := range h.records() {
		if strings.Contains(r.Key.ID+string(r.Value), "much") {
			t.Errorf("the record names who: %s %s", r.Key.ID, r.Value)
		}
	}
}

func TestMemoryIsBounded(t *testing.T) {
	h := open(t)
	const room = 1000
	l := h.node(room)
	busy := use("busy", 10)
	for i := range 1_000_000 {
		l.Take(use(fmt.Sprintf("2001:db8:%x:%x::/64", i>>16, i&0xffff), 1))
		if i%500 == 0 {
			l.Take(busy)
		}
	}
	if n := l.Keys(); n > room {
		t.Errorf("%d keys", n)
	}
	if l.Take(busy).Wait == 0 {
		t.Error("who goes on is forgotten because of the others")
	}
	flush(t, l)
	if n := len(h.records()); n > limit.FlushMost {
		t.Errorf("%d records of one flush", n)
	}
	h.advance(time.Minute)
	for i := range room {
		l.Take(use(fmt.Sprint("later", i%3), 10_000))
	}
	if n := l.Keys(); n != 3 {
		t.Errorf("%d keys are left of a window that has ended", n)
	}
	long := use(strings.Repeat("x", 1<<20), 1)
	if l.Take(long).Wait != 0 || l.Take(long).Wait == 0 {
		t.Error("a long name is not counted")
	}
}

// TestWithoutTheStore: each node counts for itself, and tells later.
func TestWithoutTheStore(t *testing.T) {
	h := open(t)
	a, b, u := h.node(10), h.node(10), use("192.0.2.1", 100)
	h.engine.down.Store(true)
	take(a, u, 60)
	if err := a.Flush(t.Context()); !errors.Is(err, store.ErrUnavailable) {
		t.Fatal(err)
	}
	if n := take(a, u, 100); n != 40 {
		t.Errorf("%d more went through", n)
	}
	if n := take(b, u, 30); n != 30 {
		t.Errorf("the other node let %d through", n)
	}
	h.engine.down.Store(false)
	flush(t, a, b)
	if n := take(b, u, 100); n != 0 {
		t.Errorf("the other node let %d through after it was told", n)
	}
}

// TestALostAnswerIsNotCountedTwice: what is told is a sum, not a difference.
func TestALostAnswerIsNotCountedTwice(t *testing.T) {
	h := open(t)
	a, b, u := h.node(10), h.node(10), use("192.0.2.1", 100)
	take(a, u, 50)
	h.engine.lost.Store(true)
	if err := a.Flush(t.Context()); !errors.Is(err, store.ErrUnknown) {
		t.Fatal(err)
	}
	flush(t, a)
	take(b, u, 25)
	flush(t, b)
	if n := take(b, u, 100); n != 25 {
		t.Errorf("%d more went through, of 25", n)
	}
}

func TestManyAtOnce(t *testing.T) {
	h := open(t)
	nodes := []*limit.Limiter{h.node(100), h.node(100)}
	var through, refused, first atomic.Int64
	var wg sync.WaitGroup
	for i := range 16 {
		l := nodes[i%2]
		wg.Go(func() {
			for n := range 500 {
				v := l.Take(use("192.0.2.1", 1000))
				if v.Wait == 0 {
					through.Add(1)
				} else {
					refused.Add(1)
				}
				if v.First {
					first.Add(1)
				}
				l.Take(use(fmt.Sprint(i, n), 3))
				if n%50 == 0 {
					if err := l.Flush(t.Context()); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	if got := through.Load(); got < 1000 || got > 2000 || got+refused.Load() != 8000 {
		t.Errorf("%d went through", got)
	}
	if first.Load() != 2 {
		t.Errorf("%d were the first to be refused, on two nodes", first.Load())
	}
}

func TestFlushesAreBounded(t *testing.T) {
	h := open(t)
	l := h.node(10_000)
	for i := range 2500 {
		l.Take(use(fmt.Sprint(i), 1))
	}
	for _, want := range []int{limit.FlushMost, 2 * limit.FlushMost, 2500, 2500} {
		flush(t, l)
		if n := len(h.records()); n != want {
			t.Errorf("%d records, want %d", n, want)
		}
	}
}

func TestNetworks(t *testing.T) {
	for given, want := range map[string]string{
		"192.0.2.7": "192.0.2.7", "::ffff:192.0.2.7": "192.0.2.7", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
		"2001:db8:1:2::": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64",
	} {
		if got := limit.Network(netip.MustParseAddr(given)); got != want {
			t.Errorf("%s: %s, want %s", given, got, want)
		}
	}
	if got := limit.Network(netip.Addr{}); got != "" {
		t.Errorf("no address is %q", got)
	}
}

func TestRunTells(t *testing.T) {
	h := open(t)
	l := h.node(10)
	take(l, use("192.0.2.1", 10), 10)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- l.Run(ctx) }()
	for deadline := time.Now().Add(10 * time.Second); len(h.records()) == 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nothing was told")
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestEveryPartIsNeeded(t *testing.T) {
	if _, err := limit.New(limit.Options{}); err == nil {
		t.Error("made of nothing")
	}
}

// BenchmarkTake is what a request pays that is far from every limit.
func BenchmarkTake(b *testing.B) {
	h := open(b)
	l := h.node(1 << 16)
	who := make([]string, 10_000)
	for i := range who {
		who[i] = fmt.Sprintf("192.0.%d.%d", i/256, i%256)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		l.Take(use(who[i%len(who)], 1<<30))
	}
}
