package boltstore

import (
	"errors"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// write is the engine's one writer. It ends when the queue is closed and empty.
func (e *Engine) write() {
	for {
		requests := e.queue.take(e.o.MaxBatch)
		if len(requests) == 0 {
			return
		}
		e.writeBatch(requests)
	}
}

// writeBatch makes the changes of a batch durable together and answers each.
// Where the batch fails as a whole, so does every change in it, also one that
// was refused: what it was judged against has not come to be.
func (e *Engine) writeBatch(requests []*request) {
	taken := requests[:0]
	for _, r := range requests {
		if r.begin() {
			taken = append(taken, r)
		}
	}
	if len(taken) == 0 {
		return
	}
	errs := make([]error, len(taken))
	err := e.transact(func(b *batch) error {
		for i, r := range taken {
			if errs[i] = r.apply(b); b.broken != nil {
				return b.broken
			}
		}
		return nil
	})
	for i, r := range taken {
		if err != nil {
			errs[i] = err
		}
		r.answer(errs[i])
	}
}

// transact runs fill in one write transaction and syncs what it has written.
func (e *Engine) transact(fill func(*batch) error) error {
	if failure := e.failure.Load(); failure != nil {
		return *failure
	}
	tx, err := e.db.Begin(true)
	if err != nil {
		return e.failed(fmt.Errorf("store: begin: %w", err))
	}
	b := &batch{tx: tx, engine: e, now: stampOf(e.o.Now())}
	if err := fill(b); err != nil {
		return e.failed(errors.Join(fmt.Errorf("store: write: %w", err), tx.Rollback()))
	}
	changed, err := b.save()
	if err != nil {
		return e.failed(errors.Join(fmt.Errorf("store: write: %w", err), tx.Rollback()))
	}
	if !changed {
		e.tally.refused(b)
		return tx.Rollback()
	}
	id := tx.ID()
	if err := e.commit(tx); err != nil {
		return e.failed(e.settle(id, err))
	}
	e.tally.committed(b)
	for p, shelf := range b.shelves {
		if shelf.appended {
			e.heads[p].light()
		}
	}
	return nil
}

func (e *Engine) failed(err error) error {
	e.tally.failures.Add(1)
	return err
}

// settle finds out what a failed commit has left behind. bbolt replaces its
// root page last: where that still names an older transaction nothing was
// written, and the pages that were are free. Otherwise the root is in the page
// cache but perhaps not on the disk, and the engine must not go on.
func (e *Engine) settle(id int, cause error) error {
	err := e.db.View(func(tx *bbolt.Tx) error {
		if tx.ID() >= id {
			return store.ErrUnknown
		}
		return nil
	})
	if err == nil {
		return fmt.Errorf("store: nothing was written: %w", cause)
	}
	failure := fmt.Errorf("store: %s failed and must be opened anew: %w", e.o.Path, cause)
	e.failure.Store(&failure)
	for p := range e.heads {
		e.heads[p].light()
	}
	return fmt.Errorf("%w: %w", store.ErrUnknown, failure)
}

// batch is one write transaction and the partitions it has touched.
type batch struct {
	tx     *bbolt.Tx
	engine *Engine
	// now is the one time by which the whole batch is judged.
	now     stamp
	shelves map[store.Partition]*shelf
	// broken is set when a write failed in the middle of a change.
	broken    error
	commits   uint64
	conflicts uint64
	swept     uint64
}
