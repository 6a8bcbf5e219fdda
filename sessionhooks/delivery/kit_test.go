package delivery_test

import (
	"bytes"
	"context"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/boltstore"
	"github.com/drawbridge-id/drawbridge/sessionhooks"
	"github.com/drawbridge-id/drawbridge/sessionhooks/delivery"
)

// house is a queue and a log over a real engine, and the means to look at them.
type house struct {
	*testing.T
	bolt *boltstore.Engine
	// eng is what workers are given: bolt, with faults where a test wants them.
	eng   *faulty
	queue *delivery.Queue
	log   *sessionhooks.Log
	at    store.Place
	logs  *lines
}

func newHouse(t *testing.T) *house {
	t.Helper()
	bolt, err := boltstore.Open(boltstore.Options{Path: filepath.Join(t.TempDir(), "store.db"), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := bolt.Close(); err != nil {
			t.Error(err)
		}
	})
	eng := &faulty{Engine: bolt}
	return &house{
		T: t, bolt: bolt, eng: eng, queue: delivery.NewQueue(bolt, nil), log: sessionhooks.NewLog(bolt, nil, 30*24*time.Hour),
		at: bolt.Layout().Place("default"), logs: &lines{},
	}
}

func (h *house) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(h.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// lines is what was logged.
type lines struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(p)
}

func (l *lines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Count(l.all.Bytes(), []byte(text))
}

// worker makes a worker with one sender, called "test", and runs it until the
// test ends or stop is called, which waits for it.
func (h *house) worker(send delivery.Sender, with ...func(*delivery.Options)) (w *delivery.Worker, stop func()) {
	h.Helper()
	o := delivery.Options{Engine: h.eng, Queue: delivery.NewQueue(h.eng, nil), Node: "n1", Log: h.logger(), Senders: map[string]delivery.Sender{"test": send}}
	for _, f := range with {
		f(&o)
	}
	w, err := delivery.New(o)
	if err != nil {
		h.Fatal(err)
	}
	return w, h.run(w)
}

func (h *house) run(w *delivery.Worker) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() {
		if err := w.Run(ctx); err != nil {
			h.Errorf("worker: %v", err)
		}
	})
	stop = sync.OnceFunc(func() { cancel(); group.Wait() })
	h.Cleanup(stop)
	return stop
}

// enqueue puts a job for a target into the queue, with an event in the log.
func (h *house) enqueue(target string, with ...func(*delivery.Job)) string {
	h.Helper()
	e := sessionhooks.Event{ID: sessionhooks.NewID(), Stream: "session", Type: "SessionEnded", Occurred: time.Now(), Detected: time.Now()}
	ops, id := h.job(target, append(with, func(j *delivery.Job) { j.Event, j.Aggregate = e.ID, e.Aggregate })...)
	h.commit(append(ops, h.log.Append(h.at, e)...)...)
	return id
}

// job is the operations that enqueue a job, and its id.
func (h *house) job(target string, with ...func(*delivery.Job)) ([]store.Op, string) {
	h.Helper()
	j := delivery.Job{Sender: "test", Target: target, Kind: "LOGOUT", Occurred: time.Now(), Created: time.Now(), Next: time.Now()}
	for _, f := range with {
		f(&j)
	}
	ops := h.queue.Enqueue(h.at, j)
	_, id, _ := bytes.Cut([]byte(ops[0].Key.Local()), []byte("/"))
	return ops, string(id)
}

// fill enqueues many jobs at once.
func (h *house) fill(n int, target string, with ...func(*delivery.Job)) {
	h.Helper()
	for left := n; left > 0; {
		var ops []store.Op
		for range min(left, 1000) {
			more, _ := h.job(target, with...)
			ops = append(ops, more...)
			left--
		}
		h.commit(ops...)
	}
}

func (h *house) commit(ops ...store.Op) {
	h.Helper()
	if _, err := h.bolt.Commit(context.Background(), ops...); err != nil {
		h.Fatal(err)
	}
}

func (h *house) get(id string) delivery.Job {
	h.Helper()
	j, err := h.queue.Get(context.Background(), h.at, "test", id)
	if err != nil {
		h.Fatal(err)
	}
	return j
}

// is demands a job in a state after attempts with these reasons.
func (h *house) is(id string, state delivery.State, reasons ...string) delivery.Job {
	h.Helper()
	j := h.get(id)
	var got []string
	for _, a := range j.Attempts {
		got = append(got, a.Reason)
	}
	if j.State != state || !slices.Equal(got, reasons) {
		h.Errorf("job is %s after %v, want %s after %v", j.State, got, state, reasons)
	}
	return j
}

// dues are the due records there are.
func (h *house) dues() []string {
	h.Helper()
	recs, err := h.bolt.Scan(context.Background(), store.Range{Kind: "job_due", Prefix: "/", Limit: 100_000})
	if err != nil {
		h.Fatal(err)
	}
	var ids []string
	for _, r := range recs {
		ids = append(ids, r.Key.Local())
	}
	return ids
}

func (h *house) empty() {
	h.Helper()
	if ids := h.dues(); len(ids) > 0 {
		h.Errorf("%d due records are left: %.3v", len(ids), ids)
	}
}
