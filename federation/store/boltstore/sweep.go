package boltstore

import (
	"bytes"
	"context"
	"errors"
	"time"

	"go.etcd.io/bbolt"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// sweepStep bounds how much of a partition one fold sweeps.
const sweepStep = 2000

// Run removes records that have expired, in steps, until ctx ends or
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

// sweep removes everything that has expired by now. It leaves in no commit: what
// has expired is not there for anybody, whether the file still has it or not.
func (e *Engine) sweep(ctx context.Context) error {
	for {
		// Looking costs no sync, so an idle store writes nothing.
		var due []store.Partition
		more := false
		for p := range store.Partition(e.layout.Partitions) {
			n := 0
			err := e.view(ctx, p, nil, func(m moment) error {
				n = len(expired(m.tx.Bucket(m.n.expiry), stampOf(e.o.Now())))
				return nil
			})
			if err != nil {
				return err
			}
			if n > 0 {
				due = append(due, p)
			}
			more = more || n == sweepStep
		}
		if len(due) == 0 {
			return nil
		}
		if err := e.submit(ctx, &request{fold: true, sweep: due}); err != nil || !more {
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

// sweepPartition removes what has expired from the file, after everything else:
// that an entry of the index is there means that the file's record is still the
// one it was made for. One that is newer and not folded yet is not touched.
func (f *fold) sweepPartition(tx *bbolt.Tx, n names) error {
	records, expiry := tx.Bucket(n.records), tx.Bucket(n.expiry)
	for _, k := range expired(expiry, f.now) {
		if err := errors.Join(expiry.Delete(k), records.Delete(k[len(f.now):])); err != nil {
			return err
		}
		f.swept++
	}
	return nil
}
