package boltstore

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"

	"go.etcd.io/bbolt"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// Backup writes a whole copy of the file as it stands when Backup begins.
// Commits go on meanwhile, and what they replace is kept until it ends, so a
// slow w makes the file grow. To restore, put the copy in the place of the
// file and open it once with Options.NewEpoch. Close ends a backup early.
func (e *Engine) Backup(ctx context.Context, w io.Writer) error {
	to := &guarded{ctx: ctx, closing: e.closing, w: w}
	err := e.view(ctx, 0, func(tx *bbolt.Tx) error {
		_, err := tx.WriteTo(to)
		return err
	})
	// bbolt keeps only the text of some of them.
	if to.err != nil {
		err = to.err
	}
	if err != nil {
		return fmt.Errorf("store: backup: %w", err)
	}
	return nil
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
	// Batches are the synced transactions that the commits shared.
	Batches uint64
	// Failures are transactions that the disk refused.
	Failures uint64
	// Swept are the expired records that Run removed.
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
	t.swept.Add(b.swept)
}
