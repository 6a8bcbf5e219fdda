package delivery

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/sessionhooks"
)

const (
	// feedDepth is how many of the newest events a feed keeps.
	feedDepth = 2048
	// feedWait is how long a feed waits for an event before it asks again.
	feedWait = 10 * time.Second
)

// feed reads a partition's log once for all its streams, and keeps the newest
// events. A stream that is further behind reads by itself until it has caught up.
type feed struct {
	log *sessionhooks.Log
	p   store.Partition

	mu sync.Mutex
	// from is the position after which events are, all that there are.
	from  store.Position
	known bool
	// events have no gap, oldest first.
	events []sessionhooks.Stored
	news   chan struct{}
}

func newFeed(eng store.Engine, p store.Partition) *feed {
	return &feed{log: sessionhooks.NewLog(eng, nil, 0), p: p, news: make(chan struct{})}
}

// run follows the log until ctx ends.
func (f *feed) run(ctx context.Context, eng store.Engine) {
	var after store.Position
	for known := false; ctx.Err() == nil; {
		if !known {
			newest, err := sessionhooks.Newest(ctx, eng, f.p)
			if err != nil {
				rest(ctx, idleWait)
				continue
			}
			after, known = newest, true
			f.begin(after)
		}
		events, err := f.log.Read(ctx, f.p, after, 1000, feedWait)
		switch {
		case errors.Is(err, store.ErrTrimmed):
			known = false
		case err != nil:
			known = false // what is there may not be what was there
			f.forget()
			rest(ctx, idleWait)
		case len(events) > 0:
			after = events[len(events)-1].Position
			f.add(events)
		}
	}
}

// begin starts anew, with nothing after a position; who waits looks again.
func (f *feed) begin(from store.Position) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.from, f.known, f.events = from, true, nil
	f.ring()
}

// forget makes streams read by themselves.
func (f *feed) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.known = false
}

func (f *feed) add(events []sessionhooks.Stored) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = append(f.events, events...)
	if over := len(f.events) - feedDepth; over > feedDepth {
		f.from = f.events[over-1].Position
		f.events = append([]sessionhooks.Stored(nil), f.events[over:]...)
	}
	f.ring()
}

func (f *feed) ring() {
	close(f.news)
	f.news = make(chan struct{})
}

// after is up to n events after a position, and what rings when there are more.
// Known is false where the feed does not go back so far.
func (f *feed) after(at store.Position, n int) (events []sessionhooks.Stored, news <-chan struct{}, known bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.known || at.Compare(f.from) < 0 {
		return nil, f.news, false
	}
	low, high := 0, len(f.events)
	for low < high {
		if mid := (low + high) / 2; f.events[mid].Position.Compare(at) <= 0 {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return f.events[low:min(low+n, len(f.events))], f.news, true
}
