package session

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

// Activity does not write due records; the sweeper moves them when they come up.
func TestSweeperMovesDueTimes(t *testing.T) {
	h := open(t)
	st := h.begin("ada")
	h.clock.Advance(5 * time.Second)
	for range 3 {
		h.clock.Advance(idle - 10*time.Second)
		h.sweepNow()
		if err := h.Touch(t.Context(), h.org, h.live(st.Session.ID)); err != nil {
			t.Fatal(err)
		}
		h.clock.Advance(5 * time.Second) // to where the due record stands
		h.sweepNow()
		s := h.live(st.Session.ID).Session
		if s.Due != dueID(h.org, s) || h.leftovers() != 3 {
			t.Fatalf("due %s, deadline says %s, %d records", s.Due, dueID(h.org, s), h.leftovers())
		}
	}
	h.clock.Advance(idle - 6*time.Second)
	h.sweepNow()
	h.live(st.Session.ID)
	h.clock.Advance(time.Second)
	h.sweepNow()
	if ends := h.ends(); len(ends) != 1 || ends[0].Cause != federation.IdleTimeout || h.leftovers() != 0 {
		t.Errorf("ends %+v, %d records left", ends, h.leftovers())
	}
}

// What a lost or foreign due record looks like, and sessions of tenants that
// are no longer configured.
func TestSweeperCleansUp(t *testing.T) {
	h := open(t)
	own := h.org.Place.Own()
	past := h.clock.Now().Add(-time.Hour)
	st := h.begin("ada")
	for _, id := range []string{
		store.DueID(past, "default/"+h.NewID().Session),      // a session that is gone
		store.DueID(past, "default/"+st.Session.ID),          // a session that is due at another time
		store.DueID(past, "default/not a sid"),               // nonsense
		store.DueID(past, "forgotten/"+h.NewID().Session),    // gone with its tenant
		store.DueID(past, strings.Repeat("x", 100)+"/../.."), // more nonsense
	} {
		if _, err := h.eng.Commit(t.Context(), h.dues.Create(own, id, struct{}{}, time.Time{})); err != nil {
			t.Fatal(err)
		}
	}
	stranger := *h
	stranger.org = tenant("forgotten")
	stranger.begin("bob")
	h.sweepNow()
	h.live(st.Session.ID)
	if n := h.leftovers(); n != 6 {
		t.Errorf("%d records for two sessions", n)
	}
	h.clock.Advance(idle)
	h.sweepNow()
	if ends := h.ends(); len(ends) != 2 || h.leftovers() != 0 {
		t.Errorf("%d ends, %d records left", len(ends), h.leftovers())
	}
}

// A session that cannot be ended is tried again, and holds up nobody.
func TestSweeperGoesOnPastFailure(t *testing.T) {
	bad := "eve"
	var mu sync.Mutex
	h := open(t, func(o *Options) {
		record := o.Plan
		o.Plan = func(ctx context.Context, c federation.Change) ([]store.Op, error) {
			mu.Lock()
			defer mu.Unlock()
			if c.Kind == federation.SessionEnded && c.Session.Person == bad {
				return nil, errors.New("cannot be told")
			}
			return record(ctx, c)
		}
	})
	h.crowd(batch+10, "eve")
	h.clock.Advance(time.Second)
	h.begin("ada")
	h.clock.Advance(idle)
	wait, err := h.sweeper(0).round(t.Context())
	if err == nil || wait != longest {
		t.Errorf("round: wait %v, %v", wait, err)
	}
	if ends := h.ends(); len(ends) != 1 || ends[0].Session.Person != "ada" {
		t.Errorf("%d ends", len(ends))
	}
	mu.Lock()
	bad = ""
	mu.Unlock()
	h.sweepNow()
	if ends := h.ends(); len(ends) != batch+11 || h.leftovers() != 0 {
		t.Errorf("%d ends, %d records left", len(ends), h.leftovers())
	}
}

func TestSweeperTick(t *testing.T) {
	h := open(t)
	for _, c := range []struct{ ahead, want time.Duration }{
		{0, longest}, // nothing is due: nobody knows what the next second brings
		{idle, longest},
		{400 * time.Millisecond, 400 * time.Millisecond},
		{time.Millisecond, shortest},
	} {
		if c.ahead > 0 {
			if _, err := h.eng.Commit(t.Context(), h.dues.Create(h.org.Place.Own(), store.DueID(h.clock.Now().Add(c.ahead), "default/x"), struct{}{}, time.Time{})); err != nil {
				t.Fatal(err)
			}
		}
		if wait, err := h.sweeper(0).round(t.Context()); err != nil || wait != c.want {
			t.Errorf("next in %v: wait %v, %v", c.ahead, wait, err)
		}
	}
}

func TestRunSweepsAndStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, func(o *Options) {
			o.Policy = func(federation.Tenant) Policy { return Policy{Idle: 1500 * time.Millisecond, Max: most} }
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- h.Run(ctx) }()
		h.begin("ada")
		for range 15 {
			synctest.Wait()
			h.clock.Advance(100 * time.Millisecond)
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(longest)
		synctest.Wait()
		if ends := h.ends(); len(ends) != 1 || ends[0].Cause != federation.IdleTimeout {
			t.Errorf("ends %+v", ends)
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// Many who touch, log out, list and sweep the same sessions while the clock
// goes on: every session ends once, with a cause that its history allows.
func TestRace(t *testing.T) {
	const (
		sessions = 300
		actors   = 50
		sweepers = 3
	)
	h := open(t)
	all := h.crowd(sessions, "", func(i int, b *Begin) {
		b.Person.ID = fmt.Sprintf("p%d", i%37)
		h.clock.Advance(time.Second)
	})
	var wg sync.WaitGroup
	for a := range actors {
		wg.Go(func() { h.act(all, rand.New(rand.NewPCG(uint64(a), 7))) })
	}
	ctx, stop := context.WithCancel(t.Context())
	var sweeping sync.WaitGroup
	for range sweepers {
		node := h.manager()
		sweeping.Go(func() {
			for ctx.Err() == nil {
				if _, err := node.sweeper(0).round(t.Context()); err != nil {
					t.Errorf("round: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	h.clock.Advance(2 * most)
	stop()
	sweeping.Wait()
	h.sweepNow()
	h.judge(all)
}

// act is one busy client.
func (h *house) act(all []Started, r *rand.Rand) {
	ctx := h.t.Context()
	for range 120 {
		st := all[r.IntN(len(all))]
		var err error
		switch r.IntN(8) {
		case 0:
			err = h.End(ctx, h.org, st.Session.ID, federation.Logout, federation.Request{ID: "logout"})
		case 1:
			h.clock.Advance(time.Duration(r.IntN(4000)) * time.Millisecond)
		case 2:
			_, err = h.EndAll(ctx, h.org, fmt.Sprintf("p%d", r.IntN(370)), federation.Destroy, federation.Request{ID: "admin"})
		case 3:
			var held Held
			if held, err = h.Live(ctx, h.org, st.Session.ID); err == nil {
				_, err = h.tryBegin(h.Manager, st.Session.Person, func(b *Begin) { b.Replaces = &held })
			}
		case 4:
			_, _, err = h.List(ctx, h.org, Filter{Person: st.Session.Person}, "", 10)
		default:
			var held Held
			if held, err = h.ByCookie(ctx, h.org, st.CookieValue.Reveal()); err == nil {
				err = h.Touch(ctx, h.org, held)
			}
		}
		if err != nil && !errors.Is(err, ErrNotFound) {
			h.t.Errorf("act: %v", err)
		}
	}
}

// judge holds the log against what may happen to a session.
func (h *house) judge(all []Started) {
	h.t.Helper()
	began, ended := make(map[string]federation.Session), make(map[string]federation.Cause)
	causes := make(map[federation.Cause]int)
	for _, e := range h.told() {
		id := e.Session.AuditID
		if e.Kind == federation.SessionBegan {
			began[id] = e.Session
			continue
		}
		if before, twice := ended[id]; twice {
			h.t.Errorf("session ended with %s and again with %s", before, e.Cause)
		}
		if _, ok := began[id]; !ok {
			h.t.Error("a session ended that never began")
		}
		ended[id] = e.Cause
		causes[e.Cause]++
		deadline, timeout := e.Session.Deadline()
		isTimeout := e.Cause == federation.IdleTimeout || e.Cause == federation.MaxTimeout
		switch {
		case isTimeout && (e.Cause != timeout || !e.At.Equal(deadline) || e.Detected.Before(deadline)):
			h.t.Errorf("%s at %v, deadline %v with %s, detected %v", e.Cause, e.At, deadline, timeout, e.Detected)
		case !isTimeout && (!e.At.Equal(e.Detected) || !e.At.Before(deadline)):
			h.t.Errorf("%s at %v, after the deadline %v", e.Cause, e.At, deadline)
		}
	}
	if len(began) < len(all) || len(ended) != len(began) {
		h.t.Errorf("%d began, %d ended", len(began), len(ended))
	}
	if h.leftovers() != 0 {
		h.t.Errorf("%d records left", h.leftovers())
	}
	for _, cause := range []federation.Cause{federation.Logout, federation.Destroy, federation.Upgrade, federation.IdleTimeout} {
		if causes[cause] == 0 {
			h.t.Errorf("nothing ended with %s: the race was not one", cause)
		}
	}
}
