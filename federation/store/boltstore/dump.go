package boltstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"

	"go.etcd.io/bbolt"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// errEnough ends a transaction whose reader wants no more.
var errEnough = errors.New("store: enough was read")

// Dump implements store.Dumper. It is one read transaction, after all that was
// committed has been put into the file: commits go on meanwhile, and what they
// replace is kept until it ends.
func (e *Engine) Dump(ctx context.Context) iter.Seq2[store.Item, error] {
	return func(yield func(store.Item, error) bool) {
		err := e.ready(ctx, 0)
		if err == nil {
			err = e.settled(ctx)
		}
		if err == nil {
			err = e.view(ctx, 0, nil, func(m moment) error { return e.dump(ctx, m.tx, yield) })
		}
		if err != nil && !errors.Is(err, errEnough) {
			yield(store.Item{}, err)
		}
	}
}

func (e *Engine) dump(ctx context.Context, tx *bbolt.Tx, yield func(store.Item, error) bool) error {
	d := dumping{now: stampOf(e.o.Now()), yield: func(it store.Item) error {
		if err := e.ready(ctx, it.Partition); err != nil {
			return err
		}
		if !yield(it, nil) {
			return errEnough
		}
		return nil
	}}
	for p := range e.names {
		m := moment{tx: tx, p: store.Partition(p), n: e.names[p]}
		if e.o.ReadOnly {
			m.part = e.parts[p].Load()
		}
		if err := d.partition(m); err != nil {
			return err
		}
	}
	return nil
}

// dumping is a dump under way.
type dumping struct {
	now   stamp
	yield func(store.Item) error
}

func (d dumping) partition(m moment) error {
	c, err := m.counters()
	if err != nil {
		return err
	}
	if err := d.yield(store.Item{Partition: m.p, Head: &store.Head{Version: c.version, Last: c.head, Trimmed: c.trimmed}}); err != nil {
		return err
	}
	err = m.records("", "", func(k string, v []byte) (bool, error) {
		rec, err := fullRecord(m.p, []byte(k), v)
		if err != nil || !rec.Expires.IsZero() && stampOf(rec.Expires).reached(d.now) {
			return true, err
		}
		return true, d.yield(store.Item{Partition: m.p, Record: &rec})
	})
	if err != nil {
		return err
	}
	return m.entries(c.trimmed, func(at store.Position, raw []byte) (bool, error) {
		entry, err := entryOf(at, raw)
		if err != nil {
			return false, err
		}
		return true, d.yield(store.Item{Partition: m.p, Entry: &entry})
	})
}

// fullRecord reads a record with its key, and copies what it keeps.
func fullRecord(p store.Partition, k, v []byte) (store.Record, error) {
	head, value, err := parseRecord(v)
	if err != nil {
		return store.Record{}, err
	}
	if len(k) < 1 || len(k) < 1+int(k[0]) {
		return store.Record{}, fmt.Errorf("read record: %w", errDamaged)
	}
	kind, id := k[1:1+k[0]], k[1+k[0]:]
	return store.Record{
		Key:     store.Key{Partition: p, Kind: string(kind), ID: string(id)},
		Version: head.version, Expires: head.expires.time(), Value: bytes.Clone(value),
	}, nil
}

// loadingKey stands in the meta bucket from before the first item is loaded
// until the last one is.
func loadingKey() []byte { return []byte("loading") }

// A load is made in transactions of so many items or bytes.
const (
	loadItems = 20_000
	loadBytes = 16 << 20
)

// Load implements store.Dumper.
func (e *Engine) Load(ctx context.Context, items iter.Seq2[store.Item, error]) error {
	if err := e.ready(ctx, 0); err != nil {
		return err
	}
	if e.o.ReadOnly {
		return ErrReadOnly
	}
	if err := e.submit(ctx, &request{alone: func() error {
		err := e.db.Update(e.beginLoad)
		if err == nil {
			loading := store.ErrLoading
			e.failure.Store(&loading)
		}
		return err
	}}); err != nil {
		return err
	}
	if err := e.load(ctx, store.CheckDump(e.layout, items)); err != nil {
		return fmt.Errorf("store: load %s: %w", e.o.Path, err)
	}
	err := e.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket([]byte(metaBucket)).Delete(loadingKey()) })
	if err != nil {
		return fmt.Errorf("store: load %s: %w", e.o.Path, err)
	}
	e.failure.Store(nil)
	for p := range e.heads {
		e.heads[p].light()
	}
	return nil
}

// beginLoad marks the file, if nothing was ever written to it.
func (e *Engine) beginLoad(tx *bbolt.Tx) error {
	for p := range e.names {
		c, err := parseCounters(tx.Bucket([]byte(partitionsBucket)).Get(partitionKey(store.Partition(p))))
		if err != nil {
			return err
		}
		if c.version != 0 || c.head.Seq != 0 || c.trimmed != (store.Position{}) {
			return store.ErrNotEmpty
		}
	}
	return tx.Bucket([]byte(metaBucket)).Put(loadingKey(), []byte{1})
}

func (e *Engine) load(ctx context.Context, items iter.Seq2[store.Item, error]) error {
	next, stop := iter.Pull2(items)
	defer stop()
	for more := true; more; {
		err := e.db.Update(func(tx *bbolt.Tx) (err error) {
			more, err = e.loadSome(ctx, tx, next)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// loadSome loads one transaction's worth and says whether there is more.
func (e *Engine) loadSome(ctx context.Context, tx *bbolt.Tx, next func() (store.Item, error, bool)) (bool, error) {
	for n, size := 0, 0; n < loadItems && size < loadBytes; n++ {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		it, err, ok := next()
		if err != nil || !ok {
			return false, err
		}
		wrote, err := e.loadItem(tx, it)
		if err != nil {
			return false, err
		}
		size += wrote
	}
	return true, nil
}

// loadItem writes one item and says how many bytes it took.
func (e *Engine) loadItem(tx *bbolt.Tx, it store.Item) (int, error) {
	n := e.names[it.Partition]
	switch {
	case it.Head != nil:
		c := counters{version: it.Head.Version, head: it.Head.Last, trimmed: it.Head.Trimmed}
		return 0, tx.Bucket([]byte(partitionsBucket)).Put(partitionKey(it.Partition), c.encode())
	case it.Record != nil:
		return loadRecord(tx, n, *it.Record)
	}
	entry := newEntry(it.Entry.Value)
	setTime(entry, stampOf(it.Entry.At))
	log := tx.Bucket(n.log)
	log.FillPercent = 1
	return len(entry), log.Put(logKey(it.Entry.Position), entry)
}

func loadRecord(tx *bbolt.Tx, n names, r store.Record) (int, error) {
	if err := checkKey(r.Key); err != nil {
		return 0, err
	}
	if len(r.Value) > maxValue {
		return 0, fmt.Errorf("store: a value of %d bytes is longer than %d", len(r.Value), maxValue)
	}
	key, expires := []byte(recordKey(r.Key.Kind, r.Key.ID)), stampOf(r.Expires)
	rec := newRecord(r.Value, expires)
	setVersion(rec, r.Version)
	if expires != (stamp{}) {
		if err := tx.Bucket(n.expiry).Put(expiryKey(expires, key), nil); err != nil {
			return 0, err
		}
	}
	records := tx.Bucket(n.records)
	// They come in order, or nearly: full pages, with some room for changes.
	records.FillPercent = 0.9
	return len(rec) + len(key), records.Put(key, rec)
}
