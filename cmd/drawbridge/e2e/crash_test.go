//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// crashes says how often the program is killed, and the seed of the moments: E2E_KILLS and E2E_SEED change them.
func crashes(t *testing.T) (kills int, seed uint64) {
	t.Helper()
	kills, seed = 4, rand.Uint64()
	for name, set := range map[string]func(n uint64){
		"E2E_KILLS": func(n uint64) { kills = int(n) }, "E2E_SEED": func(n uint64) { seed = n },
	} {
		if text := os.Getenv(name); text != "" {
			n, err := strconv.ParseUint(text, 10, 64)
			if err != nil {
				t.Fatalf("%s is %q, want a number", name, text)
			}
			set(n)
		}
	}
	return kills, seed
}

// fate is what the test knows of a session.
type fate struct {
	*entry
	// asked says that a logout was sent, answered that its answer came.
	asked, answered bool
}

// ledger is what was acknowledged before the kills.
type ledger struct {
	mu    sync.Mutex
	fates []*fate
	kills []interval
	// faults are errors that no kill explains.
	faults []error
}

// interval is when a kill may have taken effect.
type interval struct{ begun, done time.Time }

func (l *ledger) add(f *fate) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fates = append(l.fates, f)
}

func (l *ledger) fault(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.faults = append(l.faults, err)
}

// TestAKillLosesNothingThatWasAcknowledged kills the program at random moments of logins and logouts and starts it again
// on its store: logouts that were answered are delivered, sessions that were not ended go on.
func TestAKillLosesNothingThatWasAcknowledged(t *testing.T) {
	t.Parallel() // it waits for a lease to run out
	kills, seed := crashes(t)
	t.Logf("E2E_SEED=%d E2E_KILLS=%d", seed, kills)
	random := rand.New(rand.NewPCG(seed, 0))
	w := startWorld(t, nil)
	d := w.drive(t, "shop", shopSecret, "http://"+w.shop+"/callback", "http://"+w.shop+"/")
	l := &ledger{}
	for range kills {
		w.loadAndKill(t, d, l, 100*time.Millisecond+time.Duration(random.Int64N(int64(900*time.Millisecond))))
		w.bridge.start(t)
		l.judgeSessions(t, d)
	}
	for _, err := range l.faults {
		t.Errorf("failed without a kill: %v", err)
	}
	l.judgeDeliveries(t, w)
}

// loadAndKill signs users in and out until the kill, and notes what was acknowledged.
func (w *world) loadAndKill(t *testing.T, d *driver, l *ledger, after time.Duration) {
	t.Helper()
	var dying atomic.Bool
	var workers sync.WaitGroup
	for n := range 6 {
		workers.Go(func() {
			for stays := n%3 == 0; ; stays = !stays {
				err := oneVisit(t.Context(), d, l, stays)
				if err != nil && !dying.Load() {
					l.fault(err)
				}
				if err != nil || dying.Load() {
					return
				}
			}
		})
	}
	time.Sleep(after) // the kill's moment is chosen, not waited for
	k := interval{begun: time.Now()}
	dying.Store(true)
	w.bridge.kill()
	k.done = time.Now()
	l.kills = append(l.kills, k)
	workers.Wait()
}

// oneVisit is a sign-in, and a sign-out unless the user stays.
func oneVisit(ctx context.Context, d *driver, l *ledger, stays bool) error {
	e, err := d.signIn(ctx, "alice")
	if err != nil {
		return err
	}
	f := &fate{entry: e, asked: !stays}
	l.add(f)
	if stays {
		return nil
	}
	if err := d.signOut(ctx, e); err != nil {
		return err
	}
	f.answered = true
	return nil
}

// judgeSessions holds every session to its fate. One whose logout was not answered may have ended or not.
func (l *ledger) judgeSessions(t *testing.T, d *driver) {
	t.Helper()
	for _, f := range l.fates {
		live, err := d.isLive(t.Context(), f.entry)
		switch {
		case err != nil:
			t.Errorf("session %s: %v", f.sid, err)
		case f.answered && live:
			t.Errorf("session %s lives after its logout was answered", f.sid)
		case !f.asked && !live:
			t.Errorf("session %s is gone though nobody ended it", f.sid)
		case f.asked && !f.answered: // what became of it is now known for good
			f.asked, f.answered = !live, !live
		}
	}
}

// judgeDeliveries waits for the webhook of every session that has ended, and allows one to come again only where a kill
// lies between.
func (l *ledger) judgeDeliveries(t *testing.T, w *world) {
	t.Helper()
	ended := map[string]bool{}
	for _, f := range l.fates {
		if f.answered {
			ended[f.sid] = true
		}
	}
	var arrived map[string][]ending
	// A killed worker's lease runs out before another takes the queue.
	await(t, 2*patience, fmt.Sprintf("the webhooks of %d sessions", len(ended)), func() bool {
		arrived = bySession(w.endings(t))
		return len(arrived) >= len(ended) && w.nothingIsDue(t)
	})
	again := 0
	for sid, all := range arrived {
		if !ended[sid] {
			t.Errorf("a webhook about session %s, which has not ended: %+v", sid, all)
		}
		for i, e := range all[1:] {
			again++
			between := slices.ContainsFunc(l.kills, func(k interval) bool {
				return !all[i].at.After(k.done) && !e.at.Before(k.begun.Truncate(time.Millisecond))
			})
			if e.id != all[0].id || !between {
				t.Errorf("session %s is told of at %v as %s and at %v as %s: no kill explains that", sid, all[i].at, all[i].id, e.at, e.id)
			}
		}
	}
	t.Logf("%d sign-ins, %d ended sessions, %d webhooks came again", len(l.fates), len(ended), again)
}

func bySession(all []ending) map[string][]ending {
	sorted := map[string][]ending{}
	for _, e := range all {
		sorted[e.Session] = append(sorted[e.Session], e)
	}
	return sorted
}

// nothingIsDue says whether every delivery has been made.
func (w *world) nothingIsDue(t *testing.T) bool {
	t.Helper()
	var list struct {
		Items []deliveryView `json:"items"`
	}
	w.platform().call(t, http.MethodGet, "/v1/session-webhooks/tell-crm/deliveries?state=pending", nil).decode(t, http.StatusOK, &list)
	return len(list.Items) == 0
}
