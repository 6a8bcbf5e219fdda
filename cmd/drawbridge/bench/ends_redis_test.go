//go:build bench

package bench

import (
	"context"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/session"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

// planned keeps commits instead of making them, so that planning and committing can be measured one by one.
type planned struct {
	store.Engine
	mu      sync.Mutex
	commits [][]store.Op
}

func (p *planned) Commit(_ context.Context, ops ...store.Op) (store.Version, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.commits = append(p.commits, ops)
	return 1, nil
}

// spell is what a piece of work took, per piece of it.
type spell struct {
	rate, p50, p99   float64 // per second, milliseconds
	mine, server     float64 // CPU of this process and of Redis, microseconds
	commits, batches uint64
}

func TestSessionEndsOnRedis(t *testing.T) {
	for _, c := range []struct{ fsync, target string }{{"everysec", "at least 20000"}, {"always", "at least 10000"}} {
		server := startRedis(t, "appendfsync "+c.fsync)
		engine := server.open(t)
		e := newEnding(t, engine, 1)
		figures := newTable(t, "Session ends with event, sign-out and delivery, one Redis, fsync "+c.fsync+", 64 writers")
		const n = 8192
		measure := func(work func(i int) error) spell {
			stats, mine, busy, began := engine.Stats(), cpuOf(t, os.Getpid()), server.cpu(t), time.Now()
			took := crowd(t, 64, n, work)
			spent := time.Since(began)
			after := engine.Stats()
			return spell{
				rate: n / spent.Seconds(), p50: middle(took), p99: part(took, 0.99),
				mine: (cpuOf(t, os.Getpid()) - mine).Seconds() * 1e6 / n, server: (server.cpu(t) - busy).Seconds() * 1e6 / n,
				commits: after.Commits - stats.Commits, batches: after.Batches - stats.Batches,
			}
		}
		var whole, plan, commit []spell
		ended := 0
		for range 3 {
			ids := e.begin(n)
			whole = append(whole, measure(func(i int) error { return e.endOne(e.sessions, i, ids[i]) }))
			ids = e.begin(n)
			plans := &planned{Engine: engine}
			planner := e.manager(session.Options{Engine: plans})
			plan = append(plan, measure(func(i int) error { return e.endOne(planner, i, ids[i]) }))
			commit = append(commit, measure(func(i int) error {
				_, err := engine.Commit(t.Context(), plans.commits[i]...)
				return err
			}))
			ended += 2 * n
		}
		e.told(ended)
		column := func(all []spell, f func(spell) float64) (values []float64) {
			for _, s := range all {
				values = append(values, f(s))
			}
			return values
		}
		rate := func(s spell) float64 { return s.rate }
		mine, served := func(s spell) float64 { return s.mine }, func(s spell) float64 { return s.server }
		p50, p99 := func(s spell) float64 { return s.p50 }, func(s spell) float64 { return s.p99 }
		shared := func(s spell) float64 { return float64(s.commits) / float64(s.batches) }
		figures.add("ends", "per s", c.target, column(whole, rate)...)
		figures.add("one end, p50", "ms", "", column(whole, p50)...)
		figures.add("one end, p99", "ms", "", column(whole, p99)...)
		figures.add("the commits alone", "per s", c.target, column(commit, rate)...)
		figures.add("one commit, p50", "ms", "", column(commit, p50)...)
		figures.add("one commit, p99", "ms", "", column(commit, p99)...)
		figures.add("commits per script call, ends", "", "", column(whole, shared)...)
		figures.add("commits per script call, commits alone", "", "", column(commit, shared)...)
		figures.add("CPU of Redis per end", "us", "", column(whole, served)...)
		figures.add("  of it the two reads", "us", "", column(plan, served)...)
		figures.add("  of it the commit", "us", "", column(commit, served)...)
		figures.add("CPU of this process per end", "us", "", column(whole, mine)...)
		figures.add("  of it reading and planning", "us", "", column(plan, mine)...)
		figures.add("  of it the commit", "us", "", column(commit, mine)...)
	}
}
