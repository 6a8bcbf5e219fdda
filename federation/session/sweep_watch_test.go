package session

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

// flaky is an engine that a test can take away from one node.
type flaky struct {
	store.Engine
	away *atomic.Bool
}

var errAway = errors.New("no route to the store")

func (f flaky) Get(ctx context.Context, k store.Key) (store.Record, error) {
	if f.away.Load() {
		return store.Record{}, errAway
	}
	return f.Engine.Get(ctx, k)
}

func (f flaky) GetAll(ctx context.Context, keys ...store.Key) ([]store.Record, error) {
	if f.away.Load() {
		return nil, errAway
	}
	return f.Engine.GetAll(ctx, keys...)
}

func (f flaky) Scan(ctx context.Context, r store.Range) ([]store.Record, error) {
	if f.away.Load() {
		return nil, errAway
	}
	return f.Engine.Scan(ctx, r)
}

// nodeAt is a node with clocks of its own over the house's store, that sweeps
// and looks after the pulse when it is told to.
type nodeAt struct {
	*sweeper
	h    *house
	mono time.Duration
	away atomic.Bool
	log  bytes.Buffer
}

func (h *house) node() *nodeAt {
	h.t.Helper()
	n := &nodeAt{h: h}
	m := h.manager(func(o *Options) {
		o.Engine = flaky{Engine: h.eng, away: &n.away}
		o.Monotonic = func() time.Duration { return n.mono }
		o.Log = slog.New(slog.NewTextHandler(&n.log, nil))
	})
	n.sweeper = m.sweeper(0)
	return n
}

// pass lets time go by for nodes, in steps of a beat.
func pass(h *house, d time.Duration, nodes ...*nodeAt) {
	h.t.Helper()
	for ; d > 0; d -= beatEvery {
		step := min(d, beatEvery)
		h.clock.Advance(step)
		for _, n := range nodes {
			n.mono += step
			n.turn()
		}
	}
}

// turn is what Run does at a beat.
func (n *nodeAt) turn() {
	n.h.t.Helper()
	if _, err := n.watch.beat(n.h.t.Context()); (err != nil) != n.away.Load() {
		n.h.t.Fatalf("beat: %v", err)
	}
	n.sweepOnce()
}

func (n *nodeAt) sweepOnce() {
	n.h.t.Helper()
	if _, err := n.round(n.h.t.Context()); (err != nil) != n.away.Load() {
		n.h.t.Fatalf("round: %v", err)
	}
}

// A clock that jumps ends nobody's session, whoever notices first, and those
// that go on being idle end when their time has really passed.
func TestAJumpOfTheClockEndsNothing(t *testing.T) {
	for name, first := range map[string]func(*nodeAt){
		"the pulse": (*nodeAt).turn,
		"the sweep": (*nodeAt).sweepOnce,
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			a, b := h.node(), h.node()
			a.turn()
			b.turn()
			began := h.clock.Now()
			h.crowd(20, "ada")
			pass(h, idle/3, a, b)
			h.clock.Advance(24 * time.Hour) // longer than any session may live
			first(a)
			pass(h, idle/3, a, b)
			if ends := h.ends(); len(ends) != 0 {
				t.Fatalf("%d ends", len(ends))
			}
			if n := strings.Count(a.log.String(), "level=ERROR"); n != 1 || b.log.Len() != 0 {
				t.Errorf("logged %q and %q", a.log.String(), b.log.String())
			}
			pass(h, idle/3+beatEvery, a, b)
			ends := h.ends()
			if len(ends) != 20 || h.leftovers() != 0 {
				t.Fatalf("%d ends, %d records", len(ends), h.leftovers())
			}
			for _, e := range ends {
				if e.Detected.Sub(began) < 24*time.Hour+idle {
					t.Errorf("ended after %v", e.Detected.Sub(began))
				}
			}
		})
	}
}

// After a clock that went ahead is set right again, whoever comes is judged by
// what is right. The sweeper comes to what it had put off when it had meant to.
func TestAClockThatIsSetBack(t *testing.T) {
	h := open(t)
	a := h.node()
	a.turn()
	st := h.begin("ada")
	h.clock.Advance(10 * time.Hour)
	pass(h, time.Minute, a)
	h.clock.Advance(-10 * time.Hour)
	pass(h, idle-time.Minute-time.Second, a)
	if s, err := a.m.forgiven(t.Context(), h.org.Place, st.Session); err != nil || over(s, h.clock.Now()) {
		t.Errorf("before its time: over, %v", err)
	}
	h.clock.Advance(time.Second)
	if s, err := a.m.forgiven(t.Context(), h.org.Place, st.Session); err != nil || !over(s, h.clock.Now()) {
		t.Errorf("when its time has come: not over, %v", err)
	}
	pass(h, 10*time.Hour+4*beatEvery, a)
	if ends := h.ends(); len(ends) != 1 || !ends[0].At.Equal(st.Session.Began.Add(idle)) || h.leftovers() != 0 {
		t.Errorf("ends %+v, %d records", ends, h.leftovers())
	}
}

// Nobody was there, or the store was not: idle time stood still.
func TestIdleTimeStandsStillWhileNobodyCouldBeActive(t *testing.T) {
	for name, gone := range map[string]func(h *house, a *nodeAt) (back *nodeAt){
		"the store was away": func(h *house, a *nodeAt) *nodeAt {
			a.away.Store(true)
			pass(h, 2*time.Hour, a)
			a.away.Store(false)
			return a
		},
		"the process was suspended": func(h *house, a *nodeAt) *nodeAt {
			h.clock.Advance(2 * time.Hour)
			a.mono += 2 * time.Hour
			return a
		},
		"the process was down": func(h *house, _ *nodeAt) *nodeAt {
			h.clock.Advance(2 * time.Hour)
			return h.node()
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			a := h.node()
			a.turn()
			st := h.begin("ada")
			pass(h, idle/2, a)
			a = gone(h, a)
			// A request comes before anybody has looked.
			s, err := a.m.forgiven(t.Context(), h.org.Place, st.Session)
			if err != nil || over(s, h.clock.Now()) {
				t.Errorf("for a request: over, %v", err)
			}
			a.sweepOnce()
			if n := strings.Count(a.log.String(), "level=WARN"); n != 1 {
				t.Errorf("logged %q", a.log.String())
			}
			pass(h, idle/2-2*beatEvery, a)
			if ends := h.ends(); len(ends) != 0 {
				t.Fatalf("%d ends", len(ends))
			}
			pass(h, 4*beatEvery, a)
			ends := h.ends()
			if len(ends) != 1 || ends[0].Cause != federation.IdleTimeout || ends[0].At.Sub(st.Session.Began) < idle+2*time.Hour {
				t.Errorf("ends %+v", ends)
			}
		})
	}
}

// A node that was cut off alone says so; one that was suspended alone does not.
func TestWhatOneNodeMissed(t *testing.T) {
	h := open(t)
	a, b := h.node(), h.node()
	pass(h, time.Minute, a, b)
	st := h.begin("ada")
	pass(h, 20*time.Minute, a) // b does not run, its monotonic clock neither
	b.turn()
	if b.log.Len() != 0 {
		t.Fatalf("suspended alone: %s", b.log.String())
	}
	b.away.Store(true)
	pass(h, 8*time.Minute, a, b)
	b.away.Store(false)
	pass(h, 4*time.Minute, a, b)
	if ends := h.ends(); len(ends) != 0 {
		t.Fatal("ended although b could not say that it was active")
	}
	if n := strings.Count(b.log.String(), "could not be recorded"); n != 1 || a.log.Len() != 0 {
		t.Errorf("logged %q and %q", a.log.String(), b.log.String())
	}
	pass(h, 8*time.Minute, a, b)
	if ends := h.ends(); len(ends) != 1 || ends[0].At.Sub(st.Session.Began) > idle+9*time.Minute {
		t.Errorf("ends %+v", ends)
	}
}

// The maximum is a promise to those who trust in it: the store's absence does
// not extend it.
func TestTheMaximumIsNotExtendedByAnOutage(t *testing.T) {
	h := open(t)
	a := h.node()
	a.turn()
	st := h.begin("ada")
	h.clock.Advance(most + time.Hour)
	a.mono += most + time.Hour
	if s, err := a.m.forgiven(t.Context(), h.org.Place, st.Session); err != nil || !over(s, h.clock.Now()) {
		t.Errorf("for a request: not over, %v", err)
	}
	a.sweepOnce()
	if ends := h.ends(); len(ends) != 1 || ends[0].Cause != federation.MaxTimeout {
		t.Errorf("ends %+v", ends)
	}
}

// Nothing is swept while the pulse cannot be kept: who is idle is not known.
func TestNoSweepWithoutAPulse(t *testing.T) {
	h := open(t)
	a := h.node()
	a.turn()
	h.begin("ada")
	pass(h, idle-beatEvery, a)
	a.away.Store(true)
	pass(h, 10*time.Minute, a)
	if ends := h.ends(); len(ends) != 0 {
		t.Errorf("%d ends", len(ends))
	}
}

// What a pulse costs when all is well: one write of one node in a beat.
func TestTheNodesShareOnePulse(t *testing.T) {
	h := open(t)
	nodes := []*nodeAt{h.node(), h.node(), h.node()}
	pass(h, time.Minute, nodes...)
	before, err := nodes[0].watch.read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	pass(h, 10*beatEvery, nodes...)
	after, err := nodes[0].watch.read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n := after.Version - before.Version; n != 10 {
		t.Errorf("%d writes in ten beats of three nodes", n)
	}
}

// The node that leads a partition sweeps at once. The others leave it what is
// fresh, and take what it has not dealt with in time.
func TestOthersHelpTheOneThatLeads(t *testing.T) {
	h := open(t)
	a, b := h.node(), h.node()
	a.turn()
	b.turn()
	if !a.watch.leads() || b.watch.leads() {
		t.Fatal("who comes first leads")
	}
	h.crowd(300, "ada")
	pass(h, idle-time.Millisecond, a)
	h.clock.Advance(time.Millisecond)
	b.sweepOnce()
	if n := len(h.ends()); n != 0 {
		t.Errorf("%d ends by one that does not lead", n)
	}
	h.clock.Advance(yield)
	for range 4 {
		b.sweepOnce()
	}
	if n := len(h.ends()); n < batch || b.watch.leads() {
		t.Errorf("%d ends by one that helps", n)
	}
	a.sweepOnce()
	if n := len(h.ends()); n != 300 || h.leftovers() != 0 {
		t.Errorf("%d ends, %d records", n, h.leftovers())
	}
	pass(h, time.Minute, b) // a is gone: the pulse passes to b
	if !b.watch.leads() {
		t.Error("nobody leads")
	}
}

// A node that stops gives the lead back: nobody waits for its next beat.
func TestALeaderThatStopsIsFollowedAtOnce(t *testing.T) {
	h := open(t)
	a, b := h.node(), h.node()
	a.turn()
	b.turn()
	h.crowd(40, "ada")
	pass(h, idle-time.Millisecond, a)
	a.watch.resign(t.Context())
	h.clock.Advance(time.Millisecond + yield)
	b.sweepOnce()
	if n := len(h.ends()); n != 40 || !b.watch.leads() {
		t.Errorf("%d ends, b leads: %v", n, b.watch.leads())
	}
	before, err := b.watch.read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	a.watch.resign(t.Context()) // it thinks that it leads, and does not any more
	if after, err := b.watch.read(t.Context()); err != nil || after.Version != before.Version {
		t.Errorf("the lead of another was given back: %v", err)
	}
}
