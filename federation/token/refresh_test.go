package token

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/claims"
	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

func TestRefreshRotates(t *testing.T) {
	h := newHouse(t)
	first, g := h.tokens()
	h.clock.advance(5 * time.Minute)
	h.engine.arm(nil, nil)
	var saw federation.Grant
	var over federation.Session
	second, err := h.issuer.Refresh(t.Context(), h.tenant, h.verified(shop()), RefreshRequest{Token: first.RefreshToken},
		func(_ context.Context, g federation.Grant, on Grounds) (federation.Grant, error) {
			saw, over = g, on.Session
			g.Snapshot = claims.Snapshot{Released: claims.Set{"department": "sales"}, InIDToken: []string{"department"}}
			// None of these may come through.
			g.Subject, g.Client, g.Person, g.Session, g.Offline, g.ACR = "eve", "eve", "eve", "", true, "eve"
			g.Scopes = append(slices.Clone(g.Scopes), "admin")
			return g, nil
		})
	if err != nil {
		t.Fatal(err)
	}
	if commits, _ := h.engine.counts(); commits != 2 {
		t.Errorf("%d commits, want one and one for the session's activity", commits)
	}
	if saw.Subject != g.Subject || over.ID != g.Session {
		t.Error("the renewal was not told of the grant and its session")
	}
	if second.RefreshToken == first.RefreshToken || second.AccessToken == first.AccessToken {
		t.Error("a token was given out twice")
	}
	a, err := h.issuer.Inspect(t.Context(), h.tenant, second.AccessToken)
	if err != nil {
		t.Fatal(err)
	}
	if a.Grant.Snapshot.Released["department"] != "sales" || a.Grant.Subject != g.Subject || a.Grant.Client != "shop" || a.Grant.Session != g.Session || a.Grant.Offline || a.Grant.ACR != g.ACR {
		t.Errorf("the renewed grant is %+v", a.Grant)
	}
	if !slices.Equal(a.Grant.Scopes, g.Scopes) || second.Scope != "openid email profile" {
		t.Errorf("scopes %v", a.Grant.Scopes)
	}
	if !h.live(first.AccessToken) {
		t.Error("the earlier access token ended before its time")
	}
	// The family's lineage goes on.
	if _, err := h.refresh(second.RefreshToken); err != nil {
		t.Error(err)
	}
}

func TestRefreshRefusals(t *testing.T) {
	whole := newHouse(t)
	cases := map[string]struct {
		client func(*federation.Client)
		ask    func(*RefreshRequest)
		want   federation.Code
	}{
		"empty":               {nil, func(r *RefreshRequest) { r.Token = "" }, federation.InvalidGrant},
		"the handle alone":    {nil, func(r *RefreshRequest) { r.Token = strings.Join(strings.Split(r.Token, ".")[:3], ".") }, federation.InvalidGrant},
		"wrong tag":           {nil, func(r *RefreshRequest) { r.Token = r.Token[:len(r.Token)-43] + strings.Repeat("A", 43) }, federation.InvalidGrant},
		"short tag":           {nil, func(r *RefreshRequest) { r.Token = r.Token[:len(r.Token)-1] }, federation.InvalidGrant},
		"other generation":    {nil, func(r *RefreshRequest) { r.Token = strings.Replace(r.Token, ".1.", ".0.", 1) }, federation.InvalidGrant},
		"later generation":    {nil, func(r *RefreshRequest) { r.Token = strings.Replace(r.Token, ".1.", ".2.", 1) }, federation.InvalidGrant},
		"generation with 0":   {nil, func(r *RefreshRequest) { r.Token = strings.Replace(r.Token, ".1.", ".01.", 1) }, federation.InvalidGrant},
		"negative generation": {nil, func(r *RefreshRequest) { r.Token = strings.Replace(r.Token, ".1.", ".-1.", 1) }, federation.InvalidGrant},
		"other family":        {nil, func(r *RefreshRequest) { r.Token = swapSecret(r.Token) }, federation.InvalidGrant},
		"other tenant":        {nil, func(r *RefreshRequest) { r.Token = "rival" + strings.TrimPrefix(r.Token, "acme") }, federation.InvalidGrant},
		"other partition":     {nil, func(r *RefreshRequest) { r.Token = "acme.7" + strings.TrimPrefix(r.Token, "acme.0") }, federation.InvalidGrant},
		"another client":      {func(c *federation.Client) { c.ID = "rival" }, nil, federation.InvalidGrant},
		"another tenant's":    {func(c *federation.Client) { c.Tenant = "rival" }, nil, federation.InvalidClient},
		"may not refresh":     {func(c *federation.Client) { c.GrantTypes = []string{"authorization_code"} }, nil, federation.UnauthorizedClient},
		"upstream taken away": {func(c *federation.Client) { c.Upstreams = nil }, nil, federation.InvalidGrant},
		"scope not granted":   {nil, func(r *RefreshRequest) { r.Scope = "openid admin" }, federation.InvalidScope},
		"scope misspelt":      {nil, func(r *RefreshRequest) { r.Scope = "OPENID" }, federation.InvalidScope},
		"scope of a space":    {nil, func(r *RefreshRequest) { r.Scope = " " }, federation.InvalidScope},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			h := whole.in(t)
			out, _ := h.tokens()
			// Past the grace, so that a token taken for an old one would revoke.
			next, err := h.refresh(out.RefreshToken)
			if err != nil {
				t.Fatal(err)
			}
			h.clock.advance(time.Minute)
			client, ask := shop(), RefreshRequest{Token: next.RefreshToken}
			if c.client != nil {
				c.client(&client)
			}
			if c.ask != nil {
				c.ask(&ask)
			}
			renew := func(context.Context, federation.Grant, Grounds) (federation.Grant, error) {
				t.Error("the renewal was asked for a request that is refused")
				return federation.Grant{}, nil
			}
			got, err := h.issuer.Refresh(t.Context(), h.tenant, h.verified(client), ask, renew)
			wantCode(t, err, c.want)
			if got != (Response{}) {
				t.Error("a refusal came with tokens")
			}
			if _, err := h.refresh(next.RefreshToken); err != nil {
				t.Errorf("the refusal changed the family: %v", err)
			}
			if !h.live(next.AccessToken) {
				t.Error("the refusal revoked an access token")
			}
		})
	}
}

// swapSecret is the token with another family's secret.
func swapSecret(token string) string {
	parts := strings.Split(token, ".")
	parts[2] = federation.NewSecret()
	return strings.Join(parts, ".")
}

func TestRefreshNarrows(t *testing.T) {
	h := newHouse(t)
	out, _ := h.tokens()
	var asked []string
	renew := func(_ context.Context, g federation.Grant, _ Grounds) (federation.Grant, error) {
		asked = g.Scopes
		return g, nil
	}
	narrow, err := h.issuer.Refresh(t.Context(), h.tenant, h.verified(shop()), RefreshRequest{Token: out.RefreshToken, Scope: "profile email"}, renew)
	if err != nil {
		t.Fatal(err)
	}
	if narrow.Scope != "email profile" || !slices.Equal(asked, []string{"email", "profile"}) {
		t.Errorf("scope %q, the renewal was asked for %v", narrow.Scope, asked)
	}
	if narrow.IDToken != "" {
		t.Error("an ID token without the scope openid")
	}
	a, err := h.issuer.Inspect(t.Context(), h.tenant, narrow.AccessToken)
	if err != nil || a.Grant.Has("openid") {
		t.Errorf("the access token has scopes %v, %v", a.Grant.Scopes, err)
	}
	whole, err := h.refresh(narrow.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	if whole.Scope != "openid email profile" || whole.IDToken == "" {
		t.Errorf("a narrower access token narrowed the grant to %q", whole.Scope)
	}
}

// TestRenewalFails: the token is not used up, whatever went wrong.
func TestRenewalFails(t *testing.T) {
	whole := newHouse(t)
	for name, c := range map[string]struct {
		err    error
		scopes []string
		want   federation.Code
	}{
		"hook refuses":             {&claims.Denied{Step: "enrich"}, nil, federation.InvalidGrant},
		"hook malfunctions":        {claims.NewMalfunction("enrich", "timeout", errors.New("dial")), nil, federation.TemporarilyUnavailable},
		"upstream refuses":         {federation.Fail(federation.AccessDenied, "no"), nil, federation.InvalidGrant},
		"wrapped refusal":          {fmt.Errorf("renew: %w", federation.Fail(federation.LoginRequired, "no")), nil, federation.InvalidGrant},
		"upstream unreachable":     {federation.Fail(federation.TemporarilyUnavailable, "later"), nil, federation.TemporarilyUnavailable},
		"upstream talks nonsense":  {federation.Fail(federation.ServerError, "bad"), nil, federation.TemporarilyUnavailable},
		"store failed":             {errors.New("disk"), nil, federation.TemporarilyUnavailable},
		"caller went away":         {context.Canceled, nil, federation.TemporarilyUnavailable},
		"no scope may be had":      {federation.Fail(federation.InvalidScope, "none"), nil, federation.InvalidScope},
		"every scope is taken":     {nil, []string{}, federation.InvalidScope},
		"only foreign ones remain": {nil, []string{"admin"}, federation.InvalidScope},
	} {
		t.Run(name, func(t *testing.T) {
			h := whole.in(t)
			out, _ := h.tokens()
			_, err := h.issuer.Refresh(t.Context(), h.tenant, h.verified(shop()), RefreshRequest{Token: out.RefreshToken},
				func(_ context.Context, g federation.Grant, _ Grounds) (federation.Grant, error) {
					g.Scopes = c.scopes
					return g, c.err
				})
			wantCode(t, err, c.want)
			h.clock.advance(time.Minute)
			if _, err := h.refresh(out.RefreshToken); err != nil {
				t.Errorf("the failure used the token up: %v", err)
			}
		})
	}
}

// TestFiftyRefreshesOneLineage: clients that share a token all go on with the
// same next one, after one rotation.
func TestFiftyRefreshesOneLineage(t *testing.T) {
	h := newHouse(t)
	out, _ := h.tokens()
	client := h.verified(shop())
	var (
		group  sync.WaitGroup
		mu     sync.Mutex
		next   = map[string]int{}
		access = map[string]bool{}
		start  = make(chan struct{})
	)
	for range 50 {
		group.Go(func() {
			<-start
			got, err := h.issuer.Refresh(t.Context(), h.tenant, client, RefreshRequest{Token: out.RefreshToken}, same)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
				return
			}
			next[got.RefreshToken]++
			access[got.AccessToken] = true
		})
	}
	close(start)
	group.Wait()
	if len(next) != 1 || len(access) != 50 {
		t.Fatalf("%d refresh and %d access tokens, want 1 and 50", len(next), len(access))
	}
	successor := slices.Collect(maps.Keys(next))[0]
	if shown, _ := parseRefresh(successor); shown.generation != 1 {
		t.Errorf("generation %d after one rotation", shown.generation)
	}
	for token := range access {
		if !h.live(token) {
			t.Fatal("an access token is not good")
		}
	}
	// One reuse ends all of it.
	h.clock.advance(time.Minute)
	_, err := h.refresh(out.RefreshToken)
	wantCode(t, err, federation.InvalidGrant)
	for token := range access {
		if h.live(token) {
			t.Fatal("an access token survived")
		}
	}
	_, err = h.refresh(successor)
	wantCode(t, err, federation.InvalidGrant)
}

// TestSlowRenewalIsNoReuse: a token that was current when it was shown is not
// held against its client because others were faster, by however much.
func TestSlowRenewalIsNoReuse(t *testing.T) {
	h := newHouse(t)
	h.lives.RefreshGrace = 0
	out, _ := h.tokens()
	var newest Response
	slow, err := h.issuer.Refresh(t.Context(), h.tenant, h.verified(shop()), RefreshRequest{Token: out.RefreshToken},
		func(_ context.Context, g federation.Grant, _ Grounds) (federation.Grant, error) {
			token := out.RefreshToken
			for range 3 {
				h.clock.advance(time.Second)
				var err error
				if newest, err = h.refresh(token); err != nil {
					return g, err
				}
				token = newest.RefreshToken
			}
			return g, nil
		})
	if err != nil {
		t.Fatal(err)
	}
	if slow.RefreshToken != newest.RefreshToken {
		t.Error("the slow one was not given the current refresh token")
	}
	if !h.live(slow.AccessToken) || !h.live(newest.AccessToken) {
		t.Error("an access token is not good")
	}
	if _, err := h.refresh(slow.RefreshToken); err != nil {
		t.Error(err)
	}
}

// TestRefreshFindsItsOwnCommit: where the answer of the commit was lost there
// is still one rotation and one access token.
func TestRefreshFindsItsOwnCommit(t *testing.T) {
	for _, stands := range []bool{true, false} {
		t.Run(fmt.Sprintf("stands=%v", stands), func(t *testing.T) {
			h := newHouse(t)
			out, _ := h.tokens()
			h.engine.arm(func(n int) (bool, error) {
				if n == 1 {
					return stands, store.ErrUnknown
				}
				return true, nil
			}, nil)
			got, err := h.refresh(out.RefreshToken)
			if err != nil {
				t.Fatal(err)
			}
			h.engine.arm(nil, nil)
			shown, _ := parseRefresh(got.RefreshToken)
			row, err := h.issuer.families.Get(t.Context(), h.tenant.Place, shown.handle.ID())
			if err != nil {
				t.Fatal(err)
			}
			if row.Value.Generation != 1 || shown.generation != 1 || len(row.Value.Access) != 2 {
				t.Errorf("generation %d, token of %d, %d access tokens", row.Value.Generation, shown.generation, len(row.Value.Access))
			}
			if !h.live(got.AccessToken) {
				t.Error("the access token is not good")
			}
		})
	}
}

// TestRevokedWhileRenewing: a family that is revoked in the middle of a refresh
// gives nothing out any more.
func TestRevokedWhileRenewing(t *testing.T) {
	h := newHouse(t)
	out, _ := h.tokens()
	_, err := h.issuer.Refresh(t.Context(), h.tenant, h.verified(shop()), RefreshRequest{Token: out.RefreshToken},
		func(ctx context.Context, g federation.Grant, _ Grounds) (federation.Grant, error) {
			return g, h.issuer.Revoke(ctx, h.tenant, h.verified(shop()), out.RefreshToken, "")
		})
	wantCode(t, err, federation.InvalidGrant)
	if h.live(out.AccessToken) {
		t.Error("the access token survived")
	}
}
