package token

import (
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

func TestRevoke(t *testing.T) {
	whole := newHouse(t)
	rival := shop()
	rival.ID = "rival"
	foreign := shop()
	foreign.Tenant = "rival"
	for name, c := range map[string]struct {
		client        federation.Client
		token         func(Response) string
		hint          string
		want          federation.Code
		access, whole bool // what is good afterwards: the access token, the refresh token
	}{
		"refresh token":          {shop(), func(r Response) string { return r.RefreshToken }, "refresh_token", "", false, false},
		"with the wrong hint":    {shop(), func(r Response) string { return r.RefreshToken }, "access_token", "", false, false},
		"with an unknown hint":   {shop(), func(r Response) string { return r.RefreshToken }, "device_token", "", false, false},
		"access token":           {shop(), func(r Response) string { return r.AccessToken }, "access_token", "", false, true},
		"access token, no hint":  {shop(), func(r Response) string { return r.AccessToken }, "", "", false, true},
		"another's refresh":      {rival, func(r Response) string { return r.RefreshToken }, "", federation.InvalidGrant, true, true},
		"another's access":       {rival, func(r Response) string { return r.AccessToken }, "", federation.InvalidGrant, true, true},
		"client of other tenant": {foreign, func(r Response) string { return r.AccessToken }, "", federation.InvalidClient, true, true},
		"wrong tag":              {shop(), func(r Response) string { return r.RefreshToken[:len(r.RefreshToken)-43] + strings.Repeat("A", 43) }, "", "", true, true},
		"other secret":           {shop(), func(r Response) string { return swapSecret(r.RefreshToken) }, "", "", true, true},
		"other tenant's refresh": {shop(), func(r Response) string { return "rival" + strings.TrimPrefix(r.RefreshToken, "acme") }, "", "", true, true},
		"other tenant's access":  {shop(), func(r Response) string { return "rival" + strings.TrimPrefix(r.AccessToken, "acme") }, "", "", true, true},
		"ID token":               {shop(), func(r Response) string { return r.IDToken }, "", "", true, true},
		"nothing":                {shop(), func(Response) string { return "" }, "", "", true, true},
	} {
		t.Run(name, func(t *testing.T) {
			h := whole.in(t)
			out, _ := h.tokens()
			for range 2 { // again it is gone, which is no error
				err := h.issuer.Revoke(t.Context(), h.tenant, h.verified(c.client), c.token(out), c.hint)
				wantCode(t, err, c.want)
				if err != nil && c.want == "" {
					t.Fatal(err)
				}
			}
			if got := h.live(out.AccessToken); got != c.access {
				t.Errorf("access token good: %v, want %v", got, c.access)
			}
			if _, err := h.refresh(out.RefreshToken); (err == nil) != c.whole {
				t.Errorf("refresh: %v, want good: %v", err, c.whole)
			}
		})
	}
	if err := whole.issuer.Revoke(t.Context(), whole.tenant, VerifiedClient{}, "", ""); codeOf(err) != federation.InvalidClient {
		t.Errorf("by nobody: %v", err)
	}
}

// TestRevokeByAnOldToken: an earlier generation ends the family as well, and so
// do the access tokens that it was refreshed to.
func TestRevokeByAnOldToken(t *testing.T) {
	h := newHouse(t)
	out, _ := h.tokens()
	next, err := h.refresh(out.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.issuer.Revoke(t.Context(), h.tenant, h.verified(shop()), out.RefreshToken, ""); err != nil {
		t.Fatal(err)
	}
	if h.live(out.AccessToken) || h.live(next.AccessToken) {
		t.Error("an access token survived")
	}
	_, err = h.refresh(next.RefreshToken)
	wantCode(t, err, federation.InvalidGrant)
}

func TestInspect(t *testing.T) {
	h := newHouse(t)
	out, g := h.tokens()
	for name, token := range map[string]string{
		"empty": "", "refresh token": out.RefreshToken, "ID token": out.IDToken, "cut": out.AccessToken[:len(out.AccessToken)-1],
		"more behind it": out.AccessToken + "A", "other tenant": "rival" + strings.TrimPrefix(out.AccessToken, "acme"),
		"other partition": strings.Replace(out.AccessToken, ".0.", ".3.", 1), "unknown": federation.NewHandle(h.tenant.Place).String(),
		"another sid": out.AccessToken[:len(out.AccessToken)-1] + map[bool]string{true: "B", false: "A"}[strings.HasSuffix(out.AccessToken, "A")],
		"no sid":      out.AccessToken[:strings.LastIndexByte(out.AccessToken, '.')], "an empty sid": out.AccessToken[:strings.LastIndexByte(out.AccessToken, '.')+1],
		"two sids": out.AccessToken + ".x", "sid of another partition": strings.Replace(out.AccessToken, ".0.", ".1.", 1),
		"other case": strings.ToUpper(out.AccessToken), "spaces": " " + out.AccessToken,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := h.issuer.Inspect(t.Context(), h.tenant, token)
			wantCode(t, err, federation.InvalidToken)
		})
	}
	// The tenant that is asked counts, not only what the token says.
	_, err := h.issuer.Inspect(t.Context(), h.other, out.AccessToken)
	wantCode(t, err, federation.InvalidToken)

	// Userinfo costs one read, of the token and the session at once.
	h.engine.arm(nil, nil)
	if !h.live(out.AccessToken) {
		t.Fatal("the access token is not good")
	}
	if commits, gets := h.engine.counts(); commits != 0 || gets != 1 {
		t.Errorf("%d commits and %d reads, want 0 and 1", commits, gets)
	}

	// It is activity.
	h.clock.advance(9 * time.Minute)
	if !h.live(out.AccessToken) {
		t.Fatal("the access token is not good")
	}
	held, err := h.sessions.Live(t.Context(), h.tenant, g.Session)
	if err != nil || !held.Session.Active.Equal(h.clock.now()) {
		t.Errorf("the session was active at %v, %v", held.Session.Active, err)
	}
	h.clock.advance(time.Minute)
	if h.live(out.AccessToken) {
		t.Error("the access token outlived its life")
	}
}

// TestInspectWhenTheStoreFails: an outage is not an invalid token, and what
// cannot be written of the activity does not keep the answer back.
func TestInspectWhenTheStoreFails(t *testing.T) {
	h := newHouse(t)
	out, _ := h.tokens()
	h.clock.advance(5 * time.Minute)
	h.engine.arm(func(int) (bool, error) { return false, store.ErrUnknown }, nil)
	if !h.live(out.AccessToken) {
		t.Error("a session that could not be touched spoilt the token")
	}
	h.engine.arm(nil, func(store.Key) error { return store.ErrClosed })
	if _, err := h.issuer.Inspect(t.Context(), h.tenant, out.AccessToken); err == nil || codeOf(err) != "" {
		t.Errorf("error %v", err)
	}
}

// TestSessionOfAnotherPerson: a sid never vouches for somebody else's grant.
func TestSessionOfAnotherPerson(t *testing.T) {
	h := newHouse(t)
	_, g := h.tokens()
	g.Person = "0190c0de-0000-7000-8000-000000000002"
	handle := federation.NewHandle(h.tenant.Place)
	now := h.clock.now()
	rec := accessRecord{Grant: g, Issued: now, Expires: now.Add(time.Minute)}
	if _, err := h.engine.Commit(t.Context(), h.issuer.accesses.Create(h.tenant.Place, handle.ID(), rec, rec.Expires)); err != nil {
		t.Fatal(err)
	}
	if h.live(handle.String()) {
		t.Error("the token is good")
	}
}
