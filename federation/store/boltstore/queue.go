package boltstore

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// request is something on its way to the writer, mostly a change.
type request struct {
	// apply makes the change in the batch, or returns an error before it has
	// changed anything.
	apply func(*batch) error
	// fold, instead, asks that everything before it be in the file, and that
	// what has expired be removed in the partitions of sweep.
	fold  bool
	sweep []store.Partition
	// alone, instead, is run by the writer while all there is is in the file,
	// and no other file beside it.
	alone func() error
	// size is about how many bytes it will write.
	size  int
	state atomic.Uint32
	err   error
	done  chan struct{}
}

const (
	waiting uint32 = iota
	begun
	withdrawn
)

// begin is the writer's claim. False: the caller has gone.
func (r *request) begin() bool { return r.state.CompareAndSwap(waiting, begun) }

// withdraw is the caller's claim. False: the writer has begun.
func (r *request) withdraw() bool { return r.state.CompareAndSwap(waiting, withdrawn) }

func (r *request) answer(err error) {
	r.err = err
	close(r.done)
}

// submit waits for the outcome of a change. A ctx that ends earlier takes the
// change back, unless the writer has begun with it: then the answer is near.
func (e *Engine) submit(ctx context.Context, r *request) error {
	if e.o.ReadOnly {
		return ErrReadOnly
	}
	r.done = make(chan struct{})
	if !e.queue.add(r) {
		return store.ErrClosed
	}
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
	}
	if r.withdraw() {
		return ctx.Err()
	}
	<-r.done
	return r.err
}

// queue is where changes wait while the writer syncs.
type queue struct {
	mu       sync.Mutex
	requests []*request
	closed   bool
	wake     chan struct{}
}

func (q *queue) add(r *request) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	q.requests = append(q.requests, r)
	q.poke()
	return true
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.poke()
}

func (q *queue) poke() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// maxBatchBytes bounds the memory of a batch; one change may be larger.
const maxBatchBytes = 16 << 20

// cut answers the requests that wait, as many as go into one batch. Where there
// are none, ended says that there never will be.
func (q *queue) cut(limit int) (batch []*request, ended bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, size := 0, 0
	for n < len(q.requests) && n < limit {
		size += q.requests[n].size
		if n > 0 && size > maxBatchBytes {
			break
		}
		n++
	}
	batch = q.requests[:n:n]
	q.requests = q.requests[n:]
	if len(q.requests) == 0 {
		q.requests = nil
	}
	return batch, n == 0 && q.closed
}
