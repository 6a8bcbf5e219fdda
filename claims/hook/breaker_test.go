package hook

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// tell makes one call that ends well or not, and reports whether it was let through.
func tell(b *breaker, at time.Time, sick bool) bool {
	leave, ok := b.enter(at)
	if ok {
		leave.done(at, sick)
	}
	return ok
}

func fresh() (*breaker, time.Time) {
	return &breaker{Breaker: Breaker{}.orDefault()}, time.Unix(1_700_000_000, 0)
}

func TestBreakerOpens(t *testing.T) {
	for name, tc := range map[string]struct {
		well, sick int
		every      time.Duration
		open       bool
	}{
		"19 failures":                   {0, 19, 0, false},
		"20 failures":                   {0, 20, 0, true},
		"half of 20":                    {10, 10, 0, true},
		"less than half":                {11, 10, 0, false},
		"nothing fails":                 {1000, 0, 0, false},
		"20 failures in a minute":       {0, 20, 3 * time.Second, false},
		"20 failures within the window": {0, 20, 1400 * time.Millisecond, true},
	} {
		b, now := fresh()
		for range tc.well {
			tell(b, now, false)
			now = now.Add(tc.every)
		}
		for range tc.sick {
			if !tell(b, now, true) {
				t.Errorf("%s: opened too early", name)
			}
			now = now.Add(tc.every)
		}
		if _, ok := b.enter(now); ok == tc.open {
			t.Errorf("%s: open: %t", name, !ok)
		}
	}
}

func opened() (*breaker, time.Time) {
	b, now := fresh()
	for range 20 {
		tell(b, now, true)
	}
	return b, now
}

func TestBreakerHalfOpens(t *testing.T) {
	b, now := opened()
	if _, ok := b.enter(now.Add(10*time.Second - 1)); ok {
		t.Fatal("rests too short")
	}
	now = now.Add(10 * time.Second)
	probe, ok := b.enter(now)
	if !ok {
		t.Fatal("never tries again")
	}
	if _, ok := b.enter(now); ok {
		t.Fatal("two probes at once")
	}
	probe.done(now, true)
	if _, ok := b.enter(now.Add(10*time.Second - 1)); ok {
		t.Fatal("a failed probe does not open it again")
	}
	now = now.Add(10 * time.Second)
	if !tell(b, now, false) {
		t.Fatal("no second probe")
	}
	for range 19 {
		if !tell(b, now, true) {
			t.Fatal("what happened before it closed still counts")
		}
	}
}

func TestBreakerForgets(t *testing.T) {
	b, now := opened()
	now = now.Add(10 * time.Second)
	probe, ok := b.enter(now)
	if !ok {
		t.Fatal("never tries again")
	}
	probe.forget()
	if _, ok := b.enter(now); !ok {
		t.Fatal("a probe that was given up blocks the next one")
	}
}

// A call that began before the breaker opened tells nothing about the time after.
func TestBreakerIgnoresLateVerdicts(t *testing.T) {
	b, now := fresh()
	late, _ := b.enter(now)
	later, _ := b.enter(now)
	for range 20 {
		tell(b, now, true)
	}
	late.done(now, false)
	if _, ok := b.enter(now); ok {
		t.Fatal("a late success closed it")
	}
	now = now.Add(10 * time.Second)
	probe, _ := b.enter(now)
	later.forget()
	if _, ok := b.enter(now); ok {
		t.Fatal("a late verdict took the probe's place")
	}
	probe.done(now, false)
	if _, ok := b.enter(now); !ok {
		t.Fatal("stays open after a good probe")
	}
}

func TestBreakerSurvivesAClockThatGoesBack(t *testing.T) {
	b, now := fresh()
	for i := range 100 {
		tell(b, now.Add(-time.Duration(i)*time.Second), false)
	}
	if !tell(b, time.Unix(-5, 0), false) {
		t.Fatal("closed for no reason")
	}
}

// However many come at once when the rest is over, one is let through; and again
// one when it failed.
func TestBreakerLetsOneProbeThrough(t *testing.T) {
	b, now := opened()
	for range 3 {
		now = now.Add(10 * time.Second)
		var through atomic.Int32
		var probe pass
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				if leave, ok := b.enter(now); ok {
					through.Add(1)
					probe = leave
				}
			})
		}
		all.Wait()
		if n := through.Load(); n != 1 {
			t.Fatalf("%d probes at once", n)
		}
		if got := b.state(now); got != HalfOpen {
			t.Fatalf("during the probe it is %s", got)
		}
		probe.done(now, true)
	}
}

func TestBreakerTellsItsState(t *testing.T) {
	b, now := fresh()
	want := func(at time.Time, want BreakerState) {
		t.Helper()
		if got := b.state(at); got != want {
			t.Errorf("it is %s, want %s", got, want)
		}
	}
	want(now, Closed)
	for range 20 {
		tell(b, now, true)
	}
	want(now, Open)
	want(now.Add(10*time.Second-1), Open)
	want(now.Add(10*time.Second), HalfOpen)
	tell(b, now.Add(10*time.Second), true)
	want(now.Add(10*time.Second), Open)
	tell(b, now.Add(20*time.Second), false)
	want(now.Add(20*time.Second), Closed)
}

// Nodes know nothing of each other's breakers.
func TestBreakersOfNodes(t *testing.T) {
	a, now := opened()
	b, _ := fresh()
	if _, ok := b.enter(now); !ok || a.state(now) != Open || b.state(now) != Closed {
		t.Fatal("one node's breaker is another's")
	}
}
