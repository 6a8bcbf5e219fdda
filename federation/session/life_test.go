package session

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

// Every way to come upon a session, at every moment around its deadlines: what
// it ends with, and when that is said to have happened.
func TestDeadlines(t *testing.T) {
	const tick = time.Microsecond
	for name, c := range map[string]struct {
		idle, most time.Duration
		touched    time.Duration // activity after the beginning, if any
		at         time.Duration // when somebody comes
		cause      federation.Cause
		deadline   time.Duration
	}{
		"just begun":              {idle: idle, most: most},
		"a moment before idle":    {idle: idle, most: most, at: idle - tick},
		"idle to the moment":      {idle: idle, most: most, at: idle, cause: federation.IdleTimeout, deadline: idle},
		"long idle":               {idle: idle, most: most, at: most * 3, cause: federation.IdleTimeout, deadline: idle},
		"active since":            {idle: idle, most: most, touched: idle / 2, at: idle + tick},
		"idle after activity":     {idle: idle, most: most, touched: idle / 2, at: idle * 3 / 2, cause: federation.IdleTimeout, deadline: idle * 3 / 2},
		"activity not worth note": {idle: idle, most: most, touched: idle/10 - tick, at: idle, cause: federation.IdleTimeout, deadline: idle},
		"activity worth note":     {idle: idle, most: most, touched: idle / 10, at: idle},
		"maximum before idle":     {idle: idle, most: idle / 2, at: idle / 2, cause: federation.MaxTimeout, deadline: idle / 2},
		"tie":                     {idle: idle, most: idle, at: idle, cause: federation.MaxTimeout, deadline: idle},
		"tie, late":               {idle: idle, most: idle, at: most, cause: federation.MaxTimeout, deadline: idle},
		"maximum despite activity": {idle: idle, most: idle * 3 / 2, touched: idle - tick, at: idle * 2,
			cause: federation.MaxTimeout, deadline: idle * 3 / 2},
		"odd nanoseconds": {idle: 1500*time.Microsecond + 1, most: most, at: 1501 * time.Microsecond,
			cause: federation.IdleTimeout, deadline: 1500*time.Microsecond + 1},
	} {
		for door, come := range doors() {
			t.Run(name+"/"+door, func(t *testing.T) {
				h := open(t, func(o *Options) {
					o.Policy = func(federation.Tenant) Policy { return Policy{Idle: c.idle, Max: c.most} }
				})
				st := h.begin("ada")
				if c.touched > 0 {
					h.clock.Advance(c.touched)
					if err := h.Touch(t.Context(), h.org, h.live(st.Session.ID)); err != nil {
						t.Fatal(err)
					}
				}
				h.clock.Advance(c.at - c.touched)
				over, ended, err := come(h, st)
				if err != nil {
					t.Fatal(err)
				}
				if over != (c.cause != "") {
					t.Errorf("over is %v", over)
				}
				ends := h.ends()
				if c.cause == "" {
					return
				}
				if !ended {
					if len(ends) != 0 {
						t.Errorf("ends %+v by looking", ends)
					}
					return
				}
				if len(ends) != 1 || ends[0].Cause != c.cause {
					t.Fatalf("ends %+v", ends)
				}
				e := ends[0]
				if !e.At.Equal(st.Session.Began.Add(c.deadline)) || !e.Detected.Equal(h.clock.Now()) {
					t.Errorf("occurred %v after the beginning, detected %v", e.At.Sub(st.Session.Began), e.Detected.Sub(st.Session.Began))
				}
				if e.Request != (federation.Request{}) {
					t.Errorf("a timeout was caused by %+v", e.Request)
				}
				if h.leftovers() != 0 {
					t.Errorf("%d records left", h.leftovers())
				}
			})
		}
	}
}

// doors are the ways to come upon a session: whether it was found to be over,
// and whether coming ends it.
func doors() map[string]func(h *house, st Started) (over, ended bool, err error) {
	judge := func(err error) (bool, bool, error) {
		if errors.Is(err, ErrNotFound) {
			return true, true, nil
		}
		return false, false, err
	}
	return map[string]func(h *house, st Started) (bool, bool, error){
		"Live": func(h *house, st Started) (bool, bool, error) {
			_, err := h.Live(h.t.Context(), h.org, st.Session.ID)
			return judge(err)
		},
		"ByCookie": func(h *house, st Started) (bool, bool, error) {
			_, err := h.ByCookie(h.t.Context(), h.org, st.CookieValue.Reveal())
			return judge(err)
		},
		"logout": func(h *house, st Started) (bool, bool, error) {
			return judge(h.End(h.t.Context(), h.org, st.Session.ID, federation.Logout, federation.Request{ID: "logout"}))
		},
		"EndAll": func(h *house, st Started) (bool, bool, error) {
			n, err := h.EndAll(h.t.Context(), h.org, st.Session.Person, federation.Destroy, federation.Request{ID: "admin"})
			return n == 0, true, err
		},
		"sweeper": func(h *house, st Started) (bool, bool, error) {
			h.sweepNow()
			return len(h.ends()) == 1, true, nil
		},
		"PlanResume": func(h *house, st Started) (bool, bool, error) {
			_, err := h.tryResume(Held{Session: st.Session}, "desk", nil)
			over, _, err := judge(err)
			return over, false, err
		},
		"List": func(h *house, st Started) (bool, bool, error) {
			found, _, err := h.List(h.t.Context(), h.org, Filter{}, "", 10)
			return len(found) == 0, false, err
		},
	}
}

func TestEnd(t *testing.T) {
	var observed []federation.Cause
	h := open(t, func(o *Options) {
		o.Observe.Ended = func(_ federation.Tenant, _ federation.Session, c federation.Cause) { observed = append(observed, c) }
		o.People = func(_ context.Context, _ federation.Tenant, ids ...string) (map[string]federation.Person, error) {
			return map[string]federation.Person{ids[0]: {ID: ids[0]}}, nil
		}
	})
	st := h.begin("ada")
	h.clock.Advance(time.Minute)
	req := federation.Request{ID: "logout", Addr: "192.0.2.9"}
	if err := h.End(t.Context(), h.org, st.Session.ID, federation.Logout, req); err != nil {
		t.Fatal(err)
	}
	if err := h.End(t.Context(), h.org, st.Session.ID, federation.Destroy, req); !errors.Is(err, ErrNotFound) {
		t.Errorf("ended twice: %v", err)
	}
	ends := h.ends()
	if len(ends) != 1 || ends[0].Cause != federation.Logout || ends[0].Request != req || !ends[0].At.Equal(h.clock.Now()) || ends[0].Person != "ada" {
		t.Errorf("told %+v", ends)
	}
	if h.leftovers() != 0 || len(observed) != 1 {
		t.Errorf("%d records left, observed %v", h.leftovers(), observed)
	}
	for _, cause := range []federation.Cause{"", federation.Upgrade, federation.IdleTimeout} {
		if err := h.End(t.Context(), h.org, st.Session.ID, cause, req); err == nil || errors.Is(err, ErrNotFound) {
			t.Errorf("cause %q: %v", cause, err)
		}
	}
}

// A commit that a planner fails, or that names a key of ours, changes nothing.
func TestEndThatCannotBeToldDoesNotHappen(t *testing.T) {
	h := open(t)
	st := h.begin("ada")
	broken := errors.New("no room")
	for name, plan := range map[string]federation.Planner{
		"planner fails": func(context.Context, federation.Change) ([]store.Op, error) { return nil, broken },
		"planner names a key": func(context.Context, federation.Change) ([]store.Op, error) {
			return []store.Op{store.Drop(h.org.Place.Key("session", st.Session.ID))}, nil
		},
	} {
		m := h.manager(func(o *Options) { o.Plan = plan })
		if err := m.End(t.Context(), h.org, st.Session.ID, federation.Logout, federation.Request{}); err == nil || errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	h.live(st.Session.ID)
}

func TestTouchWritesSeldom(t *testing.T) {
	h := open(t)
	st := h.begin("ada")
	var writes int
	last := h.live(st.Session.ID)
	for range 600 { // ten minutes of a request a second, a third of the idle time
		h.clock.Advance(time.Second)
		held := h.live(st.Session.ID)
		if held.version != last.version {
			writes++
		}
		last = held
		if err := h.Touch(t.Context(), h.org, held); err != nil {
			t.Fatal(err)
		}
	}
	if writes != 3 {
		t.Errorf("%d writes in a third of the idle time", writes)
	}
}

// Somebody else's write in between must not lose the activity.
func TestTouchAfterLostRace(t *testing.T) {
	h := open(t)
	st := h.begin("ada")
	held := h.live(st.Session.ID)
	h.clock.Advance(idle / 2)
	h.resume(held, "desk", nil) // moves the version and the activity
	if err := h.Touch(t.Context(), h.org, held); err != nil {
		t.Fatal(err)
	}
	h.clock.Advance(idle / 2)
	stale := held
	h.sweepNow() // re-scores: moves the version, not the activity
	if err := h.Touch(t.Context(), h.org, stale); err != nil {
		t.Fatal(err)
	}
	if got := h.live(st.Session.ID).Session.Active; !got.Equal(h.clock.Now()) {
		t.Errorf("activity is %v old", h.clock.Now().Sub(got))
	}
	logOut(h, st.Session.ID)
	h.clock.Advance(idle / 2)
	if err := h.Touch(t.Context(), h.org, stale); err != nil {
		t.Errorf("touching what has ended: %v", err)
	}
	if h.leftovers() != 0 {
		t.Error("a touch brought a session back")
	}
}

func TestResume(t *testing.T) {
	h := open(t)
	st := h.begin("ada")
	h.clock.Advance(time.Minute)
	if s := h.resume(h.live(st.Session.ID), "shop", nil); !s.Active.Equal(st.Session.Active) {
		t.Error("a visit by the same client within a tenth of the idle time was written")
	}
	s := h.resume(h.live(st.Session.ID), "desk", &federation.Login{Upstream: "corp", Subject: "s-ada", ACR: "gold"})
	if len(s.Clients) != 2 || len(s.Logins) != 1 || s.Logins[0].ACR != "gold" || !s.Active.Equal(h.clock.Now()) {
		t.Errorf("session is %+v", s)
	}
	old := h.live(st.Session.ID)
	h.begin("ada", func(b *Begin) { b.Replaces = &old })
	if _, err := h.tryResume(old, "desk", nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("resumed after an upgrade: %v", err)
	}
}

// A resume that writes nothing still fails with the commit when the session
// ends in between.
func TestResumeFencesItsCommit(t *testing.T) {
	h := open(t)
	st := h.begin("ada")
	_, ops, err := h.PlanResume(t.Context(), h.org, h.live(st.Session.ID), federation.Visit{Client: "shop"}, nil, federation.Request{})
	if err != nil {
		t.Fatal(err)
	}
	logOut(h, st.Session.ID)
	code := store.Create(h.org.Place.Key("code", "x"), nil, time.Time{})
	if _, err := h.eng.Commit(t.Context(), append(ops, code)...); !errors.Is(err, store.ErrConflict) {
		t.Errorf("a code was written for a session that has ended: %v", err)
	}
}

func TestEndAllAndTenants(t *testing.T) {
	h := open(t)
	h.crowd(230, "ada") // more than two pages
	keep := h.begin("eve")
	other := *h
	other.org = tenant("other")
	theirs := other.begin("ada")
	n, err := h.EndAll(t.Context(), h.org, "ada", federation.Destroy, federation.Request{CausedBy: "platform"})
	if err != nil || n != 230 {
		t.Errorf("ended %d: %v", n, err)
	}
	if n, err := h.EndAll(t.Context(), h.org, "ada", federation.Destroy, federation.Request{}); err != nil || n != 0 {
		t.Errorf("again: %d, %v", n, err)
	}
	h.live(keep.Session.ID)
	other.live(theirs.Session.ID)
	if _, err := h.Live(t.Context(), h.org, theirs.Session.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("a session of another tenant: %v", err)
	}
	for _, nobody := range []string{"", "ad", "ada/", "/", string(make([]byte, 100_000))} {
		if n, err := h.EndAll(t.Context(), h.org, nobody, federation.Destroy, federation.Request{}); err != nil || n != 0 {
			t.Errorf("person %.5q: %d, %v", nobody, n, err)
		}
	}
}

func TestList(t *testing.T) {
	h := open(t)
	h.crowd(250, "ada", func(i int, b *Begin) {
		if i%5 == 0 {
			b.Person.ID = "eve"
		}
		if i%2 == 0 {
			b.Client = "desk"
		}
	})
	for name, c := range map[string]struct {
		filter Filter
		n      int
		want   int
	}{
		"all":               {n: 1000, want: 250},
		"in pages":          {n: 7, want: 250},
		"one by one":        {n: 1, want: 250},
		"more than a page":  {n: 170, want: 250},
		"person":            {filter: Filter{Person: "eve"}, n: 7, want: 50},
		"client":            {filter: Filter{Client: "desk"}, n: 10, want: 125},
		"person and client": {filter: Filter{Person: "eve", Client: "desk"}, n: 25, want: 25},
		"nobody":            {filter: Filter{Person: "bob"}, n: 10},
	} {
		seen := make(map[string]bool)
		after := ""
		for {
			found, next, err := h.List(t.Context(), h.org, c.filter, after, c.n)
			if err != nil || len(found) > c.n {
				t.Fatalf("%s: %d found, %v", name, len(found), err)
			}
			for _, s := range found {
				if seen[s.ID] || s.ID <= after {
					t.Fatalf("%s: %q after %q, or twice", name, s.ID, after)
				}
				seen[s.ID] = true
			}
			if next == "" {
				break
			}
			after = next
		}
		if len(seen) != c.want {
			t.Errorf("%s: %d sessions, want %d", name, len(seen), c.want)
		}
	}
	if n, more, err := h.Count(t.Context()); n != 250 || more || err != nil {
		t.Errorf("Count: %d, %v, %v", n, more, err)
	}
	for after, n := range map[string]int{"not/a.sid": 10, "x": 0} {
		if _, _, err := h.List(t.Context(), h.org, Filter{}, after, n); err == nil {
			t.Errorf("listed %d after %q", n, after)
		}
	}
}

// A filter that few sessions pass must not read without bound.
func TestListLooksOnlySoFar(t *testing.T) {
	h := open(t)
	h.crowd(looked+5, "ada")
	found, next, err := h.List(t.Context(), h.org, Filter{Client: "nobody"}, "", 10)
	if err != nil || len(found) != 0 || next == "" {
		t.Fatalf("first answer: %d found, next %q, %v", len(found), next, err)
	}
	found, next, err = h.List(t.Context(), h.org, Filter{Client: "nobody"}, next, 10)
	if err != nil || len(found) != 0 || next != "" {
		t.Errorf("second answer: %d found, next %q, %v", len(found), next, err)
	}
}

func TestSealedSessionsAreUnreadableAtRest(t *testing.T) {
	sealer, err := store.NewSealer([]store.SealingKey{{ID: "k", Key: make([]byte, 32)}})
	if err != nil {
		t.Fatal(err)
	}
	h := open(t, func(o *Options) { o.Sealer = sealer })
	st := h.begin("ada", func(b *Begin) { b.Login.IDToken = "upstream-token" })
	if got := h.live(st.Session.ID).Session.Logins[0].IDToken; got != "upstream-token" {
		t.Errorf("token is %q", got)
	}
	blind := h.manager()
	if _, err := blind.Live(t.Context(), h.org, st.Session.ID); !errors.Is(err, store.ErrSealed) {
		t.Errorf("read without the key: %v", err)
	}
}
