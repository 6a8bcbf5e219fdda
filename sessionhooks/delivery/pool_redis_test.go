package delivery_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/redisstore"
	"github.com/drawbridge-id/drawbridge/federation/store/redisstore/redistest"
	"github.com/drawbridge-id/drawbridge/sessionhooks"
	"github.com/drawbridge-id/drawbridge/sessionhooks/delivery"
)

// arrival is what one node has sent.
type arrival struct{ node, id string }

// redisNode is a node with an engine of its own over a shared server.
func redisNode(t *testing.T, addr, name string, sent chan<- arrival) (eng *redisstore.Engine, stop func()) {
	t.Helper()
	eng, err := redisstore.Open(t.Context(), redisstore.Options{Addresses: []string{addr}, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	pool, err := delivery.NewPool(delivery.Options{
		Engine: eng, Queue: delivery.NewQueue(eng, nil), Node: name, Log: slog.New(slog.DiscardHandler),
		Monotonic: func() time.Duration { return time.Since(began) },
		Senders: map[string]delivery.Sender{"test": func(_ context.Context, _ store.Place, j delivery.Job) delivery.Outcome {
			sent <- arrival{name, j.ID}
			return ok()
		}},
	}, eng.Layout())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() {
		if err := pool.Run(ctx); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	})
	stop = sync.OnceFunc(func() {
		cancel()
		group.Wait()
		if err := eng.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	})
	t.Cleanup(stop)
	return eng, stop
}

// Two nodes over one Redis: both send, what one appends the other hears of, and
// when one stops the other goes on with all of it. Nothing comes twice.
func TestPoolsOverRedis(t *testing.T) {
	server := redistest.Start(t)
	sent := make(chan arrival, 1000)
	_, stopA := redisNode(t, server.Addr(), "a", sent)
	eng, _ := redisNode(t, server.Addr(), "b", sent)
	queue, log := delivery.NewQueue(eng, nil), sessionhooks.NewLog(eng, nil, time.Hour)
	seen := map[string]bool{}
	round := func() map[string]int {
		now, err := eng.Now(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for i := range 64 {
			at := eng.Layout().Place(string(rune('a'+i%26)) + string(rune('a'+i/26)))
			e := sessionhooks.Event{ID: sessionhooks.NewID(), Type: "SessionEnded", Detected: now}
			j := delivery.Job{Sender: "test", Target: "crm", Event: e.ID, Occurred: now, Created: now, Next: now}
			if _, err := eng.Commit(t.Context(), append(queue.Enqueue(at, j), log.Append(at, e)...)...); err != nil {
				t.Fatal(err)
			}
		}
		by := map[string]int{}
		for range 64 {
			select {
			case s := <-sent:
				if by[s.node]++; seen[s.id] {
					t.Errorf("%s came again", s.id)
				}
				seen[s.id] = true
			case <-time.After(time.Minute):
				t.Fatalf("only %v arrived", by)
			}
		}
		return by
	}
	for !shared(t, eng) {
		time.Sleep(50 * time.Millisecond) // their own looks are a second apart
	}
	if by := round(); by["a"] == 0 || by["b"] == 0 {
		t.Errorf("sent by %v", by)
	}
	stopA()
	if by := round(); by["b"] != 64 {
		t.Errorf("after a has stopped: %v", by)
	}
}

// shared says whether both nodes hold partitions.
func shared(t *testing.T, eng *redisstore.Engine) bool {
	t.Helper()
	holders := map[string]int{}
	for p := range eng.Layout().Partitions {
		rec, err := eng.Get(t.Context(), store.Place{Partition: store.Partition(p)}.Key("lease", "delivery"))
		if err == nil {
			holders[string(rec.Value)]++
		}
	}
	return holders["a"] > 0 && holders["b"] > 0
}
