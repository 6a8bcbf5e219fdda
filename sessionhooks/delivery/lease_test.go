package delivery_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/sessionhooks/delivery"
)

const lease = 30 * time.Second

func node(name string) func(*delivery.Options) {
	return func(o *delivery.Options) { o.Node = name }
}

func TestOfTwoWorkersOneSends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		var now, most atomic.Int32
		senders := map[string]*receiver{}
		work := func(name string) (stop func()) {
			r := &receiver{answer: func(int, delivery.Job) delivery.Outcome { time.Sleep(time.Millisecond); return ok() }}
			senders[name] = r
			_, stop = h.worker(func(ctx context.Context, at store.Place, j delivery.Job) delivery.Outcome {
				most.Store(max(most.Load(), now.Add(1)))
				defer now.Add(-1)
				return r.send(ctx, at, j)
			}, node(name), func(o *delivery.Options) { o.InFlight = 1 })
			return stop
		}
		stopA := work("a")
		settleDown()
		work("b")
		for range 50 {
			h.enqueue("crm")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if a, b := len(senders["a"].got()), len(senders["b"].got()); a != 50 || b != 0 {
			t.Fatalf("a sent %d, b %d", a, b)
		}
		stopA()
		time.Sleep(1100 * time.Millisecond) // a clean stop is taken over at once
		for range 50 {
			h.enqueue("crm")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if a, b := len(senders["a"].got()), len(senders["b"].got()); a != 50 || b != 50 || most.Load() != 1 {
			t.Errorf("a sent %d, b %d, at most %d at once", a, b, most.Load())
		}
	})
}

func TestTakeoverWhenTheLeaseRunsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		began := time.Now()
		if _, err := store.Acquire(t.Context(), h.bolt, store.Place{}, "delivery", "killed", lease); err != nil {
			t.Fatal(err)
		}
		var r receiver
		h.worker(r.send)
		h.enqueue("crm")
		time.Sleep(lease - time.Second)
		synctest.Wait()
		if len(r.got()) != 0 {
			t.Fatal("sent without the lease")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		calls := r.got()
		if len(calls) != 1 || calls[0].at.Sub(began) > lease+1100*time.Millisecond {
			t.Errorf("sent %v", calls)
		}
	})
}

// steal takes the lease from whoever has it, as its running out would.
func (h *house) steal() store.Lease {
	h.Helper()
	h.commit(store.Drop(store.Place{}.Key("lease", "delivery")))
	l, err := store.Acquire(context.Background(), h.bolt, store.Place{}, "delivery", "thief", lease)
	if err != nil {
		h.Fatal(err)
	}
	return l
}

func TestAWorkerThatLostItsLeaseWritesNothing(t *testing.T) {
	for name, verdict := range map[string]delivery.Outcome{"delivered": ok(), "failed": again("status_5xx"), "refused": delivery.Judge(404, nil)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t)
				h.worker(func(context.Context, store.Place, delivery.Job) delivery.Outcome {
					time.Sleep(2 * time.Second)
					return verdict
				})
				id := h.enqueue("crm")
				time.Sleep(time.Second)
				before := h.get(id)
				h.steal()
				h.eng.set(func(f *faulty) { f.commits = 0 })
				time.Sleep(3 * time.Second)
				synctest.Wait()
				if j := h.get(id); j.State != delivery.Pending || len(j.Attempts) != 0 || j.Due != before.Due {
					t.Errorf("job is %+v", j)
				}
				if h.logs.count("delivery lease was lost") != 1 {
					t.Error("nobody noticed")
				}
				if h.eng.commits > 10 {
					t.Errorf("%d commits to find out", h.eng.commits)
				}
			})
		})
	}
}

func TestALostLeaseCallsAttemptsOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		var off time.Duration
		h.worker(func(ctx context.Context, _ store.Place, _ delivery.Job) delivery.Outcome {
			began := time.Now()
			<-ctx.Done()
			off = time.Since(began)
			return delivery.Judge(0, ctx.Err())
		})
		time.Sleep(7 * time.Second)
		id := h.enqueue("crm")
		time.Sleep(soon)
		h.steal()
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if off == 0 || off > 2*time.Second {
			t.Errorf("the attempt ended after %v", off)
		}
		h.is(id, delivery.Pending)
	})
}

// A process that was suspended for longer than its lease goes on where it was,
// and must not send what another has begun to.
func TestNoAttemptBeginsThatTheLeaseDoesNotOutlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		var r receiver
		h.worker(r.send)
		settleDown()
		h.eng.set(func(f *faulty) {
			f.refuse = func([]store.Op) error { return errDisk }
		})
		time.Sleep(14 * time.Second) // what is left of the lease is less than an attempt may take
		h.enqueue("crm")
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if len(r.got()) != 0 {
			t.Errorf("sent %v", r.got())
		}
		if h.logs.count("the store does not answer") != 1 {
			t.Error("the lease was not given up")
		}
		h.eng.set(func(f *faulty) { f.refuse = nil })
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if len(r.got()) != 1 {
			t.Errorf("afterwards sent %v", r.got())
		}
	})
}

func TestTheLeaseIsKeptForALongTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		var a, b receiver
		h.worker(a.send, node("a"))
		settleDown()
		h.worker(b.send, node("b"))
		for range 20 {
			h.enqueue("crm")
			time.Sleep(17 * time.Second)
		}
		synctest.Wait()
		if len(a.got()) != 20 || len(b.got()) != 0 || h.logs.count("WARN") != 0 {
			t.Errorf("a sent %d, b %d, %d warnings", len(a.got()), len(b.got()), h.logs.count("WARN"))
		}
	})
}

func TestStoppingWaitsForAttemptsAndGivesTheLeaseBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		began := 0
		_, stop := h.worker(func(ctx context.Context, _ store.Place, _ delivery.Job) delivery.Outcome {
			began++
			time.Sleep(10 * time.Second)
			if ctx.Err() != nil {
				return delivery.Judge(0, ctx.Err())
			}
			return ok()
		}, func(o *delivery.Options) { o.PerTarget = 1 })
		first := h.enqueue("crm")
		second := h.enqueue("crm")
		time.Sleep(2 * time.Second)
		at := time.Now()
		stop()
		if took := time.Since(at); took < 7*time.Second || took > 9*time.Second {
			t.Errorf("stopping took %v", took)
		}
		h.is(first, delivery.Done, "ok")
		h.is(second, delivery.Pending)
		if began != 1 {
			t.Errorf("%d attempts began", began)
		}
		if _, err := store.Acquire(t.Context(), h.bolt, store.Place{}, "delivery", "next", lease); err != nil {
			t.Errorf("the lease is not free: %v", err)
		}
	})
}

func TestStoppingAWorkerThatWaitsForTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		if _, err := store.Acquire(t.Context(), h.bolt, store.Place{}, "delivery", "other", time.Hour); err != nil {
			t.Fatal(err)
		}
		var r receiver
		_, stop := h.worker(r.send)
		time.Sleep(10 * time.Second)
		at := time.Now()
		stop()
		if took := time.Since(at); took > 10*time.Millisecond {
			t.Errorf("stopping took %v", took)
		}
		if h.logs.count("WARN") != 0 {
			t.Error("waiting is nothing to warn of")
		}
	})
}

// Who had nothing to do while the lease went to another sends nothing when there
// is something: it looks, with the cursor, whether the lease is still its own.
func TestAnIdleHolderNoticesThatItsLeaseIsAnothers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, k := newHouse(t), &sink{T: t}
		h.drive("node", h.stream(k))
		time.Sleep(soon)
		h.happen(wanted, 1)
		time.Sleep(soon)
		h.steal()
		h.happen(wanted, 1)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if n := k.count(); n != 1 {
			t.Errorf("%d events were sent, one of them under another's lease", n)
		}
		if h.logs.count("delivery lease was lost") != 1 {
			t.Error("nothing is said of a lost lease")
		}
	})
}
