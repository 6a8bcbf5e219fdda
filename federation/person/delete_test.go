package person

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drawbridge-id/drawbridge/claims"
	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

func TestFind(t *testing.T) {
	h := open(t)
	var ids []string
	for i := range 130 { // more than a page
		p := h.signIn(corp(), login(fmt.Sprint(i), claims.Set{"email": "Team@corp.example", "customer_id": "C/1"}))
		ids = append(ids, p.ID)
	}
	alone := h.signIn(corp(), login("alone", claims.Set{"email": "team@corp.example.org", "customer_id": "C/"}))
	byEmail := func(s string) ([]federation.Person, error) { return h.FindByEmail(t.Context(), h.org, s) }
	byCustomer := func(s string) ([]federation.Person, error) { return h.FindByCustomer(t.Context(), h.org, s) }
	for _, c := range []struct {
		find  func(string) ([]federation.Person, error)
		value string
		want  []string
	}{
		{byEmail, "team@CORP.example", ids},
		{byEmail, "team@corp.example.org", []string{alone.ID}},
		{byEmail, "nobody@corp.example", nil},
		{byCustomer, "C/1", ids},
		{byCustomer, "C/", []string{alone.ID}},
		{byCustomer, "c/1", nil},
		{byCustomer, "", nil},
		{byCustomer, strings.Repeat("x", 1<<20), nil},
	} {
		found, err := c.find(c.value)
		var got []string
		for _, p := range found {
			got = append(got, p.ID)
		}
		slices.Sort(got)
		slices.Sort(c.want)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%.40q finds %d of %d, %v", c.value, len(got), len(c.want), err)
		}
	}
	if _, err := byEmail("no address"); !errors.Is(err, ErrMalformedEmail) {
		t.Errorf("no address: %v", err)
	}
	if found, err := h.FindByEmail(t.Context(), tenant("other"), "team@corp.example"); err != nil || len(found) != 0 {
		t.Errorf("another tenant finds %d, %v", len(found), err)
	}
}

// An index entry is only a hint: what it leads to is checked.
func TestFindChecksWhatItFinds(t *testing.T) {
	h := open(t)
	p := h.signIn(corp(), login("1", claims.Set{"email": "ada@corp.example"}))
	stray := []store.Op{
		h.emails.Put(h.org.Place, indexID("eve@corp.example", p.ID), entry{}, time.Time{}),
		h.emails.Put(h.org.Place, indexID("eve@corp.example", newID(h.clock.Now())), entry{}, time.Time{}),
	}
	if _, err := h.eng.Commit(t.Context(), stray...); err != nil {
		t.Fatal(err)
	}
	if found, err := h.FindByEmail(t.Context(), h.org, "eve@corp.example"); err != nil || len(found) != 0 {
		t.Errorf("found %d, %v", len(found), err)
	}
}

func TestConfirmEmail(t *testing.T) {
	h := open(t)
	p := h.signIn(corp(), login("1", claims.Set{"email": "Ada@bank.example"}))
	nameless := h.signIn(corp(), login("2", claims.Set{}))
	confirm := func(id, email string) error {
		return h.ConfirmEmail(t.Context(), h.org, id, email, federation.Request{ID: "confirm"})
	}
	for _, c := range []struct {
		id, email string
		want      error
	}{
		{p.ID, "eve@bank.example", ErrEmailChanged},
		{p.ID, "nonsense", ErrEmailChanged},
		{nameless.ID, "", ErrNoEmail},
		{nameless.ID, "ada@bank.example", ErrEmailChanged},
		{newID(h.clock.Now()), "", ErrNotFound},
		{"nonsense", "", ErrNotFound},
	} {
		if err := confirm(c.id, c.email); !errors.Is(err, c.want) {
			t.Errorf("%s %q: %v, want %v", c.id, c.email, err, c.want)
		}
	}
	if EmailVerified(p) {
		t.Error("verified before it was")
	}
	h.clock.Advance(time.Hour)
	for range 3 {
		if err := confirm(p.ID, "ADA@bank.example"); err != nil {
			t.Fatal(err)
		}
	}
	kinds, last := h.log()
	if want := []federation.ChangeKind{federation.PersonCreated, federation.PersonCreated, federation.EmailConfirmed}; !slices.Equal(kinds, want) {
		t.Errorf("told %v", kinds)
	}
	got, err := h.Get(t.Context(), h.org, p.ID)
	if err != nil || got.EmailConfirmed != "ada@bank.example" || !EmailVerified(got) || !EmailVerified(last.Person) || !got.Updated.Equal(h.clock.Now()) || got.EmailVouched {
		t.Errorf("confirmed: %+v, %v", got, err)
	}
	moved := h.signIn(corp(), login("1", claims.Set{"email": "other@bank.example"}))
	if EmailVerified(moved) {
		t.Error("another address counts as verified")
	}
	if back := h.signIn(corp(), login("1", claims.Set{"email": "ada@bank.example"})); !EmailVerified(back) {
		t.Error("the confirmed address no longer counts")
	}
}

func TestDelete(t *testing.T) {
	h := open(t)
	l := login("1", claims.Set{"email": "ada@corp.example", "customer_id": "7"})
	p := h.signIn(corp(), l)
	keep := h.signIn(corp(), login("2", claims.Set{"email": "ada@corp.example", "customer_id": "7"}))
	req := federation.Request{ID: "delete", CausedBy: "platform"}
	if err := h.Delete(t.Context(), h.org, p.ID, req); err != nil {
		t.Fatal(err)
	}
	if err := h.Delete(t.Context(), h.org, p.ID, req); !errors.Is(err, ErrNotFound) {
		t.Errorf("deleted twice: %v", err)
	}
	if !slices.Equal(h.endings, []string{"default " + p.ID + " DESTROY"}) {
		t.Errorf("sessions ended: %v", h.endings)
	}
	if kinds, last := h.log(); len(kinds) != 3 || last.Kind != federation.PersonDeleted || last.Person.Email != "ada@corp.example" || last.Request != req {
		t.Errorf("told %v, %+v", kinds, last)
	}
	if found, err := h.FindByEmail(t.Context(), h.org, "ada@corp.example"); err != nil || len(found) != 1 || found[0].ID != keep.ID {
		t.Errorf("found %d, %v", len(found), err)
	}
	if _, err := h.ByAlias(t.Context(), h.org, "corp", "1"); !errors.Is(err, ErrNotFound) {
		t.Errorf("ByAlias: %v", err)
	}
	if n := h.records(); n != 4 {
		t.Errorf("%d records of the one who stays", n)
	}
	if again := h.signIn(corp(), l); again.ID == p.ID || again.Logins != 1 {
		t.Errorf("came back as %s", again.ID)
	}
}

// The process dies between the commit that removes the person and the end of
// the sessions: the next one ends them.
func TestCrashBetweenTombstoneAndEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t)
		p := h.signIn(corp(), login("1", claims.Set{}))
		h.org = tenant("forgotten") // by the configuration of the next process
		q := h.signIn(corp(), login("1", claims.Set{}))
		h.org = tenant("default")
		h.broken = errors.New("killed")
		for _, who := range []federation.Person{p, q} {
			if err := h.Delete(t.Context(), tenant(who.Tenant), who.ID, federation.Request{ID: "delete"}); err != nil {
				t.Fatalf("the person is gone, so it is no error: %v", err)
			}
			if _, err := h.Get(t.Context(), tenant(who.Tenant), who.ID); !errors.Is(err, ErrNotFound) {
				t.Errorf("Get: %v", err)
			}
		}
		h.reopen()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- h.Run(ctx) }()
		synctest.Wait()
		h.clock.Advance(grace)
		time.Sleep(every)
		synctest.Wait()
		if len(h.endings) != 0 || h.records() != 2 {
			t.Errorf("still broken: %v, %d records", h.endings, h.records())
		}
		h.mu.Lock()
		h.broken = nil
		h.mu.Unlock()
		time.Sleep(every)
		synctest.Wait()
		want := []string{"default " + p.ID + " DESTROY", "forgotten " + q.ID + " DESTROY"}
		if slices.Sort(h.endings); !slices.Equal(h.endings, want) || h.records() != 0 {
			t.Errorf("ended %v, %d records left", h.endings, h.records())
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// While a call is still at it, Run leaves the deletion alone.
func TestRunLeavesFreshDeletionsAlone(t *testing.T) {
	h := open(t)
	p := h.signIn(corp(), login("1", claims.Set{}))
	h.broken = errors.New("slow")
	if err := h.Delete(t.Context(), h.org, p.ID, federation.Request{}); err != nil {
		t.Fatal(err)
	}
	h.broken = nil
	if err := h.finishAll(t.Context(), 0); err != nil || len(h.endings) != 0 {
		t.Errorf("at once: %v, %v", h.endings, err)
	}
	h.clock.Advance(grace)
	if err := h.finishAll(t.Context(), 0); err != nil || len(h.endings) != 1 || h.records() != 0 {
		t.Errorf("after the grace: %v, %v, %d records", h.endings, err, h.records())
	}
}

// Sign-ins, confirmations and deletions of one person, all at once: the store
// stays whole, and the log tells a possible story.
func TestRaceOfDeletion(t *testing.T) {
	h := open(t)
	l := login("1", claims.Set{"email": "ada@corp.example", "customer_id": "7"})
	var wg sync.WaitGroup
	for range 12 {
		wg.Go(func() {
			for range 10 {
				p, err := h.trySignIn(corp(), l)
				if err != nil {
					t.Errorf("sign-in: %v", err)
					return
				}
				if err := h.ConfirmEmail(t.Context(), h.org, p.ID, "", federation.Request{}); err != nil && !errors.Is(err, ErrNotFound) {
					t.Errorf("confirm: %v", err)
				}
				h.clock.Advance(time.Millisecond)
				if err := h.Delete(t.Context(), h.org, p.ID, federation.Request{}); err != nil && !errors.Is(err, ErrNotFound) {
					t.Errorf("delete: %v", err)
				}
			}
		})
	}
	wg.Wait()
	if n := h.records(); n != 0 {
		t.Errorf("%d records left", n)
	}
	entries, err := h.eng.ReadLog(t.Context(), 0, store.Position{}, 10_000, 0)
	if err != nil {
		t.Fatal(err)
	}
	living := ""
	for _, entry := range entries {
		var e told
		if err := json.Unmarshal(entry.Value, &e); err != nil {
			t.Fatal(err)
		}
		if created := e.Kind == federation.PersonCreated; created != (living == "") || !created && e.Person.ID != living {
			t.Fatalf("%s of %s while %q lives", e.Kind, e.Person.ID, living)
		}
		switch e.Kind {
		case federation.PersonCreated:
			living = e.Person.ID
		case federation.PersonDeleted:
			living = ""
		}
	}
}
