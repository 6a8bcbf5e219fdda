package hook

import (
	"errors"
	"sync"
	"time"
)

// Breaker says when a failing service is left alone: once Share of at least
// MinCalls calls within Window failed, no call is made for Rest; then one call
// is let through, and its outcome decides.
type Breaker struct {
	Share    float64       // 0 is 0.5
	MinCalls int           // 0 is 20
	Window   time.Duration // 0 is 30 s
	Rest     time.Duration // 0 is 10 s
}

func (b Breaker) check() error {
	if b.Share < 0 || b.Share > 1 || b.MinCalls < 0 || b.Window < 0 || b.Rest < 0 {
		return errors.New("breaker: share must be from 0 to 1, the rest not negative")
	}
	return nil
}

func (b Breaker) orDefault() Breaker {
	if b.Share == 0 {
		b.Share = 0.5
	}
	if b.MinCalls == 0 {
		b.MinCalls = 20
	}
	if b.Window == 0 {
		b.Window = 30 * time.Second
	}
	if b.Rest == 0 {
		b.Rest = 10 * time.Second
	}
	return b
}

// BreakerState is what a breaker does with the next call, on this node.
type BreakerState string

// The states.
const (
	Closed   BreakerState = "closed"    // calls are made
	Open     BreakerState = "open"      // no call is made
	HalfOpen BreakerState = "half_open" // one call is let through, or is under way
)

const parts = 30 // of the window; a call is forgotten with the part it fell into

// breaker is the state: closed while openUntil is zero, open before it, half
// open from then on.
type breaker struct {
	Breaker
	mu         sync.Mutex
	tally      [parts]count
	openUntil  time.Time
	probing    bool
	generation int // of the state: a verdict about an earlier one is worth nothing
}

type count struct {
	part        int64
	calls, sick int
}

// pass is the leave to make one call. Exactly one of done and forget ends it.
type pass struct {
	b          *breaker
	generation int
}

// enter grants a pass, or says that the service is to be left alone.
func (b *breaker) enter(now time.Time) (pass, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.openUntil.IsZero() {
		if now.Before(b.openUntil) || b.probing {
			return pass{}, false
		}
		b.probing = true
	}
	return pass{b, b.generation}, true
}

// state is what the next call would meet.
func (b *breaker) state(now time.Time) BreakerState {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.openUntil.IsZero():
		return Closed
	case now.Before(b.openUntil):
		return Open
	}
	return HalfOpen
}

// done reports how the call ended.
func (p pass) done(now time.Time, sick bool) {
	b := p.b
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case p.generation != b.generation: // the call began before the state changed
	case !b.openUntil.IsZero():
		if sick {
			b.open(now)
		} else {
			b.turn(time.Time{})
		}
	case b.failing(now, sick):
		b.open(now)
	}
}

// forget ends a pass that says nothing about the service.
func (p pass) forget() {
	p.b.mu.Lock()
	defer p.b.mu.Unlock()
	if p.generation == p.b.generation {
		p.b.probing = false
	}
}

func (b *breaker) open(now time.Time) { b.turn(now.Add(b.Rest)) }

func (b *breaker) turn(openUntil time.Time) {
	b.openUntil = openUntil
	b.probing = false
	b.generation++
	b.tally = [parts]count{}
}

// failing counts a call and reports whether the window now holds too many sick ones.
func (b *breaker) failing(now time.Time, sick bool) bool {
	current := now.UnixNano() / max(1, int64(b.Window)/parts)
	here := &b.tally[((current%parts)+parts)%parts]
	if here.part != current {
		*here = count{part: current}
	}
	here.calls++
	if sick {
		here.sick++
	}
	var calls, failed int
	for _, c := range b.tally {
		if c.part > current-parts {
			calls += c.calls
			failed += c.sick
		}
	}
	return calls >= b.MinCalls && float64(failed) >= b.Share*float64(calls)
}
