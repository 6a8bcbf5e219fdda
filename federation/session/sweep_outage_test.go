package session

import (
	"errors"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
)

// Whoever comes first after an outage finds the session, or its end, as the
// policy says; whatever the policy says, a clock that jumped ends nothing.
func TestOutagesAtTheDoor(t *testing.T) {
	for name, c := range map[string]struct {
		outage Outage
		jump   bool
		alive  bool
	}{
		"grace":           {outage: Grace, alive: true},
		"nothing said":    {alive: true},
		"expire":          {outage: Expire},
		"jump and expire": {outage: Expire, jump: true, alive: true},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			var mono time.Duration
			h.Manager = h.manager(func(o *Options) { o.Monotonic, o.Outage = func() time.Duration { return mono }, c.outage })
			s := h.sweeper(0)
			if _, err := s.watch.beat(t.Context()); err != nil {
				t.Fatal(err)
			}
			st := h.begin("ada")
			h.clock.Advance(2 * time.Hour)
			if !c.jump {
				mono += 2 * time.Hour
			}
			if c.jump { // nobody but a node that lived through it can tell
				if _, err := s.watch.beat(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			listed, _, err := h.List(t.Context(), h.org, Filter{}, "", 10)
			if err != nil || (len(listed) == 1) != c.alive {
				t.Errorf("%d listed, %v", len(listed), err)
			}
			held, err := h.Live(t.Context(), h.org, st.Session.ID)
			if c.alive {
				if err != nil || h.Touch(t.Context(), h.org, held) != nil {
					t.Fatalf("Live: %v", err)
				}
				if s := h.live(st.Session.ID).Session; !s.Active.Equal(h.clock.Now()) {
					t.Errorf("active at %v", s.Active)
				}
				return
			}
			if !errors.Is(err, ErrNotFound) || len(h.ends()) != 1 {
				t.Errorf("Live: %v, %d ends", err, len(h.ends()))
			}
		})
	}
	if _, err := New(Options{Engine: open(t).eng, Policy: func(federation.Tenant) Policy { return Policy{} }, Outage: "shrug"}); err == nil {
		t.Error("an outage that is no policy was taken")
	}
}
