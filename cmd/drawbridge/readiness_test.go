package main

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/boltstore"
	"github.com/drawbridge-id/drawbridge/federation/store/redisstore/redistest"
	"github.com/drawbridge-id/drawbridge/federation/upstream/upstreamtest"
)

// A Redis that answers and takes no writes is no store to serve with.
func TestReadinessNoticesThatNothingCanBeWritten(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	app, _ := serveOnce(t, load(t, storedIn(file(t, upstreamtest.New(t).URL, ""), redis)))
	is := func(want int) func() bool {
		return func() bool {
			status, _ := get(t, "http://"+app.ManagementAddr()+"/readyz")
			return status == want
		}
	}
	until(t, "ready at first", is(http.StatusOK))
	for _, fault := range [][2]string{{"maxmemory", "1"}, {"min-replicas-to-write", "1"}} {
		redis.Do(t, "CONFIG", "SET", fault[0], fault[1])
		until(t, "not ready with "+fault[0], is(http.StatusServiceUnavailable))
		redis.Do(t, "CONFIG", "SET", fault[0], "0")
		until(t, "ready again", is(http.StatusOK))
	}
}

// Probes write at most once a second while all is well, and always look again
// while it is not.
func TestReadinessIsNoLoad(t *testing.T) {
	t.Parallel()
	eng, err := boltstore.Open(boltstore.Options{Path: filepath.Join(t.TempDir(), "d.db"), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer eng.Close()
	down := &downable{storage: eng}
	now := time.Date(2031, 5, 4, 10, 0, 0, 0, time.UTC)
	ready := (&writable{eng: down, now: func() time.Time { return now }}).after(func(context.Context) error { return nil })
	begun := eng.Stats().Commits
	for range 10 {
		if err := ready(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := eng.Stats().Commits - begun; n != 1 {
		t.Errorf("ten probes wrote %d times", n)
	}
	now = now.Add(writtenFor)
	down.fail(store.ErrUnavailable)
	if err := ready(t.Context()); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("without a store %v", err)
	}
	down.mend()
	if err := ready(t.Context()); err != nil {
		t.Errorf("with the store back %v", err)
	}
}
