package person

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/drawbridge-id/drawbridge/claims"
	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

func TestFirstSignInMintsPerson(t *testing.T) {
	h := open(t)
	l := login("248289761001", claims.Set{"sub": "248289761001", "name": "Ada Lovelace", "email": "Ada@corp.example", "email_verified": true, "customer_id": json.Number("4711")})
	k, err := h.Resolve(t.Context(), h.org, l)
	if err != nil || !k.New || h.records() != 0 {
		t.Fatalf("Resolve: %+v, %v, %d records", k, err, h.records())
	}
	p, err := h.commit(corp(), k, l)
	if err != nil || p.ID != k.Person.ID {
		t.Fatalf("PlanSignIn: %v, %v", p.ID, err)
	}
	if p.Logins != 1 || !p.LastLogin.Equal(h.clock.Now()) || !p.Created.Equal(h.clock.Now()) || p.Customer != "4711" || p.Name != "Ada Lovelace" {
		t.Errorf("person is %+v", p)
	}
	if p.Email != "Ada@corp.example" || !p.EmailVouched {
		t.Errorf("e-mail %q, vouched %v", p.Email, p.EmailVouched)
	}
	stored, err := h.Get(t.Context(), h.org, p.ID)
	if err != nil || stored.Logins != 1 || stored.Subject != l.Subject || !stored.Claims.Equal(l.Claims) {
		t.Errorf("Get: %+v, %v", stored, err)
	}
	kinds, last := h.log()
	if !slices.Equal(kinds, []federation.ChangeKind{federation.PersonCreated}) || last.Person.ID != p.ID || last.Request.ID != "sign-in" {
		t.Errorf("told %v, %+v", kinds, last)
	}
}

func TestUUIDIsVersion7OfTheEnginesTime(t *testing.T) {
	at := time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)
	id, later := newID(at), newID(at.Add(time.Millisecond))
	if !isID(id) || id[14] != '7' || !strings.ContainsRune("89ab", rune(id[19])) || id >= later {
		t.Errorf("%s, a millisecond later %s", id, later)
	}
	if want := fmt.Sprintf("%012x", at.UnixMilli()); strings.ReplaceAll(id[:13], "-", "") != want {
		t.Errorf("%s does not begin with %s", id, want)
	}
}

func TestNextSignInsCountAndTellNews(t *testing.T) {
	h := open(t)
	bag := func(extra claims.Set) claims.Set {
		all := claims.Set{"sub": "1", "email": "ada@corp.example", "email_verified": true, "iat": json.Number("1"), "nonce": "a"}
		maps.Copy(all, extra)
		return all
	}
	first := h.signIn(corp(), login("1", bag(nil)))
	for _, c := range []struct {
		name string
		bag  claims.Set
		news bool
	}{
		{"the same with other protocol claims", bag(claims.Set{"iat": json.Number("2"), "nonce": "b", "at_hash": "x"}), false},
		{"another department", bag(claims.Set{"department": "navy"}), true},
		{"the same again", bag(claims.Set{"department": "navy"}), false},
		{"another address", bag(claims.Set{"department": "navy", "email": "lovelace@corp.example"}), true},
		{"no longer verified", bag(claims.Set{"department": "navy", "email": "lovelace@corp.example", "email_verified": false}), true},
	} {
		before, _ := h.log()
		h.clock.Advance(time.Hour)
		p := h.signIn(corp(), login("1", c.bag))
		after, _ := h.log()
		if news := len(after) > len(before) && after[len(after)-1] == federation.PersonUpdated; news != c.news {
			t.Errorf("%s: told news %v", c.name, news)
		}
		if p.Updated.Equal(h.clock.Now()) != c.news || !p.LastLogin.Equal(h.clock.Now()) || !p.Created.Equal(first.Created) || p.ID != first.ID {
			t.Errorf("%s: %+v", c.name, p)
		}
	}
	p, err := h.Get(t.Context(), h.org, first.ID)
	if err != nil || p.Logins != 6 || p.Email != "lovelace@corp.example" || p.EmailVouched {
		t.Errorf("in the end: %+v, %v", p, err)
	}
	for address, want := range map[string]int{"ada@corp.example": 0, "lovelace@corp.example": 1} {
		if found, err := h.FindByEmail(t.Context(), h.org, address); err != nil || len(found) != want {
			t.Errorf("%s finds %d, %v", address, len(found), err)
		}
	}
}

// Subjects are bytes; only the whole triple of tenant, upstream and subject
// makes a person.
func TestAliasesNeverMeet(t *testing.T) {
	h := open(t)
	subjects := []string{
		"123", "123 ", " 123", "0123", "ſub", "sub", "SUB", "a/b", "a", "b", "../x", "\x00", "a\x00b", "\xff\xfe", "\xff\xfd",
		"\uFFFD", "\uFFFD\uFFFD", "é", "e\u0301", strings.Repeat("s", 255), strings.Repeat("s", 256), strings.Repeat("s", 100_000),
	}
	ids := make(map[string]string)
	for _, tenantID := range []string{"default", "other"} {
		h.org = tenant(tenantID)
		for _, upstream := range []string{"corp", "corp/x", "partner"} {
			u := corp(func(u *federation.Upstream) { u.ID = upstream })
			for _, subject := range subjects {
				p := h.signIn(u, federation.Login{Upstream: upstream, Subject: subject, Claims: claims.Set{}})
				who := fmt.Sprintf("%s %s %q", tenantID, upstream, subject)
				if other, taken := ids[p.ID]; taken {
					t.Errorf("%s is %s", who, other)
				}
				ids[p.ID] = who
				again, err := h.ByAlias(t.Context(), h.org, upstream, subject)
				if err != nil || again.ID != p.ID || again.Subject != subject {
					t.Errorf("%s: found %v with subject %q, %v", who, again.ID, again.Subject, err)
				}
				if again := h.signIn(u, federation.Login{Upstream: upstream, Subject: subject}); again.ID != p.ID || again.Logins != 2 || again.Subject != subject {
					t.Errorf("%s signs in again as %+v", who, again)
				}
			}
		}
	}
	for id, who := range ids {
		if _, err := h.Get(t.Context(), h.org, id); (err == nil) != strings.HasPrefix(who, "other ") {
			t.Errorf("tenant other reads %s: %v", who, err)
		}
	}
}

func TestIncompleteLoginsAreRefused(t *testing.T) {
	h := open(t)
	for _, l := range []federation.Login{{}, {Upstream: "corp"}, {Subject: "1"}} {
		if _, err := h.Resolve(t.Context(), h.org, l); err == nil {
			t.Errorf("resolved %+v", l)
		}
	}
	k, err := h.Resolve(t.Context(), h.org, login("1", nil))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.commit(corp(), k, login("2", nil)); err == nil {
		t.Error("signed in with another's login")
	}
	partner := corp(func(u *federation.Upstream) { u.ID = "partner" })
	if _, err := h.commit(partner, k, login("1", nil)); err == nil {
		t.Error("signed in through another upstream")
	}
}

func TestReadersOfNonsense(t *testing.T) {
	h := open(t)
	p := h.signIn(corp(), login("1", claims.Set{}))
	for _, id := range []string{"", ".", "..", "x", strings.ToUpper(p.ID), "{" + p.ID + "}", "urn:uuid:" + p.ID, p.ID + "\x00", strings.Repeat("0", 1<<20)} {
		if _, err := h.Get(t.Context(), h.org, id); !errors.Is(err, ErrNotFound) {
			t.Errorf("Get(%.40q): %v", id, err)
		}
	}
	if _, err := h.ByAlias(t.Context(), h.org, "corp", "2"); !errors.Is(err, ErrNotFound) {
		t.Errorf("ByAlias: %v", err)
	}
}

// Of many first sign-ins at once one makes the person; nobody is lost or twice.
func TestRaceToBeFirst(t *testing.T) {
	h := open(t)
	const rivals = 50
	got := make([]federation.Person, rivals)
	var wg sync.WaitGroup
	for i := range rivals {
		wg.Go(func() {
			p, err := h.trySignIn(corp(), login("1", claims.Set{"email": "ada@corp.example"}))
			if err != nil {
				t.Errorf("sign-in: %v", err)
			}
			got[i] = p
		})
	}
	wg.Wait()
	p, err := h.Get(t.Context(), h.org, got[0].ID)
	if err != nil || p.Logins != rivals {
		t.Errorf("%d sign-ins counted, %v", p.Logins, err)
	}
	for _, other := range got {
		if other.ID != p.ID {
			t.Errorf("two persons: %s and %s", other.ID, p.ID)
		}
	}
	if kinds, _ := h.log(); len(kinds) != 1 {
		t.Errorf("told %v", kinds)
	}
}

// Whoever was resolved before somebody else came or went hears of it.
func TestMoved(t *testing.T) {
	h := open(t)
	l := login("1", claims.Set{})
	mine, err := h.Resolve(t.Context(), h.org, l)
	if err != nil {
		t.Fatal(err)
	}
	theirs := h.signIn(corp(), l)
	if _, err := h.commit(corp(), mine, l); !errors.Is(err, ErrMoved) {
		t.Errorf("a second first sign-in: %v", err)
	}
	known, err := h.Resolve(t.Context(), h.org, l)
	if err != nil || known.New || known.Person.ID != theirs.ID {
		t.Fatalf("Resolve: %+v, %v", known, err)
	}
	if err := h.Delete(t.Context(), h.org, theirs.ID, federation.Request{}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.commit(corp(), known, l); !errors.Is(err, ErrMoved) {
		t.Errorf("sign-in of somebody deleted: %v", err)
	}
	again := h.signIn(corp(), l)
	if again.ID == theirs.ID || again.Logins != 1 {
		t.Errorf("came back as %s with %d sign-ins", again.ID, again.Logins)
	}
	if _, err := h.commit(corp(), known, l); !errors.Is(err, ErrMoved) {
		t.Errorf("sign-in as somebody deleted when another has come: %v", err)
	}
}

func TestBlockedPersonsDoNotSignIn(t *testing.T) {
	h := open(t)
	p := h.signIn(corp(), login("1", claims.Set{}))
	row, err := h.read(t.Context(), h.org, p.ID)
	if err != nil {
		t.Fatal(err)
	}
	p.Blocked = true
	if _, err := h.eng.Commit(t.Context(), h.people.Replace(h.org.Place, p.ID, recordOf(p), row.Version, time.Time{})); err != nil {
		t.Fatal(err)
	}
	_, err = h.trySignIn(corp(), login("1", claims.Set{"name": "new"}))
	if e, ok := errors.AsType[*federation.Error](err); !ok || e.Code != federation.AccessDenied {
		t.Errorf("signed in: %v", err)
	}
	if after, err := h.Get(t.Context(), h.org, p.ID); err != nil || after.Logins != 1 || after.Name != "" {
		t.Errorf("afterwards: %+v, %v", after, err)
	}
}

func TestSealedPersonsAreUnreadableAtRest(t *testing.T) {
	h := open(t)
	sealer, err := store.NewSealer([]store.SealingKey{{ID: "k", Key: make([]byte, 32)}})
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := New(Options{Engine: h.eng, Sealer: sealer, EndSessions: h.endSessions})
	if err != nil {
		t.Fatal(err)
	}
	plain := h.Manager
	h.Manager = sealed
	p := h.signIn(corp(), login("1", claims.Set{"sub": "1", "email": "ada@corp.example", "name": "Ada Lovelace"}))
	if _, err := plain.Get(t.Context(), h.org, p.ID); !errors.Is(err, store.ErrSealed) {
		t.Errorf("read without the key: %v", err)
	}
	for _, kind := range []string{"person", "person.alias", "person.email", "person.customer"} {
		recs, err := h.eng.Scan(t.Context(), store.Range{Kind: kind, Limit: 10})
		if err != nil || len(recs) != 1 {
			t.Fatalf("%s: %d records, %v", kind, len(recs), err)
		}
		if all := recs[0].Key.ID + string(recs[0].Value); strings.Contains(all, "corp.example") || strings.Contains(all, "Ada") {
			t.Errorf("%s tells %q", kind, all)
		}
	}
}

func TestSeveralPersonsAreReadAtOnce(t *testing.T) {
	h := open(t)
	a := h.signIn(corp(), login("a", claims.Set{"name": "Ada"}))
	b := h.signIn(corp(), login("b", claims.Set{"name": "Bob"}))
	found, err := h.All(t.Context(), h.org, a.ID, "nobody", b.ID, a.ID, uuid.NewString())
	if err != nil || len(found) != 2 || found[a.ID].Name != "Ada" || found[b.ID].Name != "Bob" {
		t.Errorf("%v: %v", found, err)
	}
	if none, err := h.All(t.Context(), h.org); err != nil || len(none) != 0 {
		t.Errorf("nobody was asked for, and %v, %v found", none, err)
	}
}
