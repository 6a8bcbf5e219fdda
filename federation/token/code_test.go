package token

import (
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

func TestCodeInTime(t *testing.T) {
	whole := newHouse(t)
	for name, c := range map[string]struct {
		after time.Duration
		want  federation.Code
	}{
		"last moment": {time.Minute - time.Microsecond, ""},
		"expired":     {time.Minute, federation.InvalidGrant},
		"long gone":   {time.Hour, federation.InvalidGrant},
	} {
		t.Run(name, func(t *testing.T) {
			h := whole.in(t)
			code, _ := h.signIn(h.grant(), pkce())
			h.clock.advance(c.after)
			_, err := h.issuer.Redeem(t.Context(), h.tenant, h.verified(shop()), redemption(code))
			wantCode(t, err, c.want)
		})
	}
}

// TestReplay: a spent code is refused ever after, and revokes all that came of
// it for as long as its tombstone is there.
func TestReplay(t *testing.T) {
	whole := newHouse(t)
	for _, c := range []struct {
		after time.Duration
		kills bool
	}{
		{0, true},
		{time.Second, true},
		{30 * time.Second, true},
		{2*time.Minute + 59*time.Second, true},
		{9 * time.Minute, true},
		{time.Hour, false}, // the tombstone is gone; the session's cookie is, too
	} {
		t.Run(c.after.String(), func(t *testing.T) {
			h := whole.in(t)
			code, g := h.signIn(h.grant(), pkce())
			first, err := h.issuer.Redeem(t.Context(), h.tenant, h.verified(shop()), redemption(code))
			if err != nil {
				t.Fatal(err)
			}
			// An access token of a later generation goes as well.
			second, err := h.refresh(first.RefreshToken)
			if err != nil {
				t.Fatal(err)
			}
			for waited := time.Duration(0); waited < c.after; waited += 10 * time.Minute {
				h.clock.advance(min(c.after-waited, 10*time.Minute))
				if held, err := h.sessions.Live(t.Context(), h.tenant, g.Session); err == nil {
					if err := h.sessions.Touch(t.Context(), h.tenant, held); err != nil {
						t.Fatal(err)
					}
				}
			}
			_, err = h.issuer.Redeem(t.Context(), h.tenant, h.verified(shop()), redemption(code))
			wantCode(t, err, federation.InvalidGrant)
			if c.kills && (h.live(first.AccessToken) || h.live(second.AccessToken)) {
				t.Error("an access token survived the replay")
			}
			_, err = h.refresh(second.RefreshToken)
			if c.kills != (codeOf(err) == federation.InvalidGrant) {
				t.Errorf("refresh after the replay: %v", err)
			}
		})
	}
}

// TestTombstoneOutlivesShortTokens: two minutes at least, however short the
// access token's life is.
func TestTombstoneOutlivesShortTokens(t *testing.T) {
	h := newHouse(t)
	h.lives.Access = time.Second
	code, _ := h.signIn(h.grant(), pkce())
	out, err := h.issuer.Redeem(t.Context(), h.tenant, h.verified(shop()), redemption(code))
	if err != nil {
		t.Fatal(err)
	}
	h.clock.advance(h.lives.Code + tombstoneLife - time.Second)
	_, err = h.issuer.Redeem(t.Context(), h.tenant, h.verified(shop()), redemption(code))
	wantCode(t, err, federation.InvalidGrant)
	_, err = h.refresh(out.RefreshToken)
	wantCode(t, err, federation.InvalidGrant)
}

// TestCodeExpiresOnTheWay: the clock is looked at once more where it counts.
func TestCodeExpiresOnTheWay(t *testing.T) {
	h := newHouse(t)
	code, _ := h.signIn(h.grant(), pkce())
	h.clock.advance(time.Minute - time.Second)
	h.engine.arm(nil, func(k store.Key) error {
		if k.Kind == "session" {
			h.clock.advance(time.Second)
		}
		return nil
	})
	_, err := h.issuer.Redeem(t.Context(), h.tenant, h.verified(shop()), redemption(code))
	wantCode(t, err, federation.InvalidGrant)
}

// TestTombstoneHoldsNoGrant: what was said of the user is not kept with it.
func TestTombstoneHoldsNoGrant(t *testing.T) {
	h := newHouse(t)
	code, _ := h.signIn(h.grant(), pkce())
	if _, err := h.issuer.Redeem(t.Context(), h.tenant, h.verified(shop()), redemption(code)); err != nil {
		t.Fatal(err)
	}
	handle, _ := federation.ParseHandle(code)
	row, err := h.issuer.codes.Get(t.Context(), h.tenant.Place, handle.ID())
	if err != nil {
		t.Fatal(err)
	}
	if row.Value.Grant != nil || row.Value.Spent == nil {
		t.Errorf("the tombstone is %+v", row.Value)
	}
}

// TestVerifierKeepsToItsGrammar, also where its hash would match.
func TestVerifierKeepsToItsGrammar(t *testing.T) {
	for _, v := range []string{"short", strings.Repeat("a", 42), strings.Repeat("a", 129), strings.Repeat("a", 43) + "=", strings.Repeat("a", 43) + " ", strings.Repeat("ä", 43)} {
		b := CodeBinding{Challenge: challengeOf(v), ChallengeMethod: "S256"}
		if _, ok := b.proves(Redemption{Verifier: v}, true); ok {
			t.Errorf("verifier %q is taken", v)
		}
	}
	for _, v := range []string{strings.Repeat("~", 43), strings.Repeat("-._~", 32)} {
		b := CodeBinding{Challenge: challengeOf(v), ChallengeMethod: "S256"}
		if why, ok := b.proves(Redemption{Verifier: v}, true); !ok {
			t.Errorf("verifier %q: %s", v, why)
		}
	}
}

func TestCodeDiesWithItsSession(t *testing.T) {
	h := newHouse(t)
	code, g := h.signIn(h.grant(), pkce())
	if err := h.sessions.End(t.Context(), h.tenant, g.Session, federation.Logout, federation.Request{}); err != nil {
		t.Fatal(err)
	}
	_, err := h.issuer.Redeem(t.Context(), h.tenant, h.verified(shop()), redemption(code))
	wantCode(t, err, federation.InvalidGrant)

	offline := h.grant()
	offline.Offline = true
	code, g = h.signIn(offline, pkce())
	if err := h.sessions.End(t.Context(), h.tenant, g.Session, federation.Logout, federation.Request{}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.issuer.Redeem(t.Context(), h.tenant, h.verified(shop()), redemption(code)); err != nil {
		t.Errorf("an offline grant: %v", err)
	}
}

func TestPlanCodeRefuses(t *testing.T) {
	h := newHouse(t)
	good := h.grant()
	good.Session = "sid"
	for name, c := range map[string]struct {
		grant   func(*federation.Grant)
		binding CodeBinding
		place   store.Place
	}{
		"plain challenge":      {binding: CodeBinding{Challenge: challengeOf(verifier), ChallengeMethod: "plain"}},
		"method left out":      {binding: CodeBinding{Challenge: challengeOf(verifier)}},
		"method in lower case": {binding: CodeBinding{Challenge: challengeOf(verifier), ChallengeMethod: "s256"}},
		"method alone":         {binding: CodeBinding{ChallengeMethod: "S256"}},
		"short challenge":      {binding: CodeBinding{Challenge: "abc", ChallengeMethod: "S256"}},
		"padded challenge":     {binding: CodeBinding{Challenge: challengeOf(verifier) + "=", ChallengeMethod: "S256"}},
		"challenge with break": {binding: CodeBinding{Challenge: challengeOf(verifier) + "\n", ChallengeMethod: "S256"}},
		"another place":        {place: store.Place{Tenant: "rival"}},
		"another tenant":       {grant: func(g *federation.Grant) { g.Tenant = "rival" }},
		"no client":            {grant: func(g *federation.Grant) { g.Client = "" }},
		"no person":            {grant: func(g *federation.Grant) { g.Person = "" }},
		"no subject":           {grant: func(g *federation.Grant) { g.Subject = "" }},
		"no session":           {grant: func(g *federation.Grant) { g.Session = "" }},
	} {
		t.Run(name, func(t *testing.T) {
			g, place := good, h.tenant.Place
			if c.grant != nil {
				c.grant(&g)
			}
			if c.place != (store.Place{}) {
				place = c.place
			}
			if ops, err := h.issuer.PlanCode(t.Context(), h.tenant, Permit{grant: g}, c.binding, federation.NewHandle(place)); err == nil {
				t.Errorf("planned %d operations", len(ops))
			}
		})
	}
}
