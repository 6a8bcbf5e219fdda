package boltstore

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// writeFold makes the fold in one transaction of the file.
func (e *Engine) writeFold(f *fold) error {
	if f.empty() {
		return nil
	}
	f.now, f.swept = stampOf(e.o.Now()), 0
	tx, err := e.db.Begin(true)
	if err != nil {
		return e.failed(fmt.Errorf("store: begin: %w", err))
	}
	if err := f.write(e, tx); err != nil {
		return e.failed(errors.Join(fmt.Errorf("store: write: %w", err), tx.Rollback()))
	}
	f.tx = tx.ID()
	e.step("fold")
	if err := e.commit(tx); err != nil {
		id := f.tx
		f.tx = 0
		return e.failed(e.settle(id, err))
	}
	e.step("folded")
	return nil
}

// settle finds out what a failed transaction has left behind. bbolt replaces
// its root page last: where that still names an older one nothing was written,
// and the pages that were are free. Otherwise the root is in the page cache but
// perhaps not on the disk, and the engine must not go on.
func (e *Engine) settle(id int, cause error) error {
	err := e.db.View(func(tx *bbolt.Tx) error {
		if tx.ID() >= id {
			return store.ErrUnknown
		}
		return nil
	})
	if err == nil {
		return fmt.Errorf("store: nothing was written: %w", cause)
	}
	return e.lost(cause)
}

func (f *fold) write(e *Engine, tx *bbolt.Tx) error {
	for p, part := range f.parts {
		if err := f.partition(tx, p, e.names[p], part); err != nil {
			return err
		}
	}
	for _, p := range f.sweep {
		if err := f.sweepPartition(tx, e.names[p]); err != nil {
			return err
		}
	}
	if f.begun {
		return putMark(tx, f.mark)
	}
	return nil
}

func (f *fold) partition(tx *bbolt.Tx, p store.Partition, n names, part *part) error {
	if err := f.records(tx.Bucket(n.records), tx.Bucket(n.expiry), part.frozen); err != nil {
		return err
	}
	if err := foldLog(tx.Bucket(n.log), part); err != nil {
		return err
	}
	return tx.Bucket([]byte(partitionsBucket)).Put(partitionKey(p), part.counters.encode())
}

// records folds the records of a layer, in order, and keeps the index of
// expiries exact. One that has expired by now is not written any more.
func (f *fold) records(records, expiry *bbolt.Bucket, l layer) (err error) {
	var listed, unlisted [][]byte
	l.records.Scan(func(id string, e *entry) bool {
		var was, is stored
		key := []byte(id)
		if e.below {
			if raw := records.Get(key); raw != nil {
				if was, _, err = parseRecord(raw); err != nil {
					return false
				}
			}
		}
		if e.rec != nil {
			is, _, err = parseRecord(e.rec)
		}
		if is.expires.reached(f.now) {
			is = stored{}
			f.swept++
		}
		if was.expires != is.expires {
			if was.expires != (stamp{}) {
				unlisted = append(unlisted, expiryKey(was.expires, key))
			}
			if is.expires != (stamp{}) {
				listed = append(listed, expiryKey(is.expires, key))
			}
		}
		switch {
		case err != nil:
		case is.exists:
			err = records.Put(key, e.rec)
		case was.exists:
			err = records.Delete(key)
		}
		return err == nil
	})
	if err != nil {
		return err
	}
	return list(expiry, unlisted, listed)
}

// list changes the index. In order, because bbolt splits a page only at the end
// of a transaction: until then, what is put into the middle of one moves the rest.
func list(expiry *bbolt.Bucket, unlisted, listed [][]byte) error {
	slices.SortFunc(unlisted, bytes.Compare)
	slices.SortFunc(listed, bytes.Compare)
	for _, k := range unlisted {
		if err := expiry.Delete(k); err != nil {
			return err
		}
	}
	for _, k := range listed {
		if err := expiry.Put(k, nil); err != nil {
			return err
		}
	}
	return nil
}

func foldLog(log *bbolt.Bucket, part *part) error {
	trimmed := part.counters.trimmed
	if trimmed != (store.Position{}) {
		// Keys first: a cursor is not to be trusted over what it removes.
		var keys [][]byte
		last := logKey(trimmed)
		c := log.Cursor()
		for k, _ := c.First(); k != nil && bytes.Compare(k, last) <= 0; k, _ = c.Next() {
			keys = append(keys, bytes.Clone(k))
		}
		for _, k := range keys {
			if err := log.Delete(k); err != nil {
				return err
			}
		}
	}
	// Logs grow at their end only: a page that is split there stays full.
	log.FillPercent = 1
	for _, l := range part.frozen.log[behind(part.frozen.log, trimmed):] {
		if err := log.Put(logKey(l.at), l.raw); err != nil {
			return err
		}
	}
	return nil
}
