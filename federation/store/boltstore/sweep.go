package boltstore

import (
	"bytes"
	"context"
	"errors"
	"time"

	"go.etcd.io/bbolt"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// sweepStep bounds how long a sweep keeps commits waiting.
const sweepStep = 500

// Run removes records that have expired, in small commits, until ctx ends or
// the engine is closed: then it answers nil. Nobody sees a difference but the
// file, whose pages become free. A sweep that fails is tried again later; Run
// answers an error only when the engine has failed for good.
func (e *Engine) Run(ctx context.Context) error {
	tick := time.NewTicker(e.o.SweepEvery)
	defer tick.Stop()
	for {
		err := e.sweep(ctx)
		if failure := e.failure.Load(); failure != nil {
			return *failure
		}
		if errors.Is(err, store.ErrClosed) {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-e.closing:
			return nil
		case <-tick.C:
		}
	}
}

// sweep removes everything that has expired by now.
func (e *Engine) sweep(ctx context.Context) error {
	for p := range e.layout.Partitions {
		if err := e.sweepPartition(ctx, store.Partition(p)); err != nil {
			return err
		}
	}
	return nil
}

func (e *Engine) sweepPartition(ctx context.Context, p store.Partition) error {
	for {
		// Looking costs no sync, so an idle store writes nothing.
		due := 0
		err := e.view(ctx, p, func(tx *bbolt.Tx) error {
			due = len(expired(tx.Bucket(e.names[p].expiry), stampOf(e.o.Now())))
			return nil
		})
		if err != nil || due == 0 {
			return err
		}
		err = e.submit(ctx, sweepStep, func(b *batch) error { return b.sweep(p) })
		if err != nil || due < sweepStep {
			return err
		}
	}
}

// expired copies the first entries of the index whose time has come.
func expired(index *bbolt.Bucket, now stamp) [][]byte {
	var keys [][]byte
	c := index.Cursor()
	for k, _ := c.First(); len(k) > len(now) && stamp(k[:len(now)]).reached(now) && len(keys) < sweepStep; k, _ = c.Next() {
		keys = append(keys, bytes.Clone(k))
	}
	return keys
}

func (b *batch) sweep(p store.Partition) error {
	s, err := b.shelf(p)
	if err != nil {
		return err
	}
	for _, k := range expired(s.expiry, b.now) {
		s.changed = true
		s.must(s.expiry.Delete(k))
		s.must(s.records.Delete(k[len(b.now):]))
		b.swept++
	}
	return b.broken
}
