package delivery_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/sessionhooks"
	"github.com/drawbridge-id/drawbridge/sessionhooks/delivery"
)

func (h *house) cursorWrites() *atomic.Int32 {
	var n atomic.Int32
	h.eng.set(func(f *faulty) {
		f.refuse = func(ops []store.Op) error {
			if touches(ops, "cursor") {
				n.Add(1)
			}
			return nil
		}
	})
	return &n
}

func TestWhatIsNotWantedCostsLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, k := newHouse(t), &sink{T: t}
		writes := h.cursorWrites()
		s := h.stream(k)
		stop := h.drive("n1", s)
		for range 500 { // a trickle
			h.happen("X", 1)
			time.Sleep(20 * time.Millisecond)
		}
		synctest.Wait()
		if n := writes.Load(); n > 1 {
			t.Errorf("%d writes of the cursor in ten seconds", n)
		}
		writes.Store(0)
		h.happen("X", 10_000) // a flood
		time.Sleep(500 * time.Millisecond)
		synctest.Wait()
		if n := writes.Load(); n < 9 || n > 12 {
			t.Errorf("%d writes for ten thousand events", n)
		}
		writes.Store(0)
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := writes.Load(); n > 1 {
			t.Errorf("%d writes in an idle minute", n)
		}
		h.happen("X", 10)
		time.Sleep(100 * time.Millisecond)
		stop()
		if c, newest := h.cursor(s), newest(t, h); c.Position != newest {
			t.Errorf("stopped at %v of %v", c.Position, newest)
		}
		if k.count() != 0 {
			t.Errorf("%d arrivals", k.count())
		}
	})
}

func newest(t *testing.T, h *house) store.Position {
	t.Helper()
	p, err := sessionhooks.Newest(t.Context(), h.bolt, 0)
	h.do(err)
	return p
}

func TestTwoNodesRunOneStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, k := newHouse(t), &sink{T: t, delay: 3 * time.Millisecond}
		for range 4 { // each node stops in the middle, another goes on
			a := h.drive("a", h.stream(k))
			b := h.drive("b", h.stream(k))
			h.happen(wanted, 30)
			time.Sleep(50 * time.Millisecond)
			a()
			h.happen(wanted, 30)
			time.Sleep(1500 * time.Millisecond)
			b()
		}
		h.drive("c", h.stream(k))
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if k.delivered() != 240 || k.count() != 240 {
			t.Errorf("%d delivered in %d attempts", k.delivered(), k.count())
		}
	})
}

func TestAStreamStartedOnAnotherNodeGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, k := newHouse(t), &sink{T: t}
		here, there := h.stream(k), h.stream(&sink{T: t})
		h.do(there.Stop(t.Context(), "manual"))
		h.drive("n1", here)
		h.happen(wanted, 2)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if k.count() != 0 {
			t.Fatal("it ran although it was stopped")
		}
		h.do(there.Start(t.Context()))
		time.Sleep(1100 * time.Millisecond)
		synctest.Wait()
		if k.delivered() != 2 {
			t.Errorf("%d delivered", k.delivered())
		}
	})
}

func TestACrashOfAStreamRepeatsOneEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, k := newHouse(t), &sink{T: t, forgiven: 1}
		var dead atomic.Bool
		h.eng.set(func(f *faulty) {
			f.refuse = func(ops []store.Op) error {
				if dead.Load() {
					return errDisk
				}
				return nil
			}
		})
		k.answer = func(n int, _ sessionhooks.Stored) delivery.Outcome {
			if n == 3 {
				dead.Store(true)
			}
			return ok()
		}
		stop := h.drive("n1", h.stream(k))
		ids := h.happen(wanted, 5)
		time.Sleep(500 * time.Millisecond)
		stop()
		dead.Store(false)
		h.drive("n2", h.stream(k))
		time.Sleep(lease + 2*time.Second)
		synctest.Wait()
		if k.delivered() != 5 || k.count() != 6 || k.arrivals[3] != ids[2] {
			t.Errorf("arrivals %v of %v", k.arrivals, ids)
		}
	})
}

func TestAStreamWhoseLeaseIsLostMovesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, k := newHouse(t), &sink{T: t, delay: 2 * time.Second}
		s := h.stream(k)
		h.drive("n1", s)
		h.happen(wanted, 2)
		time.Sleep(time.Second)
		h.steal()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if c := h.cursor(s); k.count() != 1 || c.Position != (store.Position{}) || c.Delivered != "" {
			t.Errorf("%d arrivals, cursor %+v", k.count(), c)
		}
	})
}

func TestALostAnswerAboutTheCursor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, k := newHouse(t), &sink{T: t}
		var once sync.Once
		h.eng.set(func(f *faulty) {
			f.unknown = func(ops []store.Op) (err error) {
				if touches(ops, "cursor") {
					once.Do(func() { err = store.ErrUnknown })
				}
				return err
			}
		})
		h.drive("n1", h.stream(k))
		h.happen(wanted, 3)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if k.delivered() != 3 || k.count() != 3 {
			t.Errorf("%d delivered in %d attempts", k.delivered(), k.count())
		}
	})
}

func TestStreamsComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, k, other := newHouse(t), &sink{T: t, delay: 3 * time.Second}, &sink{T: t}
		var mu sync.Mutex
		var streams []*delivery.Stream
		set := func(all ...*delivery.Stream) {
			mu.Lock()
			defer mu.Unlock()
			streams = all
		}
		h.worker(nil, func(o *delivery.Options) {
			o.Senders, o.Streams = nil, func() []*delivery.Stream { mu.Lock(); defer mu.Unlock(); return streams }
		})
		elsewhere := h.stream(&sink{T: t}, func(o *delivery.StreamOptions) { o.Place.Partition, o.Name = 7, "elsewhere" })
		set(h.stream(k), elsewhere)
		h.happen(wanted, 2)
		time.Sleep(2 * time.Second)
		// Another takes its place under the same name while the first event is
		// under way: the sink sees to it that nothing overtakes.
		set(h.stream(k), h.stream(other, func(o *delivery.StreamOptions) { o.Name = "other" }))
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if k.delivered() != 2 || k.count() != 2 || other.delivered() != 2 {
			t.Errorf("%d delivered in %d attempts, %d to the other", k.delivered(), k.count(), other.delivered())
		}
		set()
		time.Sleep(2 * time.Second)
		h.happen(wanted, 2)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if k.count() != 2 || other.count() != 2 {
			t.Error("what is gone was sent to")
		}
		if h.logs.count("WARN") != 0 {
			t.Error("the stream of another partition was run")
		}
	})
}

func TestStreamsThatCannotBe(t *testing.T) {
	h := newHouse(t)
	for name, spoil := range map[string]func(*delivery.StreamOptions){
		"no name":            func(o *delivery.StreamOptions) { o.Name = "" },
		"no filter":          func(o *delivery.StreamOptions) { o.Wants = nil },
		"no sender":          func(o *delivery.StreamOptions) { o.Send = nil },
		"no log":             func(o *delivery.StreamOptions) { o.Log = nil },
		"outlives the lease": func(o *delivery.StreamOptions) { o.Timeout = 21 * time.Second },
		"negative timeout":   func(o *delivery.StreamOptions) { o.Timeout = -1 },
	} {
		o := delivery.StreamOptions{Engine: h.bolt, Log: h.log, Place: h.at, Name: "x", Logger: h.logger(), Send: (&sink{T: t}).send,
			Wants: func(sessionhooks.Stored) bool { return true }}
		spoil(&o)
		if _, err := delivery.NewStream(o); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
