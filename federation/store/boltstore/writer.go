package boltstore

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// writer is what only the engine's one writer touches.
type writer struct {
	wal wal
	// active are the layers that commits change, by partition. What readers see
	// of them are copies, which share what has not changed since.
	active map[store.Partition]*layer
	// weight is how much is not folded, in bytes of the write-ahead file.
	weight int64
	// lastTx is the newest transaction of the file.
	lastTx int
	// fold is the one under way, or the one that has failed and is tried again.
	fold    *fold
	running bool
	folded  chan error
	// ripe is set when what is not folded has waited long enough.
	ripe  bool
	timer *time.Timer
	// wanted are those who wait for the next fold to begin and to end.
	wanted []*request
	buf    []byte
}

// write is the engine's one writer. It ends when the queue is closed and empty.
func (e *Engine) write() {
	defer e.timer.Stop()
	for {
		requests, ended := e.queue.cut(e.o.MaxBatch)
		idle := len(requests) == 0
		for len(requests) > 0 {
			n := slices.IndexFunc(requests, func(r *request) bool { return r.apply == nil })
			switch n {
			case 0:
				e.serve(requests[0])
				requests = requests[1:]
				continue
			case -1:
				n = len(requests)
			}
			e.writeBatch(requests[:n])
			requests = requests[n:]
		}
		if ended {
			e.left = e.leave()
			return
		}
		e.attend(idle)
	}
}

// attend looks after the fold, and waits for something to do if told so.
func (e *Engine) attend(wait bool) {
	for again := true; again; {
		again = false
		select {
		case err := <-e.folded:
			e.thaw(err)
			again = true
		case <-e.timer.C:
			e.ripe = true
			again = true
		default:
		}
	}
	e.foldIfDue()
	if !wait {
		return
	}
	select {
	case <-e.queue.wake:
	case err := <-e.folded:
		e.thaw(err)
	case <-e.timer.C:
		e.ripe = true
	}
	e.foldIfDue()
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
	err := e.transact(func(b *batch) {
		for i, r := range taken {
			errs[i] = r.apply(b)
		}
	})
	for i, r := range taken {
		if err != nil {
			errs[i] = err
		}
		r.answer(errs[i])
	}
}

// transact fills one batch, puts it on the disk, and lets it be seen.
func (e *Engine) transact(fill func(*batch)) error {
	if failure := e.failure.Load(); failure != nil {
		return *failure
	}
	if err := e.makeRoom(); err != nil {
		return e.failed(err)
	}
	b := &batch{engine: e, now: stampOf(e.o.Now())}
	fill(b)
	b.looked()
	if !b.changed() {
		e.tally.refused(b)
		return nil
	}
	if err := e.log(b); err != nil {
		return e.failed(err)
	}
	for _, s := range b.shelves {
		if s.changed {
			e.publish(s)
		}
	}
	e.tally.committed(b)
	for p, s := range b.shelves {
		if s.appended {
			e.heads[p].light()
		}
	}
	return nil
}

// log puts a batch into the write-ahead file.
func (e *Engine) log(b *batch) error {
	if !e.wal.begun() {
		if e.running {
			e.thaw(<-e.folded)
		}
		if err := e.begin(); err != nil {
			return err
		}
	}
	e.buf = b.frame(e.buf)
	size := int64(len(e.buf))
	err := e.wal.append(e.buf)
	if cap(e.buf) > 1<<20 {
		e.buf = nil
	}
	switch {
	case errors.Is(err, errUnsynced):
		return e.lost(err)
	case err != nil:
		// A fold frees the other one of the two files, which may have room.
		e.ripe = true
		return fmt.Errorf("store: nothing was written: %w", err)
	}
	if e.weight == 0 {
		e.ripe = false
		e.timer.Reset(e.o.FoldEvery)
	}
	e.weight += size + b.weight
	return nil
}

// publish lets a partition's part of a batch be seen.
func (e *Engine) publish(s *shelf) {
	l := e.active[s.p]
	if l == nil {
		fresh := newLayer()
		l = &fresh
		e.active[s.p] = l
	}
	for key, entry := range s.records {
		if entry.rec == nil && !entry.below {
			l.records.Delete(key)
		} else {
			l.records.Set(key, entry)
		}
	}
	l.log = append(l.log, s.log...)
	next := &part{counters: s.counters, active: layer{records: l.records.Copy(), log: l.log}, maxTx: e.lastTx}
	if e.fold != nil {
		next.maxTx++
	}
	if s.part != nil {
		next.frozen, next.base = s.part.frozen, s.part.base
	} else {
		next.base = s.counters.head
		if len(s.log) > 0 {
			next.base.Seq = s.log[0].at.Seq - 1
		}
	}
	e.parts[s.p].Store(next)
}

// serve does what is not a change.
func (e *Engine) serve(r *request) {
	if !r.begin() {
		return
	}
	if failure := e.failure.Load(); failure != nil {
		r.answer(*failure)
		return
	}
	if r.fold {
		e.wanted = append(e.wanted, r)
		e.foldIfDue()
		return
	}
	err := e.park()
	if err == nil {
		err = r.alone()
	}
	r.answer(err)
}

func (e *Engine) failed(err error) error {
	e.tally.failures.Add(1)
	return err
}

// lost ends the engine's work: nobody knows what of a commit is on the disk.
func (e *Engine) lost(cause error) error {
	failure := fmt.Errorf("store: %s failed and must be opened anew: %w", e.o.Path, cause)
	e.failure.Store(&failure)
	for p := range e.heads {
		e.heads[p].light()
	}
	return fmt.Errorf("%w: %w", store.ErrUnknown, failure)
}
