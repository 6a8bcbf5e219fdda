package upstream

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/upstream/upstreamtest"
)

// row is one module of the conformance suite for relying parties. The provider
// of the suite passes a negative one if nothing more is asked of it.
type row struct {
	knobs  upstreamtest.Knobs
	change func(*Options)
	// before happens between discovery and the sign-in.
	before func(p *upstreamtest.Provider)
	// check is the one that refuses; empty where the login is good.
	check string
	// silent are the paths that may not be asked for in a negative row.
	silent []string
	then   func(t *testing.T, p *upstreamtest.Provider, l federation.Login)
}

// TestConformanceOfTheRelyingParty has the modules of the plans
// oidcc-client-{basic,config,formpost,refreshtoken}-… and oidcc-client-test-plan
// that apply to a client that is registered by hand and uses the code flow
// (op-checklist 2.8). Those of the logout plans are where logout tokens are
// received. What is left out: userinfo-bearer-body and the signed and encrypted
// request objects are the client's choice, and this one chooses otherwise.
func TestConformanceOfTheRelyingParty(t *testing.T) {
	for name, c := range rows() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := upstreamtest.New(t)
			p.Set(c.knobs)
			conn := connect(t, p, c.change)
			cb := walkAnyWay(t, conn, attempt())
			if c.before != nil {
				c.before(p)
			}
			l, err := conn.Exchange(t.Context(), attempt(), cb)
			if c.check == "" {
				if err != nil {
					t.Fatal(err)
				}
				if l.Subject != "alice" || l.Issuer != p.URL {
					t.Errorf("login of %q at %q", l.Subject, l.Issuer)
				}
			} else {
				d, _ := errors.AsType[*Distrust](err)
				if d == nil || d.Check != c.check {
					t.Fatalf("got %v, want the check of %s", err, c.check)
				}
			}
			for _, path := range c.silent {
				if n := p.Hits(path); n != 0 {
					t.Errorf("%d requests for %s after the refusal", n, path)
				}
			}
			if c.then != nil {
				c.then(t, p, l)
			}
		})
	}
}

// rows are keyed by the module's name without oidcc-client-test-.
func rows() map[string]row {
	userinfo := []string{"/userinfo"}
	k := func(k upstreamtest.Knobs) row { return row{knobs: k} }
	lie := func(check string, k upstreamtest.Knobs) row { return row{knobs: k, check: check, silent: userinfo} }
	says := func(name string, v any) upstreamtest.Knobs {
		return upstreamtest.Knobs{Claims: map[string]any{name: v}}
	}
	two := func(p *upstreamtest.Provider) { p.Join() }
	return map[string]row{
		"happy":             k(upstreamtest.Knobs{}),
		"invalid-iss":       lie("id_token", says("iss", "https://evil.example")),
		"missing-sub":       lie("sub", upstreamtest.Knobs{Omit: []string{"sub"}}),
		"missing-aud":       lie("id_token", upstreamtest.Knobs{Omit: []string{"aud"}}),
		"invalid-aud":       lie("id_token", says("aud", "another-client")),
		"missing-iat":       lie("iat", upstreamtest.Knobs{Omit: []string{"iat"}}),
		"nonce-invalid":     lie("nonce", says("nonce", "another")),
		"idtoken-sig-none":  lie("id_token", upstreamtest.Knobs{Alg: "none"}),
		"invalid-sig-rs256": lie("id_token", upstreamtest.Knobs{ForeignKey: true}),
		"invalid-sig-es256": lie("id_token", upstreamtest.Knobs{ForeignKey: true, Alg: "ES256"}),
		// A MAC with the client secret is refused whether or not it is right.
		"invalid-sig-hs256":         lie("id_token", upstreamtest.Knobs{Alg: "HS256"}),
		"idtoken-sig-rs256":         k(upstreamtest.Knobs{Alg: "RS256"}),
		"idtoken-sig-es256":         k(upstreamtest.Knobs{Alg: "ES256"}),
		"kid-absent-single-jwks":    k(upstreamtest.Knobs{NoKeyID: true}),
		"kid-absent-multiple-jwks":  {knobs: upstreamtest.Knobs{NoKeyID: true}, before: two},
		"kid-absent-multiple-wrong": {knobs: upstreamtest.Knobs{NoKeyID: true, ForeignKey: true}, before: two, check: "id_token", silent: userinfo},
		"userinfo-invalid-sub":      {knobs: upstreamtest.Knobs{Userinfo: map[string]any{"sub": "eve"}}, check: "userinfo sub"},
		"scope-userinfo-claims": {knobs: upstreamtest.Knobs{Userinfo: map[string]any{"phone_number": "+31 20 123"}}, then: func(t *testing.T, _ *upstreamtest.Provider, l federation.Login) {
			if l.Claims["phone_number"] != "+31 20 123" || l.Claims["email"] != "alice@corp.example" {
				t.Errorf("claims %v", l.Claims.Names())
			}
		}},
		"userinfo-bearer-header": {then: func(t *testing.T, p *upstreamtest.Provider, _ federation.Login) {
			if p.Hits("/userinfo") != 1 { // it takes the header only
				t.Error("userinfo was not asked once")
			}
		}},
		"userinfo-signed":             k(upstreamtest.Knobs{SignUserinfo: "RS256"}),
		"userinfo-signed-es256":       k(upstreamtest.Knobs{SignUserinfo: "ES256", Userinfo: map[string]any{"aud": "drawbridge"}}),
		"userinfo-signed-wrong-key":   {knobs: upstreamtest.Knobs{SignUserinfo: "RS256", UserinfoKey: true}, check: "userinfo"},
		"userinfo-signed-none":        {knobs: upstreamtest.Knobs{SignUserinfo: "none"}, check: "userinfo"},
		"userinfo-signed-hs256":       {knobs: upstreamtest.Knobs{SignUserinfo: "HS256"}, check: "userinfo"},
		"userinfo-signed-invalid-sub": {knobs: upstreamtest.Knobs{SignUserinfo: "RS256", Userinfo: map[string]any{"sub": "eve"}}, check: "userinfo sub"},
		"userinfo-signed-invalid-iss": {knobs: upstreamtest.Knobs{SignUserinfo: "RS256", Userinfo: map[string]any{"iss": "https://evil.example"}}, check: "userinfo iss"},
		"userinfo-signed-invalid-aud": {knobs: upstreamtest.Knobs{SignUserinfo: "RS256", Userinfo: map[string]any{"aud": []string{"x"}}}, check: "userinfo aud"},
		"userinfo-signed-expired":     {knobs: upstreamtest.Knobs{SignUserinfo: "RS256", Userinfo: map[string]any{"exp": 1}}, check: "userinfo exp"},
		"userinfo-signed-folded":      {knobs: upstreamtest.Knobs{SignUserinfo: "RS256", Userinfo: map[string]any{"SUB": "eve"}}, check: "userinfo"},
		"client-secret-basic":         {change: func(o *Options) { o.AuthMethod = federation.AuthBasic }},
		"client-secret-post":          {change: func(o *Options) { o.AuthMethod = federation.AuthPost }},
		"aggregated-claims": {knobs: says("_claim_sources", map[string]any{"a": map[string]any{"JWT": "e30.e30."}}), then: func(t *testing.T, _ *upstreamtest.Provider, l federation.Login) {
			if l.Claims["_claim_sources"] == nil {
				t.Error("aggregated claims are not kept")
			}
		}},
		"distributed-claims":                       distributed(),
		"discovery-openid-config":                  k(upstreamtest.Knobs{}),
		"discovery-jwks-uri-keys":                  k(upstreamtest.Knobs{}),
		"signing-key-rotation-just-before-signing": k(upstreamtest.Knobs{RotateFirst: true}),
		"formpost-happy":                           {change: formPosted},
		"formpost-invalid-iss":                     {change: formPosted, knobs: says("iss", "https://evil.example"), check: "id_token", silent: userinfo},
		"formpost-nonce-invalid":                   {change: formPosted, knobs: says("nonce", "another"), check: "nonce", silent: userinfo},
	}
}

func formPosted(o *Options) { o.ResponseMode = "form_post" }

// distributed claims are kept as data: the address in them is nobody's to visit.
func distributed() row {
	var asked atomic.Bool
	return row{
		knobs: upstreamtest.Knobs{Claims: map[string]any{
			"_claim_names":   map[string]any{"age": "src"},
			"_claim_sources": map[string]any{"src": map[string]any{"endpoint": "http://127.0.0.1:9/claims", "access_token": "x"}},
		}},
		change: func(o *Options) {
			next := http.DefaultTransport
			o.HTTP = &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
				if strings.HasSuffix(r.URL.Path, "/claims") {
					asked.Store(true)
				}
				return next.RoundTrip(r)
			})}
		},
		then: func(t *testing.T, _ *upstreamtest.Provider, l federation.Login) {
			if asked.Load() || l.Claims["_claim_names"] == nil {
				t.Errorf("followed: %v, kept: %v", asked.Load(), l.Claims["_claim_names"])
			}
		},
	}
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// walkAnyWay is walk, also where the provider answers with a page that posts.
func walkAnyWay(t *testing.T, c *OIDC, a federation.Attempt) federation.Callback {
	t.Helper()
	if c.o.ResponseMode != "form_post" {
		return walk(t, c, a)
	}
	at, err := c.AuthURL(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.Get(at)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	page, err := io.ReadAll(res.Body)
	if err != nil || !strings.Contains(string(page), `action="`+callback+`"`) {
		t.Fatalf("no form for us: %v %s", err, page)
	}
	q := url.Values{}
	for _, m := range regexp.MustCompile(`name="([^"]*)" value="([^"]*)"`).FindAllStringSubmatch(string(page), -1) {
		q.Set(m[1], strings.ReplaceAll(m[2], "&#43;", "+"))
	}
	if q.Get("state") != a.State {
		t.Fatalf("state came back as %q", q.Get("state"))
	}
	return federation.Callback{Code: q.Get("code"), Issuer: q.Get("iss"), Error: q.Get("error")}
}

// oidcc-client-test-discovery-issuer-mismatch: nothing but discovery is asked.
func TestConformanceDiscoveryIssuerMismatch(t *testing.T) {
	p := upstreamtest.New(t)
	p.Set(upstreamtest.Knobs{Issuer: "https://evil.example"})
	_, err := connect(t, p, nil).AuthURL(t.Context(), attempt())
	if d, ok := errors.AsType[*Distrust](err); !ok || d.Check != "discovery" {
		t.Errorf("%v", err)
	}
	if p.Hits("/authorize")+p.Hits("/jwks")+p.Hits("/token") > 0 {
		t.Error("it went on")
	}
}

// oidcc-client-test-signing-key-rotation: two sign-ins one right after the
// other, with other keys in between.
func TestConformanceSigningKeyRotation(t *testing.T) {
	p := upstreamtest.New(t)
	c := connect(t, p, nil)
	for range 2 {
		if err := signIn(t, c); err != nil {
			t.Fatal(err)
		}
		p.Rotate()
	}
	if n := p.Hits("/jwks"); n != 2 {
		t.Errorf("%d fetches of the keys, want 2", n)
	}
}

// The modules of oidcc-client-refreshtoken-test-plan, and what else an answer to
// a refresh can be.
func TestConformanceOfRefreshes(t *testing.T) {
	give := upstreamtest.Refresh{Give: true}
	with := func(change func(*upstreamtest.Refresh)) upstreamtest.Refresh {
		r := give
		change(&r)
		return r
	}
	says := func(name string, v any) upstreamtest.Refresh {
		return with(func(r *upstreamtest.Refresh) { r.Claims = map[string]any{name: v} })
	}
	for name, c := range map[string]struct {
		refresh upstreamtest.Refresh
		check   string
		err     error
		code    federation.Code
	}{
		"refresh-token":                {refresh: give},
		"rotated":                      {refresh: with(func(r *upstreamtest.Refresh) { r.Rotate = true })},
		"without an ID token":          {refresh: with(func(r *upstreamtest.Refresh) { r.NoIDToken = true })},
		"refresh-token-invalid-issuer": {refresh: says("iss", "https://evil.example"), check: "id_token"},
		"refresh-token-invalid-sub":    {refresh: says("sub", "eve"), check: "sub"},
		"invalid-aud":                  {refresh: says("aud", "x"), check: "id_token"},
		"another nonce":                {refresh: says("nonce", "x"), check: "nonce"},
		"the same nonce":               {refresh: says("nonce", "the-nonce")},
		"another auth_time":            {refresh: says("auth_time", time.Now().Add(time.Hour).Unix()), check: "auth_time"},
		"gone":                         {refresh: with(func(r *upstreamtest.Refresh) { r.Gone = true }), err: federation.ErrGone},
		"denied":                       {refresh: with(func(r *upstreamtest.Refresh) { r.Error, r.Status = "access_denied", 400 }), err: federation.ErrGone},
		"we are not known any more":    {refresh: with(func(r *upstreamtest.Refresh) { r.Error, r.Status = "invalid_client", 401 }), code: federation.TemporarilyUnavailable},
		"down":                         {refresh: with(func(r *upstreamtest.Refresh) { r.Error, r.Status = "x", 503 }), code: federation.TemporarilyUnavailable},
		"lost":                         {refresh: with(func(r *upstreamtest.Refresh) { r.Lose = true }), code: federation.TemporarilyUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := upstreamtest.New(t)
			conn := connect(t, p, nil)
			p.Set(upstreamtest.Knobs{Refresh: give, Userinfo: map[string]any{"dept": "old"}})
			l, err := conn.Exchange(t.Context(), attempt(), walk(t, conn, attempt()))
			if err != nil {
				t.Fatal(err)
			}
			p.Set(upstreamtest.Knobs{Refresh: c.refresh, Userinfo: map[string]any{"dept": "new"}})
			asked := p.Hits("/userinfo")
			got, err := conn.Recheck(t.Context(), l)
			d, _ := errors.AsType[*Distrust](err)
			switch {
			case c.check != "":
				if d == nil || d.Check != c.check || p.Hits("/userinfo") != asked {
					t.Errorf("got %v after %d requests for userinfo, want the check of %s", err, p.Hits("/userinfo")-asked, c.check)
				}
			case c.err != nil:
				if !errors.Is(err, c.err) {
					t.Errorf("got %v, want %v", err, c.err)
				}
			case c.code != "":
				if code(err) != c.code {
					t.Errorf("got %v, want %s", err, c.code)
				}
			case err != nil:
				t.Fatal(err)
			default:
				if got.Claims["dept"] != "new" || got.Subject != "alice" || !got.AuthTime.Equal(l.AuthTime) || got.RefreshToken == "" ||
					c.refresh.Rotate == (got.RefreshToken == l.RefreshToken) {
					t.Errorf("rechecked as %+v", got)
				}
			}
		})
	}
}

// Without a refresh token the access token asks, for as long as it is good.
func TestRecheckByAccessToken(t *testing.T) {
	p := upstreamtest.New(t)
	c, clock := at(t, p)
	l, err := c.Exchange(t.Context(), attempt(), walk(t, c, attempt()))
	if err != nil {
		t.Fatal(err)
	}
	p.Set(upstreamtest.Knobs{Userinfo: map[string]any{"dept": "new"}})
	if got, err := c.Recheck(t.Context(), l); err != nil || got.Claims["dept"] != "new" {
		t.Errorf("%v %v", got.Claims, err)
	}
	p.Set(upstreamtest.Knobs{UserinfoStatus: 503})
	if _, err := c.Recheck(t.Context(), l); code(err) != federation.TemporarilyUnavailable {
		t.Errorf("down: %v", err)
	}
	p.Set(upstreamtest.Knobs{})
	p.Revoke()
	if _, err := c.Recheck(t.Context(), l); !errors.Is(err, federation.ErrGone) {
		t.Errorf("revoked: %v", err)
	}
	clock.advance(5 * time.Minute)
	if _, err := c.Recheck(t.Context(), l); !errors.Is(err, federation.ErrNothingToCheck) {
		t.Errorf("expired: %v", err)
	}
}

// A new refresh token is kept also where what follows goes wrong.
func TestARotatedTokenSurvivesAnOutage(t *testing.T) {
	p := upstreamtest.New(t)
	c := connect(t, p, nil)
	p.Set(upstreamtest.Knobs{Refresh: upstreamtest.Refresh{Give: true}})
	l, err := c.Exchange(t.Context(), attempt(), walk(t, c, attempt()))
	if err != nil {
		t.Fatal(err)
	}
	p.Set(upstreamtest.Knobs{Refresh: upstreamtest.Refresh{Rotate: true}, UserinfoStatus: 503})
	got, err := c.Recheck(t.Context(), l)
	if code(err) != federation.TemporarilyUnavailable || got.RefreshToken == l.RefreshToken || got.RefreshToken == "" {
		t.Fatalf("%v, token kept: %v", err, got.RefreshToken != l.RefreshToken)
	}
	p.Set(upstreamtest.Knobs{Refresh: upstreamtest.Refresh{Rotate: true}})
	if _, err := c.Recheck(t.Context(), got); err != nil {
		t.Error(err)
	}
}

// What had to be new is measured from when it was asked for: a user may take
// longer than the clocks may differ.
func TestAnewIsMeasuredFromTheRequest(t *testing.T) {
	p := upstreamtest.New(t)
	c := connect(t, p, nil)
	for name, k := range map[string]struct {
		asked, authenticated time.Duration
		omit                 []string
		prompt               []string
		maxAge               int
		good                 bool
	}{
		"a slow user":          {-10 * time.Minute, -9 * time.Minute, nil, []string{"login"}, -1, true},
		"an old login":         {-10 * time.Minute, -12 * time.Minute, nil, []string{"login"}, -1, false},
		"untold":               {0, 0, []string{"auth_time"}, []string{"login"}, -1, false},
		"young enough":         {-10 * time.Minute, -14 * time.Minute, nil, nil, 300, true},
		"too old":              {-10 * time.Minute, -17 * time.Minute, nil, nil, 300, false},
		"nothing was demanded": {0, -9 * time.Hour, nil, nil, -1, true},
	} {
		a := attempt()
		a.At, a.Prompt, a.MaxAge = time.Now().Add(k.asked), k.prompt, k.maxAge
		p.Set(upstreamtest.Knobs{Omit: k.omit, Claims: map[string]any{"auth_time": time.Now().Add(k.authenticated).Unix()}})
		_, err := c.Exchange(t.Context(), a, walk(t, c, a))
		if k.good != (err == nil) || !k.good && code(err) != federation.LoginRequired {
			t.Errorf("%s: %v", name, err)
		}
	}
}
