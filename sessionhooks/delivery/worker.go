package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/sessionhooks"
)

// Options are what a worker is made of.
type Options struct {
	Engine    store.Engine
	Queue     *Queue
	Partition store.Partition
	// Node names this process in the lease.
	Node string
	// Senders by name. A job whose sender is missing waits: another node, or
	// the next version, may have it.
	Senders map[string]Sender
	// Streams are those there are now; the ones of other partitions are left
	// alone. They are asked for again every second. Nil is none.
	Streams func() []*Stream
	// Schedule is that of jobs; nil is IndependentSchedule.
	Schedule Schedule
	// Timeout bounds one attempt; 0 is 15 s, and 20 s is the most that fits
	// into a lease.
	Timeout time.Duration
	// InFlight bounds the attempts under way, PerTarget those of one target;
	// 0 is 256 and 16.
	InFlight, PerTarget int
	// Now measures how long attempts take; nil is the engine's clock.
	Now func() time.Time
	// Monotonic is the time since some fixed moment, by a clock that is never
	// set and goes on while the process is suspended. Without it a lease is
	// judged by the engine's clock alone.
	Monotonic func() time.Duration
	Log       *slog.Logger
	Observe   Observer
}

const (
	// idleWait is how often is looked when nothing wakes us.
	idleWait = time.Second
	// warnEvery is how many times in a row something may fail before it is
	// logged again.
	warnEvery = 30
)

// Worker sends the due jobs of one partition, and runs its streams, while it
// holds the lease.
type Worker struct {
	o    Options
	wake chan struct{}
}

// New makes a worker.
func New(o Options) (*Worker, error) {
	if o.Engine == nil || o.Queue == nil || o.Log == nil || len(o.Senders) == 0 && o.Streams == nil {
		return nil, errors.New("delivery: engine, queue, logger, and senders or streams are needed")
	}
	if o.Timeout < 0 || o.InFlight < 0 || o.PerTarget < 0 {
		return nil, errors.New("delivery: a negative option")
	}
	if o.Timeout == 0 {
		o.Timeout = 15 * time.Second
	}
	if err := fitting(o.Timeout); err != nil {
		return nil, err
	}
	if o.InFlight == 0 {
		o.InFlight = 256
	}
	if o.PerTarget == 0 {
		o.PerTarget = 16
	}
	if o.Schedule == nil {
		o.Schedule = IndependentSchedule()
	}
	if o.Monotonic == nil {
		o.Monotonic = func() time.Duration { return 0 }
	}
	return &Worker{o: o, wake: make(chan struct{}, 1)}, nil
}

// fitting refuses attempts that a lease would not outlive: two nodes would send
// the same at once.
func fitting(timeout time.Duration) error {
	if timeout > maxTimeout {
		return fmt.Errorf("delivery: an attempt of %v does not fit into a lease; %v is the most", timeout, maxTimeout)
	}
	return nil
}

// clock is the time for measuring.
func (w *Worker) clock() time.Time {
	if w.o.Now != nil {
		return w.o.Now()
	}
	now, err := w.o.Engine.Now(context.Background())
	if err != nil {
		return time.Time{} // nothing can be recorded now anyway
	}
	return now
}

// Wake makes the worker look at the queue now. It is a hint: what is due is
// found without it, a little later.
func (w *Worker) Wake() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Run works until the context ends: it waits for the lease, sends while it has
// it, lets the attempts under way finish, and gives the lease back. The error is
// nil, unless the engine was closed before.
func (w *Worker) Run(ctx context.Context) error {
	var group sync.WaitGroup
	defer group.Wait()
	listening, stop := context.WithCancel(ctx)
	defer stop()
	group.Go(func() { w.listen(listening) })
	failures := 0
	for ctx.Err() == nil {
		held, t, err := hold(ctx, w.o)
		switch {
		case err == nil:
			failures = 0
			w.work(ctx, held, t)
			continue
		case ctx.Err() != nil:
		case errors.Is(err, store.ErrClosed):
			return fmt.Errorf("deliver for partition %d: %w", w.o.Partition, err)
		case !errors.Is(err, store.ErrHeld):
			if failures++; failures%warnEvery == 1 {
				w.o.Log.WarnContext(ctx, "delivery lease is not to be had", "partition", w.o.Partition, "error", err)
			}
		}
		rest(ctx, idleWait)
	}
	return nil
}

// work does everything that is done under the lease.
func (w *Worker) work(ctx, held context.Context, t *tenure) {
	live, end := context.WithCancel(ctx) // while nothing has ended
	defer end()
	unlink := context.AfterFunc(held, end)
	defer unlink()
	stop := make(chan struct{})
	var keeping, working sync.WaitGroup
	keeping.Go(func() { t.keep(held, stop) })
	working.Go(func() { w.dispatch(live, held, t) })
	if w.o.Streams != nil {
		working.Go(func() { w.drive(live, held, t) })
	}
	working.Wait()
	close(stop)
	keeping.Wait()
	t.release(held)
}

// listen turns new entries of the log into wake-ups, also those of other nodes.
func (w *Worker) listen(ctx context.Context) {
	var after store.Position
	known := false
	for ctx.Err() == nil {
		if err := w.hear(ctx, &after, &known); err != nil {
			rest(ctx, idleWait)
		}
	}
}

func (w *Worker) hear(ctx context.Context, after *store.Position, known *bool) (err error) {
	if !*known { // news are all that matters here
		if *after, err = sessionhooks.Newest(ctx, w.o.Engine, w.o.Partition); err != nil {
			return err
		}
		*known = true
		w.Wake()
	}
	entries, err := w.o.Engine.ReadLog(ctx, w.o.Partition, *after, 1000, 10*time.Second)
	if errors.Is(err, store.ErrTrimmed) {
		*known = false
		return nil
	}
	if len(entries) > 0 {
		*after = entries[len(entries)-1].Position
		w.Wake()
	}
	return err
}

func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
