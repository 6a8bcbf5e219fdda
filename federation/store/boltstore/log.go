package boltstore

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/bbolt"

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
	err := e.view(ctx, p, func(tx *bbolt.Tx) error {
		c, err := parseCounters(tx.Bucket([]byte(partitionsBucket)).Get(partitionKey(p)))
		if err != nil {
			return err
		}
		if after.Compare(c.trimmed) < 0 {
			return store.TrimmedError{UpTo: c.trimmed}
		}
		cur := tx.Bucket(e.names[p].log).Cursor()
		from := logKey(after)
		k, v := cur.Seek(from)
		if bytes.Equal(k, from) {
			k, v = cur.Next()
		}
		for ; k != nil && len(entries) < n; k, v = cur.Next() {
			entry, err := parseEntry(k, v)
			if err != nil {
				return err
			}
			entries = append(entries, entry)
		}
		return nil
	})
	return entries, err
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
		err := e.submit(ctx, trimStep, func(b *batch) (err error) {
			removed, err = b.trim(p, upTo)
			return err
		})
		if err != nil || removed < trimStep {
			return err
		}
	}
}

// trim removes the oldest entries up to a position, at most trimStep of them.
func (b *batch) trim(p store.Partition, upTo store.Position) (int, error) {
	s, err := b.shelf(p)
	if err != nil {
		return 0, err
	}
	// Keys first: a cursor is not to be trusted over what it removes.
	var keys [][]byte
	last := logKey(upTo)
	c := s.log.Cursor()
	for k, _ := c.First(); k != nil && bytes.Compare(k, last) <= 0 && len(keys) < trimStep; k, _ = c.Next() {
		keys = append(keys, bytes.Clone(k))
	}
	if len(keys) == 0 {
		return 0, nil
	}
	if s.counters.trimmed, err = parseLogKey(keys[len(keys)-1]); err != nil {
		return 0, err
	}
	s.changed = true
	for _, k := range keys {
		s.must(s.log.Delete(k))
	}
	return len(keys), b.broken
}
