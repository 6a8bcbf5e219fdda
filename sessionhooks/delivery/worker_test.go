package delivery_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drawbridge-id/drawbridge/sessionhooks/delivery"
)

// soon is time enough for what is done at once, and too little for polling.
const soon = 60 * time.Millisecond

func settleDown() {
	time.Sleep(soon)
	synctest.Wait()
}

func TestADeliveryIsSentAtOnceAndRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		var r receiver
		h.worker(r.send)
		time.Sleep(10*time.Second + 300*time.Millisecond)
		began := time.Now()
		id := h.enqueue("crm")
		settleDown()
		calls := r.got()
		if len(calls) != 1 || calls[0].id != id {
			t.Fatalf("sent %v", calls)
		}
		if took := calls[0].at.Sub(began); took > 5*time.Millisecond {
			t.Errorf("first attempt after %v", took)
		}
		j := h.is(id, delivery.Done, "ok")
		if j.Finished.IsZero() || j.Attempts[0].Status != 200 || j.Attempts[0].Result != "delivered" || j.Failed != 0 {
			t.Errorf("job is %+v", j)
		}
		h.empty()
	})
}

// A job that comes without an event is announced by Wake, often a moment before
// its commit.
func TestWakeBeforeTheCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		var r receiver
		w, _ := h.worker(r.send)
		time.Sleep(1300 * time.Millisecond)
		w.Wake()
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
		h.fill(1, "crm")
		settleDown()
		if len(r.got()) != 1 {
			t.Error("not sent before the next poll")
		}
	})
}

func TestWithoutAnyWakeUpItIsSentALittleLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		var r receiver
		h.worker(r.send)
		time.Sleep(90 * time.Second)
		h.fill(3, "crm")
		time.Sleep(1100 * time.Millisecond)
		synctest.Wait()
		if len(r.got()) != 3 {
			t.Errorf("%d were sent", len(r.got()))
		}
	})
}

func TestItIsSentTheMomentItIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		var r receiver
		h.worker(r.send)
		at := time.Now().Add(5*time.Second + 437*time.Millisecond)
		h.enqueue("crm", func(j *delivery.Job) { j.Next = at })
		time.Sleep(time.Until(at) - time.Millisecond)
		synctest.Wait()
		if len(r.got()) != 0 {
			t.Fatal("it came early")
		}
		time.Sleep(5 * time.Millisecond)
		synctest.Wait()
		if len(r.got()) != 1 {
			t.Error("it is late")
		}
	})
}

func TestTheScheduleThenDeathThenReplay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		r := receiver{answer: func(n int, _ delivery.Job) delivery.Outcome {
			if n <= 7 {
				return again("status_5xx")
			}
			return ok()
		}}
		schedule := delivery.IndependentSchedule()[:4]
		h.worker(r.send, func(o *delivery.Options) { o.Schedule = schedule })
		id := h.enqueue("crm")
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		calls := r.got()
		if len(calls) != len(schedule)+1 {
			t.Fatalf("%d attempts, want %d", len(calls), len(schedule)+1)
		}
		for i, wait := range schedule {
			gap := calls[i+1].at.Sub(calls[i].at)
			if gap < wait*8/10 || gap > wait*12/10+5*time.Millisecond {
				t.Errorf("attempt %d came %v after the one before, want about %v", i+2, gap, wait)
			}
		}
		j := h.get(id)
		if j.State != delivery.Dead || j.Failed != 5 || len(j.Attempts) != 5 || !j.Next.IsZero() {
			t.Fatalf("job is %+v", j)
		}
		h.empty()
		if _, err := h.queue.Replay(t.Context(), h.at, "test", id, time.Now()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if j = h.get(id); j.State != delivery.Done || j.Failed != 2 || len(j.Attempts) != 8 {
			t.Errorf("after the replay: %s, failed %d, %d attempts", j.State, j.Failed, len(j.Attempts))
		}
		h.empty()
	})
}

func TestARefusalIsFinal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		r := receiver{answer: func(int, delivery.Job) delivery.Outcome { return delivery.Judge(410, nil) }}
		h.worker(r.send)
		id := h.enqueue("crm")
		time.Sleep(time.Minute)
		synctest.Wait()
		if j := h.is(id, delivery.Dead, "status_4xx"); len(r.got()) != 1 || j.Failed != 1 {
			t.Errorf("%d attempts, failed %d", len(r.got()), j.Failed)
		}
		h.empty()
	})
}

func TestRetryAfterIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		r := receiver{answer: func(n int, _ delivery.Job) delivery.Outcome {
			if n == 1 {
				return delivery.Outcome{Verdict: delivery.Retry, Status: 429, Reason: "status_4xx", RetryAfter: 2 * time.Minute}
			}
			return ok()
		}}
		h.worker(r.send)
		id := h.enqueue("crm")
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		calls := r.got()
		if len(calls) != 2 || calls[1].at.Sub(calls[0].at) < 2*time.Minute || calls[1].at.Sub(calls[0].at) > 2*time.Minute+soon {
			t.Errorf("attempts %v", calls)
		}
		h.is(id, delivery.Done, "status_4xx", "ok")
	})
}

func TestFinishedJobsAreKeptForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		r := receiver{answer: func(_ int, j delivery.Job) delivery.Outcome {
			if j.Target == "dead" {
				return delivery.Judge(404, nil)
			}
			return ok()
		}}
		_, stop := h.worker(r.send)
		done, dead := h.enqueue("done"), h.enqueue("dead")
		settleDown()
		stop()
		time.Sleep(7*24*time.Hour - time.Minute)
		h.is(done, delivery.Done, "ok")
		time.Sleep(2 * time.Minute)
		if _, err := h.queue.Get(t.Context(), h.at, "test", done); !errors.Is(err, delivery.ErrNoJob) {
			t.Errorf("a week after: %v", err)
		}
		h.is(dead, delivery.Dead, "status_4xx")
		time.Sleep(23 * 24 * time.Hour)
		if _, err := h.queue.Replay(t.Context(), h.at, "test", dead, time.Now()); !errors.Is(err, delivery.ErrNoJob) {
			t.Errorf("a month after: %v", err)
		}
	})
}

func TestOnlyTheNewestAttemptsAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		r := receiver{answer: func(n int, _ delivery.Job) delivery.Outcome { return again(fmt.Sprintf("r%d", n)) }}
		h.worker(r.send, func(o *delivery.Options) { o.Schedule = make(delivery.Schedule, 70) })
		id := h.enqueue("crm")
		time.Sleep(time.Minute)
		synctest.Wait()
		j := h.get(id)
		if len(j.Attempts) != 50 || j.Attempts[49].Reason != "r71" || j.Attempts[0].Reason != "r22" || j.Failed != 71 || j.State != delivery.Dead {
			t.Errorf("%s with %d attempts from %v, failed %d", j.State, len(j.Attempts), j.Attempts[0], j.Failed)
		}
	})
}

func TestObserversHear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		heard := map[string]int{}
		var lag time.Duration
		r := receiver{answer: func(n int, _ delivery.Job) delivery.Outcome {
			if n == 1 {
				return again("status_5xx")
			}
			return ok()
		}}
		_, stop := h.worker(r.send, func(o *delivery.Options) {
			o.Observe = delivery.Observer{
				Attempt:   func(sender, reason string) { heard[sender+" "+reason]++ },
				Delivered: func(d time.Duration) { lag = d },
			}
		})
		h.enqueue("crm", func(j *delivery.Job) { j.Occurred = time.Now().Add(-time.Hour) })
		time.Sleep(time.Minute)
		stop()
		if fmt.Sprint(heard) != "map[test ok:1 test status_5xx:1]" || lag < time.Hour+4*time.Second || lag > time.Hour+7*time.Second {
			t.Errorf("heard %v, lag %v", heard, lag)
		}
	})
}
