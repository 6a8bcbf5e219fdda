package boltstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
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
	queue  queue
	tally  tally
	// commit is (*bbolt.Tx).Commit, but where a test makes the disk fail.
	commit func(*bbolt.Tx) error
	// failure is set once the file can no longer be trusted.
	failure atomic.Pointer[error]

	writer  sync.WaitGroup
	once    sync.Once
	closing chan struct{}
	closed  error
}

func start(db *bbolt.DB, layout store.Layout, o Options) *Engine {
	e := &Engine{
		db: db, o: o, layout: layout,
		names:   make([]names, layout.Partitions),
		heads:   make([]beacon, layout.Partitions),
		queue:   queue{wake: make(chan struct{}, 1)},
		commit:  (*bbolt.Tx).Commit,
		closing: make(chan struct{}),
	}
	for p := range e.names {
		e.names[p] = namesOf(store.Partition(p))
	}
	e.writer.Go(e.write)
	return e
}

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
	recs := make([]store.Record, len(keys))
	for i, k := range keys {
		if err := checkKey(k); err != nil {
			return nil, err
		}
		recs[i].Key = k
	}
	err = e.view(ctx, p, func(tx *bbolt.Tx) error {
		records, now := tx.Bucket(e.names[p].records), stampOf(e.o.Now())
		for i, k := range keys {
			raw := records.Get(recordKey(k.Kind, k.ID))
			if raw == nil {
				continue
			}
			head, value, err := parseRecord(raw)
			if err != nil {
				return err
			}
			if !head.expires.reached(now) {
				recs[i].Version, recs[i].Expires, recs[i].Value = head.version, head.expires.time(), bytes.Clone(value)
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
	err := e.view(ctx, r.Partition, func(tx *bbolt.Tx) (err error) {
		recs, err = scan(tx.Bucket(e.names[r.Partition].records), r, stampOf(e.o.Now()))
		return err
	})
	return recs, err
}

func scan(b *bbolt.Bucket, r store.Range, now stamp) ([]store.Record, error) {
	prefix := recordKey(r.Kind, r.Prefix)
	from := prefix
	if r.After != "" {
		// The least key above After is After with a zero byte.
		from = slices.MaxFunc([][]byte{prefix, append(recordKey(r.Kind, r.After), 0)}, bytes.Compare)
	}
	idAt := 1 + len(r.Kind)
	var recs []store.Record
	c := b.Cursor()
	for k, raw := c.Seek(from); bytes.HasPrefix(k, prefix) && len(recs) < r.Limit; k, raw = c.Next() {
		head, value, err := parseRecord(raw)
		if err != nil {
			return nil, err
		}
		if head.expires.reached(now) {
			continue
		}
		recs = append(recs, store.Record{
			Key:     store.Key{Partition: r.Partition, Kind: r.Kind, ID: string(k[idAt:])},
			Version: head.version,
			Value:   bytes.Clone(value),
			Expires: head.expires.time(),
		})
	}
	return recs, nil
}

// Now implements store.Engine with Options.Now.
func (e *Engine) Now(ctx context.Context) (time.Time, error) {
	if err := e.ready(ctx, 0); err != nil {
		return time.Time{}, err
	}
	return e.o.Now(), nil
}

// Close implements store.Engine: commits that are queued are still made,
// reads that wait for the log end with store.ErrClosed. Closing again waits
// for the first Close and answers as it did.
func (e *Engine) Close() error {
	e.once.Do(func() {
		close(e.closing)
		e.queue.close()
		e.writer.Wait()
		e.closed = e.db.Close()
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

// view reads in one transaction. Nothing of bbolt's memory may leave read.
func (e *Engine) view(ctx context.Context, p store.Partition, read func(*bbolt.Tx) error) error {
	if err := e.ready(ctx, p); err != nil {
		return err
	}
	err := e.db.View(read)
	if errors.Is(err, berrors.ErrDatabaseNotOpen) {
		return store.ErrClosed
	}
	return err
}
