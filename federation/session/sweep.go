package session

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

const (
	shortest = 100 * time.Millisecond // between two rounds, at least
	longest  = time.Second            // and at most
	batch    = 200                    // due records read at once
	inFlight = 32                     // commits made at once
	// farJump is how far the engine's clock may run ahead of the monotonic one
	// between two rounds before a round is held.
	farJump = time.Minute
)

// Run sweeps until ctx is done: it ends what is past its deadline and moves the
// due times of what has been active since. It returns nil.
func (m *Manager) Run(ctx context.Context) error {
	var guard clockGuard
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		wait, err := m.round(ctx, &guard)
		if err != nil && ctx.Err() == nil {
			m.o.Log.WarnContext(ctx, "sweep of sessions is incomplete", "error", err)
		}
		timer.Reset(wait)
	}
}

// round sweeps every partition once and says how long to wait for the next.
func (m *Manager) round(ctx context.Context, guard *clockGuard) (time.Duration, error) {
	now, err := m.now(ctx)
	if err != nil {
		return longest, err
	}
	if ahead := m.ahead(guard, now); ahead > farJump {
		m.o.Log.WarnContext(ctx, "the store's clock has jumped ahead: sweep held for one round", "ahead", ahead)
		return longest, nil
	}
	wait := longest
	var failed error
	for p := range max(m.o.Layout.Partitions, 1) {
		next, err := m.sweep(ctx, store.Partition(p), now)
		if failed == nil {
			failed = err
		}
		if !next.IsZero() {
			wait = min(wait, next.Sub(now))
		}
	}
	if failed != nil {
		return longest, failed
	}
	return max(wait, shortest), nil
}

// sweep deals with everything due in a partition, and says when the next is.
func (m *Manager) sweep(ctx context.Context, p store.Partition, now time.Time) (next time.Time, err error) {
	own, after := store.Place{Partition: p}, ""
	var failures failures
	for ctx.Err() == nil {
		rows, err := m.dues.Scan(ctx, own, "", after, batch)
		if err != nil {
			return next, fmt.Errorf("scan due sessions: %w", err)
		}
		var group errgroup.Group
		group.SetLimit(inFlight)
		for _, row := range rows {
			after = row.ID
			at, name, err := store.ParseDueID(row.ID)
			if err == nil && at.After(now) {
				next = at
				break
			}
			group.Go(func() error {
				if err == nil {
					err = m.settle(ctx, row, name)
				}
				failures.add(err)
				return nil
			})
		}
		_ = group.Wait() // failures has them
		if !next.IsZero() || len(rows) < batch {
			break
		}
	}
	return next, failures.err()
}

// settle ends the session of a due record, or moves the record to where the
// session's deadline is now.
func (m *Manager) settle(ctx context.Context, due store.Row[struct{}], name string) error {
	tenant, sid, _ := strings.Cut(name, "/")
	t, ok := m.o.Tenant(tenant)
	if !ok {
		t = federation.Tenant{ID: tenant, Place: store.Place{Tenant: tenant, Partition: due.Place.Partition}}
	}
	got, err := m.end(ctx, t, sid, timedOut)
	if errors.Is(err, ErrNotFound) || err == nil && got.cause == "" {
		return m.rescore(ctx, t, sid, due)
	}
	return err
}

// rescore moves a due record that came up too early, or removes one that no
// session has any more. Losing a race is fine: the winner settled it.
func (m *Manager) rescore(ctx context.Context, t federation.Tenant, sid string, due store.Row[struct{}]) error {
	ops := []store.Op{m.dues.Take(due.Place, due.ID, due.Version)}
	row, err := m.read(ctx, t, sid)
	switch {
	case errors.Is(err, ErrNotFound):
		if ValidID(sid) {
			ops = append(ops, m.sessions.Check(t.Place, sid, 0))
		}
	case err != nil:
		return err
	case row.Value.Due != due.ID:
		ops = append(ops, m.sessions.Check(t.Place, sid, row.Version))
	default:
		s := row.Value
		if s.Due = dueID(t, s); s.Due == due.ID {
			return nil // its time has come since: the next round ends it
		}
		ops = append(ops,
			m.sessions.Replace(t.Place, sid, s, row.Version, time.Time{}),
			m.dues.Put(due.Place, s.Due, struct{}{}, time.Time{}))
	}
	_, err = m.o.Engine.Commit(ctx, ops...)
	if errors.Is(err, store.ErrConflict) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("move due time of session %s: %w", sid, err)
	}
	return nil
}

// clockGuard compares the engine's clock with one that is never set.
type clockGuard struct {
	engine    time.Time
	monotonic time.Duration
}

// ahead is how much more the engine's clock went on since the last call than
// the monotonic one; zero at the first call.
func (g *clockGuard) ahead(engine time.Time, monotonic time.Duration) time.Duration {
	was := *g
	*g = clockGuard{engine: engine, monotonic: monotonic}
	if was.engine.IsZero() {
		return 0
	}
	return engine.Sub(was.engine) - (monotonic - was.monotonic)
}

// failures counts errors and keeps the first, so that a store that is down is
// one line in the log, not one per session.
type failures struct {
	mu    sync.Mutex
	count int
	first error
}

func (f *failures) add(err error) {
	if err == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.count++; f.first == nil {
		f.first = err
	}
}

func (f *failures) err() error {
	if f.count == 0 {
		return nil
	}
	return fmt.Errorf("%d due sessions remain: %w", f.count, f.first)
}

// ahead asks the guard, where there is a clock to ask it with.
func (m *Manager) ahead(guard *clockGuard, now time.Time) time.Duration {
	if m.o.Monotonic == nil {
		return 0
	}
	return guard.ahead(now, m.o.Monotonic())
}
