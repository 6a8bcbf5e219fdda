package person

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drawbridge-id/drawbridge/claims"
	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

func sixteen() store.Layout { return store.Layout{Partitions: 16} }

// ada is a login of one person with an address.
func ada(address string) federation.Login {
	return login("ada", claims.Set{"email": address, "customer_id": "C-1"})
}

// byEmail is who is found by an address.
func (h *house) byEmail(address string) []string {
	h.t.Helper()
	found, err := h.FindByEmail(h.t.Context(), h.org, address)
	if err != nil {
		h.t.Fatal(err)
	}
	var ids []string
	for _, p := range found {
		ids = append(ids, p.ID)
	}
	return ids
}

// projectNow does what Run does about notes, once they are due.
func (h *house) projectNow() {
	h.t.Helper()
	h.clock.Advance(grace)
	for p := range sixteen().Partitions {
		if err := h.projectAll(h.t.Context(), store.Partition(p)); err != nil {
			h.t.Fatal(err)
		}
	}
}

// Person, alias and events of one are in one partition; everybody is found by
// UUID, alias, address and customer.
func TestSpreadPersons(t *testing.T) {
	h := openOver(t, sixteen())
	used := map[store.Partition]int{}
	for i := range 64 {
		subject := fmt.Sprint("s-", i)
		address, customer := subject+"@corp.example", "C-"+subject
		p := h.signIn(corp(), login(subject, claims.Set{"email": address, "customer_id": customer}))
		at := h.org.PlaceOf(p.ID)
		used[at.Partition]++
		if at != h.org.PlaceOf(aliasID("corp", subject)) {
			t.Fatalf("%s lives at %v, the alias at %v", p.ID, at, h.org.PlaceOf(aliasID("corp", subject)))
		}
		got, err := h.Get(t.Context(), h.org, p.ID)
		if err != nil || got.Subject != subject {
			t.Errorf("by UUID: %+v, %v", got, err)
		}
		if got, err = h.ByAlias(t.Context(), h.org, "corp", subject); err != nil || got.ID != p.ID {
			t.Errorf("by alias: %+v, %v", got, err)
		}
		if got := h.byEmail(address); !slices.Equal(got, []string{p.ID}) {
			t.Errorf("by address: %v", got)
		}
		found, err := h.FindByCustomer(t.Context(), h.org, customer)
		if err != nil || len(found) != 1 || found[0].ID != p.ID {
			t.Errorf("by customer: %+v, %v", found, err)
		}
	}
	if len(used) < 12 || len(h.all("person.projection")) != 0 {
		t.Errorf("%d partitions are used, %d notes left", len(used), len(h.all("person.projection")))
	}
	if err := h.ConfirmEmail(t.Context(), h.org, h.byEmail("s-1@corp.example")[0], "", federation.Request{}); err != nil {
		t.Error(err)
	}
}

// An address that changes, changes back and goes away with its person.
func TestIndexOfASpreadTenantFollows(t *testing.T) {
	h := openOver(t, sixteen())
	const a, b = "a@corp.example", "b@corp.example"
	p := h.signIn(corp(), ada(a))
	for _, address := range []string{b, a, b, "", a} {
		h.signIn(corp(), ada(address))
		for _, other := range []string{a, b} {
			if got := h.byEmail(other); (len(got) == 1) != (other == address) {
				t.Errorf("with %q, %q finds %v", address, other, got)
			}
		}
		if n := len(h.all("person.email")); address == "" && n != 0 || address != "" && n != 1 {
			t.Errorf("with %q: %d entries", address, n)
		}
	}
	h.signIn(corp(), ada(a))
	if err := h.Delete(t.Context(), h.org, p.ID, federation.Request{}); err != nil || h.records() != 0 {
		t.Errorf("deleted: %v, %d records left", err, h.records())
	}
}

// The process dies between the commit and what follows it: a node that runs
// brings it about, after the grace and not before.
func TestCrashBeforeTheIndexFollows(t *testing.T) {
	h := openOver(t, sixteen())
	h.signIn(corp(), ada("a@corp.example"))
	h.lazy = true
	p := h.signIn(corp(), ada("b@corp.example"))
	h.signIn(corp(), ada("b@corp.example")) // no change, no note
	if n := len(h.all("person.projection")); n != 1 {
		t.Fatalf("%d notes", n)
	}
	if got := append(h.byEmail("a@corp.example"), h.byEmail("b@corp.example")...); len(got) != 0 {
		t.Errorf("between the steps is found %v", got)
	}
	h.reopen()
	if err := h.projectAll(t.Context(), h.org.PlaceOf(p.ID).Partition); err != nil || len(h.all("person.projection")) != 1 {
		t.Errorf("before the grace: %v", err)
	}
	h.projectNow()
	if got := h.byEmail("b@corp.example"); !slices.Equal(got, []string{p.ID}) || len(h.all("person.projection")) != 0 || len(h.all("person.email")) != 1 {
		t.Errorf("found %v, %d notes, %d entries", got, len(h.all("person.projection")), len(h.all("person.email")))
	}
}

// mortal is an engine whose process dies after some more commits.
type mortal struct {
	store.Engine
	mu    sync.Mutex
	lives int
}

var errKilled = errors.New("killed")

func (m *mortal) Commit(ctx context.Context, ops ...store.Op) (store.Version, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lives--; m.lives < 0 {
		return 0, errKilled
	}
	return m.Engine.Commit(ctx, ops...)
}

// Wherever between two commits a sign-in or a deletion dies, the next process
// ends it, and no record is left that nobody would remove.
func TestCrashAnywhere(t *testing.T) {
	for lives := range 8 {
		h := openOver(t, sixteen())
		p := h.signIn(corp(), ada("a@corp.example"))
		h.between = func(eng store.Engine) store.Engine { return &mortal{Engine: eng, lives: lives} }
		h.reopen()
		if _, err := h.trySignIn(corp(), ada("b@corp.example")); err != nil && !errors.Is(err, errKilled) {
			t.Fatal(err)
		}
		h.between = nil
		h.reopen()
		h.projectNow()
		now, err := h.Get(t.Context(), h.org, p.ID)
		if got := h.byEmail(now.Email); err != nil || len(got) != 1 || h.records() != 4 || (now.Email == "b@corp.example") != (lives > 0) {
			t.Errorf("%d commits into the change: %q finds %v, %d records, %v", lives, now.Email, got, h.records(), err)
		}

		h.between = func(eng store.Engine) store.Engine { return &mortal{Engine: eng, lives: lives} }
		h.reopen()
		if err := h.Delete(t.Context(), h.org, p.ID, federation.Request{}); lives > 0 && err != nil {
			t.Errorf("%d commits into the deletion: %v", lives, err)
		}
		h.between = nil
		h.reopen()
		h.clock.Advance(grace)
		if err := h.finishAll(t.Context(), h.org.PlaceOf(p.ID).Partition); err != nil || lives > 0 && h.records() != 0 {
			t.Errorf("%d commits into the deletion: %v, %d records left", lives, err, h.records())
		}
	}
}

// A worker that was overtaken undoes nothing that a newer one has done.
func TestOvertakenWorker(t *testing.T) {
	h := openOver(t, sixteen())
	const a, b = "a@corp.example", "b@corp.example"
	p := h.signIn(corp(), ada(a))
	both := values{Emails: []string{digest(a), digest(b)}}
	set := func(address string, there bool, seen store.Version) {
		t.Helper()
		if err := h.set(t.Context(), h.org, h.emails, digest(address), p.ID, there, seen); err != nil {
			t.Fatal(err)
		}
	}
	_, early, err := h.truth(t.Context(), h.org, p.ID, both)
	if err != nil {
		t.Fatal(err)
	}
	h.signIn(corp(), ada(b))
	set(b, false, early) // it had read that b is not the address
	if got := h.byEmail(b); !slices.Equal(got, []string{p.ID}) {
		t.Errorf("b finds %v", got)
	}
	// It writes what was true, sees that it no longer is, and takes it back.
	set(a, true, early)
	if got := h.byEmail(a); len(got) != 0 {
		t.Errorf("a stale entry finds %v", got)
	}
	if err := h.enter(t.Context(), h.org, p.ID, both); err != nil || len(h.all("person.email")) != 1 {
		t.Errorf("%v, %d entries", err, len(h.all("person.email")))
	}
}

// What is true again is written again: a worker that had seen it untrue meanwhile
// comes too late.
func TestOvertakenWhileItWasUntrue(t *testing.T) {
	h := openOver(t, sixteen())
	const a, b = "a@corp.example", "b@corp.example"
	p := h.signIn(corp(), ada(a))
	h.lazy = true
	h.signIn(corp(), ada(b))
	untrue, seen, err := h.truth(t.Context(), h.org, p.ID, values{Emails: []string{digest(a)}})
	if err != nil || len(untrue.Emails) != 0 {
		t.Fatalf("%v, %v", untrue, err)
	}
	h.lazy = false
	h.signIn(corp(), ada(a))
	if err := h.set(t.Context(), h.org, h.emails, digest(a), p.ID, false, seen); err != nil {
		t.Fatal(err)
	}
	if got := h.byEmail(a); !slices.Equal(got, []string{p.ID}) {
		t.Errorf("a finds %v", got)
	}
}

// rushed is an engine under which the person changes whenever the index does.
type rushed struct {
	store.Engine
	meddle func()
}

func (r *rushed) Commit(ctx context.Context, ops ...store.Op) (store.Version, error) {
	v, err := r.Engine.Commit(ctx, ops...)
	if meddle := r.meddle; meddle != nil && ops[0].Key.Kind == "person.email" {
		r.meddle = nil
		meddle()
	}
	return v, err
}

// The person changes while the index is made to follow, and the other node dies
// before it makes it follow that change too: who was overtaken notices.
func TestThePersonChangesMeanwhile(t *testing.T) {
	h := openOver(t, sixteen())
	other := h.Manager
	r := &rushed{}
	h.between = func(eng store.Engine) store.Engine { r.Engine = eng; return r }
	h.Manager = h.manager()
	r.meddle = func() {
		h.lazy = true
		defer func() { h.lazy = false }()
		if _, err := h.signInAt(other, corp(), ada("b@corp.example")); err != nil {
			t.Error(err)
		}
	}
	h.signIn(corp(), ada("a@corp.example"))
	if n := len(h.all("person.email")); n != 0 {
		t.Errorf("%d entries while b is still due", n)
	}
	h.projectNow()
	if got := h.byEmail("b@corp.example"); len(got) != 1 || len(h.all("person.email")) != 1 || h.records() != 4 {
		t.Errorf("b finds %v, %d entries", got, len(h.all("person.email")))
	}
}

// One person on several nodes at once: first sign-ins make one person, and in
// the end the index says what the person says, and nothing else.
func TestSpreadPersonOnSeveralNodes(t *testing.T) {
	h := openOver(t, sixteen())
	nodes := []*Manager{h.Manager, h.manager(), h.manager()}
	people := make([]map[string]bool, len(nodes))
	var wg sync.WaitGroup
	for n, node := range nodes {
		people[n] = map[string]bool{}
		wg.Go(func() {
			for i := range 15 {
				p, err := h.signInAt(node, corp(), ada(fmt.Sprintf("%d@corp.example", (n+i)%4)))
				if err != nil {
					t.Errorf("sign-in: %v", err)
					return
				}
				people[n][p.ID] = true
				if err := node.projectAll(t.Context(), h.org.PlaceOf(p.ID).Partition); err != nil {
					t.Errorf("project: %v", err)
				}
				h.clock.Advance(grace / 3)
			}
		})
	}
	wg.Wait()
	h.projectNow()
	for _, seen := range people[1:] {
		for id := range seen {
			if len(seen) != 1 || !people[0][id] {
				t.Fatalf("persons %v", people)
			}
		}
	}
	p, err := h.ByAlias(t.Context(), h.org, "corp", "ada")
	if got := h.byEmail(p.Email); err != nil || p.Logins != 45 || !slices.Equal(got, []string{p.ID}) || h.records() != 4 {
		t.Errorf("%d sign-ins, %q finds %v, %d records, %v", p.Logins, p.Email, got, h.records(), err)
	}
	if kinds, _ := h.log(); kinds[0] != federation.PersonCreated || slices.Contains(kinds[1:], federation.PersonCreated) {
		t.Errorf("told %v", kinds)
	}
}

// Run works off notes and deletions, also of tenants that are configured no more.
func TestRunOfASpreadTenant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openOver(t, sixteen())
		h.org = h.tenant("forgotten")
		h.lazy = true
		keep := h.signIn(corp(), ada("a@corp.example"))
		gone := h.signIn(corp(), login("eve", claims.Set{"email": "a@corp.example"}))
		h.broken = errKilled
		if err := h.Delete(t.Context(), h.org, gone.ID, federation.Request{}); err != nil {
			t.Fatal(err)
		}
		h.broken = nil
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 2)
		for _, node := range []*Manager{h.Manager, h.manager()} {
			go func() { done <- node.Run(ctx) }()
		}
		synctest.Wait()
		h.clock.Advance(grace)
		time.Sleep(2 * every) // the second for what the engine gathers into batches
		synctest.Wait()
		if got := h.byEmail("a@corp.example"); !slices.Equal(got, []string{keep.ID}) || h.records() != 4 {
			t.Errorf("found %v, %d records", got, h.records())
		}
		if len(h.endings) == 0 {
			t.Error("no sessions were ended")
		}
		cancel()
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
}

// A person is not minted in one place and committed to another.
func TestUUIDOfAnotherPlaceIsRefused(t *testing.T) {
	h := openOver(t, sixteen())
	k, err := h.Resolve(t.Context(), h.org, ada("a@corp.example"))
	if err != nil {
		t.Fatal(err)
	}
	for h.org.PlaceOf(k.Person.ID) == h.org.PlaceOf(aliasID("corp", "ada")) {
		k.Person.ID = newID(h.clock.Now())
	}
	if _, err := h.commit(corp(), k, ada("a@corp.example")); err == nil || h.records() != 0 {
		t.Errorf("committed: %v", err)
	}
}
