package redisstore

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// lane is where the commits of one partition wait for each other. It has a few
// slots; each sends one batch at a time and has its answer before the next, so
// that the number of its last batch tells which were made.
type lane struct {
	mu    sync.Mutex
	queue []*request
	free  []*slot
	made  int
}

// slotsPerLane batches may be on their way at once: while the server works on
// one the next is made ready.
const slotsPerLane = 2

// slot is a sequence of batches within one epoch.
type slot struct {
	id    uint64
	epoch uint64
	last  uint64
}

// request is a commit on its way.
type request struct {
	changes []change
	size    int
	began   time.Time
	state   atomic.Uint32
	done    chan struct{}
	version store.Version
	err     error
}

const (
	waiting uint32 = iota
	taken
	withdrawn
)

func (r *request) answer(v store.Version, err error) {
	r.version, r.err = v, err
	close(r.done)
}

// submit waits for the outcome of a commit. A ctx that ends earlier takes the
// commit back, unless it is already under way: then the answer is awaited,
// which Options.Patience bounds.
func (e *Engine) submit(ctx context.Context, p *part, r *request) (store.Version, error) {
	e.enqueue(p, r)
	select {
	case <-r.done:
		return r.version, r.err
	case <-ctx.Done():
	}
	if r.state.CompareAndSwap(waiting, withdrawn) {
		return 0, ctx.Err()
	}
	<-r.done
	return r.version, r.err
}

func (e *Engine) enqueue(p *part, r *request) {
	l := &p.lane
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue = append(l.queue, r)
	var s *slot
	switch {
	case len(l.free) > 0:
		s = l.free[len(l.free)-1]
		l.free = l.free[:len(l.free)-1]
	case l.made < slotsPerLane:
		s = &slot{}
		l.made++
	default:
		return
	}
	// Close waits for the slot too. It cannot be through with waiting: the caller
	// is still running.
	e.running.Go(func() { e.drive(p, s) })
}

const (
	maxBatch      = 128
	maxBatchOps   = 4000
	maxBatchBytes = 4 << 20
)

// cut takes a batch from the queue; none when it is empty, and the slot is free.
func (l *lane) cut(s *slot) []*request {
	l.mu.Lock()
	defer l.mu.Unlock()
	var batch []*request
	ops, size, n := 0, 0, 0
	for _, r := range l.queue {
		if len(batch) > 0 && (len(batch) == maxBatch || ops+len(r.changes) > maxBatchOps || size+r.size > maxBatchBytes) {
			break
		}
		n++
		if r.state.CompareAndSwap(waiting, taken) {
			batch = append(batch, r)
			ops += len(r.changes)
			size += r.size
		}
	}
	clear(l.queue[:n])
	l.queue = l.queue[n:]
	if len(l.queue) == 0 {
		l.queue = nil
	}
	if len(batch) == 0 {
		l.free = append(l.free, s)
	}
	return batch
}

// drive sends batch after batch until nobody waits.
func (e *Engine) drive(p *part, s *slot) {
	for {
		batch := p.lane.cut(s)
		if len(batch) == 0 {
			return
		}
		e.send(p, s, batch)
	}
}
