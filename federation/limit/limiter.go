package limit

import (
	"crypto/rand"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// near is the part of a limit, as one of so many, from which on the store is told.
const near = 4

// Options are what a Limiter is made of; all are required.
type Options struct {
	Engine store.Engine
	// Now is the clock that windows go by.
	Now func() time.Time
	// Keys is how many counters are remembered, at least 1.
	Keys int
	Log  *slog.Logger
}

// Use is something done.
type Use struct {
	// At is the tenant's home.
	At store.Place
	// What is done, and by whom: counters with the same two are the same.
	What, Who string
	Rate      Rate
}

// Verdict says whether a use may go ahead.
type Verdict struct {
	// Wait is how long it takes until it may; zero is now.
	Wait time.Duration
	// First says that nobody was told so before in this window, on this node.
	First bool
}

// Limiter counts uses. It may be used concurrently.
type Limiter struct {
	o     Options
	node  string
	table *store.Table[told]

	mu       sync.Mutex
	counters map[key]*counter
	// ring is the counters in the order of their last use: next of it is the one
	// not used for the longest time, prev the one used last.
	ring counter
	// hot are those that the store is to be told of.
	hot map[key]struct{}
}

// key is a counter's name.
type key struct {
	at        store.Place
	what, who string
	per       time.Duration
}

// counter is what is known of one window.
type counter struct {
	key        key
	ends       int64 // in nanoseconds since 1970
	here       int   // counted on this node
	elsewhere  int   // counted on others, as far as they told
	refused    bool
	prev, next *counter
}

// New makes a limiter that has seen nothing yet.
func New(o Options) (*Limiter, error) {
	if o.Engine == nil || o.Now == nil || o.Keys < 1 || o.Log == nil {
		return nil, errors.New("limit: an engine, a clock, room for keys and a log are needed")
	}
	l := &Limiter{o: o, node: rand.Text()[:12], table: table(o.Engine), counters: map[key]*counter{}, hot: map[key]struct{}{}}
	l.ring.prev, l.ring.next = &l.ring, &l.ring
	return l, nil
}

// Take counts a use, unless it is one too many.
func (l *Limiter) Take(u Use) Verdict { return l.spend(u, 1) }

// Look is what Take would answer, without a use.
func (l *Limiter) Look(u Use) Verdict { return l.spend(u, 0) }

// Keys is how many counters are remembered now.
func (l *Limiter) Keys() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.counters)
}

func (l *Limiter) spend(u Use, n int) Verdict {
	if u.Rate.Off() {
		return Verdict{}
	}
	now, per := l.o.Now().UnixNano(), int64(u.Rate.Per)
	ends := (now/per + 1) * per
	k := key{at: u.At, what: u.What, who: bounded(u.Who), per: u.Rate.Per}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forget(now)
	c := l.find(k, n > 0)
	if c == nil {
		return Verdict{} // nothing was done yet
	}
	if c.ends != ends {
		c.ends, c.here, c.elsewhere, c.refused = ends, 0, 0, false
	}
	if c.here+c.elsewhere >= u.Rate.N {
		first := !c.refused
		c.refused = true
		return Verdict{Wait: time.Duration(ends - now), First: first}
	}
	if c.here += n; n > 0 && c.here*near >= u.Rate.N {
		l.hot[k] = struct{}{}
	}
	return Verdict{}
}

// find is a counter, now the one used last; a new one if fresh says so.
func (l *Limiter) find(k key, fresh bool) *counter {
	c := l.counters[k]
	switch {
	case c != nil:
		c.leave()
	case !fresh:
		return nil
	default:
		if len(l.counters) >= l.o.Keys {
			l.drop(l.ring.next)
		}
		c = &counter{key: k}
		l.counters[k] = c
	}
	c.prev, c.next = l.ring.prev, &l.ring
	c.prev.next, l.ring.prev = c, c
	return c
}

// forget drops, from the oldest on, what has ended. It looks at few, so that no
// call pays for the many.
func (l *Limiter) forget(now int64) {
	for range 4 {
		c := l.ring.next
		if c == &l.ring || c.ends > now {
			return
		}
		l.drop(c)
	}
}

func (l *Limiter) drop(c *counter) {
	c.leave()
	delete(l.counters, c.key)
	delete(l.hot, c.key)
}

// leave takes the counter out of the ring.
func (c *counter) leave() { c.prev.next, c.next.prev = c.next, c.prev }
