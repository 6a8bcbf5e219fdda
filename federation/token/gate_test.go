package token

import (
	"slices"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

func TestGate(t *testing.T) {
	tenant := tenantOf("acme")
	at := time.Date(2031, 5, 4, 10, 0, 0, 0, time.UTC)
	type change = func(*Applicant)
	for name, c := range map[string]struct {
		change      change
		front, back federation.Code
	}{
		"all is well":              {},
		"no client":                {func(a *Applicant) { a.Client = federation.Client{} }, federation.UnauthorizedClient, federation.InvalidGrant},
		"client of another tenant": {func(a *Applicant) { a.Client.Tenant = "rival" }, federation.UnauthorizedClient, federation.InvalidGrant},
		"grant of another tenant":  {func(a *Applicant) { a.Grant.Tenant = "rival" }, federation.UnauthorizedClient, federation.InvalidGrant},
		"another client's grant":   {func(a *Applicant) { a.Grant.Client = "blog" }, federation.UnauthorizedClient, federation.InvalidGrant},
		"grant type not allowed":   {func(a *Applicant) { a.Client.GrantTypes = []string{"refresh_token"} }, federation.UnauthorizedClient, federation.UnauthorizedClient},
		"no grant type":            {func(a *Applicant) { a.Type = "" }, federation.UnauthorizedClient, federation.UnauthorizedClient},
		"upstream not allowed":     {func(a *Applicant) { a.Client.Upstreams = []string{"partner"} }, federation.AccessDenied, federation.InvalidGrant},
		"a scope too many":         {func(a *Applicant) { a.Client.Scopes = []string{"openid"} }, federation.InvalidScope, federation.InvalidScope},
		"no scope":                 {func(a *Applicant) { a.Grant.Scopes = nil }, federation.InvalidScope, federation.InvalidScope},
		"no scope left":            {func(a *Applicant) { a.Client.Scopes, a.Renews = nil, true }, federation.InvalidScope, federation.InvalidScope},
		"no person":                {func(a *Applicant) { a.Person = federation.Person{} }, federation.LoginRequired, federation.InvalidGrant},
		"nobody's grant":           {func(a *Applicant) { a.Person, a.Grant.Person = federation.Person{}, "" }, federation.LoginRequired, federation.InvalidGrant},
		"another person":           {func(a *Applicant) { a.Person.ID = "bob" }, federation.LoginRequired, federation.InvalidGrant},
		"blocked":                  {func(a *Applicant) { a.Person.Blocked = true }, federation.AccessDenied, federation.InvalidGrant},
		"blocked before":           {change: func(a *Applicant) { a.Person.Barred = at.Add(-time.Second) }},
		"blocked in between":       {func(a *Applicant) { a.Person.Barred = at }, "", federation.InvalidGrant},
		"withdrawn":                {func(a *Applicant) { a.Person.Withdrawn = map[string]time.Time{"shop": at.Add(time.Second)} }, "", federation.InvalidGrant},
		"withdrawn from another":   {change: func(a *Applicant) { a.Person.Withdrawn = map[string]time.Time{"blog": at.Add(time.Second)} }},
		"an older version's":       {change: func(a *Applicant) { a.Grant.At = time.Time{} }},
		"an older one, and barred": {func(a *Applicant) { a.Grant.At, a.Person.Barred = time.Time{}, at }, "", federation.InvalidGrant},
		"no session":               {func(a *Applicant) { a.Session = federation.Session{} }, federation.LoginRequired, federation.InvalidGrant},
		"nobody's session":         {func(a *Applicant) { a.Session, a.Grant.Session = federation.Session{}, "" }, federation.LoginRequired, federation.InvalidGrant},
		"another session":          {func(a *Applicant) { a.Session.ID = "other" }, federation.LoginRequired, federation.InvalidGrant},
		"somebody's session":       {func(a *Applicant) { a.Session.Person = "bob" }, federation.LoginRequired, federation.InvalidGrant},
		"offline": {change: func(a *Applicant) {
			a.Grant.Offline, a.Session = true, federation.Session{}
			a.Client.Scopes = append(a.Client.Scopes, "offline_access")
		}},
		"offline no longer": {func(a *Applicant) { a.Grant.Offline, a.Session = true, federation.Session{} }, federation.LoginRequired, federation.InvalidGrant},
	} {
		t.Run(name, func(t *testing.T) {
			a := Applicant{
				Client: federation.Client{ID: "shop", Tenant: "acme", GrantTypes: []string{grantCode}, Upstreams: []string{"corp"}, Scopes: []string{"openid", "email"}},
				Type:   grantCode,
				Grant: federation.Grant{Tenant: "acme", Client: "shop", Person: "ada", Subject: "ada", Upstream: "corp", Session: "sid",
					Scopes: []string{"email", "openid"}, At: at},
				Person:  federation.Person{ID: "ada", Tenant: "acme"},
				Session: federation.Session{ID: "sid", Person: "ada"},
			}
			if c.change != nil {
				c.change(&a)
			}
			for want, gate := range map[*federation.Code]func(federation.Tenant, Applicant) (Permit, error){&c.front: AdmitCode, &c.back: Admit} {
				p, err := gate(tenant, a)
				if codeOf(err) != *want || (err == nil) != (*want == "") {
					t.Errorf("%v, want %q", err, *want)
				}
				if (err == nil) != (p.client.ID != "" && slices.Equal(p.Grant().Scopes, []string{"email", "openid"})) {
					t.Errorf("a permit of %+v with the error %v", p.grant, err)
				}
			}
		})
	}
}

// TestGateIsEverywhere: what changes after a code was issued counts when it is
// redeemed, and at each refresh.
func TestGateIsEverywhere(t *testing.T) {
	for name, c := range map[string]struct {
		client func(*federation.Client)
		person func(*federation.Person, time.Time)
	}{
		"upstream taken off the list": {client: func(c *federation.Client) { c.Upstreams = []string{"partner"} }},
		"blocked":                     {person: func(p *federation.Person, _ time.Time) { p.Blocked = true }},
		"blocked, and no longer":      {person: func(p *federation.Person, now time.Time) { p.Barred = now }},
		"withdrawn":                   {person: func(p *federation.Person, now time.Time) { p.Withdrawn = map[string]time.Time{"shop": now} }},
		"gone":                        {person: func(p *federation.Person, _ time.Time) { p.ID = "" }},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			for _, offline := range []bool{false, true} {
				out, g := h.tokens(func(g *federation.Grant) { g.Offline = offline })
				code, _ := h.signIn(h.grant(), pkce())
				h.clock.advance(time.Second)
				client := shop()
				if c.client != nil {
					c.client(&client)
				}
				if c.person != nil {
					p := federation.Person{ID: g.Person, Tenant: "acme"}
					c.person(&p, h.clock.now())
					if p.ID != "" {
						h.is(p)
					} else if _, err := h.engine.Commit(t.Context(), h.people.Drop(h.tenant.PlaceOf(g.Person), g.Person)); err != nil {
						t.Fatal(err)
					}
				}
				_, err := h.issuer.Redeem(t.Context(), h.tenant, h.verified(client), redemption(code))
				wantCode(t, err, federation.InvalidGrant)
				_, err = h.issuer.Refresh(t.Context(), h.tenant, h.verified(client), RefreshRequest{Token: out.RefreshToken}, same)
				wantCode(t, err, federation.InvalidGrant)
				h.is(federation.Person{ID: g.Person, Tenant: "acme"})
				if _, err := h.issuer.Redeem(t.Context(), h.tenant, h.verified(shop()), redemption(code)); err != nil {
					t.Errorf("a refusal spent the code: %v", err)
				}
				if _, err := h.refresh(out.RefreshToken); err != nil {
					t.Errorf("a refusal spent the refresh token: %v", err)
				}
			}
		})
	}
}

// TestTightenedScopes: a refresh gives no scope that the client may not have any
// longer, and a code that has one is refused, since its claims are made already.
func TestTightenedScopes(t *testing.T) {
	h := newHouse(t)
	out, _ := h.tokens()
	code, _ := h.signIn(h.grant(), pkce())
	tight := shop()
	tight.Scopes = []string{"openid", "profile"}
	_, err := h.issuer.Redeem(t.Context(), h.tenant, h.verified(tight), redemption(code))
	wantCode(t, err, federation.InvalidScope)
	for _, asked := range []string{"", "openid email profile"} {
		got, err := h.issuer.Refresh(t.Context(), h.tenant, h.verified(tight), RefreshRequest{Token: out.RefreshToken, Scope: asked}, same)
		if err != nil || got.Scope != "openid profile" {
			t.Fatalf("%q %v", got.Scope, err)
		}
		a, err := h.issuer.Inspect(t.Context(), h.tenant, got.AccessToken)
		if err != nil || a.Grant.Has("email") {
			t.Errorf("%v %v", a.Grant.Scopes, err)
		}
		out = got
	}
	_, err = h.issuer.Refresh(t.Context(), h.tenant, h.verified(tight), RefreshRequest{Token: out.RefreshToken, Scope: "email"}, same)
	wantCode(t, err, federation.InvalidScope)
	if again, err := h.refresh(out.RefreshToken); err != nil || again.Scope != "openid email profile" {
		t.Errorf("given back, the scope is %q %v", again.Scope, err)
	}
}

// TestOfflineNoLonger: where the client may no longer have offline access, its
// grants end with their session again.
func TestOfflineNoLonger(t *testing.T) {
	h := newHouse(t)
	out, g := h.tokens(func(g *federation.Grant) { g.Offline, g.Scopes = true, append(g.Scopes, "offline_access") })
	tight := shop()
	tight.Scopes = []string{"openid", "profile", "email"}
	refresh := func() (Response, error) {
		return h.issuer.Refresh(t.Context(), h.tenant, h.verified(tight), RefreshRequest{Token: out.RefreshToken}, same)
	}
	got, err := refresh()
	if err != nil || !h.live(got.AccessToken) {
		t.Fatal(err)
	}
	out = got
	if err := h.sessions.End(t.Context(), h.tenant, g.Session, federation.Logout, federation.Request{}); err != nil {
		t.Fatal(err)
	}
	if h.live(got.AccessToken) {
		t.Error("the access token outlived the session")
	}
	_, err = refresh()
	wantCode(t, err, federation.InvalidGrant)
}

// TestGateReads: person and session are read at once.
func TestGateReads(t *testing.T) {
	h := newHouse(t)
	code, _ := h.signIn(h.grant(), pkce())
	h.engine.arm(nil, nil)
	out, err := h.issuer.Redeem(t.Context(), h.tenant, h.verified(shop()), redemption(code))
	if _, gets := h.engine.counts(); err != nil || gets != 2 {
		t.Errorf("%d round trips, want the code, and what it rests on; %v", gets, err)
	}
	h.engine.arm(nil, nil)
	_, err = h.refresh(out.RefreshToken)
	if _, gets := h.engine.counts(); err != nil || gets != 2 {
		t.Errorf("%d round trips, want the family, and what it rests on; %v", gets, err)
	}
	h.engine.arm(nil, func(k store.Key) error {
		if k.Kind == "person" {
			return store.ErrUnavailable
		}
		return nil
	})
	if _, err = h.refresh(out.RefreshToken); err == nil || codeOf(err) == federation.InvalidGrant {
		t.Errorf("persons that cannot be read make %v", err)
	}
}

// TestNoPermitNoCode: the zero value opens nothing.
func TestNoPermitNoCode(t *testing.T) {
	h := newHouse(t)
	if ops, err := h.issuer.PlanCode(t.Context(), h.tenant, Permit{}, pkce(), federation.NewHandle(h.tenant.Place)); err == nil {
		t.Errorf("planned %d operations", len(ops))
	}
}
