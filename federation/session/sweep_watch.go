package session

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

// pulseID is the one record of its kind in a partition.
const pulseID = "pulse"

// watch keeps the pulse of one partition for this node, and learns from it what
// the nodes have missed. Without a monotonic clock there is no watch.
type watch struct {
	m   *Manager
	own store.Place
	// id is this node's for as long as it runs, lead who leads the partition.
	id   uint64
	lead atomic.Uint64

	mu sync.Mutex
	// engine and monotonic are what the clocks said when the store last answered.
	engine    time.Time
	monotonic time.Duration
	// down says that it does not answer, since failing by the monotonic clock.
	down    bool
	failing time.Duration
}

func newWatch(m *Manager, own store.Place) *watch {
	return &watch{m: m, own: own, id: rand.Uint64()}
}

// leads says whether this node leads the partition, as far as it knows.
func (w *watch) leads() bool { return w.m.o.Monotonic == nil || w.lead.Load() == w.id }

// run renews the pulse until ctx is done, by chance sooner or later, so that the
// nodes share the lead of the partitions.
func (w *watch) run(ctx context.Context, note func(error)) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		wait := beatEvery/2 + rand.N(beatEvery)
		if _, err := w.beat(ctx); err != nil && ctx.Err() == nil {
			note(err)
			wait = longest
		}
		timer.Reset(wait)
	}
}

// look is the gaps for a sweep at a time. A pulse that is too old, by which
// everybody might seem idle, is renewed first.
func (w *watch) look(ctx context.Context, now time.Time) (gaps, error) {
	if w.m.o.Monotonic == nil {
		return nil, nil
	}
	row, err := w.read(ctx)
	if err != nil {
		return nil, err
	}
	if age := now.Sub(row.Value.At); age > missing || age < -missing || row.Value.Lead == nobody {
		return w.beat(ctx)
	}
	w.lead.Store(row.Value.Lead)
	return row.Value.known(now), nil
}

// beat renews the pulse where it is time to, and writes down what was missed.
func (w *watch) beat(ctx context.Context) (gaps, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	mono := w.m.o.Monotonic()
	var told pulse
	var news *gap
	var now time.Time
	_, err := store.Update(ctx, w.m.o.Engine, func(ctx context.Context) ([]store.Op, error) {
		row, err := w.read(ctx)
		if err != nil {
			return nil, err
		}
		if now, err = w.m.now(ctx); err != nil {
			return nil, err
		}
		var write bool
		told, write, news = row.Value.next(w.sight(now, mono))
		if !write {
			told = row.Value
			return nil, nil
		}
		told.Lead = w.id
		return []store.Op{w.write(row, told)}, nil
	})
	if err != nil {
		if !w.down {
			w.down, w.failing = true, mono
		}
		return nil, fmt.Errorf("keep the pulse of sessions: %w", err)
	}
	w.engine, w.monotonic, w.down = now, mono, false
	w.lead.Store(told.Lead)
	w.tell(ctx, news)
	return told.known(now), nil
}

// resign gives the lead back when this node stops: whoever comes next to what is
// overdue leads at once, and not when the next beat is due. Where that fails the
// next beat settles it.
func (w *watch) resign(ctx context.Context) {
	if w.lead.Load() != w.id {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), longest)
	defer cancel()
	row, err := w.read(ctx)
	if err != nil || row.Value.Lead != w.id {
		return
	}
	row.Value.Lead = nobody
	if _, err := w.m.o.Engine.Commit(ctx, w.write(row, row.Value)); err != nil {
		w.m.o.Log.DebugContext(ctx, "the lead of a partition was not given back", "partition", w.own.Partition, "error", err)
	}
}

// sight is what the clocks say. A store that failed is taken to have been away
// since the beat before, but not for as long as this process was suspended.
func (w *watch) sight(now time.Time, mono time.Duration) sight {
	s := sight{now: now}
	if !w.engine.IsZero() {
		s.ahead = now.Sub(w.engine) - (mono - w.monotonic)
	}
	if w.down {
		s.away = mono - w.failing
		if !w.engine.IsZero() {
			s.away += min(beatEvery, w.failing-w.monotonic)
		}
	}
	return s
}

func (w *watch) read(ctx context.Context) (store.Row[pulse], error) {
	row, err := w.m.pulses.Get(ctx, w.own, pulseID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return row, fmt.Errorf("read the pulse of sessions: %w", err)
	}
	return row, nil
}

func (w *watch) write(row store.Row[pulse], p pulse) store.Op {
	if row.Version == 0 {
		return w.m.pulses.Create(w.own, pulseID, p, time.Time{})
	}
	return w.m.pulses.Replace(w.own, pulseID, p, row.Version, time.Time{})
}

// tell raises the alarm about a gap, once: the node that writes it down does.
func (w *watch) tell(ctx context.Context, news *gap) {
	switch {
	case news == nil:
	case news.Clock:
		w.m.o.Log.ErrorContext(ctx, "the store's clock has jumped ahead: no session ends for that",
			"partition", w.own.Partition, "from", news.From, "to", news.To)
	default:
		w.m.o.Log.WarnContext(ctx, "activity could not be recorded for a while: idle time is judged accordingly",
			"partition", w.own.Partition, "from", news.From, "to", news.To)
	}
}

// forgiven is a session as it is to be judged when a request comes: idle time
// does not run while activity could not be recorded. It costs one read, of a
// session that looks idle, and none for any other. The maximum is not forgiven.
func (m *Manager) forgiven(ctx context.Context, at store.Place, s federation.Session) (federation.Session, error) {
	if m.o.Monotonic == nil {
		return s, nil
	}
	now, err := m.now(ctx)
	if err != nil || !over(s, now) || !now.Before(s.Began.Add(s.Max)) {
		return s, err
	}
	row, err := (&watch{m: m, own: at.Own()}).read(ctx)
	return row.Value.known(now).credit(s, m.grace()), err
}

// grace says whether idle time stands still while the store is away.
func (m *Manager) grace() bool { return m.o.Outage != Expire }
