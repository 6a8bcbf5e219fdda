package boltstore

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// beacon wakes everybody who waits for something new in a log.
type beacon struct {
	mu sync.Mutex
	ch chan struct{}
}

// watch is closed at the next light. Watch first, then look, then wait.
func (b *beacon) watch() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch == nil {
		b.ch = make(chan struct{})
	}
	return b.ch
}

func (b *beacon) light() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch != nil {
		close(b.ch)
		b.ch = nil
	}
}

// ReadLog implements store.Engine. The wait is real time, whatever the clock.
func (e *Engine) ReadLog(ctx context.Context, p store.Partition, after store.Position, n int, wait time.Duration) ([]store.Entry, error) {
	if n < 1 {
		return nil, fmt.Errorf("store: a read of %d log entries", n)
	}
	var timeout <-chan time.Time
	for {
		if err := e.ready(ctx, p); err != nil {
			return nil, err
		}
		news := e.heads[p].watch()
		entries, err := e.readLog(ctx, p, after, n)
		if err != nil || len(entries) > 0 || wait <= 0 {
			return entries, err
		}
		if timeout == nil {
			timer := time.NewTimer(wait)
			defer timer.Stop()
			timeout = timer.C
		}
		select {
		case <-news:
		case <-timeout:
			return nil, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-e.closing:
			return nil, store.ErrClosed
		}
	}
}

func (e *Engine) readLog(ctx context.Context, p store.Partition, after store.Position, n int) ([]store.Entry, error) {
	var entries []store.Entry
	enough := func(part *part) bool { return after.Compare(part.base) >= 0 }
	err := e.view(ctx, p, enough, func(m moment) error {
		c, err := m.counters()
		if err != nil {
			return err
		}
		if after.Compare(c.trimmed) < 0 {
			return store.TrimmedError{UpTo: c.trimmed}
		}
		return m.entries(after, func(at store.Position, raw []byte) (bool, error) {
			entry, err := entryOf(at, raw)
			entries = append(entries, entry)
			return len(entries) < n, err
		})
	})
	if err != nil {
		return nil, err
	}
	return entries, nil
}

// trimStep bounds how long a trim keeps commits waiting.
const trimStep = 1000

// TrimLog implements store.Engine. A long trim is made in several commits; one
// that fails between them has trimmed up to some entry and may be repeated.
func (e *Engine) TrimLog(ctx context.Context, p store.Partition, upTo store.Position) error {
	for {
		if err := e.ready(ctx, p); err != nil {
			return err
		}
		removed := 0
		err := e.submit(ctx, &request{size: trimStep, apply: func(b *batch) (err error) {
			removed, err = b.trim(p, upTo)
			return err
		}})
		if err != nil || removed < trimStep {
			return err
		}
	}
}

// trimmedWeight is how heavy a trimmed entry weighs, so that no fold has too many
// to remove.
const trimmedWeight = 256

// trim removes the oldest entries up to a position, at most trimStep of them.
func (b *batch) trim(p store.Partition, upTo store.Position) (int, error) {
	s, err := b.shelf(p)
	if err != nil {
		return 0, err
	}
	m, err := s.moment()
	if err != nil {
		return 0, err
	}
	n, last := 0, s.counters.trimmed
	count := func(at store.Position, _ []byte) (bool, error) {
		if at.Compare(upTo) > 0 || n == trimStep {
			return false, nil
		}
		n, last = n+1, at
		return true, nil
	}
	if err := m.entries(s.counters.trimmed, count); err != nil {
		return 0, err
	}
	for _, l := range s.log {
		if l.at.Compare(last) <= 0 {
			continue
		}
		if more, _ := count(l.at, nil); !more {
			break
		}
	}
	if n == 0 {
		return 0, nil
	}
	s.counters.trimmed, s.changed = last, true
	b.weight += int64(n) * trimmedWeight
	return n, nil
}
