package delivery_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/sessionhooks"
	"github.com/drawbridge-id/drawbridge/sessionhooks/delivery"
)

// sink is the receiver of a stream. It holds the sender to the promise: events
// in the order of the log, the next only after this one was answered well, and
// nothing twice that was, unless forgiven.
type sink struct {
	*testing.T
	mu       sync.Mutex
	arrivals []string
	seen     map[string]bool
	done     map[string]bool
	last     store.Position
	open     string
	forgiven int
	// answer decides; n counts arrivals from 1.
	answer func(n int, s sessionhooks.Stored) delivery.Outcome
	delay  time.Duration
}

func (k *sink) send(ctx context.Context, s sessionhooks.Stored) delivery.Outcome {
	n := k.arrive(s)
	if k.delay > 0 {
		time.Sleep(k.delay)
	}
	o := ok()
	if k.answer != nil {
		o = k.answer(n, s)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if ctx.Err() == nil && o.Verdict == delivery.Delivered {
		k.done[s.Event.ID], k.open, k.last = true, "", s.Position
	}
	return o
}

func (k *sink) arrive(s sessionhooks.Stored) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.seen == nil {
		k.seen, k.done = map[string]bool{}, map[string]bool{}
	}
	id := s.Event.ID
	if k.open != "" && k.open != id {
		k.Errorf("%s overtakes %s", id, k.open)
	}
	if k.done[id] {
		if k.forgiven--; k.forgiven < 0 {
			k.Errorf("%s comes again", id)
		}
	} else if s.Position.Compare(k.last) <= 0 {
		k.Errorf("%s comes after %s", s.Position, k.last)
	}
	k.open = id
	k.seen[id] = true
	k.arrivals = append(k.arrivals, id)
	return len(k.arrivals)
}

func (k *sink) count() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.arrivals)
}

func (k *sink) delivered() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.done)
}

// wanted is the type of the events that streams of these tests want.
const wanted = sessionhooks.UserSignedIn

func (h *house) stream(k *sink, with ...func(*delivery.StreamOptions)) *delivery.Stream {
	h.Helper()
	o := delivery.StreamOptions{
		Engine: h.eng, Log: sessionhooks.NewLog(h.eng, nil, time.Hour), Place: h.at, Name: "hook", Logger: h.logger(), Send: k.send,
		Wants: func(s sessionhooks.Stored) bool { return s.Event.Type == wanted },
	}
	for _, f := range with {
		f(&o)
	}
	s, err := delivery.NewStream(o)
	if err != nil {
		h.Fatal(err)
	}
	return s
}

// drive runs a worker with nothing but streams.
func (h *house) drive(name string, streams ...*delivery.Stream) (stop func()) {
	_, stop = h.worker(nil, node(name), func(o *delivery.Options) {
		o.Senders, o.Streams = nil, func() []*delivery.Stream { return streams }
	})
	return stop
}

// happen appends events of a type in one commit and returns their ids.
func (h *house) happen(kind string, n int) (ids []string) {
	h.Helper()
	for n > 0 {
		var ops []store.Op
		for range min(n, 1000) {
			e := sessionhooks.Event{ID: sessionhooks.NewID(), Stream: sessionhooks.StreamUser, Type: kind, Occurred: time.Now(), Detected: time.Now()}
			ops, ids = append(ops, h.log.Append(h.at, e)...), append(ids, e.ID)
			n--
		}
		h.commit(ops...)
	}
	return ids
}

func (h *house) cursor(s *delivery.Stream) delivery.Cursor {
	h.Helper()
	c, err := s.Cursor(context.Background())
	if err != nil {
		h.Fatal(err)
	}
	return c
}

func (h *house) do(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}
