package boltstore_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/boltstore"
)

func openBench(b *testing.B) *boltstore.Engine {
	b.Helper()
	return open(b, boltstore.Options{Path: filepath.Join(b.TempDir(), "drawbridge.db"), Now: time.Now})
}

// sessions makes n sessions, each with an index entry and a due time, and says
// for each of them the commit that ends it, with all its keys.
func sessions(b *testing.B, e *boltstore.Engine, n int) [][]store.Op {
	b.Helper()
	const batch = 1000
	at := e.Layout().Place("default")
	value := make([]byte, 600)
	due := time.Now().Add(30 * time.Minute)
	ends := make([][]store.Op, 0, n)
	for start := 0; start < n; start += batch {
		var ops []store.Op
		for i := start; i < min(start+batch, n); i++ {
			// Ids in no order, as random ones are.
			id := fmt.Sprintf("%08x-%d", uint32(i)*2654435761, i)
			ops = append(ops,
				store.Create(at.Key("session", id), value, time.Time{}),
				store.Create(at.Key("session-by-person", id), []byte(id), time.Time{}),
				store.Create(at.Own().Key("due", store.DueID(due, id)), []byte(id), time.Time{}))
		}
		v, err := e.Commit(b.Context(), ops...)
		if err != nil {
			b.Fatal(err)
		}
		for made := range slices.Chunk(ops, 3) {
			event := fmt.Sprint("event-", len(ends))
			ends = append(ends, []store.Op{
				store.Take(made[0].Key, v),
				store.Drop(made[1].Key),
				store.Drop(made[2].Key),
				store.Append(at.Partition, value[:200]),
				store.Create(at.Key("payload", event), value, due),
				store.Create(at.Own().Key("delivery", store.DueID(due, event)), value[:80], time.Time{}),
			})
		}
	}
	return ends
}

// BenchmarkSessionEnd measures commits that end a session: of a writer that is
// alone, whose p50 is about the price of a sync, and of several that share one.
func BenchmarkSessionEnd(b *testing.B) {
	for _, writers := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			e := openBench(b)
			ends := sessions(b, e, b.N)
			took := make([]time.Duration, b.N)
			before := e.Stats().Batches
			var next atomic.Int64
			var group sync.WaitGroup
			b.ResetTimer()
			for range writers {
				group.Go(func() {
					for i := next.Add(1) - 1; i < int64(b.N); i = next.Add(1) - 1 {
						start := time.Now()
						if _, err := e.Commit(b.Context(), ends[i]...); err != nil {
							b.Error(err)
							return
						}
						took[i] = time.Since(start)
					}
				})
			}
			group.Wait()
			b.StopTimer()
			slices.Sort(took)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
			b.ReportMetric(float64(took[b.N/2].Microseconds()), "p50-us")
			b.ReportMetric(float64(took[b.N*99/100].Microseconds()), "p99-us")
			b.ReportMetric(float64(b.N)/float64(e.Stats().Batches-before), "commits/sync")
		})
	}
}

func BenchmarkGet(b *testing.B) {
	e := openBench(b)
	ends := sessions(b, e, 10_000)
	i := 0
	for b.Loop() {
		if _, err := e.Get(b.Context(), ends[i%len(ends)][0].Key); err != nil {
			b.Fatal(err)
		}
		i += 7919
	}
}

func BenchmarkScan100(b *testing.B) {
	e := openBench(b)
	sessions(b, e, 10_000)
	at := e.Layout().Place("default")
	for b.Loop() {
		recs, err := e.Scan(b.Context(), store.Range{Partition: at.Partition, Kind: "session", Prefix: "default/8", Limit: 100})
		if err != nil || len(recs) != 100 {
			b.Fatal(len(recs), err)
		}
	}
}

func BenchmarkReadLog100(b *testing.B) {
	e := openBench(b)
	ops := make([]store.Op, 10_000)
	for i := range ops {
		ops[i] = store.Append(0, make([]byte, 200))
	}
	if _, err := e.Commit(b.Context(), ops...); err != nil {
		b.Fatal(err)
	}
	after := store.Position{}
	for b.Loop() {
		entries, err := e.ReadLog(b.Context(), 0, after, 100, 0)
		if err != nil || len(entries) != 100 {
			b.Fatal(len(entries), err)
		}
		if after = entries[99].Position; after.Seq == 10_000 {
			after = store.Position{}
		}
	}
}

// BenchmarkMove measures an export to a file and an import from it, per record.
func BenchmarkMove(b *testing.B) {
	const n = 50_000
	e := openBench(b)
	sessions(b, e, n)
	path := filepath.Join(b.TempDir(), "dump")
	var wrote, loaded time.Duration
	for b.Loop() {
		start := time.Now()
		f, err := os.Create(path)
		if err != nil {
			b.Fatal(err)
		}
		totals, err := store.WriteDump(f, store.DumpInfo{Partitions: 1}, e.Dump(b.Context()))
		if err != nil || totals.Records != 3*n {
			b.Fatal(totals, err)
		}
		if _, err := f.Seek(0, 0); err != nil {
			b.Fatal(err)
		}
		wrote += time.Since(start)
		start = time.Now()
		dump, err := store.ReadDump(f)
		if err != nil {
			b.Fatal(err)
		}
		if err := openBench(b).Load(b.Context(), dump.Items()); err != nil {
			b.Fatal(err)
		}
		if err := f.Close(); err != nil {
			b.Fatal(err)
		}
		loaded += time.Since(start)
	}
	records := float64(3 * n * b.N)
	b.ReportMetric(records/wrote.Seconds(), "exported/s")
	b.ReportMetric(records/loaded.Seconds(), "imported/s")
}
