package boltstore

import (
	"context"
	"fmt"
	"strconv"

	"go.etcd.io/bbolt"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// Check reads the whole file and tells what is not as the package doc says it
// is: the pages of the file (of one that is only read Open has looked at them),
// the counters, keys, records, log entries, and the index of expiries. No key
// and no value is told. Where the pages are damaged it looks no further, because
// nothing above them could be believed. The error is that the check could not
// be made.
func (e *Engine) Check(ctx context.Context, tell func(problem string)) error {
	if err := e.ready(ctx, 0); err != nil {
		return err
	}
	if err := e.settled(ctx); err != nil {
		return err
	}
	return e.view(ctx, 0, nil, func(m moment) (err error) {
		tx := m.tx
		defer func() {
			if recover() != nil {
				err = fmt.Errorf("store: check %s: %w", e.o.Path, errDamaged)
			}
		}()
		if !e.o.ReadOnly && !checkPages(tx, tell) {
			return nil
		}
		for p := range e.names {
			if err := ctx.Err(); err != nil {
				return err
			}
			checkPartition(tx, store.Partition(p), e.names[p], tell)
		}
		return nil
	})
}

func checkPages(tx *bbolt.Tx, tell func(string)) (sound bool) {
	sound = true
	for err := range tx.Check(bbolt.WithKVStringer(mute{})) {
		tell("the file's pages are damaged: " + err.Error())
		sound = false
	}
	return sound
}

// mute keeps keys and values out of bbolt's messages.
type mute struct{}

func (mute) KeyToString([]byte) string   { return "(key)" }
func (mute) ValueToString([]byte) string { return "(value)" }

func checkPartition(tx *bbolt.Tx, p store.Partition, n names, tell func(string)) {
	say := func(format string, args ...any) {
		tell("partition " + strconv.Itoa(int(p)) + ": " + fmt.Sprintf(format, args...))
	}
	records, expiry, log := tx.Bucket(n.records), tx.Bucket(n.expiry), tx.Bucket(n.log)
	if records == nil || expiry == nil || log == nil {
		say("a bucket is missing")
		return
	}
	c, err := parseCounters(tx.Bucket([]byte(partitionsBucket)).Get(partitionKey(p)))
	if err != nil {
		say("%v", err)
		return
	}
	checkRecords(records, expiry, c, say)
	checkLog(log, c, say)
}

// checkRecords counts what is wrong, rather than naming each: what went wrong
// once went wrong often.
func checkRecords(records, expiry *bbolt.Bucket, c counters, say func(string, ...any)) {
	var damaged, ahead, unlisted, listed, stale int
	_ = records.ForEach(func(k, v []byte) error { // never fails: what is wrong is counted
		switch rec, err := fullRecord(0, k, v); {
		case err != nil || rec.Key.Kind == "" || rec.Key.ID == "":
			damaged++
		default:
			if rec.Version == 0 || rec.Version > c.version {
				ahead++
			}
			if !rec.Expires.IsZero() {
				if listed++; !holds(expiry, expiryKey(stampOf(rec.Expires), k)) {
					unlisted++
				}
			}
		}
		return nil
	})
	entries := 0
	_ = expiry.ForEach(func([]byte, []byte) error { entries++; return nil })
	stale = entries - (listed - unlisted)
	for what, n := range map[string]int{
		"records are damaged":                               damaged,
		"records have a version that was never given":       ahead,
		"records with an expiry are not in its index":       unlisted,
		"entries of the index of expiries are of no record": stale,
	} {
		if n > 0 {
			say("%d %s", n, what)
		}
	}
}

func holds(index *bbolt.Bucket, key []byte) bool {
	k, _ := index.Cursor().Seek(key)
	return string(k) == string(key)
}

func checkLog(log *bbolt.Bucket, c counters, say func(string, ...any)) {
	if c.head.Compare(c.trimmed) < 0 {
		say("the log is trimmed up to %v and ends at %v", c.trimmed, c.head)
	}
	damaged, outside := 0, 0
	_ = log.ForEach(func(k, v []byte) error { // never fails: what is wrong is counted
		entry, err := parseEntry(k, v)
		switch {
		case err != nil:
			damaged++
		case entry.Position.Compare(c.trimmed) <= 0 || entry.Position.Compare(c.head) > 0:
			outside++
		}
		return nil
	})
	if damaged > 0 {
		say("%d log entries are damaged", damaged)
	}
	if outside > 0 {
		say("%d log entries are not between %v and %v", outside, c.trimmed, c.head)
	}
}
