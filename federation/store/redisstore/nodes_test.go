package redisstore_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/redisstore"
	"github.com/drawbridge-id/drawbridge/federation/store/redisstore/redistest"
)

// TestNodesWakeEachOther: who waits on one node hears of what another commits,
// and all that wait on a node share a connection.
func TestNodesWakeEachOther(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	a, b := open(t, hasty(server.Addr())), open(t, hasty(server.Addr()))
	const readers = 50
	var after [2]store.Position
	for round := range 5 {
		var group sync.WaitGroup
		heard := make(chan store.Entry, 2*readers)
		for i := range 2 * readers {
			group.Go(func() {
				entries, err := a.ReadLog(t.Context(), store.Partition(i%2), after[i%2], 10, time.Hour)
				if err != nil || len(entries) != 1 || string(entries[0].Value) != fmt.Sprint(round) {
					t.Errorf("a reader hears %v, %v", entries, err)
					return
				}
				heard <- entries[0]
			})
		}
		if round == 2 {
			eventually(t, "two connections that wait", func() bool {
				return serverInfo(t, server, "clients", "blocked_clients") == 2
			})
		}
		for p := range store.Partition(2) {
			if _, err := b.Commit(t.Context(), store.Append(p, fmt.Append(nil, round))); err != nil {
				t.Fatal(err)
			}
		}
		group.Wait()
		for p := range store.Partition(2) {
			after[p] = lastPosition(t, b, p)
		}
	}
}

// TestNodesGoOnInOneEpoch: after the server was another one, the first node
// that commits begins an epoch and all others take it over.
func TestNodesGoOnInOneEpoch(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "appendfsync always")
	var nodes []*redisstore.Engine
	for range 4 {
		nodes = append(nodes, open(t, hasty(server.Addr())))
	}
	l := newLedger()
	at := nodes[0].Layout().Place("acme")
	before := make([]store.Position, 3)
	for round := range 3 {
		var group sync.WaitGroup
		for n, e := range nodes {
			for i := range 4 {
				group.Go(func() {
					if err := l.commit(t.Context(), e, at, fmt.Sprint(round, n, i)); err != nil {
						t.Error(err)
					}
				})
			}
		}
		group.Wait()
		before[round] = lastPosition(t, nodes[0], at.Partition)
		server.Kill()
		server.Restart(t)
	}
	if before[0].Epoch >= before[1].Epoch || before[1].Epoch >= before[2].Epoch {
		t.Errorf("the log went through %v", before)
	}
	l.verify(t, nodes[3])
	begun := uint64(0)
	for _, e := range nodes {
		begun += e.Stats().Epochs
	}
	// Several may be told of an epoch that one of them has begun.
	if len(l.made) != 48 || begun < 2 || begun > 8 {
		t.Errorf("%d commits were made, %d epochs begun", len(l.made), begun)
	}
}

// TestExpiredIDsLeaveTheirIndex: Redis removes records by itself, and then
// scans and upkeep their ids.
func TestExpiredIDsLeaveTheirIndex(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "hz 100")
	o := hasty(server.Addr())
	o.Partitions = 1
	e := open(t, o)
	at := e.Layout().Place("acme")
	now, err := e.Now(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"scanned", "walked"} {
		var ops []store.Op
		for i := range 3000 {
			end := now.Add(time.Millisecond)
			if i%1000 == 500 {
				end = time.Time{}
			}
			ops = append(ops, store.Put(at.Key(kind, fmt.Sprintf("%05d", i)), []byte("v"), end))
		}
		if _, err := e.Commit(t.Context(), ops...); err != nil {
			t.Fatal(err)
		}
	}
	// What is left are six records, and the store's own keys.
	eventually(t, "expired keys", func() bool { return serverInfo(t, server, "stats", "expired_keys") >= 2*2997 })
	if recs, err := e.Scan(t.Context(), store.Range{Kind: "scanned", Limit: 10}); err != nil || len(recs) != 3 {
		t.Errorf("a scan finds %d records, %v", len(recs), err)
	}
	members := func(kind string) int64 { return server.Do(t, "ZCARD", "{db:0}\x00i"+kind).(int64) }
	if n := members("scanned"); n != 3 {
		t.Errorf("after a scan the index has %d ids", n)
	}
	e.Upkeep(3)
	if n := members("walked"); n != 3 || e.Stats().Swept != 2*2997 {
		t.Errorf("after upkeep the index has %d ids; %d were swept", n, e.Stats().Swept)
	}
}

// TestUpkeepIsCheap: its work does not depend on how much there is.
func TestUpkeepIsCheap(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	o := hasty(server.Addr())
	o.Partitions = 4
	e := open(t, o)
	for i := range 10_000 {
		at := e.Layout().Place(fmt.Sprint("tenant-", i))
		go func() {
			_, _ = e.Commit(t.Context(), store.Create(at.Key("tenant", "a"), []byte("settings"), time.Time{}))
		}()
	}
	eventually(t, "all tenants", func() bool { return e.Stats().Commits == 10_000 })
	before := serverInfo(t, server, "stats", "total_commands_processed")
	const rounds = 20
	e.Upkeep(rounds)
	// Two commands for each partition, and a step of the walk with what it calls.
	if n := (serverInfo(t, server, "stats", "total_commands_processed") - before) / rounds; n > 2*4+10 {
		t.Errorf("a round of upkeep takes %.1f commands", n)
	}
}

func TestTrimmedEntriesAreRemoved(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	e := open(t, hasty(server.Addr()))
	ops := make([]store.Op, 2500)
	for i := range ops {
		ops[i] = store.Append(0, fmt.Append(nil, i))
	}
	if _, err := e.Commit(t.Context(), ops...); err != nil {
		t.Fatal(err)
	}
	entries, err := e.ReadLog(t.Context(), 0, store.Position{}, 3000, 0)
	if err != nil || len(entries) != 2500 {
		t.Fatal(len(entries), err)
	}
	for _, n := range []int{1234, 2499} {
		if err := e.TrimLog(t.Context(), 0, entries[n].Position); err != nil {
			t.Fatal(err)
		}
		if left := server.Do(t, "XLEN", "{db:0}l").(int64); left != int64(2499-n) {
			t.Errorf("trimmed up to entry %d, %d are left", n, left)
		}
	}
	if _, err := e.ReadLog(t.Context(), 0, entries[2498].Position, 1, 0); !errors.Is(err, store.ErrTrimmed) {
		t.Errorf("a read of what was trimmed answers %v", err)
	}
	if _, err := e.Commit(t.Context(), store.Append(0, nil)); err != nil {
		t.Fatal(err)
	}
	last := nextPosition(t, e, entries[2499].Position)
	if last.Epoch != entries[0].Position.Epoch || last.Seq != 2501 || entries[0].Position.Seq != 1 {
		t.Errorf("the log goes from %v on to %v", entries[0].Position, last)
	}
}

func nextPosition(t *testing.T, e *redisstore.Engine, after store.Position) store.Position {
	t.Helper()
	entries, err := e.ReadLog(t.Context(), 0, after, 10, 0)
	if err != nil || len(entries) != 1 {
		t.Fatal(entries, err)
	}
	return entries[0].Position
}

// TestLargeCommits are larger than any of the steps that scripts work in.
func TestLargeCommits(t *testing.T) {
	t.Parallel()
	e := open(t, hasty(redistest.Start(t).Addr()))
	at := e.Layout().Place("acme")
	key := func(i int) store.Key { return at.Key("thing", fmt.Sprint(i)) }
	const n = 6500
	var creates, replaces, takes []store.Op
	for i := range n {
		creates = append(creates, store.Create(key(i), fmt.Append(nil, i), time.Time{}), store.Append(at.Partition, nil), store.Check(at.Key("none", fmt.Sprint(i)), 0))
	}
	v, err := e.Commit(t.Context(), creates...)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		replaces = append(replaces, store.Replace(key(i), v, fmt.Append(nil, -i), time.Time{}))
	}
	if _, err := e.Commit(t.Context(), append(replaces, store.Check(at.Key("none", "x"), 1))...); !errors.Is(err, store.ErrConflict) {
		t.Errorf("a large commit with a check that fails answers %v", err)
	}
	w, err := e.Commit(t.Context(), replaces...)
	if err != nil {
		t.Fatal(err)
	}
	recs, err := e.Scan(t.Context(), store.Range{Partition: at.Partition, Kind: "thing", Limit: 2 * n})
	if err != nil || len(recs) != n {
		t.Fatalf("a scan finds %d records, %v", len(recs), err)
	}
	for _, rec := range recs {
		if string(rec.Value) != "-"+rec.Key.Local() && rec.Key.Local() != "0" || rec.Version != w {
			t.Fatalf("%s is %q at %d, want version %d", rec.Key.Local(), rec.Value, rec.Version, w)
		}
	}
	for i := range n {
		takes = append(takes, store.Take(key(i), w))
	}
	if _, err := e.Commit(t.Context(), takes...); err != nil {
		t.Fatal(err)
	}
	if recs, err := e.Scan(t.Context(), store.Range{Partition: at.Partition, Kind: "thing", Limit: 2 * n}); err != nil || len(recs) != 0 {
		t.Errorf("a scan finds %d records, %v", len(recs), err)
	}
	if _, err := e.Commit(t.Context(), make([]store.Op, 20_001)...); err == nil || errors.Is(err, store.ErrUnavailable) {
		t.Errorf("a commit beyond the limit answers %v", err)
	}
}
