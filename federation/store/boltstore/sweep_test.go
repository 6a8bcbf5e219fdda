package boltstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/bbolt"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// records counts what is in the file, expired or not.
func records(t *testing.T, e *Engine) int {
	t.Helper()
	if err := e.settled(t.Context()); err != nil {
		t.Fatal(err)
	}
	n := 0
	if err := e.db.View(func(tx *bbolt.Tx) error {
		for p := range e.names {
			n += tx.Bucket(e.names[p].records).Stats().KeyN
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestRunRemovesWhatHasExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := openEngine(t, func(o *Options) { o.SweepEvery = time.Minute; o.Partitions = 3 })
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan error, 1)
		go func() { ran <- e.Run(ctx) }()
		const each = 2*sweepStep + 7
		for p := range store.Partition(3) {
			var ops []store.Op
			for i := range each {
				k := store.Key{Partition: p, Kind: "thing", ID: fmt.Sprint("acme/", i)}
				ops = append(ops, store.Create(k, nil, time.Now().Add(90*time.Second)))
			}
			k := store.Key{Partition: p, Kind: "thing", ID: "acme/stays"}
			ops = append(ops, store.Create(k, nil, time.Time{}))
			if _, err := e.Commit(t.Context(), ops...); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := records(t, e); n != 3*(each+1) {
			t.Errorf("%d records before their time, want %d", n, 3*(each+1))
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := records(t, e); n != 3 {
			t.Errorf("%d records after their time, want 3", n)
		}
		idle := e.Stats()
		if idle.Swept != 3*each {
			t.Errorf("stats are %+v, want %d swept", idle, 3*each)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if s := e.Stats(); s.Batches != idle.Batches {
			t.Errorf("an idle store made %d batches", s.Batches-idle.Batches)
		}
		check(t, e)
		cancel()
		if err := <-ran; err != nil {
			t.Errorf("run answers %v", err)
		}
	})
}

func TestRunEndsWithTheEngine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := openEngine(t, nil)
		ran := make(chan error, 1)
		go func() { ran <- e.Run(t.Context()) }()
		synctest.Wait()
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ran; err != nil {
			t.Errorf("run answers %v", err)
		}
		if err := e.Run(t.Context()); err != nil {
			t.Errorf("run of a closed engine answers %v", err)
		}
	})
}

func TestRunOutlivesAFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := openEngine(t, nil)
		var full atomic.Bool
		e.commit = func(tx *bbolt.Tx) error {
			if full.Load() {
				return errors.Join(errors.New("no space left on device"), tx.Rollback())
			}
			return tx.Commit()
		}
		go func() { _ = e.Run(t.Context()) }()
		if _, err := e.Commit(t.Context(), store.Create(key("a"), nil, time.Now().Add(time.Second))); err != nil {
			t.Fatal(err)
		}
		if n := records(t, e); n != 1 {
			t.Errorf("%d records before the disk is full", n)
		}
		full.Store(true)
		time.Sleep(time.Minute)
		if e.Stats().Failures == 0 {
			t.Errorf("stats %+v", e.Stats())
		}
		full.Store(false)
		time.Sleep(time.Minute)
		if n := records(t, e); n != 0 {
			t.Errorf("%d records when there is room again", n)
		}
	})
}

// TestFileStopsGrowing turns over many times what it keeps.
func TestFileStopsGrowing(t *testing.T) {
	var moved atomic.Int64
	e := openEngine(t, func(o *Options) {
		o.Now = func() time.Time { return time.Unix(1e9+moved.Load(), 0) }
	})
	rng := rand.New(rand.NewPCG(1, 1))
	value := make([]byte, 700)
	var after store.Position
	round := func(n int) {
		for range 10 {
			var ops []store.Op
			for i := range 100 {
				ops = append(ops, store.Put(key(fmt.Sprintf("%x-%d-%d", rng.Uint64(), n, i)), value, e.o.Now().Add(time.Minute)))
			}
			if _, err := e.Commit(t.Context(), append(ops, store.Append(0, value))...); err != nil {
				t.Fatal(err)
			}
		}
		// What has expired when it is folded never comes into the file.
		if n%2 == 0 {
			if err := e.settled(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		moved.Add(60)
		if err := e.sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		entries, err := e.ReadLog(t.Context(), 0, after, 100, 0)
		if err != nil || len(entries) != 10 {
			t.Fatalf("%d entries, %v", len(entries), err)
		}
		after = entries[9].Position
		if err := e.TrimLog(t.Context(), 0, after); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 5 {
		round(n)
	}
	early := e.Stats().FileBytes
	for n := range 40 {
		round(n)
	}
	n := records(t, e)
	late := e.Stats()
	if late.FileBytes > 2*early {
		t.Errorf("the file has grown from %d to %d bytes", early, late.FileBytes)
	}
	if n != 0 || late.Swept != 45_000 || late.FreeBytes == 0 {
		t.Errorf("%d records left, stats %+v", n, late)
	}
	check(t, e)
}

// TestTrimIsMadeInSteps trims more than fits in one transaction, and finds the
// index exact after everything that may happen to a record.
func TestTrimIsMadeInSteps(t *testing.T) {
	e := openEngine(t, nil)
	var ops []store.Op
	for range 2*trimStep + 10 {
		ops = append(ops, store.Append(0, nil))
	}
	if _, err := e.Commit(t.Context(), ops...); err != nil {
		t.Fatal(err)
	}
	before := e.Stats().Batches
	if err := e.TrimLog(t.Context(), 0, store.Position{Epoch: 1, Seq: 2*trimStep + 5}); err != nil {
		t.Fatal(err)
	}
	if n := e.Stats().Batches - before; n != 3 {
		t.Errorf("trimmed in %d steps, want 3", n)
	}
	rest, err := e.ReadLog(t.Context(), 0, store.Position{Epoch: 1, Seq: 2*trimStep + 5}, 100, 0)
	if err != nil || len(rest) != 5 {
		t.Errorf("%d entries are left, %v", len(rest), err)
	}
	if err := e.TrimLog(t.Context(), 0, store.Position{Epoch: 1, Seq: 10}); err != nil || e.Stats().Batches-before != 3 {
		t.Errorf("trimming what is gone: %v, %d batches", err, e.Stats().Batches-before)
	}
}

func TestIndexStaysExact(t *testing.T) {
	var moved atomic.Int64
	e := openEngine(t, func(o *Options) {
		o.Partitions = 2
		o.Now = func() time.Time { return time.Unix(1e9+moved.Load(), 0) }
	})
	rng := rand.New(rand.NewPCG(3, 4))
	for i := range 600 {
		k := store.Key{Partition: store.Partition(rng.IntN(2)), Kind: "thing", ID: fmt.Sprint("acme/", rng.IntN(5))}
		var expires time.Time
		if rng.IntN(3) > 0 {
			expires = e.o.Now().Add(time.Duration(rng.IntN(10)) * time.Second)
		}
		rec, _ := e.Get(t.Context(), k)
		at := max(rec.Version, 1)
		ops := []store.Op{
			store.Create(k, nil, expires), store.Put(k, nil, expires), store.Replace(k, at, nil, expires), store.Take(k, at), store.Drop(k),
		}
		_, err := e.Commit(t.Context(), ops[rng.IntN(len(ops))])
		if err != nil && !errors.Is(err, store.ErrConflict) {
			t.Fatal(err)
		}
		moved.Add(rng.Int64N(3))
		if i%50 == 0 {
			if err := e.sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if i%25 == 0 {
			check(t, e)
		}
	}
	check(t, e)
}

// TestFailedSweepKeepsReadersApart: what was committed while a sweep failed may not
// be laid over a file that has later commits too.
func TestFailedSweepKeepsReadersApart(t *testing.T) {
	e := openEngine(t, func(o *Options) { o.FoldEvery = time.Hour })
	if _, err := e.Commit(t.Context(), create("there")); err != nil {
		t.Fatal(err)
	}
	check(t, e)
	begun, failing, noRoom := make(chan struct{}), make(chan struct{}), errors.New("no space left on device")
	e.commit = func(tx *bbolt.Tx) error {
		close(begun)
		<-failing
		return errors.Join(noRoom, tx.Rollback())
	}
	swept := make(chan error, 1)
	go func() { swept <- e.submit(t.Context(), &request{fold: true, sweep: []store.Partition{0}}) }()
	<-begun
	put := func() {
		if _, err := e.Commit(t.Context(), store.Put(key("there"), nil, time.Time{})); err != nil {
			t.Fatal(err)
		}
	}
	put()
	read := e.parts[0].Load()
	close(failing)
	if err := <-swept; !errors.Is(err, noRoom) {
		t.Fatalf("the sweep answers %v", err)
	}
	put()
	e.commit = (*bbolt.Tx).Commit
	check(t, e)
	_ = e.db.View(func(tx *bbolt.Tx) error {
		if tx.ID() <= read.maxTx {
			t.Errorf("transaction %d has a later commit, and a reader takes it up to %d", tx.ID(), read.maxTx)
		}
		return nil
	})
}
