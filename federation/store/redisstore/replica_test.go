package redisstore_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/redisstore"
	"github.com/drawbridge-id/drawbridge/federation/store/redisstore/redistest"
)

// replicated are options for a master and its replicas, reached through a proxy
// that is pointed at another server when that is the master.
func replicated(t *testing.T, g *redistest.Group) (redisstore.Options, *redistest.Proxy) {
	proxy := redistest.NewProxy(t, g.Master().Addr())
	o := hasty(proxy.Addr())
	o.Replicas, o.ReplicaTimeout = 1, 200*time.Millisecond
	o.SpoolPath = filepath.Join(t.TempDir(), "spool")
	return o, proxy
}

// TestSafeCommitsSurviveAFailover: with replicas waited for, nothing that was
// acknowledged is lost, no position comes again, and versions only grow.
func TestSafeCommitsSurviveAFailover(t *testing.T) {
	t.Parallel()
	g := redistest.StartReplicated(t, 1, 0)
	o, proxy := replicated(t, g)
	e := openRunning(t, o)
	l := newLedger()
	stop := l.load(t, e, "a", 8)
	l.atLeast(t, 50)
	first := lastPosition(t, e, 0)
	g.CutReplication()
	// More than can have been on their way when the link was cut.
	unsafe := e.Stats().Unsafe
	eventually(t, "commits that are not safe", func() bool { return e.Stats().Unsafe > unsafe+20 })
	lost := lastPosition(t, e, 0)
	g.Master().Kill()
	g.Promote(t, 0)
	// One replica again, for the new master.
	old := g.Replicas()[0]
	old.Restart(t)
	proxy.Retarget(g.Master().Addr())
	g.RestoreReplication()
	g.Follow(t, old)
	l.atLeast(t, 50)
	stop()
	eventually(t, "an empty spool", func() bool { return e.Stats().Spooled == 0 })
	l.verify(t, e)
	s := e.Stats()
	if s.Replayed == 0 || s.Superseded != 0 || s.Epochs == 0 {
		t.Errorf("the numbers are %+v", s)
	}
	last := lastPosition(t, e, 0)
	if last.Epoch <= lost.Epoch || lost.Compare(first) < 0 {
		t.Errorf("the log went from %v to %v, and after the failover to %v", first, lost, last)
	}
	v, err := e.Commit(t.Context(), store.Put(store.Key{Kind: "other", ID: "a/b"}, nil, time.Time{}))
	if err != nil || v < 1<<32 {
		t.Errorf("after the failover a commit has version %d, %v", v, err)
	}
}

// TestSpoolEmptiesWithoutAFailover: what was not safe becomes so when the
// replicas are back, and is not made again.
func TestSpoolEmptiesWithoutAFailover(t *testing.T) {
	t.Parallel()
	g := redistest.StartReplicated(t, 1, 0)
	o, _ := replicated(t, g)
	e := open(t, o)
	at := e.Layout().Place("acme")
	l := newLedger()
	g.CutReplication()
	for i := range 3 {
		if err := l.commit(t.Context(), e, at, fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	if len(l.unsafe) != 3 || e.Stats().Spooled != 3 {
		t.Fatalf("unsafe are %v, the spool has %d", names(l.unsafe), e.Stats().Spooled)
	}
	v, err := e.Commit(t.Context(), store.Put(at.Key("other", "a"), nil, time.Time{}))
	if rec, err := e.Get(t.Context(), at.Key("other", "a")); err != nil || rec.Version != v {
		t.Errorf("an unsafe commit was told version %d, the record has %d, %v", v, rec.Version, err)
	}
	if !errors.Is(err, store.ErrUnsafe) {
		t.Error(err)
	}
	// The process ends, and another goes on with the spool.
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	e = openRunning(t, o)
	if n := e.Stats().Spooled; n != 4 {
		t.Fatalf("after a restart the spool has %d commits", n)
	}
	g.RestoreReplication()
	g.WaitOnline(t)
	eventually(t, "an empty spool", func() bool { return e.Stats().Spooled == 0 })
	if s := e.Stats(); s.Replayed != 0 || s.Superseded != 0 || s.Epochs != 0 {
		t.Errorf("the numbers are %+v", s)
	}
	l.verify(t, e)
	tries := 0
	eventually(t, "a commit that is safe at once", func() bool {
		tries++
		return l.commit(t.Context(), e, at, fmt.Sprint("safe-", tries)) == nil && len(l.made) > 0
	})
}

// TestReplayKeepsHistory loses a chain of commits, each based on the one before,
// and some that somebody else has decided since.
func TestReplayKeepsHistory(t *testing.T) {
	t.Parallel()
	g := redistest.StartReplicated(t, 1, 0)
	o, proxy := replicated(t, g)
	e := open(t, o)
	at := e.Layout().Place("acme")
	key := func(id string) store.Key { return at.Key("thing", id) }
	must := func(v store.Version, err error) store.Version {
		t.Helper()
		if err != nil && !errors.Is(err, store.ErrUnsafe) {
			t.Fatal(err)
		}
		return v
	}
	never := time.Time{}
	v := must(e.Commit(t.Context(), store.Create(key("chain"), []byte("0"), never), store.Create(key("taken"), nil, never),
		store.Create(key("rival"), []byte("0"), never), store.Put(key("put"), []byte("0"), never), store.Put(key("dropped"), []byte("0"), never),
		store.Put(key("kept"), []byte("0"), never)))
	g.WaitOnline(t)
	// A busy machine may have been slow even before the cut.
	spooled := e.Stats().Spooled
	g.CutReplication()
	v1 := must(e.Commit(t.Context(), store.Replace(key("chain"), v, []byte("1"), never), store.Append(at.Partition, []byte("1"))))
	v2 := must(e.Commit(t.Context(), store.Replace(key("chain"), v1, []byte("2"), never), store.Create(key("new"), []byte("n"), never),
		store.Take(key("taken"), v), store.Append(at.Partition, []byte("2"))))
	must(e.Commit(t.Context(), store.Replace(key("rival"), v, []byte("mine"), never), store.Append(at.Partition, []byte("rival mine"))))
	must(e.Commit(t.Context(), store.Put(key("put"), []byte("mine"), never), store.Drop(key("dropped")), store.Drop(key("kept")), store.Append(at.Partition, []byte("put"))))
	if n := e.Stats().Spooled; n != spooled+4 {
		t.Fatalf("the spool has %d commits, and had %d", n, spooled)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	g.Master().Kill()
	g.Promote(t, 0)
	proxy.Retarget(g.Master().Addr())
	old := g.Replicas()[0]
	old.Restart(t)
	g.RestoreReplication()
	g.Follow(t, old)
	g.WaitOnline(t)

	// Another node decides meanwhile.
	other := o
	other.SpoolPath = filepath.Join(t.TempDir(), "spool")
	rival := open(t, other)
	w := must(rival.Commit(t.Context(), store.Replace(key("rival"), v, []byte("theirs"), never), store.Append(at.Partition, []byte("rival theirs"))))
	must(rival.Commit(t.Context(), store.Put(key("put"), []byte("theirs"), never), store.Put(key("kept"), []byte("theirs"), never)))
	if w < 1<<32 {
		t.Errorf("after the failover a version is %d", w)
	}

	e = openRunning(t, o)
	eventually(t, "an empty spool", func() bool { return e.Stats().Spooled == 0 })
	if s := e.Stats(); s.Replayed != 3 || s.Superseded != 1 {
		t.Errorf("the numbers are %+v", s)
	}
	for id, want := range map[string]struct {
		value   string
		version store.Version
	}{"chain": {"2", v2}, "new": {"n", v2}, "rival": {"theirs", w}, "put": {"theirs", w + 1}, "kept": {"theirs", w + 1}} {
		if rec, err := e.Get(t.Context(), key(id)); err != nil || string(rec.Value) != want.value || rec.Version != want.version {
			t.Errorf("%s is %q at %d, %v; want %q at %d", id, rec.Value, rec.Version, err, want.value, want.version)
		}
	}
	for _, id := range []string{"taken", "dropped"} {
		if _, err := e.Get(t.Context(), key(id)); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s answers %v", id, err)
		}
	}
	_, events := contents(t, e)
	if len(events) != 4 || events["1"] != 1 || events["2"] != 1 || events["rival theirs"] != 1 || events["put"] != 1 {
		t.Errorf("the events are %v", events)
	}
}

// TestSpoolOfAnotherStore: a server that was emptied is not taken for a new one
// by a process that has worked with a store.
func TestSpoolOfAnotherStore(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	o := hasty(server.Addr())
	o.SpoolPath = filepath.Join(t.TempDir(), "spool")
	if err := open(t, o).Close(); err != nil {
		t.Fatal(err)
	}
	open(t, o)
	server.Do(t, "FLUSHALL")
	if _, err := redisstore.Open(t.Context(), withClock(o)); !errors.Is(err, store.ErrLost) {
		t.Errorf("an empty server answers %v", err)
	}
	other := o
	other.SpoolPath = ""
	open(t, other)
	if _, err := redisstore.Open(t.Context(), withClock(o)); !errors.Is(err, store.ErrLost) {
		t.Errorf("another store answers %v", err)
	}
}

func withClock(o redisstore.Options) redisstore.Options {
	o.Now = time.Now
	return o
}

// TestSentinelFailover: the sentinels make another server the master under load.
func TestSentinelFailover(t *testing.T) {
	t.Parallel()
	g := redistest.StartReplicated(t, 2, 3)
	o := hasty(g.SentinelAddrs()...)
	o.MasterName = g.MasterName()
	o.Replicas, o.ReplicaTimeout = 1, 200*time.Millisecond
	o.SpoolPath = filepath.Join(t.TempDir(), "spool")
	e := openRunning(t, o)
	l := newLedger()
	stop := l.load(t, e, "a", 8)
	l.atLeast(t, 50)
	g.Master().Kill()
	g.WaitFailover(t)
	l.atLeast(t, 50)
	stop()
	eventually(t, "an empty spool", func() bool { return e.Stats().Spooled == 0 })
	l.verify(t, e)
	if e.Stats().Epochs == 0 {
		t.Error("no epoch was begun")
	}
}
