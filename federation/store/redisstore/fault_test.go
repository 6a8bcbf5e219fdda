package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/redisstore"
	"github.com/drawbridge-id/drawbridge/federation/store/redisstore/redistest"
)

// hasty are options under which faults are found out soon.
func hasty(addresses ...string) redisstore.Options {
	return redisstore.Options{Addresses: addresses, Partitions: 2, Timeout: 500 * time.Millisecond, Patience: 20 * time.Second}
}

// TestLostAnswersAreFoundOut cuts connections after the server has the request
// and before it can answer: every commit is made, and made once.
func TestLostAnswersAreFoundOut(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr())
	e := open(t, hasty(proxy.Addr()))
	l := newLedger()
	stop := l.load(t, e, "a", 8)
	for range 30 {
		before := proxy.Severed()
		proxy.CutAfterRequests(2, "evalsha", "eval")
		eventually(t, "severed connections", func() bool { return proxy.Severed() >= before+2 })
		l.atLeast(t, 10)
	}
	stop()
	l.verify(t, e)
	if len(l.unknown) > 0 || len(l.refused) > 0 {
		t.Errorf("unknown are %v, refused %v", names(l.unknown), names(l.refused))
	}
}

// TestKilledConnectionsAndForgottenScripts is about what operators do.
func TestKilledConnectionsAndForgottenScripts(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	e := open(t, hasty(server.Addr()))
	l := newLedger()
	stop := l.load(t, e, "a", 8)
	for i := range 40 {
		if i%2 == 0 {
			server.Do(t, "CLIENT", "KILL", "TYPE", "normal")
		} else {
			server.Do(t, "SCRIPT", "FLUSH")
		}
		l.atLeast(t, 10)
	}
	stop()
	l.verify(t, e)
	if len(l.unknown) > 0 || len(l.refused) > 0 {
		t.Errorf("unknown are %v, refused %v", names(l.unknown), names(l.refused))
	}
}

// TestServerDiesAndComesBack: what was acknowledged is there, and the log goes
// on in another epoch, as its newest entries might have been lost.
func TestServerDiesAndComesBack(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "appendfsync always")
	e := open(t, hasty(server.Addr()))
	l := newLedger()
	stop := l.load(t, e, "a", 4)
	l.atLeast(t, 20)
	first := lastPosition(t, e, 0)
	server.Kill()
	server.Restart(t)
	l.atLeast(t, 20)
	stop()
	l.verify(t, e)
	last := lastPosition(t, e, 0)
	if last.Epoch <= first.Epoch {
		t.Errorf("the log goes from %v to %v over a restart of the server", first, last)
	}
	if n := e.Stats().Epochs; n == 0 || n > 2 {
		t.Errorf("%d epochs were begun", n)
	}
}

func lastPosition(t *testing.T, e *redisstore.Engine, p store.Partition) store.Position {
	t.Helper()
	entries, err := e.ReadLog(t.Context(), p, store.Position{}, 1<<20, 0)
	if err != nil || len(entries) == 0 {
		t.Fatalf("the log holds %v, %v", entries, err)
	}
	return entries[len(entries)-1].Position
}

// TestSilentServer: nobody waits for longer than patience; what was given up
// either was not sent, or is unknown; and a batch that was given up does not
// come to life after the next one.
func TestSilentServer(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	o := hasty(server.Addr())
	o.Timeout, o.Patience = 100*time.Millisecond, 300*time.Millisecond
	e := open(t, o)
	l := newLedger()
	stop := l.load(t, e, "a", 8)
	for range 3 {
		l.atLeast(t, 10)
		server.Pause()
		eventually(t, "commits whose outcome is unknown", func() bool { return e.Stats().Unknown > 0 })
		if _, err := e.Get(t.Context(), store.Key{Kind: "thing", ID: "a/b"}); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("a read answers %v", err)
		}
		if _, err := e.ReadLog(t.Context(), 0, store.Position{}, 1, time.Hour); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("a read of the log answers %v", err)
		}
		server.Resume()
	}
	l.atLeast(t, 10)
	stop()
	l.verify(t, e)
}

// TestServerRefuses lets the server answer with each of its refusals.
func TestServerRefuses(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr())
	o := hasty(proxy.Addr())
	o.Patience = 100 * time.Millisecond
	e := open(t, o)
	at := e.Layout().Place("acme")
	l := newLedger()
	commit := func(name string) {
		t.Helper()
		if err := l.commit(t.Context(), e, at, name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for i, answer := range []string{
		"READONLY You can't write against a read only replica.", "MOVED 1 127.0.0.1:1", "ASK 1 127.0.0.1:1",
		"LOADING Redis is loading the dataset in memory", "OOM command not allowed when used memory > 'maxmemory'.",
		"NOSCRIPT No matching script.", "CLUSTERDOWN The cluster is down", "TRYAGAIN Multiple keys request during rehashing of slot",
		"MASTERDOWN Link with MASTER is down", "BUSY Redis is busy running a script.", "NOPERM no permissions", "NOAUTH Authentication required.",
		"MISCONF Redis is configured to save RDB snapshots", "NOREPLICAS Not enough good replicas to write.", "ERR max number of clients reached",
	} {
		proxy.Answer("-" + answer)
		// At once, because each of them tries for as long as it has patience.
		var group sync.WaitGroup
		group.Go(func() { commit(fmt.Sprint("refused-", i)) })
		for j, call := range []func() error{
			func() error { _, err := e.Get(t.Context(), at.Key("thing", "a")); return err },
			func() error {
				_, err := e.Scan(t.Context(), store.Range{Partition: at.Partition, Kind: "thing", Limit: 1})
				return err
			},
			func() error { _, err := e.ReadLog(t.Context(), at.Partition, store.Position{}, 1, 0); return err },
			func() error { return e.TrimLog(t.Context(), at.Partition, store.Position{}) },
			func() error { return e.Ready(t.Context()) },
		} {
			group.Go(func() {
				if err := call(); !errors.Is(err, store.ErrUnavailable) {
					t.Errorf("%s: call %d answers %v", answer, j+1, err)
				}
			})
		}
		group.Wait()
		if !l.refused[fmt.Sprint("refused-", i)] {
			t.Errorf("%s is not taken for a refusal", answer)
		}
		proxy.Heal()
		commit(fmt.Sprint("made-", i))
	}
	for name, spoil := range map[string]func(){"garbage": proxy.Garbage, "frozen": proxy.Freeze, "cut": proxy.Cut} {
		spoil()
		commit(name)
		if _, err := e.Get(t.Context(), at.Key("thing", "a")); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: get answers %v", name, err)
		}
		switch name {
		case "garbage":
			proxy.Heal()
		case "frozen":
			proxy.Thaw()
		default:
			proxy.Restore()
		}
		eventually(t, "a server that answers", func() bool {
			_, err := e.Get(t.Context(), at.Key("thing", "a"))
			return errors.Is(err, store.ErrNotFound)
		})
		commit("made-after-" + name)
	}
	l.verify(t, e)
	if l.count() != 18 {
		t.Errorf("%d commits were made between the faults, want 18; refused are %v", l.count(), names(l.refused))
	}
}

func TestFullServer(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "maxmemory-policy noeviction")
	o := hasty(server.Addr())
	e := open(t, o)
	at := e.Layout().Place("acme")
	l := newLedger()
	if err := l.commit(t.Context(), e, at, "before"); err != nil {
		t.Fatal(err)
	}
	server.Do(t, "CONFIG", "SET", "maxmemory", "1mb")
	if err := l.commit(t.Context(), e, at, "full"); err != nil || !l.refused["full"] {
		t.Errorf("a commit on a full server answers %v, %v", err, l)
	}
	if _, err := e.Get(t.Context(), at.Key("thing", "before")); err != nil {
		t.Errorf("a read on a full server answers %v", err)
	}
	server.Do(t, "CONFIG", "SET", "maxmemory", "0")
	if err := l.commit(t.Context(), e, at, "after"); err != nil || !l.made["after"] {
		t.Errorf("a commit with room again answers %v", err)
	}
	l.verify(t, e)
}

// TestEmptiedServerIsLoud: a store that is gone is not taken for a new one.
func TestEmptiedServerIsLoud(t *testing.T) {
	t.Parallel()
	for name, empty := range map[string]func(t *testing.T, s *redistest.Server){
		"flushed": func(t *testing.T, s *redistest.Server) { s.Do(t, "FLUSHALL") },
		"replaced": func(t *testing.T, s *redistest.Server) {
			s.Do(t, "FLUSHALL")
			open(t, hasty(s.Addr()))
		},
		"damaged": func(t *testing.T, s *redistest.Server) { s.Do(t, "DEL", "{db:0}m", "{db:1}m") },
		"without a counter": func(t *testing.T, s *redistest.Server) {
			s.Do(t, "DEL", "{db:0}v", "{db:1}v")
		},
		"without a log": func(t *testing.T, s *redistest.Server) { s.Do(t, "DEL", "{db:0}l", "{db:1}l") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			e := open(t, hasty(server.Addr()))
			at := e.Layout().Place("acme")
			if err := newLedger().commit(t.Context(), e, at, "before"); err != nil {
				t.Fatal(err)
			}
			waited := make(chan error, 1)
			go func() {
				_, err := e.ReadLog(context.WithoutCancel(t.Context()), at.Partition, lastOf(t, e, at.Partition), 1, time.Hour)
				waited <- err
			}()
			empty(t, server)
			if _, err := e.Commit(t.Context(), store.Append(at.Partition, nil)); !errors.Is(err, store.ErrLost) {
				t.Errorf("commit answers %v", err)
			}
			_, err1 := e.Get(t.Context(), at.Key("thing", "before"))
			_, err2 := e.Scan(t.Context(), store.Range{Partition: at.Partition, Kind: "thing", Limit: 1})
			_, err3 := e.ReadLog(t.Context(), at.Partition, store.Position{}, 1, 0)
			_, err4 := e.Now(t.Context())
			for i, err := range []error{err1, err2, err3, err4, <-waited} {
				if !errors.Is(err, store.ErrLost) {
					t.Errorf("call %d answers %v", i+1, err)
				}
			}
			if !e.Stats().Lost {
				t.Error("the numbers do not tell")
			}
		})
	}
}

func lastOf(t *testing.T, e *redisstore.Engine, p store.Partition) store.Position {
	entries, err := e.ReadLog(t.Context(), p, store.Position{}, 1<<20, 0)
	if err != nil || len(entries) == 0 {
		return store.Position{}
	}
	return entries[len(entries)-1].Position
}

// TestEmptiedServerIsNoticedByReading: what was lost is not "not found".
func TestEmptiedServerIsNoticedByReading(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for name, read := range map[string]func(e *redisstore.Engine) error{
		"get": func(e *redisstore.Engine) error {
			_, err := e.Get(t.Context(), store.Key{Kind: "thing", ID: "a/b"})
			return err
		},
		"scan": func(e *redisstore.Engine) error {
			_, err := e.Scan(t.Context(), store.Range{Kind: "thing", Limit: 1})
			return err
		},
		"log": func(e *redisstore.Engine) error {
			_, err := e.ReadLog(t.Context(), 0, store.Position{}, 1, 0)
			return err
		},
		"trim": func(e *redisstore.Engine) error { return e.TrimLog(t.Context(), 0, store.Position{}) },
	} {
		e := open(t, hasty(server.Addr()))
		server.Do(t, "FLUSHALL")
		if err := read(e); !errors.Is(err, store.ErrLost) {
			t.Errorf("%s answers %v", name, err)
		}
	}
}
