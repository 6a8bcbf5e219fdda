package redisstore_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/redisstore"
	"github.com/drawbridge-id/drawbridge/federation/store/redisstore/redistest"
)

// ending is a session as a benchmark makes it, and the commit that ends it.
type ending struct{ make, end []store.Op }

// endings are commits of the shape that ends a session, in the order in which
// they began: what was kept of it is removed, and an event with its data, and a
// delivery that is due, take its place. Large values have about 600 bytes.
func endings(at store.Place, n int) []ending {
	shape := shape{at: at, now: time.Now(), random: rand.NewChaCha8([32]byte{})}
	month := shape.now.Add(30 * 24 * time.Hour)
	out := make([]ending, n)
	for i := range out {
		made, _ := shape.liveSession(i, 0.25)
		event, job := shape.event(i), "session_webhook/session-ended_"+shape.event(i)
		out[i].make = made
		out[i].end = []store.Op{
			store.Take(made[0].Key, 0), // prepare says at which version
			store.Drop(made[1].Key),
			store.Drop(made[2].Key),
			store.Drop(made[3].Key),
			store.Append(at.Partition, shape.value(200)),
			store.Create(at.Key("event_data", made[1].Key.Local()[:36]+"/"+event), shape.value(600), month),
			store.Create(at.Key("job", job), shape.value(600), month),
			store.Create(at.Own().Key("job_due", store.DueID(shape.now.Add(time.Duration(i)*time.Microsecond), job)), shape.value(4), time.Time{}),
		}
	}
	return out
}

func prepare(b *testing.B, e *redisstore.Engine, n int) []ending {
	b.Helper()
	ends := endings(e.Layout().Place("default"), n)
	for batch := range slices.Chunk(ends, 500) {
		var ops []store.Op
		for _, end := range batch {
			ops = append(ops, end.make...)
		}
		v, err := e.Commit(b.Context(), ops...)
		if err != nil {
			b.Fatal(err)
		}
		for _, end := range batch {
			end.end[0].At = v
		}
	}
	return ends
}

// BenchmarkSessionEnd measures commits that end a session, of a writer that is
// alone and of 64, by how often Redis syncs its log.
func BenchmarkSessionEnd(b *testing.B) {
	for _, fsync := range []string{"everysec", "always"} {
		for _, writers := range []int{1, 64} {
			b.Run(fmt.Sprintf("fsync=%s/writers=%d", fsync, writers), func(b *testing.B) {
				server := redistest.Start(b, "appendfsync "+fsync)
				e := open(b, redisstore.Options{Addresses: []string{server.Addr()}})
				ends := prepare(b, e, b.N)
				took := make([]time.Duration, b.N)
				before, busy := e.Stats().Batches, serverCPU(b, server)
				var next atomic.Int64
				var group sync.WaitGroup
				b.ResetTimer()
				for range writers {
					group.Go(func() {
						for i := next.Add(1) - 1; i < int64(b.N); i = next.Add(1) - 1 {
							start := time.Now()
							if _, err := e.Commit(b.Context(), ends[i].end...); err != nil {
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
				b.ReportMetric((serverCPU(b, server)-busy)*1e6/float64(b.N), "server-us/commit")
				b.ReportMetric(float64(b.N)/float64(e.Stats().Batches-before), "commits/call")
			})
		}
	}
}

// serverCPU is how many seconds of processor time the server has used.
func serverCPU(b *testing.B, s *redistest.Server) float64 {
	b.Helper()
	total := 0.0
	for line := range strings.Lines(fmt.Sprint(s.Do(b, "INFO", "cpu"))) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if name == "used_cpu_sys" || name == "used_cpu_user" {
			seconds, err := strconv.ParseFloat(value, 64)
			if err != nil {
				b.Fatal(err)
			}
			total += seconds
		}
	}
	return total
}

func BenchmarkGet(b *testing.B) {
	server := redistest.Start(b)
	e := open(b, redisstore.Options{Addresses: []string{server.Addr()}})
	ends := prepare(b, e, 10_000)
	b.Run("alone", func(b *testing.B) {
		i := 0
		for b.Loop() {
			if _, err := e.Get(b.Context(), ends[i%len(ends)].make[0].Key); err != nil {
				b.Fatal(err)
			}
			i += 7919
		}
	})
	b.Run("together", func(b *testing.B) {
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			i := 0
			for pb.Next() {
				if _, err := e.Get(b.Context(), ends[i%len(ends)].make[0].Key); err != nil {
					b.Error(err)
					return
				}
				i += 7919
			}
		})
	})
}
