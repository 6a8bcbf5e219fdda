package session

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

// most3 lets a person have three sessions.
func most3(refuse bool) func(*Options) {
	return func(o *Options) {
		o.Policy = func(federation.Tenant) Policy {
			return Policy{Idle: idle, Max: most, MaxPerPerson: 3, RefuseMore: refuse}
		}
	}
}

func (h *house) sids(person string) []string {
	h.t.Helper()
	found, _, err := h.List(h.t.Context(), h.org, Filter{Person: person}, "", 1000)
	if err != nil {
		h.t.Fatal(err)
	}
	var all []string
	for _, s := range found {
		all = append(all, s.ID)
	}
	return all
}

func TestTheOldestSessionGivesWay(t *testing.T) {
	for name, over := range map[string]store.Layout{"": {}, "spread": {Partitions: 16}} {
		t.Run(name, func(t *testing.T) {
			var seen []string
			h := openOver(t, over, most3(false), func(o *Options) {
				o.Observe.Ended = func(_ federation.Tenant, s federation.Session, cause federation.Cause) {
					seen = append(seen, s.ID+" "+string(cause))
				}
			})
			var begun []string
			for range 5 {
				begun = append(begun, h.begin("ada").Session.ID)
				h.clock.Advance(time.Minute)
				h.begin("bob-" + federation.NewSecret()[:4])
			}
			if left := h.sids("ada"); len(left) != 3 || slices.Contains(left, begun[0]) || slices.Contains(left, begun[1]) {
				t.Errorf("left are %q of %q", left, begun)
			}
			ends := h.ends()
			if len(ends) != 2 || ends[0].Session.ID != begun[0] || ends[1].Session.ID != begun[1] || ends[0].Cause != federation.Destroy || ends[0].Request.ID != "begin" {
				t.Errorf("%+v", ends)
			}
			if !slices.Equal(seen, []string{begun[0] + " DESTROY", begun[1] + " DESTROY"}) {
				t.Errorf("observed %q", seen)
			}
		})
	}
}

// TestOneSessionMoreIsRefused: nothing is written then, and there is room again
// once one has ended, however it did.
func TestOneSessionMoreIsRefused(t *testing.T) {
	h := open(t, most3(true))
	first := h.begin("ada")
	for range 2 {
		h.begin("ada")
	}
	refused := func() bool {
		_, err := h.tryBegin(h.Manager, "ada")
		e, ok := errors.AsType[*federation.Error](err)
		return ok && e.Code == federation.AccessDenied
	}
	told := len(h.told())
	if !refused() || len(h.told()) != told || len(h.sids("ada")) != 3 {
		t.Error("a fourth session began, or something was told")
	}
	h.begin("bob")
	// A session that takes another's place is none more.
	held := h.live(first.Session.ID)
	h.begin("ada", func(b *Begin) { b.Replaces = &held })
	if n := len(h.sids("ada")); n != 3 {
		t.Errorf("%d sessions", n)
	}
	if err := h.End(t.Context(), h.org, first.Session.ID, federation.Logout, federation.Request{}); err != nil {
		t.Fatal(err)
	}
	h.begin("ada")
	if !refused() {
		t.Error("a fourth session began")
	}
	h.clock.Advance(idle) // all are over, and nobody has swept them yet
	h.begin("ada")
}

// TestAQuotaThatIsNew: who has many more than the file now allows comes down to
// it, the oldest first, and not by one endless commit.
func TestAQuotaThatIsNew(t *testing.T) {
	h := open(t)
	h.crowd(300, "ada")
	tight := h.manager(most3(false))
	for i, want := range []int{300 + 1 - evicted, 300 + 2 - 2*evicted, 300 + 3 - 3*evicted, 300 + 4 - 4*evicted, 3, 3} {
		h.clock.Advance(time.Second)
		if _, err := h.tryBegin(tight, "ada"); err != nil {
			t.Fatal(err)
		}
		if n := len(h.sids("ada")); n != want {
			t.Errorf("after %d: %d sessions, want %d", i+1, n, want)
		}
	}
}
