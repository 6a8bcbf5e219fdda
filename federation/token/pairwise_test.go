package token

import (
	"errors"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

// again is another node, or the same one after a restart.
func (h *house) again() *Issuer {
	h.t.Helper()
	i, err := New(Options{Engine: h.engine, Sealer: h.sealer, Keyring: h.keys, Sessions: h.sessions, Persons: h.people, Lifetimes: func() Lifetimes { return h.lives }})
	if err != nil {
		h.t.Fatal(err)
	}
	return i
}

func TestPairwise(t *testing.T) {
	h := newHouse(t)
	sub := func(i *Issuer, org federation.Tenant, sector, person string) string {
		t.Helper()
		s, err := i.Pairwise(t.Context(), org, sector, person)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	const alice, bob = "0190c0de-0000-7000-8000-000000000001", "0190c0de-0000-7000-8000-000000000002"
	first := sub(h.issuer, h.tenant, "shop.example", alice)
	if !regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`).MatchString(first) || strings.Contains(first, alice) {
		t.Errorf("sub %q", first)
	}
	others := map[string]string{
		"another sector": sub(h.issuer, h.tenant, "news.example", alice), "another person": sub(h.issuer, h.tenant, "shop.example", bob),
		"another tenant": sub(h.issuer, h.other, "shop.example", alice), "the parts moved": sub(h.issuer, h.tenant, "shop.exampl", "e"+alice),
	}
	for what, other := range others {
		if other == first {
			t.Errorf("%s has the same sub", what)
		}
	}
	if sub(h.issuer, h.tenant, "shop.example", alice) != first || sub(h.again(), h.tenant, "shop.example", alice) != first {
		t.Error("the sub does not last")
	}
	h.clock.advance(365 * 24 * time.Hour) // keys rotate, this does not
	if sub(h.issuer, h.tenant, "shop.example", alice) != first || sub(h.again(), h.tenant, "shop.example", alice) != first {
		t.Error("the sub changes with time")
	}
	for _, bad := range [][2]string{{"", alice}, {"shop.example", ""}, {"a\x00b", alice}} {
		if s, err := h.issuer.Pairwise(t.Context(), h.tenant, bad[0], bad[1]); err == nil {
			t.Errorf("%q gives %q", bad, s)
		}
	}
}

// Nodes that need it for the first time at once end with one salt, which reading
// the store does not give away.
func TestPairwiseSaltIsOne(t *testing.T) {
	h := newHouse(t)
	var wg sync.WaitGroup
	subs := make([]string, 16)
	for n := range subs {
		node := h.again()
		wg.Go(func() {
			var err error
			if subs[n], err = node.Pairwise(t.Context(), h.tenant, "shop.example", "p"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, s := range subs {
		if s != subs[0] || s == "" {
			t.Fatalf("%q", subs)
		}
	}
	rec, err := h.engine.Get(t.Context(), h.tenant.Place.Key(saltKind, saltID))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(rec.Value), "salt") {
		t.Errorf("the salt is not sealed: %q", rec.Value)
	}
}

// A store that has lost the salt is given it back; one that does not answer is an
// error where the salt is not known, and none for a while where it is.
func TestPairwiseSaltIsNotLost(t *testing.T) {
	h := newHouse(t)
	before, err := h.issuer.Pairwise(t.Context(), h.tenant, "s", "p")
	if err != nil {
		t.Fatal(err)
	}
	down := errors.New("the store is down")
	h.engine.arm(nil, func(k store.Key) error {
		if k.Kind == saltKind {
			return down
		}
		return nil
	})
	if _, err := h.again().Pairwise(t.Context(), h.tenant, "s", "p"); !errors.Is(err, down) {
		t.Errorf("error %v", err)
	}
	if now, err := h.issuer.Pairwise(t.Context(), h.tenant, "s", "p"); err != nil || now != before {
		t.Errorf("%q, %v", now, err)
	}
	h.clock.advance(2 * saltTrust)
	if _, err := h.issuer.Pairwise(t.Context(), h.tenant, "s", "p"); !errors.Is(err, down) {
		t.Errorf("error %v", err)
	}
	h.engine.arm(nil, nil)
	if _, err := h.engine.Commit(t.Context(), store.Drop(h.tenant.Place.Key(saltKind, saltID))); err != nil {
		t.Fatal(err)
	}
	if now, err := h.issuer.Pairwise(t.Context(), h.tenant, "s", "p"); err != nil || now != before {
		t.Errorf("who knew it: %q, %v", now, err)
	}
	if now, err := h.again().Pairwise(t.Context(), h.tenant, "s", "p"); err != nil || now != before {
		t.Errorf("another node: %q, %v", now, err)
	}
}
