package boltstore

import (
	"errors"
	"fmt"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

const (
	// foldWeight is how many bytes of frames make a fold due before its time.
	foldWeight = 8 << 20
	// mostWeight is how many there may be before commits wait for the fold.
	mostWeight = 16 << 20
)

// fold is what one transaction of the file takes over.
type fold struct {
	parts map[store.Partition]*part
	// mark is what the file knows of the write-ahead files afterwards; without
	// them (not begun) that does not change.
	mark  mark
	begun bool
	sweep []store.Partition
	now   stamp
	// waiting are answered when it has ended.
	waiting []*request
	// tx is the transaction it became, and swept how many records it removed,
	// or never wrote, because they had expired.
	tx    int
	swept uint64
}

func (f *fold) empty() bool { return len(f.parts) == 0 && len(f.sweep) == 0 && f.mark.inUse == f.begun }

// foldIfDue begins a fold if it is time and none is under way.
func (e *Engine) foldIfDue() {
	if failure := e.failure.Load(); failure != nil {
		e.disappoint(*failure)
		return
	}
	aged := e.ripe && (e.weight > 0 || e.fold != nil)
	if e.running || !aged && (e.weight < foldWeight || e.fold != nil) && len(e.wanted) == 0 {
		return
	}
	if !e.wal.astray() {
		e.startFold()
		return
	}
	// What has failed in it is tried again in time, as any other fold.
	if err := e.park(); err != nil {
		e.disappoint(err)
	}
}

func (e *Engine) startFold() {
	if e.fold == nil {
		e.fold = e.freeze()
	}
	e.ripe = false
	if e.fold.empty() {
		e.thaw(nil)
		return
	}
	e.running = true
	go func(f *fold) { e.folded <- e.writeFold(f) }(e.fold)
}

// freeze takes everything that is not folded yet. What is committed from now on
// goes into new layers and into the other write-ahead file.
func (e *Engine) freeze() *fold {
	f := &fold{parts: map[store.Partition]*part{}, waiting: e.wanted, begun: e.wal.begun()}
	e.wanted = nil
	for _, r := range f.waiting {
		f.sweep = append(f.sweep, r.sweep...)
	}
	for p := range e.active {
		old := e.parts[p].Load()
		next := &part{counters: old.counters, frozen: old.active, base: old.base, maxTx: e.lastTx + 1}
		next.frozen.head = old.counters.head
		e.parts[p].Store(next)
		f.parts[p] = next
	}
	clear(e.active)
	e.weight = 0
	if f.begun {
		f.mark = mark{inUse: true, run: e.wal.run, folded: e.wal.seq}
		e.wal.rotate()
	}
	e.step("frozen")
	return f
}

// thaw ends a fold. What it has put into the file leaves the parts over it; one
// that has failed stays, and is tried again.
func (e *Engine) thaw(err error) {
	f := e.fold
	e.running = false
	for _, r := range f.waiting {
		r.answer(err)
	}
	f.waiting = nil
	if err != nil {
		e.disappoint(err)
		e.timer.Reset(e.o.FoldEvery)
		// A sweep comes again by itself. But what was committed meanwhile says that
		// it may be laid over the transaction that this fold would have been.
		if len(f.parts) == 0 && len(e.active) == 0 {
			e.fold = nil
		}
		return
	}
	e.fold = nil
	if f.tx != 0 {
		e.lastTx = f.tx
	}
	for p, was := range f.parts {
		if e.active[p] == nil {
			e.parts[p].Store(nil)
			continue
		}
		now := e.parts[p].Load()
		e.parts[p].Store(&part{counters: now.counters, active: now.active, base: was.frozen.head, maxTx: e.lastTx})
	}
	e.tally.swept.Add(f.swept)
	e.step("thawed")
}

// disappoint answers those who wait for a fold that does not come.
func (e *Engine) disappoint(err error) {
	for _, r := range e.wanted {
		r.answer(err)
	}
	e.wanted = nil
}

// foldNow folds what there is, or what an earlier fold could not, and waits.
func (e *Engine) foldNow() error {
	if !e.running {
		e.startFold()
	}
	if !e.running {
		return nil // there was nothing to fold
	}
	err := <-e.folded
	e.thaw(err)
	return err
}

// makeRoom waits for the fold when too much has come after it began. Where the
// file takes nothing any more, neither do commits.
func (e *Engine) makeRoom() error {
	for e.weight >= mostWeight {
		if e.fold == nil {
			e.startFold() // takes all of it
			return nil
		}
		if err := e.foldNow(); err != nil {
			return err
		}
	}
	return nil
}

// park folds everything, and removes the write-ahead files.
func (e *Engine) park() error {
	for e.fold != nil {
		if err := e.foldNow(); err != nil {
			return err
		}
	}
	if !e.wal.begun() {
		return nil
	}
	last := e.freeze()
	last.mark.inUse = false
	e.fold = last
	if err := e.foldNow(); err != nil {
		last.mark.inUse = true // when it is tried again, the files will be in use
		return err
	}
	e.step("parked")
	if err := e.wal.remove(); err != nil {
		return fmt.Errorf("store: remove write-ahead file: %w", err)
	}
	e.step("removed")
	return nil
}

// leave is the writer's last work: one file is left, if the disk allows it.
func (e *Engine) leave() error {
	if e.failure.Load() == nil {
		if err := e.park(); err != nil {
			return errors.Join(err, e.wal.close())
		}
		e.disappoint(nil)
		return nil
	}
	if e.running {
		e.thaw(<-e.folded)
	}
	e.disappoint(store.ErrClosed)
	return e.wal.close()
}
