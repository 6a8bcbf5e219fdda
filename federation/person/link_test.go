package person

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/drawbridge-id/drawbridge/claims"
	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

func partner(change ...func(*federation.Upstream)) federation.Upstream {
	return corp(append([]func(*federation.Upstream){func(u *federation.Upstream) { u.ID = "partner" }}, change...)...)
}

func bag(email string) claims.Set { return claims.Set{"email": email, "email_verified": true} }

// from is a login at partner.
func from(subject string, set claims.Set) federation.Login {
	return federation.Login{Upstream: "partner", Subject: subject, Claims: set}
}

// join makes a login of partner's somebody's.
func (h *house) joinTo(p federation.Person, l federation.Login) (federation.Person, error) {
	h.t.Helper()
	found, j, err := h.Candidate(h.t.Context(), h.org, partner(), l)
	if err != nil || found.ID != p.ID {
		h.t.Fatalf("candidate %q, %v", found.ID, err)
	}
	return h.commit(partner(), Into(found, j), l)
}

func TestCandidate(t *testing.T) {
	for name, c := range map[string]struct {
		first, second string
		unsure        bool // the second upstream does not call it verified
		more          []string
		change        func(*federation.Upstream)
		want          bool
	}{
		"the same":                 {first: "ada@corp.example", second: "ada@corp.example", want: true},
		"other case":               {first: "Ada@corp.example", second: "aDA@CORP.example", want: true},
		"another":                  {first: "ada@corp.example", second: "eve@corp.example"},
		"a dot and a plus differ":  {first: "ada.l@corp.example", second: "adal+x@corp.example"},
		"a letter that looks so":   {first: "ada@corp.example", second: "аda@corp.example"},
		"a sign that folds so":     {first: "kim@corp.example", second: "\u212Aim@corp.example"},
		"a sign that was folded":   {first: "\u212Aim@corp.example", second: "kim@corp.example"},
		"a domain as its A-label":  {first: "ada@bücher.example", second: "ada@xn--bcher-kva.example", want: true, change: anyMail},
		"a domain that looks so":   {first: "ada@corp.example", second: "ada@соrp.example", change: anyMail},
		"not verified":             {first: "ada@corp.example", second: "ada@corp.example", unsure: true},
		"outside of its domains":   {first: "ada@corp.example", second: "ada@corp.example", change: func(u *federation.Upstream) { u.Domains = nil }},
		"not vouched for at first": {first: "ada@else.example", second: "ada@else.example", change: anyMail},
		"two have it":              {first: "ada@corp.example", second: "ada@corp.example", more: []string{"ada@corp.example"}},
		"none":                     {first: "ada@corp.example", second: ""},
		"no address":               {first: "ada@corp.example", second: "ada"},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			first := corp()
			if c.change != nil && name != "not vouched for at first" {
				c.change(&first)
				first.Domains = []string{"corp.example"}
			}
			p := h.signIn(first, login("1", bag(c.first)))
			for _, m := range c.more {
				h.signIn(first, login("2", bag(m)))
			}
			second := partner()
			if c.change != nil {
				c.change(&second)
			}
			set := bag(c.second)
			set["email_verified"] = !c.unsure
			found, j, err := h.Candidate(t.Context(), h.org, second, from("p", set))
			if got := err == nil; got != c.want || got && (found.ID != p.ID || j.Upstream != "partner" || j.Subject != "p") || !got && !errors.Is(err, ErrNotFound) {
				t.Errorf("%v %+v %v", found.ID, j, err)
			}
			other := tenant("other")
			if _, _, err := h.Candidate(t.Context(), other, second, from("p", set)); !errors.Is(err, ErrNotFound) {
				t.Errorf("found from another tenant: %v", err)
			}
		})
	}
}

func anyMail(u *federation.Upstream) { u.TrustAnyEmail = true }

// A login that was added leads to its person, in one commit with the sign-in, and
// leaves to the first upstream to say who that is.
func TestJoin(t *testing.T) {
	h := open(t)
	p := h.signIn(corp(), login("1", claims.Set{"email": "ada@corp.example", "email_verified": true, "name": "Ada", "secret": "of corp"}))
	l := from("p", claims.Set{"email": "Ada@corp.example", "email_verified": true, "name": "Mallory", "customer_id": "9"})
	is, err := h.joinTo(p, l)
	if err != nil || is.ID != p.ID || is.Name != "Ada" || is.Email != "ada@corp.example" || is.Logins != 2 || len(is.Links) != 1 {
		t.Fatalf("%+v %v", is, err)
	}
	if kinds, last := h.log(); !slices.Equal(kinds, []federation.ChangeKind{federation.PersonCreated, federation.LoginAdded}) || last.Person.ID != p.ID {
		t.Errorf("told %v", kinds)
	}
	again := h.signIn(partner(), from("p", bag("changed@corp.example")))
	if again.ID != p.ID || again.Email != "ada@corp.example" || again.Logins != 3 || again.Links[0].Claims["email"] != "changed@corp.example" {
		t.Errorf("%+v", again)
	}
	if again.ClaimsAt("partner")["secret"] != nil || again.ClaimsAt("corp")["secret"] != "of corp" || again.ClaimsAt("third") != nil {
		t.Error("claims of one upstream are told as another's")
	}
	if by, err := h.ByAlias(t.Context(), h.org, "partner", "p"); err != nil || by.ID != p.ID {
		t.Errorf("by alias %v %v", by.ID, err)
	}
	if _, _, err := h.Candidate(t.Context(), h.org, partner(), from("q", bag("ada@corp.example"))); !errors.Is(err, ErrNotFound) {
		t.Errorf("a second login of one upstream: %v", err)
	}
	if err := h.Delete(t.Context(), h.org, p.ID, federation.Request{}); err != nil || h.records() != 0 {
		t.Errorf("%v, %d records left", err, h.records())
	}
}

// What spoke for it may be no longer so when the commit is made.
func TestJoinIsJudgedInItsCommit(t *testing.T) {
	blocked := func(h *house, p federation.Person) {
		if err := h.Block(t.Context(), h.org, p.ID, federation.Request{}); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		before func(h *house, p federation.Person)
		want   error
		proof  error
	}{
		"nothing":           {before: func(*house, federation.Person) {}},
		"another address":   {before: func(h *house, _ federation.Person) { h.signIn(corp(), login("1", bag("new@corp.example"))) }, want: ErrMoved, proof: nil},
		"somebody's":        {before: func(h *house, _ federation.Person) { h.signIn(partner(), from("p", bag("x@corp.example"))) }, want: ErrMoved, proof: ErrApart},
		"deleted":           {before: func(h *house, p federation.Person) { _ = h.Delete(h.t.Context(), h.org, p.ID, federation.Request{}) }, want: ErrMoved, proof: ErrMoved},
		"blocked":           {before: blocked, want: federation.Fail(federation.AccessDenied, ""), proof: federation.Fail(federation.AccessDenied, "")},
		"added in between":  {before: func(h *house, p federation.Person) { _, _ = h.joinTo(p, from("p", bag("ada@corp.example"))) }, proof: nil},
		"another one there": {before: func(h *house, p federation.Person) { _, _ = h.joinTo(p, from("q", bag("ada@corp.example"))) }, want: ErrMoved, proof: ErrApart},
	} {
		t.Run(name, func(t *testing.T) {
			same := func(err, want error) bool {
				var e, w *federation.Error
				if errors.As(want, &w) {
					return errors.As(err, &e) && e.Code == w.Code
				}
				return errors.Is(err, want) && (want != nil || err == nil)
			}
			h := open(t)
			p := h.signIn(corp(), login("1", bag("ada@corp.example")))
			l := from("p", bag("ada@corp.example"))
			found, j, err := h.Candidate(t.Context(), h.org, partner(), l)
			if err != nil {
				t.Fatal(err)
			}
			c.before(h, p)
			if _, err := h.commit(partner(), Into(found, j), l); !same(err, c.want) {
				t.Errorf("by the address: %v, want %v", err, c.want)
			}

			h = open(t)
			p = h.signIn(corp(), login("1", bag("ada@corp.example")))
			if _, j, err = h.Candidate(t.Context(), h.org, partner(), l); err != nil {
				t.Fatal(err)
			}
			k, err := h.Resolve(t.Context(), h.org, login("1", nil))
			if err != nil {
				t.Fatal(err)
			}
			c.before(h, p)
			is, err := h.commit(corp(), k.With(j), login("1", bag("ada@corp.example")))
			if !same(err, c.proof) || err == nil && len(is.Links) != 1 {
				t.Errorf("by proof: %v, want %v", err, c.proof)
			}
			if _, err := h.commit(corp(), k.With(j), login("1", bag("moved@corp.example"))); name == "nothing" && err != nil {
				t.Errorf("what was added already is not in the way: %v", err)
			}
		})
	}
	h := open(t)
	p := h.signIn(corp(), login("1", bag("ada@corp.example")))
	_, j, err := h.Candidate(t.Context(), h.org, partner(), from("p", bag("ada@corp.example")))
	if err != nil {
		t.Fatal(err)
	}
	k, _ := h.Resolve(t.Context(), h.org, login("1", nil))
	if _, err := h.commit(corp(), k.With(j), login("1", bag("moved@corp.example"))); !errors.Is(err, ErrApart) {
		t.Errorf("the address of the proof is another: %v", err)
	}
	if now, _ := h.Get(t.Context(), h.org, p.ID); len(now.Links) != 0 || now.Logins != 1 {
		t.Errorf("%+v", now)
	}
}

// Two upstreams' first sign-ins at once, and many of one, make no login lead to
// two persons.
func TestJoinsAtOnce(t *testing.T) {
	h := open(t)
	p := h.signIn(corp(), login("1", bag("ada@corp.example")))
	var wg sync.WaitGroup
	got := make([]string, 8)
	for i := range got {
		wg.Go(func() {
			for range 100 {
				l := from("p", bag("ada@corp.example"))
				k, err := h.Resolve(context.Background(), h.org, l)
				if err != nil {
					t.Error(err)
					return
				}
				if found, j, err := h.Candidate(context.Background(), h.org, partner(), l); k.New && err == nil {
					k = Into(found, j)
				}
				is, err := h.commit(partner(), k, l)
				if errors.Is(err, ErrMoved) {
					continue
				}
				if err != nil {
					t.Error(err)
				}
				got[i] = is.ID
				return
			}
		})
	}
	wg.Wait()
	for _, id := range got {
		if id != p.ID {
			t.Errorf("%v, want %s", got, p.ID)
		}
	}
	if n := len(h.all("person")); n != 1 {
		t.Errorf("%d persons", n)
	}
}

func TestUnlink(t *testing.T) {
	of := func(id string) (federation.Upstream, bool) { return partner(), id == "partner" }
	for name, c := range map[string]struct {
		upstream string
		want     error
		stays    string
		told     []federation.ChangeKind
	}{
		"the added one": {upstream: "partner", stays: "corp", told: []federation.ChangeKind{federation.LoginRemoved}},
		"the first one": {upstream: "corp", stays: "partner", told: []federation.ChangeKind{federation.LoginRemoved, federation.PersonUpdated}},
		"none":          {upstream: "third", want: ErrNoLogin},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			p := h.signIn(corp(), login("1", bag("ada@corp.example")))
			if err := h.Unlink(t.Context(), h.org, p.ID, "corp", of, federation.Request{}); !errors.Is(err, ErrLastLogin) {
				t.Errorf("the only one: %v", err)
			}
			set := bag("ada@corp.example")
			set["customer_id"] = "77"
			if _, err := h.joinTo(p, from("p", set)); err != nil {
				t.Fatal(err)
			}
			before, _ := h.log()
			err := h.Unlink(t.Context(), h.org, p.ID, c.upstream, of, federation.Request{CausedBy: "ops"})
			if !errors.Is(err, c.want) || c.want == nil && err != nil {
				t.Fatalf("%v, want %v", err, c.want)
			}
			after, _ := h.log()
			if told := after[len(before):]; !slices.Equal(told, c.told) {
				t.Errorf("told %v, want %v", told, c.told)
			}
			if c.want != nil {
				return
			}
			is, _ := h.Get(t.Context(), h.org, p.ID)
			if is.Upstream != c.stays || len(is.Links) != 0 || is.Barred.IsZero() || len(h.endings) != 1 || len(h.all("person.alias")) != 1 || len(h.all("person.deletion")) != 0 {
				t.Errorf("%+v, ended %v", is, h.endings)
			}
			if is.Honours(federation.Grant{Person: p.ID, At: h.clock.Now()}) {
				t.Error("a grant from before counts")
			}
			if c.stays == "partner" && is.Customer != "77" {
				t.Errorf("customer %q", is.Customer)
			}
			gone := map[string]federation.Login{"corp": login("1", bag("ada@corp.example")), "partner": from("p", bag("ada@corp.example"))}[c.upstream]
			if k, err := h.Resolve(t.Context(), h.org, gone); err != nil || !k.New {
				t.Errorf("the login still leads to %+v, %v", k, err)
			}
			if !Parted(is, Join{Upstream: gone.Upstream, Subject: gone.Subject}) {
				t.Error("that it was taken away is forgotten")
			}
		})
	}
}

// A spread tenant's logins are never added: theirs is another partition.
func TestSpreadTenantsLinkNothing(t *testing.T) {
	h := openOver(t, store.Layout{Partitions: 8})
	h.signIn(corp(), login("1", bag("ada@corp.example")))
	if _, _, err := h.Candidate(t.Context(), h.org, partner(), from("p", bag("ada@corp.example"))); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
}
