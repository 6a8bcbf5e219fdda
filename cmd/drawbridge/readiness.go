package main

import (
	"context"
	"crypto/rand"
	"sync"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// writtenFor is how long a write that went well says that the next one will:
// probes, which anybody may send, must not become the store's load.
const writtenFor = time.Second

// writable finds out whether a store takes writes. One that has no memory left,
// too few replicas, or became a replica itself, still answers reads.
type writable struct {
	eng store.Engine
	now func() time.Time

	mu   sync.Mutex
	went time.Time // when a write went well
}

// after is the readiness that asks first, and then writes what nobody reads.
func (w *writable) after(first func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := first(ctx); err != nil {
			return err
		}
		return w.write(ctx)
	}
}

func (w *writable) write(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.now().Sub(w.went) < writtenFor {
		return nil
	}
	now, err := w.eng.Now(ctx)
	if err != nil {
		return err
	}
	if _, err := w.eng.Commit(ctx, store.Mark(store.Place{}, "readiness/"+rand.Text(), now.Add(time.Minute))); err != nil {
		return err
	}
	w.went = w.now()
	return nil
}
