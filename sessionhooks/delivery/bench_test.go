package delivery_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/boltstore"
	"github.com/drawbridge-id/drawbridge/sessionhooks"
	"github.com/drawbridge-id/drawbridge/sessionhooks/delivery"
)

// mill is a worker with session webhooks, and a sink that keeps connections.
type mill struct {
	*testing.B
	eng      *boltstore.Engine
	queue    *delivery.Queue
	log      *sessionhooks.Log
	arrivals chan struct{}
	recorded chan struct{}
}

func newMill(b *testing.B) *mill {
	b.Helper()
	eng, err := boltstore.Open(boltstore.Options{Path: filepath.Join(b.TempDir(), "store.db"), Now: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = eng.Close() })
	return &mill{B: b, eng: eng, queue: delivery.NewQueue(eng, nil), log: sessionhooks.NewLog(eng, nil, time.Hour),
		arrivals: make(chan struct{}, 1<<20), recorded: make(chan struct{}, 1<<20)}
}

func (m *mill) run(targets int) {
	sink := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { m.arrivals <- struct{}{} }))
	m.Cleanup(sink.Close)
	hooks := map[string]*sessionhooks.Compiled{}
	for i := range targets {
		id := fmt.Sprintf("t%d", i)
		hooks[id], _ = sessionhooks.Compile(sessionhooks.Webhook{ID: id, URL: sink.URL, Body: `{"event":"${WebhookEventType}","user":"${UserId}"}`,
			Headers: []sessionhooks.Header{{Name: "Content-Type", Value: "application/json"}}}, nil)
	}
	send := delivery.NewWebhookSender(delivery.WebhookOptions{
		Webhook: func(_, id string) (*sessionhooks.Compiled, bool) { c, ok := hooks[id]; return c, ok },
		Log:     m.log, Now: time.Now, Client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256, MaxConnsPerHost: 256}},
	})
	w, err := delivery.New(delivery.Options{Engine: m.eng, Queue: m.queue, Log: (&house{logs: &lines{}}).logger(), Now: time.Now,
		Senders: map[string]delivery.Sender{delivery.SessionWebhooks: send},
		Observe: delivery.Observer{Attempt: func(string, string) { m.recorded <- struct{}{} }}})
	if err != nil {
		m.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = w.Run(ctx) }()
	m.Cleanup(func() { cancel(); <-done })
}

// end is the operations of a session's end with one webhook.
func (m *mill) end(target int) []store.Op {
	at := m.eng.Layout().Place("default")
	v := sessionhooks.NewValues(map[sessionhooks.Property]string{sessionhooks.PropertyUserID: "bjensen", sessionhooks.PropertyWebhookEventType: "LOGOUT"}, nil)
	e := sessionhooks.Event{ID: sessionhooks.NewID(), Stream: "session", Type: "SessionEnded", Tenant: "default", Aggregate: "p", Detected: time.Now(),
		Data: raw(map[string]any{"Values": v})}
	return append(m.log.Append(at, e), m.queue.Enqueue(at, delivery.Job{Sender: delivery.SessionWebhooks, Target: fmt.Sprintf("t%d", target), Event: e.ID,
		Kind: "LOGOUT", Occurred: e.Detected, Created: e.Detected, Next: e.Detected})...)
}

func (m *mill) fill(n, targets int) {
	for n > 0 {
		var ops []store.Op
		for range min(n, 500) {
			n--
			ops = append(ops, m.end(n%targets)...)
		}
		if _, err := m.eng.Commit(context.Background(), ops...); err != nil {
			m.Fatal(err)
		}
	}
}

// BenchmarkDeliveries drains a backlog: read, render, post, record.
func BenchmarkDeliveries(b *testing.B) {
	for _, targets := range []int{1, 4, 16} {
		b.Run(fmt.Sprintf("targets=%d", targets), func(b *testing.B) {
			m := newMill(b)
			m.fill(b.N, targets)
			b.ResetTimer()
			m.run(targets)
			for range b.N {
				<-m.recorded
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "deliveries/s")
		})
	}
}

// BenchmarkFirstAttempt is from a session's end being durable to its arrival at
// the receiver, one at a time.
func BenchmarkFirstAttempt(b *testing.B) {
	m := newMill(b)
	m.run(1)
	var took []time.Duration
	for b.Loop() {
		m.fill(1, 1)
		began := time.Now()
		<-m.arrivals
		took = append(took, time.Since(began))
		<-m.recorded
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}

// BenchmarkStream is the events of one strict stream, one in flight.
func BenchmarkStream(b *testing.B) {
	m := newMill(b)
	m.fill(b.N, 1)
	done := make(chan struct{}, 1)
	n := 0
	s, err := delivery.NewStream(delivery.StreamOptions{
		Engine: m.eng, Log: m.log, Name: "hook", Logger: (&house{logs: &lines{}}).logger(), Wants: func(sessionhooks.Stored) bool { return true },
		Send: func(context.Context, sessionhooks.Stored) delivery.Outcome {
			if n++; n == b.N {
				done <- struct{}{}
			}
			return ok()
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	w, err := delivery.New(delivery.Options{Engine: m.eng, Queue: delivery.NewQueue(m.eng, nil), Log: (&house{logs: &lines{}}).logger(),
		Streams: func() []*delivery.Stream { return []*delivery.Stream{s} }})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	b.ResetTimer()
	go func() { defer close(ended); _ = w.Run(ctx) }()
	<-done
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	cancel()
	<-ended
}
