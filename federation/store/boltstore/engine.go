package boltstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

const (
	metaBucket       = "meta"
	partitionsBucket = "partitions"
)

// names are the buckets of one partition.
type names struct{ records, expiry, log []byte }

func namesOf(p store.Partition) names {
	n := strconv.Itoa(int(p))
	return names{records: []byte("records/" + n), expiry: []byte("expiry/" + n), log: []byte("log/" + n)}
}

func partitionKey(p store.Partition) []byte {
	return binary.BigEndian.AppendUint16(nil, uint16(p))
}

// Engine is a store.Engine over one bbolt file. Open makes it.
type Engine struct {
	db     *bbolt.DB
	o      Options
	layout store.Layout
	names  []names
	heads  []beacon
	// parts are what stands over the file in each partition: nothing, mostly.
	// Only the writer stores them.
	parts []atomic.Pointer[part]
	queue queue
	tally tally
	// commit is (*bbolt.Tx).Commit, but where a test makes the disk fail.
	commit func(*bbolt.Tx) error
	// failure is set once the file can no longer be trusted.
	failure atomic.Pointer[error]
	// unfolded says of a file that is only read that a crash has left commits
	// beside it.
	unfolded bool
	writer

	writing sync.WaitGroup
	once    sync.Once
	closing chan struct{}
	// left is how the writer's last work ended.
	left, closed error
}

func newEngine(db *bbolt.DB, layout store.Layout, o Options) *Engine {
	e := &Engine{
		db: db, o: o, layout: layout,
		names:  make([]names, layout.Partitions),
		heads:  make([]beacon, layout.Partitions),
		parts:  make([]atomic.Pointer[part], layout.Partitions),
		queue:  queue{wake: make(chan struct{}, 1)},
		commit: (*bbolt.Tx).Commit,
		writer: writer{
			wal: newWAL(o.Path), active: map[store.Partition]*layer{},
			folded: make(chan error, 1), timer: time.NewTimer(o.FoldEvery),
		},
		closing: make(chan struct{}),
	}
	for p := range e.names {
		e.names[p] = namesOf(store.Partition(p))
	}
	return e
}

// step is passed by commits and folds, for tests to crash at.
func (e *Engine) step(name string) { e.wal.step(name) }

// Layout is what the file was created with.
func (e *Engine) Layout() store.Layout { return e.layout }

// Get implements store.Engine.
func (e *Engine) Get(ctx context.Context, k store.Key) (store.Record, error) {
	recs, err := e.GetAll(ctx, k)
	if err != nil {
		return store.Record{}, err
	}
	if recs[0].Version == 0 {
		return store.Record{}, store.ErrNotFound
	}
	return recs[0], nil
}

// GetAll implements store.Engine; all records are of one moment.
func (e *Engine) GetAll(ctx context.Context, keys ...store.Key) ([]store.Record, error) {
	p, err := store.PlanGet(keys)
	if err != nil {
		return nil, err
	}
	recs, rows := make([]store.Record, len(keys)), make([]string, len(keys))
	for i, k := range keys {
		if err := checkKey(k); err != nil {
			return nil, err
		}
		recs[i].Key, rows[i] = k, recordKey(k.Kind, k.ID)
	}
	err = e.view(ctx, p, func(part *part) bool { return part.hasAll(rows) }, func(m moment) error {
		now := stampOf(e.o.Now())
		for i := range recs {
			if err := fill(&recs[i], m.record(rows[i]), now); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return recs, nil
}

// Scan implements store.Engine.
func (e *Engine) Scan(ctx context.Context, r store.Range) ([]store.Record, error) {
	if r.Limit < 1 {
		return nil, fmt.Errorf("store: a scan for %d records", r.Limit)
	}
	if err := errors.Join(checkKey(store.Key{Kind: r.Kind, ID: r.Prefix}), checkKey(store.Key{ID: r.After})); err != nil {
		return nil, err
	}
	var recs []store.Record
	err := e.view(ctx, r.Partition, nil, func(m moment) (err error) {
		recs, err = scan(m, r, stampOf(e.o.Now()))
		return err
	})
	return recs, err
}

func scan(m moment, r store.Range, now stamp) ([]store.Record, error) {
	prefix := recordKey(r.Kind, r.Prefix)
	from := prefix
	if r.After != "" {
		// The least key above After is After with a zero byte.
		from = max(prefix, recordKey(r.Kind, r.After)+"\x00")
	}
	var recs []store.Record
	err := m.records(from, prefix, func(key string, raw []byte) (bool, error) {
		rec := store.Record{Key: store.Key{Partition: r.Partition, Kind: r.Kind, ID: key[1+len(r.Kind):]}}
		if err := fill(&rec, raw, now); err != nil {
			return false, err
		}
		if rec.Version != 0 {
			recs = append(recs, rec)
		}
		return len(recs) < r.Limit, nil
	})
	return recs, err
}

// fill puts a stored record into rec, unless there is none or it has expired.
func fill(rec *store.Record, raw []byte, now stamp) error {
	if raw == nil {
		return nil
	}
	head, value, err := parseRecord(raw)
	if err == nil && !head.expires.reached(now) {
		rec.Version, rec.Expires, rec.Value = head.version, head.expires.time(), bytes.Clone(value)
	}
	return err
}

// Now implements store.Engine with Options.Now.
func (e *Engine) Now(ctx context.Context) (time.Time, error) {
	if err := e.ready(ctx, 0); err != nil {
		return time.Time{}, err
	}
	return e.o.Now(), nil
}

// Close implements store.Engine: commits that are queued are still made,
// reads that wait for the log end with store.ErrClosed. Where the disk allows it
// one file is left. Closing again waits for the first Close and answers as it did.
func (e *Engine) Close() error {
	e.once.Do(func() {
		close(e.closing)
		e.queue.close()
		e.writing.Wait()
		e.closed = errors.Join(e.left, e.db.Close())
	})
	return e.closed
}

// ready says whether a call may begin.
func (e *Engine) ready(ctx context.Context, p store.Partition) error {
	select {
	case <-e.closing:
		return store.ErrClosed
	default:
	}
	if failure := e.failure.Load(); failure != nil {
		return *failure
	}
	if int(p) >= e.layout.Partitions {
		return fmt.Errorf("store: there is no partition %d of %d", p, e.layout.Partitions)
	}
	return ctx.Err()
}

// view reads one moment of a partition, without the file where enough (which may
// be nil) says that what stands over it is enough. Nothing of bbolt's memory may
// leave read.
func (e *Engine) view(ctx context.Context, p store.Partition, enough func(*part) bool, read func(moment) error) error {
	if err := e.ready(ctx, p); err != nil {
		return err
	}
	for {
		part, moved := e.parts[p].Load(), false
		m := moment{part: part, p: p, n: e.names[p]}
		if part != nil && enough != nil && enough(part) {
			return read(m)
		}
		err := e.db.View(func(tx *bbolt.Tx) error {
			if moved = part != nil && tx.ID() > part.maxTx; moved {
				return nil // a fold was between the two: look again
			}
			m.tx = tx
			return read(m)
		})
		if errors.Is(err, berrors.ErrDatabaseNotOpen) {
			return store.ErrClosed
		}
		if !moved {
			return err
		}
	}
}
