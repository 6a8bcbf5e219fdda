package session

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/boltstore"
	"github.com/drawbridge-id/drawbridge/federation/store/redisstore"
	"github.com/drawbridge-id/drawbridge/federation/store/redisstore/redistest"
)

// BenchmarkDetection is how late timeouts are told of, from the deadline to the
// commit's own time, while so many come due each second for three seconds, are
// swept by three nodes, and many others live on.
func BenchmarkDetection(b *testing.B) {
	for _, c := range []struct {
		engine                  string
		open                    func(testing.TB, int) bench
		rate, live, parts, node int
	}{
		{"bolt", onBolt, 2_000, 0, 1, 1}, {"bolt", onBolt, 2_000, 100_000, 16, 3},
		{"redis", onRedis, 10_000, 0, 16, 1}, {"redis", onRedis, 10_000, 0, 16, 3}, {"redis", onRedis, 10_000, 200_000, 16, 3},
	} {
		b.Run(fmt.Sprintf("%s/rate=%d/live=%d/partitions=%d/nodes=%d", c.engine, c.rate, c.live, c.parts, c.node), func(b *testing.B) {
			var lags []time.Duration
			for b.Loop() {
				b.StopTimer()
				lags = append(lags, detect(b, c.open(b, c.parts), c.rate, c.live, c.node)...)
				b.StartTimer()
			}
			slices.Sort(lags)
			b.ReportMetric(float64(lags[len(lags)/2].Milliseconds()), "p50-ms")
			b.ReportMetric(float64(lags[len(lags)*99/100].Milliseconds()), "p99-ms")
			b.ReportMetric(float64(lags[len(lags)-1].Milliseconds()), "max-ms")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// bench is an engine to measure with.
type bench interface {
	store.Engine
	Layout() store.Layout
}

func onBolt(t testing.TB, partitions int) bench {
	eng, err := boltstore.Open(boltstore.Options{Path: filepath.Join(t.TempDir(), "store.db"), Now: time.Now, Partitions: partitions})
	if err != nil {
		t.Fatal(err)
	}
	return eng
}

func onRedis(t testing.TB, partitions int) bench {
	eng, err := redisstore.Open(t.Context(), redisstore.Options{Addresses: []string{redistest.Start(t).Addr()}, Now: time.Now, Partitions: partitions})
	if err != nil {
		t.Fatal(err)
	}
	return eng
}

func detect(b *testing.B, eng bench, rate, live, count int) []time.Duration {
	const span = 3 * time.Second
	defer eng.Close()
	w := &town{layout: eng.Layout()}
	w.house = &house{t: b, clock: newClock(), eng: counting{Engine: eng, commits: &w.commits}}
	for i := range 64 {
		id := fmt.Sprintf("t%d", i)
		w.tenants = append(w.tenants, federation.Tenant{ID: id, Place: w.layout.Place(id)})
	}
	w.Manager = w.node(func(o *Options) { o.Plan = delivery })
	total := rate * int(span/time.Second)
	prepare := 2*time.Second + time.Duration(total+live)*60*time.Microsecond
	first, n := time.Now().Add(prepare), 0
	w.Manager = w.node(func(o *Options) {
		o.Plan = func(context.Context, federation.Change) ([]store.Op, error) { return nil, nil }
		o.Policy = func(federation.Tenant) Policy {
			n++ // asked twice for each session
			due := first.Add(time.Duration(n/2*7919%total) * span / time.Duration(total))
			if n > 2*total {
				due = first.Add(time.Hour)
			}
			return Policy{Idle: time.Until(due), Max: 2 * time.Hour}
		}
	})
	w.settleDown(total + live)
	if late := time.Since(first); late > 0 {
		b.Fatalf("beginning took %v too long", late)
	}
	lags := make(chan time.Duration, total)
	ctx, stop := context.WithCancel(b.Context())
	var nodes sync.WaitGroup
	for range count {
		node := w.node(func(o *Options) {
			o.Plan, o.Monotonic = delivery, func() time.Duration { return time.Since(first.Add(-time.Hour)) }
			o.Observe.Ended = func(_ federation.Tenant, s federation.Session, _ federation.Cause) {
				deadline, _ := s.Deadline()
				lags <- time.Since(deadline)
			}
		})
		nodes.Go(func() { _ = node.Run(ctx) })
	}
	all := make([]time.Duration, 0, total)
	for len(all) < total {
		select {
		case lag := <-lags:
			all = append(all, lag)
		case <-time.After(10 * time.Second):
			b.Fatalf("only %d of %d ended", len(all), total)
		}
	}
	stop()
	nodes.Wait()
	return all
}
