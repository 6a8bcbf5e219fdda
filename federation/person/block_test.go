package person

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/claims"
	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

func TestBlock(t *testing.T) {
	for name, over := range map[string]store.Layout{"": {}, "spread": {Partitions: 16}} {
		t.Run(name, func(t *testing.T) {
			h := openOver(t, over)
			p := h.signIn(corp(), login("1", claims.Set{"email": "ada@corp.example"}))
			grant := federation.Grant{Person: p.ID, Client: "shop", At: h.clock.Now()}
			if !p.Honours(grant) {
				t.Fatal("a grant of somebody who was never blocked does not count")
			}
			h.clock.Advance(time.Second)
			by := federation.Request{CausedBy: "operator"}
			for range 2 {
				if err := h.Block(t.Context(), h.org, p.ID, by); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := h.trySignIn(corp(), login("1", nil)); err == nil {
				t.Error("who is blocked signs in")
			}
			if len(h.endings) != 2 || h.endings[0] != h.org.ID+" "+p.ID+" DESTROY" {
				t.Errorf("ended %q", h.endings)
			}
			kinds, last := h.log()
			if !slices.Equal(kinds, []federation.ChangeKind{federation.PersonCreated, federation.PersonBlocked}) || !last.Person.Blocked || last.Request.CausedBy != "operator" {
				t.Errorf("told %q %+v", kinds, last)
			}
			h.clock.Advance(time.Second)
			between := federation.Grant{Person: p.ID, Client: "shop", At: h.clock.Now()}
			for range 2 {
				h.clock.Advance(time.Second)
				if err := h.Unblock(t.Context(), h.org, p.ID, by); err != nil {
					t.Fatal(err)
				}
			}
			again := h.signIn(corp(), login("1", claims.Set{"email": "ada@corp.example"}))
			if again.ID != p.ID || again.Honours(grant) || again.Honours(between) || !again.Honours(federation.Grant{Person: p.ID, At: h.clock.Now()}) {
				t.Errorf("%+v", again)
			}
			if due := h.all("person.deletion"); len(due) != 0 {
				t.Errorf("%d intents are left", len(due))
			}
			for _, id := range []string{"", "nobody", newID(h.clock.Now())} {
				if err := h.Block(t.Context(), h.org, id, by); !errors.Is(err, ErrNotFound) {
					t.Errorf("block %q: %v", id, err)
				}
				if err := h.Unblock(t.Context(), h.org, id, by); !errors.Is(err, ErrNotFound) {
					t.Errorf("unblock %q: %v", id, err)
				}
			}
			if err := h.Block(t.Context(), h.tenant("other"), p.ID, by); !errors.Is(err, ErrNotFound) {
				t.Errorf("another tenant blocks: %v", err)
			}
		})
	}
}

// TestBlockIsFinishedLater: what could not be ended at once ends later, and the
// person stays.
func TestBlockIsFinishedLater(t *testing.T) {
	for name, over := range map[string]store.Layout{"": {}, "spread": {Partitions: 16}} {
		t.Run(name, func(t *testing.T) {
			h := openOver(t, over)
			p := h.signIn(corp(), login("1", claims.Set{"email": "ada@corp.example", "customer_id": "7"}))
			h.broken = errors.New("the store is gone")
			if err := h.Block(t.Context(), h.org, p.ID, federation.Request{}); err != nil {
				t.Fatal(err)
			}
			at := h.org.PlaceOf(p.ID).Partition
			h.broken = nil
			if err := h.finishAll(t.Context(), at); err != nil || len(h.endings) != 0 {
				t.Fatalf("done before its time: %v %q", err, h.endings)
			}
			h.clock.Advance(grace)
			if err := h.finishAll(t.Context(), at); err != nil || len(h.endings) != 1 || len(h.all("person.deletion")) != 0 {
				t.Fatalf("%v %q", err, h.endings)
			}
			if got, err := h.Get(t.Context(), h.org, p.ID); err != nil || !got.Blocked {
				t.Errorf("%+v %v", got, err)
			}
			if found, err := h.FindByCustomer(t.Context(), h.org, "7"); err != nil || len(found) != 1 {
				t.Errorf("found %d %v", len(found), err)
			}
		})
	}
}

func TestPlanWithdraw(t *testing.T) {
	h := open(t)
	p := h.signIn(corp(), login("1", nil))
	before := federation.Grant{Person: p.ID, Client: "shop", At: h.clock.Now()}
	other := federation.Grant{Person: p.ID, Client: "blog", At: h.clock.Now()}
	h.clock.Advance(time.Second)
	for range 2 {
		ops, err := h.PlanWithdraw(t.Context(), h.org, p.ID, "shop")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.eng.Commit(t.Context(), ops...); err != nil {
			t.Fatal(err)
		}
	}
	h.clock.Advance(time.Second)
	after := federation.Grant{Person: p.ID, Client: "shop", At: h.clock.Now()}
	got, err := h.Get(t.Context(), h.org, p.ID)
	if err != nil || got.Honours(before) || !got.Honours(other) || !got.Honours(after) || got.Blocked {
		t.Errorf("%+v %v", got, err)
	}
	if _, err := h.PlanWithdraw(t.Context(), h.org, newID(h.clock.Now()), "shop"); !errors.Is(err, ErrNotFound) {
		t.Errorf("nobody's: %v", err)
	}
}
