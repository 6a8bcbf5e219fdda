package delivery_test

import (
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/sessionhooks"
	"github.com/drawbridge-id/drawbridge/sessionhooks/delivery"
)

func TestAnEventIsSentAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, k := newHouse(t), &sink{T: t}
		s := h.stream(k)
		h.drive("n1", s)
		time.Sleep(3700 * time.Millisecond)
		ids := h.happen(wanted, 1)
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
		c := h.cursor(s)
		if k.count() != 1 || c.Delivered != ids[0] || c.Last.Status != 200 || c.Last.Result != "delivered" || c.DeliveredAt.IsZero() || c.Failed != 0 {
			t.Errorf("%d arrivals, cursor %+v", k.count(), c)
		}
	})
}

func TestOrderUnderLoadAndFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, k := newHouse(t), &sink{T: t}
		k.answer = func(int, sessionhooks.Stored) delivery.Outcome {
			switch rand.IntN(20) {
			case 0:
				return again("status_5xx")
			case 1:
				panic("receiver's fault")
			}
			return ok()
		}
		h.drive("n1", h.stream(k))
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				for range 40 {
					h.happen(wanted, 1)
					h.happen("X", rand.IntN(3))
					time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
				}
			})
		}
		group.Wait()
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if k.delivered() != 320 {
			t.Errorf("%d of 320 were delivered, in %d attempts", k.delivered(), k.count())
		}
	})
}

func TestWhenTheBudgetIsSpentTheStreamStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, k := newHouse(t), &sink{T: t}
		up := false
		k.answer = func(int, sessionhooks.Stored) delivery.Outcome {
			if up {
				return ok()
			}
			return again("status_5xx")
		}
		var reasons []string
		s := h.stream(k, func(o *delivery.StreamOptions) {
			o.Schedule = delivery.Schedule{time.Second, 2 * time.Second, 5 * time.Second}
			o.Stopped = func(reason string) { reasons = append(reasons, reason) }
		})
		h.drive("n1", s)
		ids := h.happen(wanted, 5)
		time.Sleep(15 * time.Second)
		synctest.Wait()
		c := h.cursor(s)
		if k.count() != 4 || !c.Stopped || c.Reason != delivery.StoppedExhausted || c.Since.IsZero() || c.Failed != 4 || c.Position != (store.Position{}) {
			t.Fatalf("%d arrivals, cursor %+v", k.count(), c)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if k.count() != 4 || len(reasons) != 1 || reasons[0] != delivery.StoppedExhausted {
			t.Fatalf("after the stop: %d arrivals, reasons %v", k.count(), reasons)
		}
		h.do(s.Start(t.Context())) // it fails on, with a fresh budget
		time.Sleep(15 * time.Second)
		synctest.Wait()
		if k.count() != 8 || !h.cursor(s).Stopped {
			t.Fatalf("after the start: %d arrivals, %+v", k.count(), h.cursor(s))
		}
		up = true
		h.do(s.Start(t.Context()))
		time.Sleep(10 * time.Millisecond) // at once: whoever starts it wakes it
		synctest.Wait()
		c = h.cursor(s)
		if k.arrivals[8] != ids[0] || k.delivered() != 5 || c.Stopped || c.Reason != "" || !c.Since.IsZero() || c.Delivered != ids[4] {
			t.Errorf("%d delivered, cursor %+v", k.delivered(), c)
		}
	})
}

func TestAPermanentAnswerStopsAtOnce(t *testing.T) {
	for _, status := range []int{301, 400, 410} {
		synctest.Test(t, func(t *testing.T) {
			h, k := newHouse(t), &sink{T: t}
			k.answer = func(n int, _ sessionhooks.Stored) delivery.Outcome {
				if n == 2 {
					return delivery.Judge(status, nil)
				}
				return ok()
			}
			s := h.stream(k)
			h.drive("n1", s)
			ids := h.happen(wanted, 4)
			time.Sleep(time.Minute)
			synctest.Wait()
			c := h.cursor(s)
			if k.count() != 2 || c.Reason != delivery.StoppedPermanent || c.Delivered != ids[0] || c.Last.Status != status {
				t.Fatalf("%d: %d arrivals, cursor %+v", status, k.count(), c)
			}
			h.do(s.Start(t.Context()))
			time.Sleep(time.Second)
			synctest.Wait()
			if k.arrivals[2] != ids[1] || k.delivered() != 4 {
				t.Errorf("%d: after the start %v", status, k.arrivals)
			}
		})
	}
}

func TestStopDuringARequest(t *testing.T) {
	for name, tc := range map[string]struct {
		outcome delivery.Outcome
		moves   bool
	}{"delivered": {ok(), true}, "failed": {again("status_5xx"), false}, "refused": {delivery.Judge(404, nil), false}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, k := newHouse(t), &sink{T: t, delay: 2 * time.Second}
				k.answer = func(n int, _ sessionhooks.Stored) delivery.Outcome {
					if n == 1 {
						return tc.outcome
					}
					return ok()
				}
				told := 0
				s := h.stream(k, func(o *delivery.StreamOptions) { o.Stopped = func(string) { told++ } })
				h.drive("n1", s)
				ids := h.happen(wanted, 3)
				time.Sleep(time.Second)
				h.do(s.Stop(t.Context(), "maintenance"))
				time.Sleep(10 * time.Second)
				synctest.Wait()
				c := h.cursor(s)
				if k.count() != 1 || !c.Stopped || c.Reason != "maintenance" || (c.Delivered == ids[0]) != tc.moves || told != 0 {
					t.Fatalf("%d arrivals, told %d times, cursor %+v", k.count(), told, c)
				}
				if c.Last.Reason != tc.outcome.Reason {
					t.Errorf("the attempt was not recorded: %+v", c.Last)
				}
				h.do(s.Start(t.Context()))
				time.Sleep(10 * time.Second)
				synctest.Wait()
				if first := map[bool]string{true: ids[1], false: ids[0]}[tc.moves]; k.arrivals[1] != first || k.delivered() != 3 {
					t.Errorf("after the start %v", k.arrivals)
				}
			})
		})
	}
}

func TestNothingIsSentOnceStopHasReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, k := newHouse(t), &sink{T: t}
		s := h.stream(k)
		h.drive("n1", s)
		for range 20 {
			time.Sleep(time.Duration(rand.IntN(3000)) * time.Millisecond)
			synctest.Wait()
			h.do(s.Stop(t.Context(), "manual"))
			before := k.count()
			h.happen(wanted, 3)
			time.Sleep(2 * time.Second)
			synctest.Wait()
			if k.count() != before {
				t.Fatalf("%d arrivals while stopped", k.count()-before)
			}
			h.do(s.Start(t.Context()))
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if k.delivered() != 60 {
			t.Errorf("%d delivered", k.delivered())
		}
	})
}
