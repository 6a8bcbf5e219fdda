package delivery_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/sessionhooks/delivery"
)

// faulty is an engine that fails when a test wants it to, and counts.
type faulty struct {
	store.Engine
	mu sync.Mutex
	// refuse, when set, decides about a commit before it is made; unknown about
	// the answer after it was made.
	refuse, unknown func(ops []store.Op) error
	scan            func() error
	read            func(after store.Position) error
	rows, commits   int
}

func (f *faulty) set(how func(*faulty)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	how(f)
}

func (f *faulty) Commit(ctx context.Context, ops ...store.Op) (store.Version, error) {
	f.mu.Lock()
	refuse, unknown := f.refuse, f.unknown
	f.commits++
	f.mu.Unlock()
	if refuse != nil {
		if err := refuse(ops); err != nil {
			return 0, err
		}
	}
	v, err := f.Engine.Commit(ctx, ops...)
	if err == nil && unknown != nil {
		if err := unknown(ops); err != nil {
			return 0, err
		}
	}
	return v, err
}

func (f *faulty) ReadLog(ctx context.Context, p store.Partition, after store.Position, n int, wait time.Duration) ([]store.Entry, error) {
	f.mu.Lock()
	read := f.read
	f.mu.Unlock()
	if read != nil {
		if err := read(after); err != nil {
			return nil, err
		}
	}
	return f.Engine.ReadLog(ctx, p, after, n, wait)
}

func (f *faulty) Scan(ctx context.Context, r store.Range) ([]store.Record, error) {
	f.mu.Lock()
	scan := f.scan
	f.mu.Unlock()
	if scan != nil {
		if err := scan(); err != nil {
			return nil, err
		}
	}
	recs, err := f.Engine.Scan(ctx, r)
	f.set(func(f *faulty) { f.rows += len(recs) })
	return recs, err
}

var errDisk = errors.New("disk on fire")

// touches says whether a commit writes a record of a kind.
func touches(ops []store.Op, kind string) bool {
	return slices.ContainsFunc(ops, func(op store.Op) bool { return op.Key.Kind == kind && op.Verb != store.VerbCheck })
}

// receiver is a Sender's other end: it notes who was sent what when, and
// answers what it is told to.
type receiver struct {
	mu     sync.Mutex
	calls  []call
	answer func(n int, j delivery.Job) delivery.Outcome
}

type call struct {
	id, target string
	at         time.Time
}

func (r *receiver) send(_ context.Context, _ store.Place, j delivery.Job) delivery.Outcome {
	r.mu.Lock()
	r.calls = append(r.calls, call{id: j.ID, target: j.Target, at: time.Now()})
	n := len(r.calls)
	answer := r.answer
	r.mu.Unlock()
	if answer == nil {
		return ok()
	}
	return answer(n, j)
}

func (r *receiver) got() []call {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.calls)
}

func (r *receiver) count(target string) (n int) {
	for _, c := range r.got() {
		if c.target == target {
			n++
		}
	}
	return n
}

func ok() delivery.Outcome {
	return delivery.Outcome{Verdict: delivery.Delivered, Status: 200, Reason: "ok"}
}

func again(reason string) delivery.Outcome {
	return delivery.Outcome{Verdict: delivery.Retry, Status: 503, Reason: reason}
}

func raw(v any) json.RawMessage {
	text, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprint("encode: ", err))
	}
	return text
}
