package wire

import (
	"container/list"
	"errors"
	"sync"
	"time"
)

// LimiterOptions say how much is too much.
type LimiterOptions struct {
	// Burst is how often a key may be used at once, at least 1.
	Burst int
	// Every is how long it takes until a key may be used once more.
	Every time.Duration
	// Keys is how many keys are remembered, at least 1; beyond that those that
	// were not used for the longest time are forgotten.
	Keys int
	// Now is the clock.
	Now func() time.Time
}

// Limiter counts uses per key in bounded memory. It may be used concurrently.
// A key that has had its rest takes no room.
type Limiter struct {
	o     LimiterOptions
	mu    sync.Mutex
	order *list.List // of *use, the one not used for the longest time first
	uses  map[string]*list.Element
}

// use says when the key will have had its whole rest.
type use struct {
	key  string
	full time.Time
}

// NewLimiter makes a limiter that has seen nothing yet.
func NewLimiter(o LimiterOptions) (*Limiter, error) {
	if o.Burst < 1 || o.Every <= 0 || o.Keys < 1 || o.Now == nil {
		return nil, errors.New("wire: a limiter needs a burst, an interval, room for keys and a clock")
	}
	return &Limiter{o: o, order: list.New(), uses: make(map[string]*list.Element)}, nil
}

// Take uses a key once. When it was used too often nothing is counted, and the
// answer is how long to wait; otherwise zero.
func (l *Limiter) Take(key string) time.Duration { return l.spend(key, 1) }

// Wait is what Take would answer, without using the key.
func (l *Limiter) Wait(key string) time.Duration { return l.spend(key, 0) }

// Keys is how many keys are remembered now.
func (l *Limiter) Keys() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forget(l.o.Now())
	return len(l.uses)
}

func (l *Limiter) spend(key string, n int) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.o.Now()
	l.forget(now)
	full := now
	if e := l.uses[key]; e != nil && e.Value.(*use).full.After(now) {
		full = e.Value.(*use).full
	}
	room := time.Duration(l.o.Burst-1) * l.o.Every
	if wait := full.Sub(now) - room; wait > 0 {
		return wait
	}
	if n > 0 {
		l.note(key, full.Add(l.o.Every))
	}
	return 0
}

func (l *Limiter) note(key string, full time.Time) {
	if e := l.uses[key]; e != nil {
		e.Value.(*use).full = full
		l.order.MoveToBack(e)
		return
	}
	if len(l.uses) == l.o.Keys {
		l.remove(l.order.Front())
	}
	l.uses[key] = l.order.PushBack(&use{key: key, full: full})
}

// forget drops, from the oldest on, what has had its rest. It looks at few, so
// that no call pays for the many.
func (l *Limiter) forget(now time.Time) {
	for range 8 {
		e := l.order.Front()
		if e == nil || e.Value.(*use).full.After(now) {
			return
		}
		l.remove(e)
	}
}

func (l *Limiter) remove(e *list.Element) {
	delete(l.uses, e.Value.(*use).key)
	l.order.Remove(e)
}
