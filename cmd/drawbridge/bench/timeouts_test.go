//go:build bench

package bench

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/session"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

const (
	// wave is how long sessions come due.
	wave = 3 * time.Second
	// million sessions live on, or as many as can be begun within settling.
	million  = 1_000_000
	settling = 150 * time.Second
	// sweepers is how many nodes there are, in this process.
	sweepers = 3
)

// TestTimeoutsOnRedis measures how late timeouts are told of, from the deadline to the answer to the commit. The plan of
// an end is the program's, 64 tenants live in 16 partitions, and three nodes share the processors with Redis.
func TestTimeoutsOnRedis(t *testing.T) {
	server := startRedis(t)
	e := newEnding(t, server.open(t), 64)
	figures := newTable(t, fmt.Sprintf("Timeouts told of, one Redis, %d nodes", sweepers))
	told := e.backlog(server, figures)
	lags := make(chan time.Duration, 10_000*int(wave/time.Second))
	defer e.startNodes(server, func(_ federation.Tenant, s federation.Session, _ federation.Cause) {
		deadline, _ := s.Deadline()
		lags <- time.Since(deadline)
	})()
	told += len(e.timeOut(server, 1000, lags).lags) // everybody has their connections, and Redis the scripts
	measure := func(rate int, others, target string) {
		w := e.timeOut(server, rate, lags)
		told += len(w.lags)
		name := fmt.Sprintf("%d a second, %s", rate, others)
		figures.add(name+": lag, p50", "ms", "", middle(w.lags))
		figures.add(name+": lag, p99", "ms", target, part(w.lags, 0.99))
		figures.add("  CPU of Redis per timeout", "us", "", w.server)
		figures.add("  CPU of the nodes per timeout", "us", "", w.mine)
	}
	for _, rate := range []int{2_000, 5_000, 10_000} {
		measure(rate, "no others", "at most 250")
	}
	before, began := server.memory(t), time.Now()
	live := e.settle(million, began.Add(settling), func(int) time.Duration { return 2 * time.Hour })
	rate, each := float64(live)/time.Since(began).Seconds(), (server.memory(t)-before)/float64(live)
	for _, rate := range []int{2_000, 10_000} {
		measure(rate, fmt.Sprintf("%d others live", live), "at most 1000")
	}
	figures.add("sessions begun in commits of 128", "per s", "", rate)
	figures.add("  each takes of Redis", "bytes", "", each)
	e.told(told)
}

// backlog measures what one node can do: everything is overdue when it begins. It says how many timeouts it told of.
func (e *ending) backlog(server served, figures *table) int {
	e.t.Helper()
	const n = 20_000
	var rate, mine, busy []float64
	for range 3 {
		overdue := time.Now().Add(time.Minute)
		if begun := e.settle(n, overdue, func(int) time.Duration { return time.Microsecond }); begun < n {
			e.t.Fatalf("only %d of %d sessions began in time", begun, n)
		}
		ended := make(chan struct{}, n)
		node := e.manager(session.Options{Engine: e.engine, Observe: session.Observer{
			Ended: func(federation.Tenant, federation.Session, federation.Cause) { ended <- struct{}{} },
		}})
		ctx, cancel := context.WithCancel(e.t.Context())
		var sweep sync.WaitGroup
		ours, theirs, began := cpuOf(e.t, os.Getpid()), server.cpu(e.t), time.Now()
		sweep.Go(func() { _ = node.Run(ctx) })
		over := time.After(time.Minute)
		for i := range n {
			select {
			case <-ended:
			case <-over:
				e.t.Fatalf("only %d of %d sessions have ended", i, n)
			}
		}
		rate = append(rate, n/time.Since(began).Seconds())
		mine = append(mine, (cpuOf(e.t, os.Getpid())-ours).Seconds()*1e6/n)
		busy = append(busy, (server.cpu(e.t)-theirs).Seconds()*1e6/n)
		cancel()
		sweep.Wait()
	}
	figures.add(fmt.Sprintf("a backlog of %d told of by one node", n), "per s", "", rate...)
	figures.add("  CPU of Redis per timeout", "us", "", busy...)
	figures.add("  CPU of the node per timeout", "us", "", mine...)
	return 3 * n
}

// swept is what became of a wave of sessions that came due.
type swept struct {
	lags         []time.Duration
	mine, server float64 // CPU in microseconds per timeout, from the first deadline on
}

// timeOut begins sessions and has their timeouts come, so many a second, in no order of their names.
func (e *ending) timeOut(server served, rate int, lags <-chan time.Duration) swept {
	e.t.Helper()
	total := rate * int(wave/time.Second)
	first := time.Now().Add(3*time.Second + time.Duration(total)*200*time.Microsecond)
	begun := e.settle(total, first, func(i int) time.Duration {
		return time.Until(first.Add(time.Duration(i*7919%total) * wave / time.Duration(total)))
	})
	if begun < total {
		e.t.Fatalf("only %d of %d sessions began in time", begun, total)
	}
	time.Sleep(time.Until(first))
	w := swept{lags: make([]time.Duration, 0, total)}
	mine, busy, over := cpuOf(e.t, os.Getpid()), server.cpu(e.t), time.After(time.Minute)
	for len(w.lags) < total {
		select {
		case lag := <-lags:
			w.lags = append(w.lags, lag)
		case <-over:
			e.t.Fatalf("only %d of %d sessions have ended", len(w.lags), total)
		}
	}
	each := 1e6 / float64(total)
	w.mine, w.server = (cpuOf(e.t, os.Getpid())-mine).Seconds()*each, (server.cpu(e.t)-busy).Seconds()*each
	return w
}

// startNodes has nodes sweep, each with an engine of its own, until what it answers is called.
func (e *ending) startNodes(server served, ended func(federation.Tenant, federation.Session, federation.Cause)) (stop func()) {
	e.t.Helper()
	ctx, cancel := context.WithCancel(e.t.Context())
	var nodes sync.WaitGroup
	began := time.Now()
	for range sweepers {
		engine := server.open(e.t)
		node := e.manager(session.Options{
			Engine: engine, Observe: session.Observer{Ended: ended}, Monotonic: func() time.Duration { return time.Since(began) },
		})
		nodes.Go(func() {
			var loops sync.WaitGroup
			loops.Go(func() { _ = engine.Run(ctx) })
			loops.Go(func() { _ = node.Run(ctx) })
			loops.Wait()
			if err := engine.Close(); err != nil {
				e.t.Error(err)
			}
		})
	}
	return func() {
		cancel()
		nodes.Wait()
	}
}

// settle begins sessions in large commits, until a time, and says how many. Each is told its idle time.
func (e *ending) settle(n int, until time.Time, idle func(i int) time.Duration) int {
	e.t.Helper()
	const together = 128
	var begun atomic.Int64
	strides := (n + together*len(e.tenants) - 1) / (together * len(e.tenants))
	crowd(e.t, 8, strides*len(e.tenants), func(task int) error {
		tenant, from := task%len(e.tenants), task/len(e.tenants)*together
		var own time.Duration
		m := e.manager(session.Options{Engine: e.engine, Policy: func(federation.Tenant) session.Policy { return lifetimes(own) }})
		var ops []store.Op
		count := 0
		for j := range together {
			i := (from+j)*len(e.tenants) + tenant // a session of this tenant's
			if i >= n || time.Now().After(until) {
				break
			}
			own = idle(i)
			_, more, err := e.planBegin(e.t.Context(), m, i)
			if err != nil {
				return err
			}
			ops, count = append(ops, more...), count+1
		}
		if count == 0 {
			return nil
		}
		begun.Add(int64(count))
		_, err := e.engine.Commit(e.t.Context(), ops...)
		return err
	})
	return int(begun.Load())
}
