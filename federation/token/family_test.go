package token

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

func TestGraceAndReuse(t *testing.T) {
	whole := newHouse(t)
	for name, c := range map[string]struct {
		after time.Duration
		// rotations after the one that the old token was rotated by
		more    int
		revokes bool
	}{
		"at once":                    {0, 0, false},
		"last moment of grace":       {10 * time.Second, 0, false},
		"past grace":                 {10*time.Second + time.Microsecond, 0, true},
		"long after":                 {20 * time.Minute, 0, true},
		"two generations behind":     {0, 1, true},
		"hundred generations behind": {0, 100, true},
	} {
		t.Run(name, func(t *testing.T) {
			h := whole.in(t)
			out, _ := h.tokens()
			next, err := h.refresh(out.RefreshToken)
			if err != nil {
				t.Fatal(err)
			}
			newest := next
			for range c.more {
				if newest, err = h.refresh(newest.RefreshToken); err != nil {
					t.Fatal(err)
				}
			}
			h.clock.advance(c.after)
			got, err := h.refresh(out.RefreshToken)
			if !c.revokes {
				if err != nil || got.RefreshToken != next.RefreshToken || !h.live(got.AccessToken) {
					t.Fatalf("within grace: %v", err)
				}
				if _, err := h.refresh(got.RefreshToken); err != nil {
					t.Errorf("the lineage does not go on: %v", err)
				}
				return
			}
			wantCode(t, err, federation.InvalidGrant)
			if h.live(next.AccessToken) || h.live(newest.AccessToken) {
				t.Error("an access token survived the reuse")
			}
			_, err = h.refresh(newest.RefreshToken)
			wantCode(t, err, federation.InvalidGrant)
		})
	}
}

// TestStorePutBack: a token from after the backup is nobody's fault, and does
// not revoke what the backup knows.
func TestStorePutBack(t *testing.T) {
	h := newHouse(t)
	out, _ := h.tokens()
	shown, _ := parseRefresh(out.RefreshToken)
	row, err := h.issuer.families.Get(t.Context(), h.tenant.Place, shown.handle.ID())
	if err != nil {
		t.Fatal(err)
	}
	later := row.Value
	later.Generation = 5
	_, err = h.refresh(later.token(shown.handle))
	wantCode(t, err, federation.InvalidGrant)
	if _, err := h.refresh(out.RefreshToken); err != nil {
		t.Error(err)
	}
}

func TestRefreshAndSession(t *testing.T) {
	h := newHouse(t)
	bound, g := h.tokens()
	offline, og := h.tokens(func(g *federation.Grant) { g.Offline = true })
	for _, sid := range []string{g.Session, og.Session} {
		if err := h.sessions.End(t.Context(), h.tenant, sid, federation.Destroy, federation.Request{}); err != nil {
			t.Fatal(err)
		}
	}
	_, err := h.refresh(bound.RefreshToken)
	wantCode(t, err, federation.InvalidGrant)
	if h.live(bound.AccessToken) {
		t.Error("a bound access token outlived its session")
	}
	if !h.live(offline.AccessToken) {
		t.Error("logging out killed an offline access token")
	}
	_, err = h.issuer.Refresh(t.Context(), h.tenant, h.verified(shop()), RefreshRequest{Token: offline.RefreshToken},
		func(_ context.Context, g federation.Grant, on Grounds) (federation.Grant, error) {
			if on.Session.ID != "" {
				t.Error("an offline grant was renewed with a session")
			}
			return g, nil
		})
	if err != nil {
		t.Errorf("logging out killed an offline grant: %v", err)
	}
}

// TestRefreshIsActivity: a session that is refreshed does not idle out, and one
// that nobody asks for does.
func TestRefreshIsActivity(t *testing.T) {
	h := newHouse(t)
	out, _ := h.tokens()
	token := out.RefreshToken
	for range 4 {
		h.clock.advance(20 * time.Minute)
		next, err := h.refresh(token)
		if err != nil {
			t.Fatal(err)
		}
		token = next.RefreshToken
	}
	h.clock.advance(30 * time.Minute)
	_, err := h.refresh(token)
	wantCode(t, err, federation.InvalidGrant)
}

func TestRefreshLifetimes(t *testing.T) {
	day := 24 * time.Hour
	for name, c := range map[string]struct {
		steps []time.Duration
		good  bool
	}{
		"idle":              {[]time.Duration{30 * day}, false},
		"just not idle":     {[]time.Duration{30*day - time.Second}, true},
		"kept in use":       {[]time.Duration{29 * day, 29 * day, 29 * day}, true},
		"at the maximum":    {[]time.Duration{29 * day, 29 * day, 29 * day, 3 * day}, false},
		"under the maximum": {[]time.Duration{29 * day, 29 * day, 29 * day, 3*day - time.Second}, true},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			out, _ := h.tokens(func(g *federation.Grant) { g.Offline = true })
			token := out.RefreshToken
			for i, step := range c.steps {
				h.clock.advance(step)
				next, err := h.refresh(token)
				if i < len(c.steps)-1 || c.good {
					if err != nil {
						t.Fatalf("step %d: %v", i, err)
					}
					token = next.RefreshToken
					continue
				}
				wantCode(t, err, federation.InvalidGrant)
			}
		})
	}
}

// TestFamilyGoesWithItsSession: the record of a bound grant is not kept for the
// months that an offline one may last, but long enough for an upgrade.
func TestFamilyGoesWithItsSession(t *testing.T) {
	h := newHouse(t)
	out, g := h.tokens()
	shown, _ := parseRefresh(out.RefreshToken)
	row, err := h.issuer.families.Get(t.Context(), h.tenant.Place, shown.handle.ID())
	if err != nil {
		t.Fatal(err)
	}
	held, err := h.sessions.Live(t.Context(), h.tenant, g.Session)
	if err != nil {
		t.Fatal(err)
	}
	if want := held.Session.Began.Add(16 * time.Hour); !row.Expires.Equal(want) {
		t.Errorf("expires %v, want %v", row.Expires, want)
	}
}

// TestFamilyBoundsItsAccessTokens: the list does not grow without end, and what
// leaves it unexpired is revoked.
func TestFamilyBoundsItsAccessTokens(t *testing.T) {
	now := newClock().now()
	f := familyRecord{}
	var gone []string
	for i := range maxAccess + 3 {
		gone = append(gone, f.issue(issued{ID: fmt.Sprint(i), Expires: now.Add(time.Minute)}, now)...)
	}
	if !slices.Equal(gone, []string{"0", "1", "2"}) || len(f.Access) != maxAccess {
		t.Errorf("%v left, %d stayed", gone, len(f.Access))
	}
	if gone = f.issue(issued{ID: "new", Expires: now.Add(time.Hour)}, now.Add(time.Minute)); len(gone) != 0 || len(f.Access) != 1 {
		t.Errorf("expired ones: %v left, %d stayed", gone, len(f.Access))
	}
}

// TestStoreHoldsNoToken: who reads the store, unsealed, finds nothing to show.
func TestStoreHoldsNoToken(t *testing.T) {
	h := newHouse(t)
	iss, err := New(Options{Engine: h.engine, Keyring: h.keys, Sessions: h.sessions, Persons: h.people, Lifetimes: func() Lifetimes { return h.lives }})
	if err != nil {
		t.Fatal(err)
	}
	h.issuer = iss // without a sealer
	code, _ := h.signIn(h.grant(), pkce())
	out, err := h.issuer.Redeem(t.Context(), h.tenant, h.verified(shop()), redemption(code))
	if err != nil {
		t.Fatal(err)
	}
	shown, _ := parseRefresh(out.RefreshToken)
	secrets := []string{strings.Split(code, ".")[2], strings.Split(out.AccessToken, ".")[2], shown.handle.Secret, shown.tag}
	for _, kind := range []string{"token.code", "token.access", "token.family"} {
		recs, err := h.engine.Scan(t.Context(), store.Range{Kind: kind, Limit: 10})
		if err != nil || len(recs) != 1 {
			t.Fatalf("%s: %d records, %v", kind, len(recs), err)
		}
		for _, s := range secrets {
			if strings.Contains(recs[0].Key.ID, s) || strings.Contains(string(recs[0].Value), s) {
				t.Errorf("%s holds a secret", kind)
			}
		}
	}
}
