package token

import (
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

// entries is how many families the index by person has.
func (h *house) entries(person string) int {
	h.t.Helper()
	rows, err := h.issuer.byPerson.Scan(h.t.Context(), h.tenant.PlaceOf(person), person+"/", "", 100)
	if err != nil {
		h.t.Fatal(err)
	}
	return len(rows)
}

func TestEndGrants(t *testing.T) {
	for _, spreads := range []bool{false, true} {
		h := newHouse(t)
		if spreads {
			spread(h)
		}
		offline := func(g *federation.Grant) { g.Offline = true }
		bound, g := h.tokens()
		away, _ := h.tokens(offline)
		who := g.Person
		somebody, _ := h.tokens(offline, func(g *federation.Grant) { g.Person, g.Subject = "ada", "ada" })
		if h.entries(who) != 2 || h.entries("ada") != 1 {
			t.Fatalf("%d and %d entries", h.entries(who), h.entries("ada"))
		}
		if has, err := h.issuer.HasGrants(t.Context(), h.tenant, who, "blog"); err != nil || has {
			t.Errorf("another client has grants: %v", err)
		}
		if n, err := h.issuer.EndGrants(t.Context(), h.tenant, who, "blog"); err != nil || n != 0 {
			t.Errorf("ended %d, %v", n, err)
		}
		if n, err := h.issuer.EndGrants(t.Context(), h.tenant, who, ""); err != nil || n != 1 {
			t.Errorf("ended %d, %v", n, err)
		}
		if h.live(away.AccessToken) || !h.live(bound.AccessToken) || !h.live(somebody.AccessToken) {
			t.Error("what outlives a session does not end, or something else does")
		}
		if n, err := h.issuer.EndGrants(t.Context(), h.tenant, who, "shop"); err != nil || n != 1 || h.live(bound.AccessToken) || h.entries(who) != 0 {
			t.Errorf("ended %d, %v", n, err)
		}
		for _, tok := range []string{bound.RefreshToken, away.RefreshToken} {
			_, err := h.refresh(tok)
			wantCode(t, err, federation.InvalidGrant)
		}
		if _, err := h.refresh(somebody.RefreshToken); err != nil {
			t.Errorf("another person's tokens: %v", err)
		}
		if n, err := h.issuer.EndGrants(t.Context(), h.tenant, who, "shop"); err != nil || n != 0 {
			t.Errorf("ended %d once more, %v", n, err)
		}
	}
}

// TestFamiliesLeaveTheIndex when they are revoked, and not before they end.
func TestFamiliesLeaveTheIndex(t *testing.T) {
	h := newHouse(t)
	out, g := h.tokens()
	if err := h.issuer.Revoke(t.Context(), h.tenant, h.verified(shop()), out.RefreshToken, ""); err != nil || h.entries(g.Person) != 0 {
		t.Errorf("%d entries after a revocation, %v", h.entries(g.Person), err)
	}
	out, _ = h.tokens(func(g *federation.Grant) { g.Offline = true })
	for range 4 { // as long as an offline grant can last
		h.clock.advance(h.lives.RefreshIdle - 9*24*time.Hour)
		next, err := h.refresh(out.RefreshToken)
		if err != nil || h.entries(g.Person) != 1 {
			t.Fatalf("%d entries, %v", h.entries(g.Person), err)
		}
		out = next
	}
	h.clock.advance(h.lives.RefreshMax)
	if h.entries(g.Person) != 0 {
		t.Error("the entry outlives the family for ever")
	}
}

// TestAnOlderVersionsFamilyIsEntered when it is refreshed.
func TestAnOlderVersionsFamilyIsEntered(t *testing.T) {
	h := newHouse(t)
	out, g := h.tokens()
	shown, _ := parseRefresh(out.RefreshToken)
	row, err := h.issuer.families.Get(t.Context(), shown.handle.Place, shown.handle.ID())
	if err != nil {
		t.Fatal(err)
	}
	old := row.Value
	old.Listed = time.Time{}
	if _, err := h.engine.Commit(t.Context(), h.issuer.families.Replace(row.Place, row.ID, old, row.Version, row.Expires),
		h.issuer.byPerson.Drop(row.Place, g.Person+"/"+row.ID)); err != nil {
		t.Fatal(err)
	}
	writes := func() (n int) {
		h.engine.arm(nil, nil)
		next, err := h.refresh(out.RefreshToken)
		if err != nil {
			t.Fatal(err)
		}
		out = next
		recs, err := h.engine.Scan(t.Context(), store.Range{Kind: "token.person", Prefix: "acme/", Limit: 10})
		if err != nil || len(recs) != 1 || !strings.Contains(recs[0].Key.Local(), row.ID) {
			t.Fatalf("%d entries, %v", len(recs), err)
		}
		return int(recs[0].Version)
	}
	if first, second := writes(), writes(); first != second {
		t.Error("every refresh writes the entry anew")
	}
}
