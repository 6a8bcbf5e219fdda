package delivery_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/sessionhooks/delivery"
)

func TestAPanicIsAFailureOfOneJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		r := receiver{answer: func(n int, j delivery.Job) delivery.Outcome {
			if j.Target == "bad" && n < 3 {
				var none *delivery.Job
				none.ID = "nobody"
			}
			return ok()
		}}
		h.worker(r.send)
		bad, good := h.enqueue("bad"), h.enqueue("good")
		settleDown()
		h.is(good, delivery.Done, "ok")
		time.Sleep(time.Minute)
		synctest.Wait()
		h.is(bad, delivery.Done, "panic", "ok")
		if h.logs.count("nil pointer dereference") != 1 {
			t.Error("the log does not say what panicked")
		}
	})
}

func TestASenderWithoutAVerdictIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		r := receiver{answer: func(n int, _ delivery.Job) delivery.Outcome {
			if n == 1 {
				return delivery.Outcome{}
			}
			return ok()
		}}
		h.worker(r.send)
		id := h.enqueue("crm")
		time.Sleep(time.Minute)
		synctest.Wait()
		h.is(id, delivery.Done, "no_verdict", "ok")
	})
}

func TestAJobWaitsForASenderThatIsNotHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		var r receiver
		_, stop := h.worker(r.send)
		settleDown()
		id := h.enqueue("crm", func(j *delivery.Job) { j.Sender = "pigeon" })
		h.eng.set(func(f *faulty) { f.commits = 0 })
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		// Five postponements, and the renewals of the lease.
		if n := h.eng.commits; n > 5+300/8+5 {
			t.Errorf("%d commits in five minutes", n)
		}
		if j, err := h.queue.Get(t.Context(), h.at, "pigeon", id); err != nil || j.State != delivery.Pending || j.Failed != 0 || len(j.Attempts) != 0 || !j.Next.After(time.Now()) {
			t.Errorf("job is %+v, %v", j, err)
		}
		stop()
		h.worker(r.send, func(o *delivery.Options) { o.Senders = map[string]delivery.Sender{"pigeon": r.send} })
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if len(r.got()) != 1 || len(h.dues()) != 0 {
			t.Errorf("sent %v", r.got())
		}
	})
}

func TestDueRecordsThatMeanNothingAreRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		r := receiver{answer: func(int, delivery.Job) delivery.Outcome { return delivery.Judge(404, nil) }}
		h.worker(r.send)
		finished := h.enqueue("crm")
		waits := h.enqueue("later", func(j *delivery.Job) { j.Next = time.Now().Add(time.Minute) })
		settleDown()
		own := h.at.Own()
		for _, key := range []string{"test/gone_1", "test/" + finished, "test/" + waits, "nothing"} {
			h.commit(store.Put(own.Key("job_due", store.DueID(time.Now(), "default/"+key)), []byte("\x01\x01{}"), time.Time{}))
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if ids := h.dues(); len(ids) != 1 || !strings.HasSuffix(ids[0], waits) {
			t.Errorf("left: %v", ids)
		}
		if len(r.got()) != 1 {
			t.Errorf("sent %v", r.got())
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(r.got()) != 2 {
			t.Errorf("what was due later was sent %d times", len(r.got())-1)
		}
	})
}

func TestWhatCannotBeReadIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		var r receiver
		h.worker(r.send)
		ops, spoilt := h.job("crm")
		ops[0].Value = []byte("\x01\xff\xff\x03newer")
		h.commit(ops...)
		h.commit(store.Put(h.at.Own().Key("job_due", "neither time nor name"), []byte("\x01\x01{}"), time.Time{}))
		h.commit(store.Put(h.at.Own().Key("job_due", store.DueID(time.Now(), "nameless")), []byte("\x01\x01{}"), time.Time{}))
		time.Sleep(time.Second)
		good := h.enqueue("crm")
		settleDown()
		h.is(good, delivery.Done, "ok")
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if n := h.logs.count("a due delivery cannot be read"); n < 4 || n > 6 {
			t.Errorf("logged %d times in five minutes", n)
		}
		if n := h.logs.count("a due record cannot be understood"); n == 0 || n > 12 {
			t.Errorf("records that cannot be understood are logged %d times", n)
		}
		if ids := h.dues(); len(ids) != 3 {
			t.Errorf("%v are left; %s must be", ids, spoilt)
		}
	})
}

func TestTheFarFutureIsCheap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.fill(5000, "crm", func(j *delivery.Job) { j.Next = time.Now().Add(24 * 365 * time.Hour) })
		var r receiver
		h.worker(r.send)
		settleDown()
		h.eng.set(func(f *faulty) { f.rows = 0 })
		time.Sleep(time.Minute)
		synctest.Wait()
		if h.eng.rows > 60*16+100 {
			t.Errorf("%d records were read in an idle minute", h.eng.rows)
		}
		id := h.enqueue("crm")
		settleDown()
		h.is(id, delivery.Done, "ok")
	})
}

func TestAStoreThatFailsIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		var r receiver
		h.worker(r.send)
		settleDown()
		var tries atomic.Int32
		h.eng.set(func(f *faulty) { f.scan = func() error { tries.Add(1); return errDisk } })
		id := h.enqueue("crm")
		time.Sleep(time.Minute)
		synctest.Wait()
		if n, said := tries.Load(), h.logs.count("due deliveries cannot be read"); n < 50 || n > 70 || said < 1 || said > 3 {
			t.Errorf("tried %d times in a minute, said so %d times", n, said)
		}
		h.eng.set(func(f *faulty) { f.scan = nil })
		time.Sleep(1100 * time.Millisecond)
		synctest.Wait()
		h.is(id, delivery.Done, "ok")
	})
}

func TestAClosedEngineEndsRun(t *testing.T) {
	h := newHouse(t)
	var r receiver
	w, err := delivery.New(delivery.Options{Engine: h.bolt, Queue: h.queue, Log: h.logger(), Senders: map[string]delivery.Sender{"test": r.send}})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.bolt.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.Run(context.Background()); err == nil {
		t.Error("ran over a closed engine")
	}
}

func TestOptionsThatCannotBe(t *testing.T) {
	h := newHouse(t)
	good := func() delivery.Options {
		return delivery.Options{Engine: h.bolt, Queue: h.queue, Log: h.logger(), Senders: map[string]delivery.Sender{"test": (&receiver{}).send}}
	}
	for name, spoil := range map[string]func(*delivery.Options){
		"no engine":          func(o *delivery.Options) { o.Engine = nil },
		"no queue":           func(o *delivery.Options) { o.Queue = nil },
		"no log":             func(o *delivery.Options) { o.Log = nil },
		"nothing to do":      func(o *delivery.Options) { o.Senders = nil },
		"outlives the lease": func(o *delivery.Options) { o.Timeout = 21 * time.Second },
		"negative timeout":   func(o *delivery.Options) { o.Timeout = -1 },
		"negative flights":   func(o *delivery.Options) { o.InFlight = -1 },
	} {
		o := good()
		spoil(&o)
		if _, err := delivery.New(o); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if _, err := delivery.New(good()); err != nil {
		t.Error(err)
	}
}

// The log is trimmed past where the worker listens: it goes on where there is
// something to hear.
func TestTheLogIsTrimmedWhileItIsListenedTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		var r receiver
		h.worker(r.send)
		settleDown()
		h.eng.set(func(f *faulty) { f.read = func(store.Position) error { return errDisk } })
		h.enqueue("crm")
		h.enqueue("crm")
		time.Sleep(time.Second)
		h.do(h.log.Trim(t.Context(), 0, time.Now()))
		h.eng.set(func(f *faulty) { f.read = nil })
		time.Sleep(1500 * time.Millisecond)
		id := h.enqueue("crm")
		settleDown()
		h.is(id, delivery.Done, "ok")
	})
}
