package token

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

// spread is the house with its tenant spread over the store's partitions.
func spread(h *house) *house {
	h.tenant.Spread = store.Layout{Partitions: 16}
	return h
}

// at is the text of a handle as if it lived in another partition.
func at(text string, p int) string {
	parts := strings.Split(text, ".")
	parts[1] = strconv.Itoa(p)
	return strings.Join(parts, ".")
}

// Codes, access tokens and families of a spread tenant live with the person,
// and nothing is different for a client.
func TestSpreadTokens(t *testing.T) {
	h := spread(newHouse(t))
	for _, who := range []string{"ada", "eve", "0190c0de-0000-7000-8000-000000000007"} {
		person := func(g *federation.Grant) { g.Person, g.Subject = who, who }
		out, _ := h.tokens(person)
		for _, text := range []string{out.AccessToken, out.RefreshToken[:strings.LastIndexByte(out.RefreshToken[:len(out.RefreshToken)-44], '.')]} {
			handle, ok := parseAccess(text)
			if !ok || handle.Place != h.tenant.PlaceOf(who) {
				t.Fatalf("%s lives at %v, the token says %q", who, h.tenant.PlaceOf(who), text)
			}
		}
		next, err := h.refresh(out.RefreshToken)
		if err != nil || !h.live(next.AccessToken) || !h.live(out.AccessToken) {
			t.Fatalf("refresh: %v", err)
		}
		h.clock.advance(h.lives.RefreshGrace + time.Second)
		if _, err := h.refresh(out.RefreshToken); codeOf(err) != federation.InvalidGrant || h.live(next.AccessToken) || h.live(out.AccessToken) {
			t.Errorf("reused: %v", err)
		}
		if out, _ = h.tokens(person); h.issuer.Revoke(t.Context(), h.tenant, h.verified(shop()), out.RefreshToken, "") != nil || h.live(out.AccessToken) {
			t.Error("revoked, and lives on")
		}
	}
}

// What names another partition than the record's finds nothing, is refused as
// any unknown token is, and changes nothing.
func TestForgedPartitions(t *testing.T) {
	h := spread(newHouse(t))
	unspent, _ := h.signIn(h.grant(), pkce())
	out, g := h.tokens()
	home := int(h.tenant.PlaceOf(g.Person).Partition)
	client := h.verified(shop())
	for _, p := range []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 65535} {
		if p == home {
			continue
		}
		if _, err := h.issuer.Redeem(t.Context(), h.tenant, client, redemption(at(unspent, p))); codeOf(err) != federation.InvalidGrant {
			t.Errorf("code in partition %d: %v", p, err)
		}
		if h.live(at(out.AccessToken, p)) {
			t.Errorf("an access token is good in partition %d", p)
		}
		if _, err := h.refresh(at(out.RefreshToken, p)); codeOf(err) != federation.InvalidGrant {
			t.Errorf("refresh token in partition %d: %v", p, err)
		}
		for _, token := range []string{at(out.AccessToken, p), at(out.RefreshToken, p)} {
			if err := h.issuer.Revoke(t.Context(), h.tenant, client, token, ""); err != nil {
				t.Errorf("revoking in partition %d: %v", p, err)
			}
		}
	}
	if !h.live(out.AccessToken) {
		t.Error("the access token is gone")
	}
	if _, err := h.refresh(out.RefreshToken); err != nil {
		t.Errorf("the refresh token: %v", err)
	}
	if _, err := h.issuer.Redeem(t.Context(), h.tenant, client, redemption(unspent)); err != nil {
		t.Errorf("the code: %v", err)
	}
}

// A partition that the store does not have is refused before the store is asked.
func TestAPartitionThatIsNotThereIsNotRead(t *testing.T) {
	h := spread(newHouse(t))
	out, _ := h.tokens()
	h.engine.arm(nil, nil)
	if h.live(at(out.AccessToken, 16)) {
		t.Error("it is good")
	}
	if _, gets := h.engine.counts(); gets != 0 {
		t.Errorf("%d reads", gets)
	}
}

// A code is not planned where its person does not live.
func TestPlanCodeOfAnotherPlace(t *testing.T) {
	h := spread(newHouse(t))
	g := h.grant()
	g.Session = "sid"
	for _, place := range h.tenant.Places() {
		_, err := h.issuer.PlanCode(t.Context(), h.tenant, Permit{grant: g}, pkce(), federation.NewHandle(place))
		if (err == nil) != (place == h.tenant.PlaceOf(g.Person)) {
			t.Errorf("at %v: %v", place, err)
		}
	}
}
