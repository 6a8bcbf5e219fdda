package boltstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// ErrUnfolded says that a file cannot be copied as it is, because a crash has
// left commits beside it. To open it once to be written takes them over.
var ErrUnfolded = errors.New("store: the write-ahead file has commits that the store's file has not")

// Unfolded says that the engine was opened to be read only, and a crash has left
// commits beside the file. They are read like all others, but Backup answers
// ErrUnfolded.
func (e *Engine) Unfolded() bool { return e.unfolded }

// Backup writes a whole copy of the store as it stands when Backup begins, in
// one file. Commits go on meanwhile, and what they replace is kept until it
// ends, so a slow w makes the file grow. To restore, put the copy in the place
// of the file, with nothing else of Files beside it, and open it once with
// Options.NewEpoch. Close ends a backup early.
func (e *Engine) Backup(ctx context.Context, w io.Writer) error {
	tx, err := e.whole(ctx)
	if err != nil {
		return err
	}
	to := &guarded{ctx: ctx, closing: e.closing, w: w}
	_, err = tx.WriteTo(to)
	// bbolt keeps only the text of some of them.
	if to.err != nil {
		err = to.err
	}
	if err = errors.Join(err, tx.Rollback()); err != nil {
		return fmt.Errorf("store: backup: %w", err)
	}
	return nil
}

// whole begins to read the file at a moment at which it has everything.
func (e *Engine) whole(ctx context.Context) (tx *bbolt.Tx, err error) {
	if err := e.ready(ctx, 0); err != nil {
		return nil, err
	}
	if e.unfolded {
		return nil, fmt.Errorf("%w: %s", ErrUnfolded, e.o.Path)
	}
	begin := func() (err error) {
		tx, err = e.db.Begin(false)
		return err
	}
	if e.o.ReadOnly {
		err = begin()
	} else {
		err = e.submit(ctx, &request{alone: begin})
	}
	if errors.Is(err, berrors.ErrDatabaseNotOpen) {
		err = store.ErrClosed
	}
	return tx, err
}

// settled waits until what was committed before is in the file.
func (e *Engine) settled(ctx context.Context) error {
	if e.o.ReadOnly {
		return nil
	}
	return e.submit(ctx, &request{fold: true})
}

// guarded stops a copy when there is nobody left to make it for, and remembers
// why it ended.
type guarded struct {
	ctx     context.Context
	closing <-chan struct{}
	w       io.Writer
	err     error
}

func (g *guarded) Write(p []byte) (n int, err error) {
	select {
	case <-g.ctx.Done():
		err = g.ctx.Err()
	case <-g.closing:
		err = store.ErrClosed
	default:
		n, err = g.w.Write(p)
	}
	g.err = err
	return n, err
}

// Stats are an engine's numbers since it was opened, and its size now.
type Stats struct {
	// Commits were made; Conflicts were refused.
	Commits, Conflicts uint64
	// Batches are the syncs of the write-ahead file that the commits shared.
	Batches uint64
	// Failures are batches and folds that the disk refused.
	Failures uint64
	// Swept are the expired records that were removed from the file, or had
	// expired before they came into it.
	Swept uint64
	// FileBytes is how much of the file has ever been used; FreeBytes of it
	// will be used again.
	FileBytes, FreeBytes int64
}

// Stats reads the numbers. After Close the sizes are 0.
func (e *Engine) Stats() Stats {
	s := Stats{
		Commits:   e.tally.commits.Load(),
		Conflicts: e.tally.conflicts.Load(),
		Batches:   e.tally.batches.Load(),
		Failures:  e.tally.failures.Load(),
		Swept:     e.tally.swept.Load(),
	}
	// An error is the answer of a closed file: it has no size any more.
	_ = e.db.View(func(tx *bbolt.Tx) error {
		s.FileBytes = tx.Size()
		pages := e.db.Stats()
		s.FreeBytes = int64(pages.FreePageN+pages.PendingPageN) * int64(e.db.Info().PageSize)
		return nil
	})
	return s
}

type tally struct {
	commits, conflicts, batches, failures, swept atomic.Uint64
}

func (t *tally) refused(b *batch) { t.conflicts.Add(b.conflicts) }

func (t *tally) committed(b *batch) {
	t.batches.Add(1)
	t.commits.Add(b.commits)
	t.conflicts.Add(b.conflicts)
}
