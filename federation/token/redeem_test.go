package token

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

func TestRedeemGivesTokens(t *testing.T) {
	h := newHouse(t)
	code, g := h.signIn(h.grant(), pkce())
	h.engine.arm(nil, nil)
	out, err := h.issuer.Redeem(t.Context(), h.tenant, h.verified(shop()), redemption(code))
	if err != nil {
		t.Fatal(err)
	}
	if commits, _ := h.engine.counts(); commits != 1 {
		t.Errorf("%d commits, want 1", commits)
	}
	if out.TokenType != "Bearer" || out.ExpiresIn != 600 || out.Scope != "openid email profile" {
		t.Errorf("type %q, expires_in %d, scope %q", out.TokenType, out.ExpiresIn, out.Scope)
	}
	if out.RefreshToken == "" || out.IDToken == "" {
		t.Error("no refresh token or no ID token")
	}
	a, err := h.issuer.Inspect(t.Context(), h.tenant, out.AccessToken)
	if err != nil {
		t.Fatal(err)
	}
	if a.Grant.Session != g.Session || a.Held.Session.ID != g.Session || !a.Grant.Snapshot.Released.Equal(g.Snapshot.Released) {
		t.Error("the access token does not stand for the grant")
	}
	if !a.Issued.Equal(h.clock.now()) || !a.Expires.Equal(h.clock.now().Add(10*time.Minute)) {
		t.Errorf("issued %v, expires %v", a.Issued, a.Expires)
	}
}

func TestRedeemByWhatTheClientMayDo(t *testing.T) {
	h := newHouse(t)
	client := shop()
	client.GrantTypes = []string{"authorization_code"}
	g := h.grant()
	g.Scopes = []string{"email"}
	code, _ := h.signIn(g, pkce())
	out, err := h.issuer.Redeem(t.Context(), h.tenant, h.verified(client), redemption(code))
	if err != nil {
		t.Fatal(err)
	}
	if out.RefreshToken != "" {
		t.Error("a client without the grant type was given a refresh token")
	}
	if out.IDToken != "" {
		t.Error("an ID token without the scope openid")
	}
	if !h.live(out.AccessToken) {
		t.Error("the access token is not good")
	}
	// The replay of such a code has no family to revoke, and revokes all the same.
	_, err = h.issuer.Redeem(t.Context(), h.tenant, h.verified(client), redemption(code))
	wantCode(t, err, federation.InvalidGrant)
	if h.live(out.AccessToken) {
		t.Error("the access token survived the replay of its code")
	}
}

// TestRedeemRefusals: each refusal leaves the code as it was, so the right
// redemption afterwards succeeds, and its tokens live.
func TestRedeemRefusals(t *testing.T) {
	plain := CodeBinding{RedirectURI: back}
	cases := map[string]struct {
		binding CodeBinding
		client  func(*federation.Client)
		ask     func(*Redemption)
		want    federation.Code
	}{
		"no verifier":                {pkce(), nil, func(r *Redemption) { r.Verifier = "" }, federation.InvalidGrant},
		"another verifier":           {pkce(), nil, func(r *Redemption) { r.Verifier = strings.Repeat("a", 43) }, federation.InvalidGrant},
		"short verifier":             {pkce(), nil, func(r *Redemption) { r.Verifier = verifier[:42] }, federation.InvalidGrant},
		"long verifier":              {pkce(), nil, func(r *Redemption) { r.Verifier = strings.Repeat("a", 129) }, federation.InvalidGrant},
		"verifier is the challenge":  {pkce(), nil, func(r *Redemption) { r.Verifier = challengeOf(verifier) }, federation.InvalidGrant},
		"verifier without challenge": {plain, nil, nil, federation.InvalidGrant},
		"no redirect_uri":            {pkce(), nil, func(r *Redemption) { r.RedirectURI, r.RedirectURISent = "", false }, federation.InvalidGrant},
		"empty redirect_uri":         {pkce(), nil, func(r *Redemption) { r.RedirectURI = "" }, federation.InvalidGrant},
		"redirect_uri not said sent": {pkce(), nil, func(r *Redemption) { r.RedirectURISent = false }, federation.InvalidGrant},
		"longer redirect_uri":        {pkce(), nil, func(r *Redemption) { r.RedirectURI += "/" }, federation.InvalidGrant},
		"redirect_uri in capitals":   {pkce(), nil, func(r *Redemption) { r.RedirectURI = strings.ToUpper(back) }, federation.InvalidGrant},
		"another client":             {pkce(), func(c *federation.Client) { c.ID = "rival" }, nil, federation.InvalidGrant},
		"client of another tenant":   {pkce(), func(c *federation.Client) { c.Tenant = "rival" }, nil, federation.InvalidClient},
		"client without grant type":  {pkce(), func(c *federation.Client) { c.GrantTypes = []string{"refresh_token"} }, nil, federation.UnauthorizedClient},
		"upstream taken away":        {pkce(), func(c *federation.Client) { c.Upstreams = []string{"elsewhere"} }, nil, federation.InvalidGrant},
		"empty code":                 {pkce(), nil, func(r *Redemption) { r.Code = "" }, federation.InvalidGrant},
		"code with more behind it":   {pkce(), nil, func(r *Redemption) { r.Code += "A" }, federation.InvalidGrant},
		"code of another tenant":     {pkce(), nil, func(r *Redemption) { r.Code = "rival" + strings.TrimPrefix(r.Code, "acme") }, federation.InvalidGrant},
		"code of another partition":  {pkce(), nil, func(r *Redemption) { r.Code = strings.Replace(r.Code, ".0.", ".1.", 1) }, federation.InvalidGrant},
		"another secret":             {pkce(), nil, func(r *Redemption) { r.Code = federation.NewHandle(store.Place{Tenant: "acme"}).String() }, federation.InvalidGrant},
	}
	whole := newHouse(t)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			h := whole.in(t)
			code, _ := h.signIn(h.grant(), c.binding)
			client, ask := shop(), redemption(code)
			if c.client != nil {
				c.client(&client)
			}
			if c.ask != nil {
				c.ask(&ask)
			}
			out, err := h.issuer.Redeem(t.Context(), h.tenant, h.verified(client), ask)
			wantCode(t, err, c.want)
			if out != (Response{}) {
				t.Error("a refusal came with tokens")
			}
			right := redemption(code)
			if c.binding.Challenge == "" {
				right.Verifier = ""
			}
			good, err := h.issuer.Redeem(t.Context(), h.tenant, h.verified(shop()), right)
			if err != nil {
				t.Fatalf("the refusal changed the code: %v", err)
			}
			// The same probe at a spent code proves no earlier use, and kills nothing.
			if _, err := h.issuer.Redeem(t.Context(), h.tenant, h.verified(client), ask); codeOf(err) != c.want && codeOf(err) != federation.InvalidGrant {
				t.Fatalf("probe at the spent code: %v", err)
			}
			if name != "upstream taken away" && !h.live(good.AccessToken) {
				t.Error("a probe revoked the victim's tokens")
			}
		})
	}
}

func TestRedeemWithoutChallenge(t *testing.T) {
	h := newHouse(t)
	plain := CodeBinding{RedirectURI: back}
	ask := func(code string) Redemption {
		return Redemption{Code: code, RedirectURI: back, RedirectURISent: true}
	}
	code, _ := h.signIn(h.grant(), plain)
	must := shop()
	must.RequirePKCE = true
	_, err := h.issuer.Redeem(t.Context(), h.tenant, h.verified(must), ask(code))
	wantCode(t, err, federation.InvalidGrant)
	public := shop()
	public.AuthMethod, public.Secrets = federation.AuthNone, nil
	_, err = h.issuer.Redeem(t.Context(), h.tenant, h.verified(public), ask(code))
	wantCode(t, err, federation.InvalidGrant)
	if _, err = h.issuer.Redeem(t.Context(), h.tenant, h.verified(shop()), ask(code)); err != nil {
		t.Error(err)
	}
	// Nor need there be a redirect URI, and then there must be none.
	code, _ = h.signIn(h.grant(), CodeBinding{})
	_, err = h.issuer.Redeem(t.Context(), h.tenant, h.verified(shop()), ask(code))
	wantCode(t, err, federation.InvalidGrant)
	if _, err = h.issuer.Redeem(t.Context(), h.tenant, h.verified(shop()), Redemption{Code: code}); err != nil {
		t.Error(err)
	}
}

func TestRedeemByNobody(t *testing.T) {
	h := newHouse(t)
	code, _ := h.signIn(h.grant(), pkce())
	_, err := h.issuer.Redeem(t.Context(), h.tenant, VerifiedClient{}, redemption(code))
	wantCode(t, err, federation.InvalidClient)
}

func TestFiftyRedemptionsOneWinner(t *testing.T) {
	h := newHouse(t)
	code, _ := h.signIn(h.grant(), pkce())
	client := h.verified(shop())
	var (
		group sync.WaitGroup
		mu    sync.Mutex
		won   []Response
		start = make(chan struct{})
	)
	for range 50 {
		group.Go(func() {
			<-start
			out, err := h.issuer.Redeem(t.Context(), h.tenant, client, redemption(code))
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won = append(won, out)
			} else if codeOf(err) != federation.InvalidGrant {
				t.Errorf("a loser was told %v", err)
			}
		})
	}
	close(start)
	group.Wait()
	if len(won) != 1 {
		t.Fatalf("%d redemptions succeeded, want 1", len(won))
	}
	// The losers are replays.
	if h.live(won[0].AccessToken) {
		t.Error("the access token survived 49 replays")
	}
	_, err := h.refresh(won[0].RefreshToken)
	wantCode(t, err, federation.InvalidGrant)
}

// TestSpenderFindsItsOwnCommit: where the answer of the commit was lost, the
// spender is no replay of itself, whether or not the commit stands.
func TestSpenderFindsItsOwnCommit(t *testing.T) {
	for _, stands := range []bool{true, false} {
		t.Run(fmt.Sprintf("stands=%v", stands), func(t *testing.T) {
			h := newHouse(t)
			code, _ := h.signIn(h.grant(), pkce())
			h.engine.arm(func(n int) (bool, error) {
				if n == 1 {
					return stands, store.ErrUnknown
				}
				return true, nil
			}, nil)
			out, err := h.issuer.Redeem(t.Context(), h.tenant, h.verified(shop()), redemption(code))
			if err != nil {
				t.Fatal(err)
			}
			h.engine.arm(nil, nil)
			if !h.live(out.AccessToken) {
				t.Error("the access token is not good")
			}
			if _, err := h.refresh(out.RefreshToken); err != nil {
				t.Errorf("refresh: %v", err)
			}
		})
	}
}

// TestOutcomeStaysUnknown: the caller hears that it may try again, and a code
// that was not spent can still be.
func TestOutcomeStaysUnknown(t *testing.T) {
	h := newHouse(t)
	code, _ := h.signIn(h.grant(), pkce())
	h.engine.arm(func(int) (bool, error) { return false, store.ErrUnknown }, nil)
	_, err := h.issuer.Redeem(t.Context(), h.tenant, h.verified(shop()), redemption(code))
	wantCode(t, err, federation.TemporarilyUnavailable)
	h.engine.arm(nil, nil)
	if _, err = h.issuer.Redeem(t.Context(), h.tenant, h.verified(shop()), redemption(code)); err != nil {
		t.Error(err)
	}
}

// TestStoreFailureIsNotARefusal: a client must not throw its code away because
// our store is down.
func TestStoreFailureIsNotARefusal(t *testing.T) {
	h := newHouse(t)
	code, _ := h.signIn(h.grant(), pkce())
	h.engine.arm(nil, func(store.Key) error { return store.ErrClosed })
	_, err := h.issuer.Redeem(t.Context(), h.tenant, h.verified(shop()), redemption(code))
	if err == nil || codeOf(err) != "" {
		t.Errorf("error %v", err)
	}
	if told := federation.Public(err); told.Code != federation.ServerError {
		t.Errorf("the caller is told %v", told.Code)
	}
}

func TestNothingPrints(t *testing.T) {
	h := newHouse(t)
	out, _ := h.tokens()
	values := []any{out, &out, redemption("code-that-is-secret"), RefreshRequest{Token: out.RefreshToken}, material("key-that-is-secret")}
	for _, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			text := fmt.Sprintf(verb, v)
			if strings.Contains(text, "secret\"") || strings.Contains(text, "that-is") || strings.Contains(text, out.RefreshToken) || strings.Contains(text, verifier) {
				t.Errorf("%T prints itself with %s", v, verb)
			}
		}
	}
	body, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]any
	if err := json.Unmarshal(body, &members); err != nil {
		t.Fatal(err)
	}
	if len(members) != 6 || members["access_token"] != out.AccessToken || members["expires_in"] != 600.0 || members["token_type"] != "Bearer" {
		t.Errorf("the answer has %d members", len(members))
	}
}
