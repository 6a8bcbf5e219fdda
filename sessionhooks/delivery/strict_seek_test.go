package delivery_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/sessionhooks"
	"github.com/drawbridge-id/drawbridge/sessionhooks/delivery"
)

func TestALogThatWasTrimmedStopsTheStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, k := newHouse(t), &sink{T: t}
		var reasons []string
		s := h.stream(k, func(o *delivery.StreamOptions) { o.Stopped = func(reason string) { reasons = append(reasons, reason) } })
		h.happen(wanted, 5)
		time.Sleep(time.Minute)
		left := h.happen(wanted, 2)
		h.do(h.log.Trim(t.Context(), 0, time.Now()))
		h.drive("n1", s)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if c := h.cursor(s); k.count() != 0 || !c.Stopped || c.Reason != delivery.StoppedLogLost || len(reasons) != 1 {
			t.Fatalf("%d arrivals, reasons %v, cursor %+v", k.count(), reasons, c)
		}
		h.do(s.Start(t.Context()))
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if c := h.cursor(s); k.count() != 0 || c.Reason != delivery.StoppedLogLost {
			t.Fatalf("started without a decision: %d arrivals, cursor %+v", k.count(), c)
		}
		oldest, err := sessionhooks.Oldest(t.Context(), h.eng, 0)
		h.do(err)
		h.do(s.Seek(t.Context(), oldest))
		h.do(s.Start(t.Context()))
		time.Sleep(time.Second)
		synctest.Wait()
		if k.delivered() != 2 || k.arrivals[0] != left[0] {
			t.Errorf("arrivals %v", k.arrivals)
		}
	})
}

func TestSeek(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, k := newHouse(t), &sink{T: t}
		old := h.happen(wanted, 3)
		newest, err := sessionhooks.Newest(t.Context(), h.eng, 0)
		h.do(err)
		s := h.stream(k)
		h.do(s.Seek(t.Context(), newest))
		h.drive("n1", s)
		young := h.happen(wanted, 2)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if k.delivered() != 2 || k.arrivals[0] != young[0] {
			t.Fatalf("from now on: %v", k.arrivals)
		}
		k.mu.Lock()
		k.last, k.forgiven = store.Position{}, 2
		k.mu.Unlock()
		h.do(s.Seek(t.Context(), store.Position{}))
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if k.delivered() != 5 || k.count() != 7 || k.arrivals[2] != old[0] || k.arrivals[6] != young[1] {
			t.Errorf("from the beginning: %v", k.arrivals)
		}
	})
}

// What an attempt brings is about the place where the cursor stood.
func TestSeekDuringARequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, k := newHouse(t), &sink{T: t, delay: 2 * time.Second}
		s := h.stream(k)
		h.drive("n1", s)
		ids := h.happen(wanted, 3)
		time.Sleep(3 * time.Second) // the second is under way
		k.mu.Lock()
		k.last, k.forgiven = store.Position{}, 2
		k.mu.Unlock()
		h.do(s.Seek(t.Context(), store.Position{}))
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if want := []string{ids[0], ids[1], ids[0], ids[1], ids[2]}; len(k.arrivals) != 5 || k.arrivals[2] != want[2] || k.arrivals[4] != want[4] {
			t.Errorf("arrivals %v, want %v", k.arrivals, want)
		}
	})
}
