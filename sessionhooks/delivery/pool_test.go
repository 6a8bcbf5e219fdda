package delivery_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/sessionhooks"
	"github.com/drawbridge-id/drawbridge/sessionhooks/delivery"
)

func TestNodesShareThePartitions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, 16)
		share := func(want map[string]int) {
			t.Helper()
			time.Sleep(3 * time.Second)
			w.everywhere(1)
			time.Sleep(soon)
			synctest.Wait()
			by, sum := w.sent()
			if sum != 16 {
				t.Errorf("%d of 16 sent: %v", sum, by)
			}
			for name, n := range want {
				if by[name] < n || by[name] > n+1 {
					t.Errorf("%s sent %d, its share is %d or %d", name, by[name], n, n+1)
				}
			}
		}
		a := w.start("a")
		share(map[string]int{"a": 16})
		b := w.start("b")
		share(map[string]int{"a": 8, "b": 8})
		w.start("b") // another of the same name is another node
		delete(w.nodes, "b")
		w.nodes["b1"], w.nodes["b2"] = b, w.nodes["b"]
		a.stop()
		w.empty()
	})
}

// A node that stops cleanly is followed at once, and nothing is sent twice.
func TestACleanStopIsTakenOverAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, 4)
		a := w.start("a")
		w.start("b")
		w.start("c")
		time.Sleep(3 * time.Second)
		a.stop()
		w.everywhere(3)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if by, sum := w.sent(); sum != 12 || by["a"] != 0 {
			t.Errorf("two seconds after the stop: sent %v", by)
		}
		w.all()
	})
}

// A node that dies is followed when its leases have run out.
func TestACrashIsTakenOverWithinTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, 4)
		a := w.start("a")
		w.start("b")
		time.Sleep(3 * time.Second)
		a.kill()
		a.eng.set(func(f *faulty) { f.commits = 0 })
		w.everywhere(2)
		time.Sleep(lease + 2*time.Second)
		synctest.Wait()
		if by, sum := w.sent(); sum != 8 || by["a"] != 0 {
			t.Errorf("after the lease: sent %v", by)
		}
		w.all()
		a.eng.set(func(f *faulty) {
			if f.commits > 200 {
				t.Errorf("%d commits were tried without a store", f.commits)
			}
		})
		if n := w.logs.count("WARN"); n > 20 {
			t.Errorf("%d warnings in half a minute", n)
		}
	})
}

// all demands that no due record is left in any partition.
func (w *town) all() {
	w.Helper()
	for p := range w.layout.Partitions {
		recs, err := w.bolt.Scan(context.Background(), store.Range{Partition: store.Partition(p), Kind: "job_due", Limit: 100})
		w.do(err)
		if len(recs) > 0 {
			w.Errorf("%d due records are left in partition %d", len(recs), p)
		}
	}
}

// A process that was suspended for longer than its lease wakes up with work on
// its hands, and with the time as it was: it must not send what another may be
// sending, before it knows.
func TestAZombieSendsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, 2)
		a := w.start("a")
		time.Sleep(3 * time.Second)
		a.mu.Lock()
		a.skip = 2 * lease // only the clock that nobody sets has noticed
		a.mu.Unlock()
		w.everywhere(5)
		time.Sleep(4 * time.Second) // the next renewal is a while away
		synctest.Wait()
		if by, sum := w.sent(); sum != 0 {
			t.Errorf("sent %v", by)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if by, sum := w.sent(); sum != 10 {
			t.Errorf("with the lease verified: sent %v", by)
		}
		w.all()
	})
}

// A process that is suspended while it reads what to send finds out before it
// sends.
func TestAZombieFindsOutBeforeItSends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, 1)
		var a *poolNode
		slow := func(ctx context.Context, k store.Key) error {
			if k.Kind == "job" {
				a.mu.Lock()
				a.skip = 2 * lease
				a.mu.Unlock()
			}
			return nil
		}
		a = w.start("a", func(o *delivery.Options) { o.Queue = delivery.NewQueue(slowly{Engine: w.bolt, get: slow}, nil) })
		time.Sleep(time.Second)
		w.everywhere(1)
		time.Sleep(soon)
		synctest.Wait()
		if by, sum := w.sent(); sum != 0 {
			t.Errorf("sent %v", by)
		}
	})
}

type slowly struct {
	store.Engine
	get func(context.Context, store.Key) error
}

func (s slowly) Get(ctx context.Context, k store.Key) (store.Record, error) {
	rec, err := s.Engine.Get(ctx, k)
	if err == nil {
		err = s.get(ctx, k)
	}
	return rec, err
}

// What is appended on one node is sent by another within moments: its wait for
// the log ends, and no look is due.
func TestAnAppendWakesTheNodeThatHasThePartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, 16)
		w.start("a")
		w.start("b")
		time.Sleep(3*time.Second + 137*time.Millisecond)
		began := time.Now()
		w.everywhere(1)
		time.Sleep(soon)
		synctest.Wait()
		for name, n := range w.nodes {
			for _, c := range n.got() {
				if late := c.at.Sub(began); late > soon/2 {
					t.Errorf("%s sent after %v", name, late)
				}
			}
		}
		if _, sum := w.sent(); sum != 16 {
			t.Errorf("%d sent", sum)
		}
	})
}

// Nodes that come and go while there is work lose nothing and double nothing.
func TestARollingRestartLosesAndDoublesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, 8)
		nodes := []*poolNode{w.start("a"), w.start("b"), w.start("c")}
		for _, name := range []string{"d", "e", "f"} {
			w.everywhere(10)
			nodes[0].stop()
			w.everywhere(10)
			nodes = append(nodes[1:], w.start(name))
			time.Sleep(700 * time.Millisecond)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		seen := map[string]int{}
		for _, n := range w.nodes {
			for _, c := range n.got() {
				seen[c.id]++
			}
		}
		for id, n := range seen {
			if n != 1 {
				t.Errorf("%s arrived %d times", id, n)
			}
		}
		if len(seen) != 8*10*2*3 {
			t.Errorf("%d of %d arrived", len(seen), 480)
		}
		w.all()
	})
}

// Streams are run by whoever has their partition, one by one and in order, also
// while that changes.
func TestStreamsFollowTheirPartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, 4)
		sinks := map[store.Partition]*sink{}
		for _, at := range w.places {
			sinks[at.Partition] = &sink{T: t, delay: 3 * time.Millisecond, forgiven: 1} // of the crash
		}
		start := func(name string) *poolNode {
			return w.start(name, func(o *delivery.Options) {
				var streams []*delivery.Stream
				for _, at := range w.places {
					streams = append(streams, w.stream(sinks[at.Partition], func(so *delivery.StreamOptions) { so.Place, so.Engine = at, o.Engine }))
				}
				o.Streams = func() []*delivery.Stream { return streams }
			})
		}
		happen := func(n int) {
			for _, at := range w.places {
				w.at = at
				w.happen(wanted, n)
			}
		}
		a := start("a")
		happen(20)
		time.Sleep(30 * time.Millisecond)
		b := start("b")
		happen(20)
		time.Sleep(2 * time.Second)
		start("c")
		happen(20)
		a.stop()
		time.Sleep(3 * time.Second)
		b.kill()
		happen(20)
		time.Sleep(lease + 3*time.Second)
		synctest.Wait()
		for p, k := range sinks {
			if k.delivered() != 80 || k.count() > 81 {
				t.Errorf("partition %d: %d delivered in %d attempts", p, k.delivered(), k.count())
			}
		}
	})
}

// Whoever runs a stream reads its cursor right before each attempt: what it
// remembers from before a failure, or from another tenure, is not believed.
func TestCursorIsReadAgainBeforeEveryAttempt(t *testing.T) {
	move := func(h *house, s *delivery.Stream, to store.Position) {
		h.do(s.Seek(context.Background(), to))
	}
	for name, trouble := range map[string]func(h *house){
		"while it runs": func(*house) {},
		"after the store was away": func(h *house) {
			h.eng.set(func(f *faulty) { f.read = func(store.Position) error { return errDisk } })
			time.Sleep(3 * time.Second)
			h.eng.set(func(f *faulty) { f.read = nil })
		},
		"after the lease was lost": func(h *house) {
			stolen := h.steal()
			time.Sleep(10 * time.Second)
			h.do(stolen.Release(context.Background(), h.bolt))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, k := newHouse(t), &sink{T: t, forgiven: 100}
				s, elsewhere := h.stream(k), h.stream(&sink{T: t})
				h.drive("n1", s)
				first := h.happen(wanted, 3)
				time.Sleep(2 * time.Second)
				begin := h.cursor(s).Position
				h.happen("X", 2)
				trouble(h)
				// The cursor falls back, as after a failover that lost the newest.
				move(h, elsewhere, store.Position{})
				time.Sleep(12 * time.Second)
				synctest.Wait()
				if k.count() != 6 || k.arrivals[3] != first[0] {
					t.Errorf("%d arrivals, the fourth %v", k.count(), k.arrivals[3:])
				}
				if h.cursor(s).Position.Compare(begin) < 0 {
					t.Errorf("cursor at %v, was at %v", h.cursor(s).Position, begin)
				}
			})
		})
	}
}

// Nodes and partitions with nothing to do ask little of the store.
func TestIdlePartitionsCostLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, 16)
		a, b := w.start("a"), w.start("b")
		for _, at := range w.places {
			w.commit(store.Append(at.Partition, raw(sessionhooks.Event{ID: "x"})))
		}
		time.Sleep(20 * time.Second)
		var scans atomic.Int32
		for _, n := range []*poolNode{a, b} {
			n.eng.set(func(f *faulty) {
				f.commits, f.scan = 0, func() error { scans.Add(1); return nil }
			})
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		commits := a.eng.commits + b.eng.commits
		if scans.Load() > 60*(16+2)+60 || commits > 18*8+18 {
			t.Errorf("%d scans and %d commits in a minute", scans.Load(), commits)
		}
	})
}

// While the store takes no writes nothing is sent: nothing of it could be
// recorded, so it would be sent again and again.
func TestNothingIsSentWhileNothingCanBeRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, k := newHouse(t), &sink{T: t, forgiven: 1}
		var r receiver
		h.worker(r.send, func(o *delivery.Options) {
			s := h.stream(k)
			o.Streams = func() []*delivery.Stream { return []*delivery.Stream{s} }
		})
		settleDown()
		h.eng.set(func(f *faulty) { f.refuse = func([]store.Op) error { return errDisk } })
		h.enqueue("crm")
		h.happen(wanted, 1)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if jobs, events := len(r.got()), k.count(); jobs > 1 || events > 1 || jobs+events == 0 {
			t.Errorf("%d and %d attempts at one job and one event", jobs, events)
		}
		h.eng.set(func(f *faulty) { f.refuse = nil })
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if jobs, events := len(r.got()), k.count(); jobs < 1 || jobs > 2 || events < 1 || events > 2 || jobs+events < 3 {
			t.Errorf("afterwards %d and %d attempts", jobs, events)
		}
		h.empty()
	})
}
