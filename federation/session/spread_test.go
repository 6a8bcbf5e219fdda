package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

// sixteen is the layout that tests spread a tenant over.
func sixteen() store.Layout { return store.Layout{Partitions: 16} }

// strangers are two persons, of the house's tenant, that do not share a
// partition, and one that shares the first one's.
func (h *house) strangers() (ada, eve, neighbour string) {
	ada = "ada"
	for i := 0; eve == "" || neighbour == ""; i++ {
		who := fmt.Sprint("p", i)
		if h.org.PlaceOf(who) == h.org.PlaceOf(ada) {
			neighbour = who
		} else {
			eve = who
		}
	}
	return ada, eve, neighbour
}

// Everything of one person is in one partition, with one order, and is found by
// what browsers and tokens carry.
func TestSpreadSessionsLiveWithTheirPersons(t *testing.T) {
	h := openOver(t, sixteen())
	used := map[store.Partition]bool{}
	for i := range 40 {
		who := fmt.Sprint("person-", i)
		at := h.org.PlaceOf(who)
		used[at.Partition] = true
		first, second := h.begin(who), h.begin(who)
		for _, st := range []Started{first, second} {
			if h.org.PlaceOf(st.Session.ID) != at {
				t.Fatalf("%s lives at %v, the session at %v", who, at, h.org.PlaceOf(st.Session.ID))
			}
			if held, err := h.ByCookie(t.Context(), h.org, st.CookieValue.Reveal()); err != nil || held.Session.ID != h.live(st.Session.ID).Session.ID {
				t.Errorf("by cookie: %v", err)
			}
		}
		h.resume(h.live(first.Session.ID), "desk", nil)
		if found, next, err := h.List(t.Context(), h.org, Filter{Person: who}, "", 10); err != nil || len(found) != 2 || next != "" {
			t.Errorf("%s has %d sessions, %v", who, len(found), err)
		}
		if n, err := h.EndAll(t.Context(), h.org, who, federation.Destroy, federation.Request{}); n != 2 || err != nil {
			t.Errorf("ended %d of %s: %v", n, who, err)
		}
		var order []federation.ChangeKind
		for _, e := range h.toldAt(at.Partition) {
			if e.Session.Person == who {
				order = append(order, e.Kind)
			}
		}
		want := []federation.ChangeKind{federation.SessionBegan, federation.SessionBegan, federation.SessionEnded, federation.SessionEnded}
		if !slices.Equal(order, want) {
			t.Errorf("of %s is told %v", who, order)
		}
	}
	if len(used) < 10 || h.leftovers() != 0 {
		t.Errorf("%d partitions were used, %d records are left", len(used), h.leftovers())
	}
}

// A cookie opens its session at the partition that it lives in, and no other.
func TestForgedPartitionOfACookie(t *testing.T) {
	h := openOver(t, sixteen())
	st := h.begin("ada")
	parts := strings.Split(st.CookieValue.Reveal(), ".")
	home := parts[1]
	for _, p := range []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 65535} {
		parts[1] = strconv.Itoa(p)
		_, err := h.ByCookie(t.Context(), h.org, strings.Join(parts, "."))
		if own := parts[1] == home; own != (err == nil) || !own && !errors.Is(err, ErrNotFound) {
			t.Errorf("partition %d: %v", p, err)
		}
	}
}

func TestBeginRefusesASidOfAnotherPlace(t *testing.T) {
	h := openOver(t, sixteen())
	ada, eve, _ := h.strangers()
	id := h.NewID().For(h.org, eve)
	b := Begin{ID: id, Person: federation.Person{ID: ada}, Login: federation.Login{Upstream: "corp"}}
	if _, _, err := h.PlanBegin(t.Context(), h.org, b); err == nil {
		t.Error("it began where nobody would find it")
	}
	again := id.For(h.org, eve)
	if again != id {
		t.Error("names that are right were minted anew")
	}
}

// An upgrade keeps the sid, and with it the place.
func TestUpgradeOfASpreadSession(t *testing.T) {
	h := openOver(t, sixteen())
	first := h.begin("ada")
	old := h.live(first.Session.ID)
	if err := h.MakeWay(t.Context(), h.org, old, "ada", federation.Request{}); err != nil {
		t.Fatal(err)
	}
	st := h.begin("ada", func(b *Begin) { b.Replaces = &old })
	if st.Session.ID != first.Session.ID || h.leftovers() != 3 {
		t.Errorf("sid %q after %q, %d records", st.Session.ID, first.Session.ID, h.leftovers())
	}
	if ends := h.ends(); len(ends) != 1 || ends[0].Cause != federation.Upgrade {
		t.Errorf("ends %+v", ends)
	}
}

// Another person on the same browser: one commit where both live in one
// partition, and elsewhere two, of which the end is the first.
func TestAnotherPersonFromAnotherPartition(t *testing.T) {
	h := openOver(t, sixteen())
	ada, eve, neighbour := h.strangers()
	old := h.live(h.begin(ada).Session.ID)
	if _, err := h.tryBegin(h.Manager, eve, func(b *Begin) { b.Replaces = &old }); err == nil || len(h.ends()) != 0 {
		t.Fatalf("one commit over two partitions: %v", err)
	}
	if err := h.MakeWay(t.Context(), h.org, old, neighbour, federation.Request{}); err != nil || len(h.ends()) != 0 {
		t.Errorf("made way for a neighbour, whose commit does it: %v, %d ends", err, len(h.ends()))
	}
	req := federation.Request{ID: "sign-in"}
	for range 2 { // the second time it is over already
		if err := h.MakeWay(t.Context(), h.org, old, eve, req); err != nil {
			t.Fatal(err)
		}
	}
	st := h.begin(eve, func(b *Begin) { b.Replaces = &old })
	ends := h.ends()
	if len(ends) != 1 || ends[0].Cause != federation.Destroy || ends[0].Session.Person != ada || ends[0].Request != req {
		t.Errorf("ends %+v", ends)
	}
	if h.live(st.Session.ID); h.leftovers() != 3 {
		t.Errorf("%d records of one session", h.leftovers())
	}
}

// What makes way is the session that the browser showed, not one that has taken
// its place since; and past its deadline it is a timeout, not an end by another.
func TestWhatMakesWay(t *testing.T) {
	h := openOver(t, sixteen())
	ada, eve, _ := h.strangers()
	old := h.live(h.begin(ada).Session.ID)
	upgraded := h.begin(ada, func(b *Begin) { b.Replaces = &old })
	if err := h.MakeWay(t.Context(), h.org, old, eve, federation.Request{}); err != nil {
		t.Fatal(err)
	}
	current := h.live(upgraded.Session.ID)
	h.clock.Advance(idle)
	if err := h.MakeWay(t.Context(), h.org, current, eve, federation.Request{ID: "sign-in"}); err != nil {
		t.Fatal(err)
	}
	ends := h.ends()
	if len(ends) != 2 || ends[1].Cause != federation.IdleTimeout || ends[1].Request.ID != "" {
		t.Errorf("ends %+v", ends)
	}
}

// The list goes through all partitions, each session once, whatever the size of
// the page.
func TestListOfASpreadTenant(t *testing.T) {
	h := openOver(t, sixteen())
	want := map[string]bool{}
	for i := range 60 {
		want[h.begin(fmt.Sprint("person-", i%25)).Session.ID] = true
	}
	for _, n := range []int{1, 7, 100} {
		seen, after := map[string]bool{}, ""
		for {
			found, next, err := h.List(t.Context(), h.org, Filter{Client: "shop"}, after, n)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range found {
				if seen[s.ID] {
					t.Fatalf("%s is listed twice", s.ID)
				}
				seen[s.ID] = true
			}
			if after = next; next == "" {
				break
			}
		}
		if len(seen) != len(want) {
			t.Errorf("in pages of %d: %d of %d sessions", n, len(seen), len(want))
		}
	}
	if n, more, err := h.Count(context.Background()); n != 60 || more || err != nil {
		t.Errorf("counted %d, %v, %v", n, more, err)
	}
}

// Sessions of a spread tenant end in time wherever they live, once each, and
// what is told of it is in the log of the person's partition.
func TestSweepOfASpreadTenant(t *testing.T) {
	for name, forgotten := range map[string]bool{"configured": false, "configured no more": true} {
		t.Run(name, func(t *testing.T) {
			h := openOver(t, sixteen(), func(o *Options) {
				if forgotten {
					o.Tenant = func(string) (federation.Tenant, bool) { return federation.Tenant{}, false }
				}
			})
			for i := range 60 {
				h.begin(fmt.Sprint("person-", i))
			}
			touched := h.begin("ada")
			h.clock.Advance(idle / 2)
			h.resume(h.live(touched.Session.ID), "desk", nil)
			h.clock.Advance(idle / 2)
			h.sweepNow()
			if ends := h.ends(); len(ends) != 60 || h.leftovers() != 3 {
				t.Fatalf("%d ends, %d records", len(ends), h.leftovers())
			}
			h.clock.Advance(idle/2 + time.Second)
			h.sweepNow()
			if ends := h.ends(); len(ends) != 61 || h.leftovers() != 0 {
				t.Fatalf("%d ends, %d records", len(ends), h.leftovers())
			}
			for _, at := range h.org.Places() {
				for _, e := range h.toldAt(at.Partition) {
					if h.org.PlaceOf(e.Session.Person) != at {
						t.Errorf("%s of %s is told in partition %d", e.Kind, e.Session.Person, at.Partition)
					}
				}
			}
		})
	}
}
