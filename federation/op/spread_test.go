package op_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/upstream/upstreamtest"
)

// spread is a setup whose tenants are spread by person.
func spread(s *setup) { s.over = store.Layout{Partitions: 16} }

// as has the next sign-ins be somebody's.
func (h *house) as(subject string) {
	h.corp.Set(upstreamtest.Knobs{Subject: subject, Claims: map[string]any{"email": subject + "@corp.example", "email_verified": true}})
}

// Persons of a spread tenant sign in, are found, refresh, consent, sign out and
// are deleted as those of any other; what is told of each is in one log.
func TestJourneysOfSpreadPersons(t *testing.T) {
	h := open(t, spread)
	shop, ask := h.party("default", "shop"), h.party("default", "ask")
	org := h.tenant("default")
	used := map[store.Partition]bool{}
	for i := range 12 {
		who := fmt.Sprint("user", i)
		h.as(who)
		b := h.browser()
		got := shop.signIn(b)
		id := shop.claims(got.ID)
		sub, _ := id["sub"].(string)
		at := org.PlaceOf(sub).Partition
		used[at] = true
		if info := shop.userinfo(got.Access); info["sub"] != sub || info["email"] != who+"@corp.example" {
			t.Errorf("userinfo %v", info)
		}
		if found, err := h.persons.FindByEmail(t.Context(), org, who+"@corp.example"); err != nil || len(found) != 1 || found[0].ID != sub {
			t.Errorf("by address: %v, %v", found, err)
		}
		next := shop.refresh(got.Refresh)
		if next.status != 200 || shop.claims(next.ID)["sid"] != id["sid"] {
			t.Fatalf("%+v", next)
		}
		asked := b.get(ask.ask()).shows(t, "consent", 200)
		agreed := ask.redeem(ask.code(b.press(asked, "allow")))
		ask.signIn(b, "prompt", "none") // the consent is found again
		if i%2 == 0 {
			b.get(shop.bye("id_token_hint", got.ID)).shows(t, "signed-out", 200)
		} else if err := h.persons.Delete(t.Context(), org, sub, federation.Request{}); err != nil {
			t.Fatal(err)
		}
		if shop.live(next.Access) || ask.live(agreed.Access) || shop.refresh(next.Refresh).Error != "invalid_grant" {
			t.Error("tokens live on")
		}
		for _, kind := range []federation.ChangeKind{federation.PersonCreated, federation.SessionBegan, federation.SignedIn, federation.SessionEnded} {
			for _, e := range h.events(kind) {
				if e.Person == sub && e.At != at {
					t.Errorf("%s of %s is told in partition %d", kind, sub, e.At)
				}
			}
		}
	}
	if len(used) < 5 || len(h.events(federation.SessionEnded)) != 12 || len(h.events(federation.PersonDeleted)) != 6 {
		t.Errorf("%d partitions, %d ends", len(used), len(h.events(federation.SessionEnded)))
	}
}

// Another person signs in on the same browser: the first one's session ends with
// DESTROY, wherever the two live.
func TestAnotherSpreadPersonOnTheSameBrowser(t *testing.T) {
	h := open(t, spread)
	shop, b, org := h.party("default", "shop"), h.browser(), h.tenant("default")
	var last tokens
	near, far := 0, 0
	var before string
	for i := range 24 {
		h.as(fmt.Sprint("user", i))
		got := shop.signIn(b, "prompt", "login")
		sub, _ := shop.claims(got.ID)["sub"].(string)
		if i > 0 {
			if shop.live(last.Access) {
				t.Fatal("the session of the one before lives on")
			}
			ended := h.events(federation.SessionEnded)
			if len(ended) != i || slices.ContainsFunc(ended, func(e event) bool { return e.Cause != federation.Destroy }) {
				t.Fatalf("%+v", ended)
			}
			if org.PlaceOf(sub) == org.PlaceOf(before) {
				near++
			} else {
				far++
			}
		}
		last, before = got, sub
	}
	if far == 0 {
		t.Error("all live in one partition")
	}
	t.Logf("%d times in the same partition, %d times in another", near, far)
}

// The same person signs in again: the session goes on, in its place.
func TestSpreadSessionGoesOn(t *testing.T) {
	h := open(t, spread)
	shop, b := h.party("default", "shop"), h.browser()
	first := shop.claims(shop.signIn(b).ID)
	second := shop.claims(shop.signIn(b, "prompt", "login").ID)
	if first["sid"] != second["sid"] || len(h.events(federation.SessionEnded)) != 0 {
		t.Errorf("%v, then %v", first["sid"], second["sid"])
	}
}

// A store that fails between the end of one person's session and the beginning
// of another's: nobody is signed in, and trying again is all it takes.
func TestCrashBetweenTwoPersons(t *testing.T) {
	h := open(t, spread)
	shop, b, org := h.party("default", "shop"), h.browser(), h.tenant("default")
	sub := func(got tokens) string {
		text, _ := shop.claims(got.ID)["sub"].(string)
		return text
	}
	h.as("user0")
	first := sub(shop.signIn(b))
	for i, other := 1, first; org.PlaceOf(other) == org.PlaceOf(first); i++ {
		h.as(fmt.Sprint("user", i)) // who signs in elsewhere, and then in this browser
		other = sub(shop.signIn(h.browser()))
	}
	began := len(h.events(federation.SessionBegan))
	back := shop.atCallback(b, "prompt", "login")
	ended := false
	h.engine.arm(func(ops []store.Op) error {
		if ended {
			return errBroken
		}
		ended = ops[0].Key.Kind == "session"
		return nil
	}, nil)
	shop.refused(b.get(back.String()), federation.TemporarilyUnavailable)
	h.engine.arm(nil, nil)
	if len(h.events(federation.SessionEnded)) != 1 || len(h.events(federation.SessionBegan)) != began {
		t.Fatalf("ended %+v, began %+v", h.events(federation.SessionEnded), h.events(federation.SessionBegan))
	}
	shop.refused(b.get(shop.ask("prompt", "none")), federation.LoginRequired)
	if again := sub(shop.signIn(b)); again == first || len(h.events(federation.SessionEnded)) != 1 {
		t.Errorf("%v", again)
	}
}

// A cookie, a code or a token that names another partition is nobody's.
func TestForgedPartitionsInTheBrowser(t *testing.T) {
	h := open(t, spread)
	shop, b := h.party("default", "shop"), h.browser()
	got := shop.signIn(b)
	forge := func(text string, p int) string {
		parts := strings.Split(text, ".")
		if parts[1] == strconv.Itoa(p) {
			p = 16 // itself would be no forgery
		}
		parts[1] = strconv.Itoa(p)
		return strings.Join(parts, ".")
	}
	cookie := b.session("default")
	code := shop.code(b.get(shop.ask("prompt", "none")))
	h.unchanged("forged partitions", func() {
		for p := range 18 {
			stranger := h.browser()
			stranger.set(h.URL, "drawbridge-default", forge(cookie, p))
			shop.refused(stranger.get(shop.ask("prompt", "none")), federation.LoginRequired)
			if answer := shop.redeem(forge(code, p)); answer.Error != "invalid_grant" {
				t.Errorf("code in partition %d: %+v", p, answer)
			}
			if answer := shop.refresh(forge(got.Refresh, p)); answer.Error != "invalid_grant" || shop.live(forge(got.Access, p)) {
				t.Errorf("tokens in partition %d: %+v", p, answer)
			}
		}
	})
	if shop.redeem(code).status != http.StatusOK || !shop.live(got.Access) {
		t.Error("the right ones are good no more")
	}
}

// First sign-ins of one person race: there is one person, at one place.
func TestFirstSignInsOfASpreadPersonRace(t *testing.T) {
	h := open(t, spread)
	shop := h.party("default", "shop")
	const n = 12
	browsers, backs, landed := make([]*browser, n), make([]*url.URL, n), make([]landing, n)
	for i := range n {
		browsers[i] = h.browser()
		backs[i] = shop.atCallback(browsers[i])
	}
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { landed[i] = browsers[i].get(backs[i].String()) })
	}
	all.Wait()
	people := map[any]bool{}
	for _, l := range landed {
		people[shop.claims(shop.redeem(shop.code(l)).ID)["sub"]] = true
	}
	found, err := h.persons.FindByEmail(t.Context(), h.tenant("default"), "alice@corp.example")
	if len(people) != 1 || len(h.events(federation.PersonCreated)) != 1 || err != nil || len(found) != 1 || found[0].Logins != n {
		t.Errorf("%d persons, found %v, %v", len(people), found, err)
	}
}

// What the index costs fails: the sign-in is good, and a node that runs brings
// the index about.
func TestSignInWithoutItsIndex(t *testing.T) {
	h := open(t, spread)
	shop := h.party("default", "shop")
	h.engine.arm(func(ops []store.Op) error {
		if ops[0].Key.Kind == "person.email" || ops[0].Key.Kind == "person.customer" {
			return errors.New("the other partition is away")
		}
		return nil
	}, nil)
	got := shop.signIn(h.browser())
	if found, err := h.persons.FindByEmail(t.Context(), h.tenant("default"), "alice@corp.example"); err != nil || len(found) != 0 || !shop.live(got.Access) {
		t.Errorf("found %v, %v", found, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	h.engine.arm(func(ops []store.Op) error {
		if ops[0].Key.Kind == "person.projection" {
			cancel() // the last step; the store need not hear of it
		}
		return nil
	}, nil)
	h.clock.advance(time.Minute)
	must(t, h.persons.Run(ctx))
	if found, err := h.persons.FindByEmail(t.Context(), h.tenant("default"), "alice@corp.example"); err != nil || len(found) != 1 {
		t.Errorf("afterwards is found %v, %v", found, err)
	}
}
