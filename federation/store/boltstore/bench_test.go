package boltstore_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/boltstore"
)

// sessions prepares n sessions, each with an index entry and a due time, and
// returns for each the commit that ends it.
func sessions(b *testing.B, e *boltstore.Engine, n int) [][]store.Op {
	b.Helper()
	at := e.Layout().Place("default")
	value := make([]byte, 600)
	soon := time.Now().Add(8 * time.Hour)
	ends := make([][]store.Op, 0, n)
	for start := 0; start < n; start += 1000 {
		var ops []store.Op
		for i := start; i < min(start+1000, n); i++ {
			id := fmt.Sprintf("%08x-%d", uint32(i)*2654435761, i)
			ops = append(ops,
				store.Create(at.Key("session", id), value, time.Time{}),
				store.Create(at.Key("session-by-person", id), []byte(id), time.Time{}),
				store.Create(at.Own().Key("due", store.DueID(soon, id)), []byte(id), time.Time{}))
		}
		v, err := e.Commit(b.Context(), ops...)
		if err != nil {
			b.Fatal(err)
		}
		for i := start; i < min(start+1000, n); i++ {
			o := ops[3*(i-start):]
			job := store.DueID(time.Now(), fmt.Sprint("deliver-", i))
			ends = append(ends, []store.Op{
				store.Take(o[0].Key, v),
				store.Drop(o[1].Key),
				store.Drop(o[2].Key),
				store.Append(at.Partition, value[:200]),
				store.Create(at.Key("payload", fmt.Sprint("e", i)), value, soon),
				store.Create(at.Own().Key("job", job), value[:80], time.Time{}),
			})
		}
	}
	return ends
}

func openBench(b *testing.B) *boltstore.Engine {
	b.Helper()
	e, err := boltstore.Open(boltstore.Options{Path: filepath.Join(b.TempDir(), "db"), Now: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := e.Close(); err != nil {
			b.Error(err)
		}
	})
	return e
}

// BenchmarkSessionEnd measures the commit that ends a session, with all its
// keys: by one writer, and by 64 that share syncs.
func BenchmarkSessionEnd(b *testing.B) {
	for _, writers := range []int{1, 2, 16, 64, 256} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			e := openBench(b)
			ends := sessions(b, e, b.N)
			took := make([]time.Duration, b.N)
			before := e.Stats().Batches
			var next atomic.Int64
			b.SetParallelism(1)
			b.ResetTimer()
			done := make(chan error, writers)
			for range writers {
				go func() {
					for {
						i := int(next.Add(1)) - 1
						if i >= len(ends) {
							done <- nil
							return
						}
						start := time.Now()
						if _, err := e.Commit(b.Context(), ends[i]...); err != nil {
							done <- err
							return
						}
						took[i] = time.Since(start)
					}
				}()
			}
			for range writers {
				if err := <-done; err != nil {
					b.Error(err)
				}
			}
			b.StopTimer()
			slices.Sort(took)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-us")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-us")
			b.ReportMetric(float64(b.N)/float64(e.Stats().Batches-before), "commits/sync")
		})
	}
}
