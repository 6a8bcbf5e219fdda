package boltstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

func openEngine(t *testing.T, change func(*Options)) *Engine {
	t.Helper()
	o := Options{Path: filepath.Join(t.TempDir(), "drawbridge.db"), Now: time.Now}
	if change != nil {
		change(&o)
	}
	e, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return e
}

func key(id string) store.Key { return store.Key{Kind: "thing", ID: "acme/" + id} }

func create(id string) store.Op { return store.Create(key(id), []byte(id), time.Time{}) }

// outcome of a commit that was made on the side.
type outcome struct {
	version store.Version
	err     error
}

// commitAside commits in the background; the answer comes on the channel.
func commitAside(ctx context.Context, e *Engine, ops ...store.Op) <-chan outcome {
	answer := make(chan outcome, 1)
	go func() {
		v, err := e.Commit(ctx, ops...)
		answer <- outcome{v, err}
	}()
	return answer
}

// gate holds the writer up in front of the disk.
func gate(e *Engine) (open func()) {
	closed := make(chan struct{})
	e.wal.sync = func(f *os.File) error {
		<-closed
		return syncData(f)
	}
	return func() { close(closed) }
}

func pending[T any](c <-chan T) bool {
	select {
	case <-c:
		return false
	default:
		return true
	}
}

func missing(t *testing.T, e *Engine, id string) {
	t.Helper()
	if _, err := e.Get(t.Context(), key(id)); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("get %s answers %v", id, err)
	}
}

func TestCommitsThatWaitShareASync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := openEngine(t, nil)
		open := gate(e)
		first := commitAside(t.Context(), e, create("first"))
		synctest.Wait()
		var answers []<-chan outcome
		for i := range 40 {
			ops := []store.Op{create(fmt.Sprint(i)), store.Append(0, fmt.Append(nil, i))}
			if i%4 == 3 {
				// Loses to a commit of the same batch.
				ops = append(ops, store.Create(key("prize"), nil, time.Time{}))
			}
			answers = append(answers, commitAside(t.Context(), e, ops...))
		}
		synctest.Wait()
		open()
		<-first
		versions := map[store.Version]bool{}
		won := 0
		for i, answer := range answers {
			got := <-answer
			if i%4 != 3 && got.err != nil || got.err != nil && !errors.Is(got.err, store.ErrConflict) {
				t.Errorf("commit %d answers %v", i, got.err)
			}
			if got.err != nil {
				missing(t, e, fmt.Sprint(i))
				continue
			}
			if i%4 == 3 {
				won++
			}
			if versions[got.version] {
				t.Errorf("version %d was given twice", got.version)
			}
			versions[got.version] = true
		}
		if won != 1 {
			t.Errorf("%d of 10 rivals have won", won)
		}
		if s := e.Stats(); s.Batches != 2 || s.Commits != 32 || s.Conflicts != 9 {
			t.Errorf("stats are %+v, want 2 batches of 32 commits and 9 conflicts", s)
		}
		entries, err := e.ReadLog(t.Context(), 0, store.Position{}, 100, 0)
		if err != nil || len(entries) != 31 {
			t.Errorf("%d entries, want 31; %v", len(entries), err)
		}
	})
}

func TestEndedContextTakesBackWhatHasNotBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := openEngine(t, nil)
		open := gate(e)
		ctx, cancel := context.WithCancel(t.Context())
		begun := commitAside(ctx, e, create("begun"))
		synctest.Wait()
		queued := commitAside(ctx, e, create("queued"))
		synctest.Wait()
		cancel()
		synctest.Wait()
		if got := <-queued; !errors.Is(got.err, context.Canceled) {
			t.Errorf("the queued commit answers %v", got.err)
		}
		if !pending(begun) {
			t.Error("the begun commit does not wait for its outcome")
		}
		open()
		if got := <-begun; got.err != nil {
			t.Errorf("the begun commit answers %v", got.err)
		}
		if _, err := e.Commit(t.Context(), create("after")); err != nil {
			t.Error(err)
		}
		missing(t, e, "queued")
		if _, err := e.Get(t.Context(), key("begun")); err != nil {
			t.Errorf("the begun commit is not there: %v", err)
		}
	})
}

func TestCloseMakesWhatIsQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := openEngine(t, nil)
		open := gate(e)
		answers := []<-chan outcome{commitAside(t.Context(), e, create("a"))}
		synctest.Wait()
		answers = append(answers, commitAside(t.Context(), e, create("b")))
		reader := make(chan error, 1)
		go func() {
			_, err := e.ReadLog(t.Context(), 0, store.Position{}, 1, time.Hour)
			reader <- err
		}()
		synctest.Wait()
		closed := make(chan error, 1)
		go func() { closed <- e.Close() }()
		synctest.Wait()
		if err := <-reader; !errors.Is(err, store.ErrClosed) {
			t.Errorf("the waiting read answers %v", err)
		}
		if !pending(closed) {
			t.Error("close does not wait for commits")
		}
		if _, err := e.Commit(t.Context(), create("late")); !errors.Is(err, store.ErrClosed) {
			t.Errorf("a late commit answers %v", err)
		}
		open()
		for i, answer := range answers {
			if got := <-answer; got.err != nil {
				t.Errorf("commit %d answers %v", i, got.err)
			}
		}
		if err := <-closed; err != nil {
			t.Error(err)
		}
	})
}

func TestBatchesAreBounded(t *testing.T) {
	q := &queue{wake: make(chan struct{}, 1)}
	for i := range 10 {
		q.add(&request{size: i * maxBatchBytes / 4})
	}
	var got []int
	for len(q.requests) > 0 {
		batch, _ := q.cut(3)
		got = append(got, len(batch))
	}
	// Sizes in quarters of the bound: 0+1+2, 3, 4, and then one at a time.
	if fmt.Sprint(got) != "[3 1 1 1 1 1 1 1]" {
		t.Errorf("batches are %v", got)
	}
}

func TestFailedCommitLeavesNothing(t *testing.T) {
	e := openEngine(t, nil)
	v, err := e.Commit(t.Context(), create("before"), store.Append(0, []byte("before")))
	if err != nil {
		t.Fatal(err)
	}
	noRoom := errors.New("no space left on device")
	// Half of it comes into the file, and must not be taken for the whole.
	e.wal.write = func(f *os.File, b []byte, at int64) (int, error) {
		n, _ := f.WriteAt(b[:len(b)/2], at)
		return n, noRoom
	}
	for range 3 {
		_, err = e.Commit(t.Context(), create("lost"), store.Append(0, []byte("lost")))
		if !errors.Is(err, noRoom) || errors.Is(err, store.ErrUnknown) {
			t.Fatalf("a commit to a full disk answers %v", err)
		}
	}
	e.wal.write = (*os.File).WriteAt
	missing(t, e, "lost")
	w, err := e.Commit(t.Context(), create("after"), store.Append(0, []byte("after")))
	if err != nil || w != v+1 {
		t.Fatalf("when there is room again: version %d after %d, %v", w, v, err)
	}
	entries, err := e.ReadLog(t.Context(), 0, store.Position{}, 10, 0)
	if err != nil || len(entries) != 2 || entries[1].Position.Seq != 2 {
		t.Fatalf("the log is %v, %v", entries, err)
	}
	if s := e.Stats(); s.Failures != 3 || s.Commits != 2 {
		t.Errorf("stats are %+v", s)
	}
}

// TestShortWritesAreNotWhole: where what is missing of a refused commit happens to
// be what stands there already, it must not be found after a crash.
func TestShortWritesAreNotWhole(t *testing.T) {
	e := openEngine(t, func(o *Options) { o.FoldEvery = time.Hour })
	h := &history{e: e}
	if err := h.next(t); err != nil {
		t.Fatal(err)
	}
	noRoom := errors.New("no space left on device")
	e.wal.write = func(f *os.File, b []byte, at int64) (int, error) {
		n, _ := f.WriteAt(b[:len(b)-1], at)
		return n, noRoom
	}
	lost := store.Put(key("lost"), make([]byte, 100), time.Time{}) // ends as the file does
	if _, err := e.Commit(t.Context(), lost); !errors.Is(err, noRoom) {
		t.Fatalf("a commit to a full disk answers %v", err)
	}
	path := filepath.Join(t.TempDir(), "crashed.db")
	snapshot(t, e.o.Path, path)
	if n := found(t, path, false); n != 1 {
		t.Errorf("commit %d is there", n)
	}
}

// A conflict that was judged against a commit which then failed is no conflict.
func TestFailedBatchFailsWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := openEngine(t, nil)
		open := gate(e)
		first := commitAside(t.Context(), e, create("first"))
		synctest.Wait()
		answers := []<-chan outcome{commitAside(t.Context(), e, create("a")), commitAside(t.Context(), e, create("a"))}
		synctest.Wait()
		noRoom := errors.New("no space left on device")
		e.wal.write = func(*os.File, []byte, int64) (int, error) { return 0, noRoom }
		open()
		<-first
		for _, answer := range answers {
			if got := <-answer; !errors.Is(got.err, noRoom) {
				t.Errorf("a commit of the batch answers %v", got.err)
			}
		}
	})
}

func TestLostSyncStopsTheEngine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := openEngine(t, nil)
		if _, err := e.Commit(t.Context(), create("before")); err != nil {
			t.Fatal(err)
		}
		waiting := make(chan error, 2)
		go func() {
			_, err := e.ReadLog(t.Context(), 0, store.Position{}, 1, time.Hour)
			waiting <- err
		}()
		go func() { waiting <- e.Run(t.Context()) }()
		synctest.Wait()
		broken := errors.New("input/output error")
		e.wal.sync = func(f *os.File) error { return errors.Join(syncData(f), broken) }
		if _, err := e.Commit(t.Context(), create("perhaps")); !errors.Is(err, store.ErrUnknown) || !errors.Is(err, broken) {
			t.Errorf("the commit answers %v", err)
		}
		_, err1 := e.Get(t.Context(), key("before"))
		_, err2 := e.Commit(t.Context(), create("more"))
		_, err3 := e.Now(t.Context())
		for _, err := range []error{err1, err2, err3, <-waiting, <-waiting} {
			if !errors.Is(err, broken) || errors.Is(err, store.ErrUnknown) {
				t.Errorf("an engine that has failed answers %v", err)
			}
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		again := openEngine(t, func(o *Options) { o.Path = e.o.Path })
		if _, err := again.Get(t.Context(), key("before")); err != nil {
			t.Errorf("opened anew: %v", err)
		}
	})
}

// bbolt's own failure, in the middle of a transaction: the file may not grow.
// Commits are refused once as much waits for room in it as may.
func TestFullFileChangesNothing(t *testing.T) {
	e := openEngine(t, func(o *Options) { o.FoldEvery = time.Hour })
	e.db.MaxSize = 8 << 20
	large := []byte(strings.Repeat("x", 100<<10))
	write := func(i int) error {
		_, err := e.Commit(t.Context(), store.Create(key(fmt.Sprint(i)), large, time.Time{}), store.Append(0, nil))
		return err
	}
	n := 0
	for ; n < 1000; n++ {
		if err := write(n); errors.Is(err, berrors.ErrMaxSizeReached) && !errors.Is(err, store.ErrUnknown) {
			break
		} else if err != nil {
			t.Fatalf("a full file answers %v", err)
		}
	}
	if n < 10 || n == 1000 {
		t.Fatalf("the file is full after %d records", n)
	}
	for range 3 {
		// What is refused is refused whole. Pages that the refused transaction
		// or an older one freed may let a later try in.
		if err := write(n); err == nil {
			n++
		}
	}
	missing(t, e, fmt.Sprint(n))
	e.db.MaxSize = 0
	if err := write(n); err != nil {
		t.Fatalf("with room again: %v", err)
	}
	for i := range n + 1 {
		if rec, err := e.Get(t.Context(), key(fmt.Sprint(i))); err != nil || len(rec.Value) != len(large) {
			t.Fatalf("record %d: %v", i, err)
		}
	}
	entries, err := e.ReadLog(t.Context(), 0, store.Position{}, 5000, 0)
	if err != nil || len(entries) != n+1 {
		t.Fatalf("%d entries, want %d; %v", len(entries), n+1, err)
	}
	check(t, e)
}

// check holds the file to bbolt's invariants and to those of the expiry index.
func check(t *testing.T, e *Engine) {
	t.Helper()
	if err := e.settled(t.Context()); err != nil {
		t.Error(err)
	}
	err := e.db.View(func(tx *bbolt.Tx) error {
		for err := range tx.Check() {
			t.Errorf("file: %v", err)
		}
		for p := range e.names {
			want := map[string]bool{}
			records, index := tx.Bucket(e.names[p].records), tx.Bucket(e.names[p].expiry)
			if err := records.ForEach(func(k, v []byte) error {
				head, _, err := parseRecord(v)
				if head.expires != (stamp{}) {
					want[string(expiryKey(head.expires, k))] = true
				}
				return err
			}); err != nil {
				return err
			}
			if err := index.ForEach(func(k, _ []byte) error {
				if !want[string(k)] {
					t.Errorf("the index of partition %d has %q without a record", p, k)
				}
				delete(want, string(k))
				return nil
			}); err != nil {
				return err
			}
			for k := range want {
				t.Errorf("the index of partition %d lacks %q", p, k)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
