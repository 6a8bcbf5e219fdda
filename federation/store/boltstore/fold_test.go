package boltstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// TestReadersSeeWholeCommits: while everything is folded all the time, and copied,
// no reader sees a part of a commit, nor one go away that was there.
func TestReadersSeeWholeCommits(t *testing.T) {
	e := openEngine(t, func(o *Options) { o.FoldEvery, o.SweepEvery = time.Nanosecond, time.Millisecond })
	ctx, stop := context.WithCancel(t.Context())
	go func() { _ = e.Run(ctx) }()
	const writers, rows = 4, 8
	var writing, reading sync.WaitGroup
	ended := make(chan struct{})
	for w := range writers {
		writing.Go(func() { writeRounds(t, e, w, rows) })
		reading.Go(func() { readRounds(t, e, w, rows, ended) })
	}
	reading.Go(func() {
		for running(ended) {
			if err := e.Backup(t.Context(), io.Discard); err != nil {
				t.Error(err)
			}
			for _, err := range e.Dump(t.Context()) {
				if err != nil {
					t.Error(err)
				}
			}
		}
	})
	writing.Wait()
	close(ended)
	reading.Wait()
	stop()
	check(t, e)
}

func running(ended <-chan struct{}) bool {
	select {
	case <-ended:
		return false
	default:
		return true
	}
}

// writeRounds writes, in each round, all rows of a writer in one commit, or takes
// them away; and says which round it was in the log.
func writeRounds(t *testing.T, e *Engine, w, rows int) {
	for round := range 150 {
		ops := []store.Op{store.Append(0, fmt.Append(nil, w)), store.Put(key(fmt.Sprint("round-", w)), fmt.Append(nil, round), time.Time{})}
		for i := range rows {
			k := key(fmt.Sprintf("w%d-%d", w, i))
			if round%3 == 2 {
				ops = append(ops, store.Drop(k))
				continue
			}
			// Now and then they expire soon, and are swept or never come into the file.
			var expires time.Time
			if round%7 == 3 {
				expires = time.Now().Add(time.Hour)
			}
			ops = append(ops, store.Put(k, fmt.Append(nil, round), expires))
		}
		if _, err := e.Commit(t.Context(), ops...); err != nil {
			t.Error(err)
			return
		}
	}
}

func readRounds(t *testing.T, e *Engine, w, rows int, ended <-chan struct{}) {
	newest, keys, after := -1, []store.Key{key(fmt.Sprint("round-", w))}, store.Position{}
	for i := range rows {
		keys = append(keys, key(fmt.Sprintf("w%d-%d", w, i)))
	}
	for running(ended) {
		recs, err := e.GetAll(t.Context(), keys...)
		if err != nil {
			t.Error(err)
			return
		}
		if recs[0].Version != 0 {
			newest = oneRound(t, recs, newest)
		}
		scanned, err := e.Scan(t.Context(), store.Range{Kind: "thing", Prefix: fmt.Sprintf("acme/w%d-", w), Limit: 100})
		if err != nil || len(scanned) != 0 && len(scanned) != rows {
			t.Errorf("a scan sees %d of %d records, %v", len(scanned), rows, err)
			return
		}
		for _, r := range scanned {
			if r.Version != scanned[0].Version {
				t.Errorf("a scan sees versions %d and %d", scanned[0].Version, r.Version)
			}
		}
		entries, err := e.ReadLog(t.Context(), 0, after, 5, 0)
		if err != nil {
			t.Error(err)
			return
		}
		for _, entry := range entries {
			if entry.Position.Seq != after.Seq+1 {
				t.Errorf("entry %v comes after %v", entry.Position, after)
			}
			after = entry.Position
		}
	}
}

// oneRound holds what was read together to one round, not before the newest seen.
func oneRound(t *testing.T, recs []store.Record, newest int) int {
	round, err := strconv.Atoi(string(recs[0].Value))
	if err != nil || round < newest {
		t.Errorf("round %d is read after %d, %v", round, newest, err)
	}
	for _, r := range recs[1:] {
		if gone := r.Version == 0; gone != (round%3 == 2) || !gone && string(r.Value) != string(recs[0].Value) {
			t.Errorf("in round %d a record has %q at %d", round, r.Value, r.Version)
		}
	}
	return round
}

// TestShortLivesTouchNoPage: what comes and goes between two folds is not in the
// file, nor what has expired by then.
func TestShortLivesTouchNoPage(t *testing.T) {
	e := openEngine(t, func(o *Options) { o.FoldEvery = time.Hour })
	h := &history{e: e}
	for range 50 {
		if err := h.next(t); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := e.Commit(t.Context(), store.Create(key("soon"), nil, time.Now().Add(time.Millisecond))); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Millisecond)
	part := e.parts[0].Load()
	if n := part.active.records.Len(); n != 3 {
		t.Errorf("%d records wait for the fold, want last, one and soon", n)
	}
	if n := records(t, e); n != 2 {
		t.Errorf("%d records are in the file, want last and one", n)
	}
	check(t, e)
}

// TestFoldsOutliveAFullDisk: commits are answered while the file takes nothing,
// survive a crash then, and are refused when too much waits; all goes on by itself.
func TestFoldsOutliveAFullDisk(t *testing.T) {
	e := openEngine(t, func(o *Options) { o.FoldEvery = time.Hour })
	h := &history{e: e}
	if err := h.next(t); err != nil {
		t.Fatal(err)
	}
	noRoom := errors.New("no space left on device")
	e.commit = func(tx *bbolt.Tx) error { return errors.Join(noRoom, tx.Rollback()) }
	large, refused := make([]byte, 1<<20), 0
	for i := 0; i < 60 && refused < 3; i++ {
		_, err := e.Commit(t.Context(), store.Put(key(fmt.Sprint("large-", i)), large, time.Time{}))
		if err == nil && refused == 0 {
			if err := h.next(t); err != nil && !errors.Is(err, noRoom) {
				t.Fatal(err)
			}
			continue
		}
		if refused++; !errors.Is(err, noRoom) || errors.Is(err, store.ErrUnknown) {
			t.Fatalf("a commit beyond the bound answers %v", err)
		}
	}
	if err := e.Backup(t.Context(), io.Discard); !errors.Is(err, noRoom) {
		t.Errorf("a backup of what cannot be folded answers %v", err)
	}
	path := filepath.Join(t.TempDir(), "crashed.db")
	snapshot(t, e.o.Path, path)
	e.commit = (*bbolt.Tx).Commit
	again := openEngine(t, func(o *Options) { o.Path = path })
	if err := h.next(t); err != nil || refused != 3 {
		t.Errorf("with room again: %v; %d were refused", err, refused)
	}
	for _, engine := range []*Engine{e, again} {
		rec, err := engine.Get(t.Context(), key("last"))
		want := h.n
		if engine == again {
			want--
		}
		if err != nil || string(rec.Value) != fmt.Sprint(want) {
			t.Errorf("last is %s, want %d; %v", rec.Value, want, err)
		}
		check(t, engine)
	}
}

// TestLostFoldStopsTheEngine: nobody knows what a root page that was not synced
// means. The write-ahead file still does.
func TestLostFoldStopsTheEngine(t *testing.T) {
	e := openEngine(t, func(o *Options) { o.FoldEvery = time.Hour })
	h := &history{e: e}
	for range 3 {
		if err := h.next(t); err != nil {
			t.Fatal(err)
		}
	}
	broken := errors.New("input/output error")
	e.commit = func(tx *bbolt.Tx) error { return errors.Join(tx.Commit(), broken) }
	_, err := e.whole(t.Context())
	err1 := h.next(t)
	_, err2 := e.Get(t.Context(), key("last"))
	for _, err := range []error{err, err1, err2} {
		if !errors.Is(err, broken) {
			t.Errorf("an engine that has failed answers %v", err)
		}
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if n := found(t, e.o.Path, false); n != 3 {
		t.Errorf("opened anew there is commit %d", n)
	}
}

// TestFullDiskAtTheEnd: what cannot be folded when the engine is closed is there
// when it is opened again.
func TestFullDiskAtTheEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	e, err := Open(Options{Path: path, Now: time.Now, FoldEvery: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if err := (&history{e: e}).next(t); err != nil {
		t.Fatal(err)
	}
	noRoom := errors.New("no space left on device")
	e.commit = func(tx *bbolt.Tx) error { return errors.Join(noRoom, tx.Rollback()) }
	if err := e.Close(); !errors.Is(err, noRoom) {
		t.Errorf("close answers %v", err)
	}
	if n := found(t, path, true); n != 1 {
		t.Errorf("commit %d is read", n)
	}
	if n := found(t, path, false); n != 1 {
		t.Errorf("commit %d is there", n)
	}
}

// TestWriteAheadFilesThatCannotBeMade: nothing is committed, and nothing is left.
func TestWriteAheadFilesThatCannotBeMade(t *testing.T) {
	e := openEngine(t, nil)
	noRoom := errors.New("no space left on device")
	for range 2 {
		e.commit = func(tx *bbolt.Tx) error { return errors.Join(noRoom, tx.Rollback()) }
		if _, err := e.Commit(t.Context(), create("lost")); !errors.Is(err, noRoom) {
			t.Errorf("the commit answers %v", err)
		}
		e.commit = (*bbolt.Tx).Commit
		if left, _ := filepath.Glob(e.o.Path + ".wal*"); len(left) > 0 {
			t.Errorf("%v are left", left)
		}
		missing(t, e, "lost")
	}
	if err := os.Mkdir(e.o.Path+".wal", 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Commit(t.Context(), create("lost")); err == nil {
		t.Error("a folder in the place of the file is no hindrance")
	}
	missing(t, e, "lost")
	if err := os.RemoveAll(e.o.Path + ".wal"); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Commit(t.Context(), create("found")); err != nil {
		t.Error(err)
	}
}

// TestRemovedFilesAreMadeAnew: what somebody takes away while the store is open is
// back with the first commit after the next fold, and no commit is lost of that.
func TestRemovedFilesAreMadeAnew(t *testing.T) {
	e := openEngine(t, func(o *Options) { o.FoldEvery = time.Hour })
	h := &history{e: e}
	for i, file := range Files(e.o.Path)[1:] {
		if err := errors.Join(h.next(t), os.Remove(file), h.next(t), e.settled(t.Context()), h.next(t)); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "crashed.db")
		snapshot(t, e.o.Path, path)
		if n := found(t, path, false); n != 3*(i+1) {
			t.Errorf("commit %d of %d is there", n, 3*(i+1))
		}
	}
}

// TestCopiesAreWhole: a backup is one file, at what was committed before it began;
// a crashed store that is only read cannot be copied as it is, and says so.
func TestCopiesAreWhole(t *testing.T) {
	e := openEngine(t, func(o *Options) { o.FoldEvery = time.Hour })
	h := &history{e: e}
	for n := 1; n < 4; n++ {
		if err := h.next(t); err != nil {
			t.Fatal(err)
		}
		var copied bytes.Buffer
		if err := e.Backup(t.Context(), &copied); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "copy.db")
		if err := os.WriteFile(path, copied.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, readOnly := range []bool{true, false} {
			if got := found(t, path, readOnly); got != n {
				t.Errorf("the copy has commit %d of %d", got, n)
			}
		}
	}
	path, _ := crashed(t, 3)
	r, err := Open(Options{Path: path, Now: time.Now, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Backup(t.Context(), io.Discard); !errors.Is(err, ErrUnfolded) || !r.Unfolded() {
		t.Errorf("a copy of half of it answers %v", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}
