package delivery_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/sessionhooks/delivery"
)

// hangs is a sender whose targets called slow… hang until their time is over.
func hangs(r *receiver) delivery.Sender {
	return func(ctx context.Context, at store.Place, j delivery.Job) delivery.Outcome {
		o := r.send(ctx, at, j)
		if strings.HasPrefix(j.Target, "slow") {
			<-ctx.Done()
			return delivery.Judge(0, ctx.Err())
		}
		return o
	}
}

// latency is how long after its enqueuing each job of a target was sent.
func (h *house) latency(r *receiver, target string) (worst time.Duration, n int) {
	h.Helper()
	for _, c := range r.got() {
		if c.target == target {
			n++
			worst = max(worst, c.at.Sub(h.get(c.id).Created))
		}
	}
	return worst, n
}

func TestATargetThatHangsHoldsUpOnlyItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		var r receiver
		h.fill(6000, "slow")
		h.worker(hangs(&r))
		time.Sleep(300 * time.Millisecond)
		for range 200 {
			h.enqueue("quick")
			time.Sleep(100 * time.Millisecond)
		}
		synctest.Wait()
		worst, n := h.latency(&r, "quick")
		if n != 200 || worst > 5*time.Millisecond {
			t.Errorf("%d were sent, the slowest after %v", n, worst)
		}
		if n := r.count("slow"); n != 32 { // twenty seconds, two rounds of one share
			t.Errorf("the one that hangs was called %d times", n)
		}
	})
}

// The jobs of one who hangs are due long before those of everybody else.
func TestABacklogInFrontHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		var r receiver
		h.fill(9000, "slow", func(j *delivery.Job) { j.Next = time.Now().Add(-time.Hour) })
		h.fill(3000, "quick", func(j *delivery.Job) { j.Next = time.Now().Add(-time.Minute) })
		h.worker(hangs(&r))
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if n := r.count("quick"); n != 3000 {
			t.Errorf("%d of 3000 were sent", n)
		}
		if n := r.count("slow"); n != 16 {
			t.Errorf("the one that hangs was called %d times", n)
		}
	})
}

func TestManyThatHangHoldUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		var r receiver
		for i := range 60 {
			h.fill(100, fmt.Sprintf("slow%d", i))
		}
		h.worker(hangs(&r))
		time.Sleep(300 * time.Millisecond)
		for i := range 300 {
			h.enqueue("quick")
			h.enqueue(fmt.Sprintf("other%d", i))
			time.Sleep(100 * time.Millisecond)
		}
		synctest.Wait()
		for _, target := range []string{"quick", "other0", "other1", "other299"} {
			if worst, n := h.latency(&r, target); n == 0 || worst > 5*time.Millisecond {
				t.Errorf("%s: %d were sent, the slowest after %v", target, n, worst)
			}
		}
	})
}

// One job of the quick among forty of the one that hangs, far more than is kept
// in mind of either.
func TestABacklogInBetweenHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		var r receiver
		began := time.Now()
		due := func(j *delivery.Job) {
			j.Next = began.Add(-time.Hour + time.Duration(rand.IntN(1000))*time.Millisecond)
		}
		h.fill(16_000, "slow", due)
		h.fill(400, "quick", due)
		h.worker(hangs(&r))
		time.Sleep(500 * time.Millisecond)
		synctest.Wait()
		if n := r.count("quick"); n != 400 {
			t.Errorf("%d of 400 were sent", n)
		}
	})
}

// What happens elsewhere must not make the worker read a backlog again and again.
func TestABacklogIsNotReadAtEveryEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		var r receiver
		h.fill(4000, "slow")
		h.worker(hangs(&r))
		time.Sleep(time.Second)
		h.eng.set(func(f *faulty) { f.rows = 0 })
		for range 300 {
			h.happen("X", 1)
			time.Sleep(10 * time.Millisecond)
		}
		synctest.Wait()
		if h.eng.rows > 5*4000 { // a look at everything each second
			t.Errorf("%d records were read in three seconds", h.eng.rows)
		}
	})
}

func TestEveryJobOfALongBacklogIsSentOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		var r receiver
		for i := range 4 {
			h.fill(1500, fmt.Sprintf("t%d", i), func(j *delivery.Job) { j.Next = time.Now().Add(-time.Duration(i) * time.Minute) })
		}
		h.worker(r.send)
		for range 100 {
			h.fill(3, "late", func(j *delivery.Job) { j.Next = time.Now().Add(-10 * time.Second) })
			h.enqueue("t1")
			time.Sleep(20 * time.Millisecond)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		seen := map[string]int{}
		for _, c := range r.got() {
			if seen[c.id]++; seen[c.id] > 1 {
				t.Fatalf("%s was sent twice", c.id)
			}
		}
		if len(seen) != 6400 {
			t.Errorf("%d of 6400 were sent", len(seen))
		}
		h.empty()
	})
}

func TestNoTargetHasMoreThanItsShareInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		var mu sync.Mutex
		now, most := map[string]int{}, map[string]int{}
		h.worker(func(_ context.Context, _ store.Place, j delivery.Job) delivery.Outcome {
			mu.Lock()
			now[j.Target]++
			now[""]++
			most[j.Target] = max(most[j.Target], now[j.Target])
			most[""] = max(most[""], now[""])
			mu.Unlock()
			time.Sleep(3 * time.Millisecond)
			mu.Lock()
			now[j.Target]--
			now[""]--
			mu.Unlock()
			return ok()
		}, func(o *delivery.Options) { o.InFlight, o.PerTarget = 10, 4 })
		for i := range 5 {
			h.fill(50, fmt.Sprintf("t%d", i))
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if most[""] != 10 {
			t.Errorf("at most %d were in flight", most[""])
		}
		for target, n := range most {
			if target != "" && n > 4 {
				t.Errorf("%s had %d in flight", target, n)
			}
		}
		h.empty()
	})
}

func TestTenantsAndSendersAreApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		var mu sync.Mutex
		var got []string
		send := func(sender string) delivery.Sender {
			return func(_ context.Context, at store.Place, j delivery.Job) delivery.Outcome {
				mu.Lock()
				defer mu.Unlock()
				got = append(got, at.Tenant+" "+sender+" "+j.Tenant+" "+j.Target)
				return ok()
			}
		}
		h.worker(nil, func(o *delivery.Options) {
			o.Senders = map[string]delivery.Sender{"test": send("test"), "mail": send("mail")}
		})
		other := store.Place{Tenant: "other"}
		h.commit(h.queue.Enqueue(h.at, delivery.Job{Sender: "test", Target: "crm", Next: time.Now()})...)
		h.commit(h.queue.Enqueue(other, delivery.Job{Sender: "test", Target: "crm_x", Next: time.Now()})...)
		h.commit(h.queue.Enqueue(other, delivery.Job{Sender: "mail", Target: "a/b", Next: time.Now()})...)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if fmt.Sprint(len(got)) != "3" || !strings.Contains(fmt.Sprint(got), "other mail other a/b") || !strings.Contains(fmt.Sprint(got), "other test other crm_x") {
			t.Errorf("sent %v", got)
		}
		h.empty()
	})
}
