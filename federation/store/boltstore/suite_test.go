package boltstore_test

import (
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/boltstore"
	"github.com/drawbridge-id/drawbridge/federation/store/storetest"
)

// clock stands still but for what a test moves it by.
type clock struct{ offset atomic.Int64 }

func (c *clock) now() time.Time {
	return time.Date(2026, 1, 2, 3, 4, 5, 678901234, time.UTC).Add(time.Duration(c.offset.Load()))
}

func (c *clock) advance(d time.Duration) { c.offset.Add(int64(d)) }

// options are an engine's for a test: a file of its own under a clock.
func options(t testing.TB, c *clock) boltstore.Options {
	return boltstore.Options{Path: filepath.Join(t.TempDir(), "data", "drawbridge.db"), Now: c.now}
}

func open(t testing.TB, o boltstore.Options) *boltstore.Engine {
	t.Helper()
	e, err := boltstore.Open(o)
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

func TestSuite(t *testing.T) {
	for name, set := range map[string]func(*boltstore.Options){
		"one partition":      func(*boltstore.Options) {},
		"several partitions": func(o *boltstore.Options) { o.Partitions = 5 },
		"small batches":      func(o *boltstore.Options) { o.MaxBatch = 3 },
		// Whether a record is in the file yet must make no difference.
		"always folded": func(o *boltstore.Options) { o.FoldEvery = time.Nanosecond },
		"never folded":  func(o *boltstore.Options) { o.FoldEvery = time.Hour },
		// Whether a record that has expired was removed must make no difference.
		"always swept": func(o *boltstore.Options) { o.SweepEvery = time.Millisecond },
	} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) storetest.Harness {
				c := &clock{}
				o := options(t, c)
				set(&o)
				return harness(t, c, o)
			})
		})
	}
}

func harness(t *testing.T, c *clock, o boltstore.Options) storetest.Harness {
	e := openSwept(t, o)
	return storetest.Harness{
		Engine:  e,
		Layout:  e.Layout(),
		Advance: c.advance,
		Reopen: func(t *testing.T) store.Engine {
			if err := e.Close(); err != nil {
				t.Fatal(err)
			}
			e = openSwept(t, o)
			return e
		},
		Location: o.Path,
		OpenAt: func(path string) (store.Engine, error) {
			o := o
			o.Path = path
			return boltstore.Open(o)
		},
	}
}

// openSwept opens an engine and runs its sweeper until the test ends.
func openSwept(t *testing.T, o boltstore.Options) *boltstore.Engine {
	e := open(t, o)
	swept := make(chan error, 1)
	go func() { swept <- e.Run(t.Context()) }()
	t.Cleanup(func() {
		if err := <-swept; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return e
}
