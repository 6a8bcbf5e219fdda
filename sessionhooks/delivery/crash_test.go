package delivery_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/sessionhooks/delivery"
)

// The receiver has answered, and the worker dies before its commit: it is sent
// once more, and recorded once.
func TestACrashBetweenAnswerAndRecordSendsOnceMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		var r receiver
		dead := false
		h.eng.set(func(f *faulty) {
			f.refuse = func(ops []store.Op) error {
				if dead = dead || touches(ops, "job"); dead {
					return errDisk // from the first record on, nothing of this process reaches the disk
				}
				return nil
			}
		})
		_, stop := h.worker(r.send)
		id := h.enqueue("crm")
		settleDown()
		stop()
		h.is(id, delivery.Pending)
		h.eng.set(func(f *faulty) { f.refuse = nil })
		h.worker(r.send, node("n2"))
		time.Sleep(lease + 2*time.Second)
		synctest.Wait()
		if calls := r.got(); len(calls) != 2 || calls[0].id != calls[1].id {
			t.Errorf("sent %v", calls)
		}
		h.is(id, delivery.Done, "ok")
		h.empty()
	})
}

func TestARecordThatFailsIsTriedAgainAndDoesNotSpin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		var r receiver
		h.eng.set(func(f *faulty) {
			f.refuse = func(ops []store.Op) error {
				if touches(ops, "job") {
					return errDisk
				}
				return nil
			}
		})
		h.worker(r.send)
		id := h.enqueue("crm")
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := len(r.got()); n < 8 || n > 13 {
			t.Errorf("sent %d times in a minute", n)
		}
		h.eng.set(func(f *faulty) { f.refuse = nil })
		time.Sleep(10 * time.Second)
		synctest.Wait()
		h.is(id, delivery.Done, "ok")
	})
}

func TestALostAnswerOfTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		var r receiver
		var once sync.Once
		h.eng.set(func(f *faulty) {
			f.unknown = func(ops []store.Op) (err error) {
				if touches(ops, "job") {
					once.Do(func() { err = store.ErrUnknown })
				}
				return err
			}
		})
		h.worker(r.send)
		id := h.enqueue("crm")
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(r.got()) != 1 {
			t.Errorf("sent %v although it was recorded", r.got())
		}
		h.is(id, delivery.Done, "ok")
		h.empty()
	})
}

// A replay while an attempt is under way: what the attempt brings is recorded
// upon the job as it is now, and no due record is left behind.
func TestReplayDuringAnAttempt(t *testing.T) {
	for name, outcome := range map[string]delivery.Outcome{"delivered": ok(), "failed": again("status_5xx")} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t)
				r := receiver{answer: func(n int, _ delivery.Job) delivery.Outcome {
					time.Sleep(4 * time.Second)
					if n == 1 {
						return outcome
					}
					return ok()
				}}
				h.worker(r.send)
				id := h.enqueue("crm")
				time.Sleep(2 * time.Second)
				if _, err := h.queue.Replay(t.Context(), h.at, "test", id, time.Now()); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				if j := h.get(id); j.State != delivery.Done || len(j.Attempts) != len(r.got()) {
					t.Errorf("%s after %d attempts recorded and %d made", j.State, len(j.Attempts), len(r.got()))
				}
				h.empty()
			})
		})
	}
}

func TestReplay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		id := h.enqueue("crm")
		now := h.get(id).Next
		for range 2 { // of one that is due this very moment, and again
			j, err := h.queue.Replay(t.Context(), h.at, "test", id, now)
			if err != nil || j.ID != id || j.State != delivery.Pending {
				t.Errorf("replayed %+v, %v", j, err)
			}
		}
		if _, err := h.queue.Replay(t.Context(), h.at, "test", id, now.Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		if ids := h.dues(); len(ids) != 1 {
			t.Errorf("due records: %v", ids)
		}
		for _, id := range []string{"crm_none", "", id + "x"} {
			if _, err := h.queue.Replay(t.Context(), h.at, "test", id, now); !errors.Is(err, delivery.ErrNoJob) {
				t.Errorf("replay of %q: %v", id, err)
			}
		}
		if _, err := h.queue.Replay(t.Context(), store.Place{Tenant: "other"}, "test", id, now); !errors.Is(err, delivery.ErrNoJob) {
			t.Errorf("of another tenant: %v", err)
		}
	})
}

// A renewal changes the fence while attempts are being recorded under the old
// one: that is no lost lease, and nothing is sent twice.
func TestRenewalsDisturbNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		var renewed atomic.Int32
		h.eng.set(func(f *faulty) {
			f.refuse = func(ops []store.Op) error {
				if touches(ops, "lease") {
					renewed.Add(1)
				} else if touches(ops, "job") {
					time.Sleep(50 * time.Microsecond) // so that a renewal comes in between
				}
				return nil
			}
		})
		var r receiver
		h.worker(r.send)
		for range 250 {
			h.fill(8, "a")
			h.enqueue("b")
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if len(r.got()) != 2250 || renewed.Load() < 4 || h.logs.count("WARN") != 0 {
			t.Errorf("%d sent, %d renewals, %d warnings", len(r.got()), renewed.Load(), h.logs.count("WARN"))
		}
		h.empty()
	})
}
