package upstream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/upstream/upstreamtest"
)

const callback = "http://127.0.0.1:1/callback/corp"

func attempt() federation.Attempt {
	return federation.Attempt{State: "the-state", Nonce: "the-nonce", Verifier: strings.Repeat("v", 43), RedirectURI: callback, MaxAge: -1}
}

func connect(t *testing.T, p *upstreamtest.Provider, change func(*Options)) *OIDC {
	t.Helper()
	o := Options{ID: "corp", Issuer: p.URL, ClientID: p.ClientID, ClientSecret: federation.Secret(p.ClientSecret),
		HTTP: &http.Client{Timeout: 5 * time.Second}, Now: time.Now, Log: slog.New(slog.DiscardHandler), Scopes: []string{"email"}}
	if change != nil {
		change(&o)
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// walk goes to the provider as a browser would and brings its answer back.
func walk(t *testing.T, c *OIDC, a federation.Attempt) federation.Callback {
	t.Helper()
	at, err := c.AuthURL(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := browser.Get(at)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	back, err := url.Parse(res.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	q := back.Query()
	if q.Get("state") != a.State {
		t.Fatalf("state came back as %q", q.Get("state"))
	}
	return federation.Callback{Code: q.Get("code"), Issuer: q.Get("iss"), Error: q.Get("error"), ErrorDescription: q.Get("error_description")}
}

func TestAVerifiedLoginKeepsTheWholeBag(t *testing.T) {
	p := upstreamtest.New(t)
	for _, method := range []federation.AuthMethod{federation.AuthBasic, federation.AuthPost} {
		for _, alg := range []string{"RS256", "ES256"} {
			p.Set(upstreamtest.Knobs{Alg: alg, Claims: map[string]any{"sid": "up-1", "acr": "gold", "amr": []string{"pwd", "otp"}, "dept": "R&D", "big": json.Number("9007199254740993")},
				Userinfo: map[string]any{"groups": []string{"a", "b"}, "acr": "forged", "auth_time": 1}})
			c := connect(t, p, func(o *Options) { o.AuthMethod = method })
			got, err := c.Exchange(t.Context(), attempt(), walk(t, c, attempt()))
			if err != nil {
				t.Fatal(err)
			}
			if got.Upstream != "corp" || got.Issuer != p.URL || got.Subject != "alice" || got.SID != "up-1" || got.ACR != "gold" || len(got.AMR) != 2 || got.IDToken == "" {
				t.Errorf("%s: login %+v", alg, got)
			}
			if time.Since(got.AuthTime) > time.Minute {
				t.Errorf("auth_time %v was taken from userinfo", got.AuthTime)
			}
			if got.Claims["dept"] != "R&D" || got.Claims["name"] != "Alice Liddell" || got.Claims["big"] != json.Number("9007199254740993") || got.Claims["acr"] != "gold" {
				t.Errorf("%s: bag %v", alg, got.Claims.Names())
			}
		}
	}
}

// TestLies has one row per check of a relying party (op-checklist 2.8).
func TestLies(t *testing.T) {
	swap := func(old, new string) func([]byte) []byte {
		return func(b []byte) []byte { return bytes.Replace(b, []byte(old), []byte(new), 1) }
	}
	p := upstreamtest.New(t)
	for name, c := range map[string]struct {
		knobs upstreamtest.Knobs
		code  federation.Code
		check string
	}{
		"wrong issuer in the token":    {upstreamtest.Knobs{Claims: map[string]any{"iss": "https://evil.example"}}, federation.ServerError, "id_token"},
		"wrong audience":               {upstreamtest.Knobs{Claims: map[string]any{"aud": "somebody-else"}}, federation.ServerError, "id_token"},
		"missing audience":             {upstreamtest.Knobs{Omit: []string{"aud"}}, federation.ServerError, "id_token"},
		"several audiences, no azp":    {upstreamtest.Knobs{Claims: map[string]any{"aud": []string{"drawbridge", "x"}}}, federation.ServerError, "azp"},
		"another azp":                  {upstreamtest.Knobs{Claims: map[string]any{"azp": "x"}}, federation.ServerError, "azp"},
		"wrong nonce":                  {upstreamtest.Knobs{Claims: map[string]any{"nonce": "other"}}, federation.ServerError, "nonce"},
		"missing nonce":                {upstreamtest.Knobs{Omit: []string{"nonce"}}, federation.ServerError, "nonce"},
		"missing sub":                  {upstreamtest.Knobs{Omit: []string{"sub"}}, federation.ServerError, "sub"},
		"sub is a number":              {upstreamtest.Knobs{Claims: map[string]any{"sub": 7}}, federation.ServerError, "id_token"},
		"missing iat":                  {upstreamtest.Knobs{Omit: []string{"iat"}}, federation.ServerError, "iat"},
		"issued in the future":         {upstreamtest.Knobs{Claims: map[string]any{"iat": time.Now().Add(time.Hour).Unix()}}, federation.ServerError, "iat"},
		"expired":                      {upstreamtest.Knobs{Claims: map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}}, federation.ServerError, "id_token"},
		"authenticated in the future":  {upstreamtest.Knobs{Claims: map[string]any{"auth_time": time.Now().Add(time.Hour).Unix()}}, federation.ServerError, "auth_time"},
		"alg none":                     {upstreamtest.Knobs{Alg: "none"}, federation.ServerError, "id_token"},
		"HS256 with the client secret": {upstreamtest.Knobs{Alg: "HS256"}, federation.ServerError, "id_token"},
		"a foreign key":                {upstreamtest.Knobs{ForeignKey: true}, federation.ServerError, "id_token"},
		"a foreign EC key":             {upstreamtest.Knobs{ForeignKey: true, Alg: "ES256"}, federation.ServerError, "id_token"},
		"SUB beside sub":               {upstreamtest.Knobs{Claims: map[string]any{"SUB": "eve"}}, federation.ServerError, "payload"},
		"long s in ſub":                {upstreamtest.Knobs{Claims: map[string]any{"ſub": "eve"}}, federation.ServerError, "payload"},
		"sub twice":                    {upstreamtest.Knobs{Payload: swap(`"sub":"alice"`, `"sub":"alice","sub":"eve"`)}, federation.ServerError, "payload"},
		"at_hash of another token":     {upstreamtest.Knobs{Claims: map[string]any{"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}}, federation.ServerError, "at_hash"},
		"answer of another issuer":     {upstreamtest.Knobs{AnswerIssuer: "https://evil.example"}, federation.ServerError, "iss of the answer"},
		"answer without issuer":        {upstreamtest.Knobs{AnswerIssuer: "-"}, federation.ServerError, "iss of the answer"},
		"userinfo of another user":     {upstreamtest.Knobs{Userinfo: map[string]any{"sub": "eve"}}, federation.ServerError, "userinfo sub"},
		"userinfo with folded twins":   {upstreamtest.Knobs{RawUserinfo: `{"sub":"alice","SUB":"eve"}`}, federation.ServerError, "userinfo"},
		"userinfo is not JSON":         {upstreamtest.Knobs{RawUserinfo: `<html>`}, federation.ServerError, "userinfo"},
		"userinfo is huge":             {upstreamtest.Knobs{RawUserinfo: strings.Repeat(" ", 2<<20)}, federation.ServerError, "size"},
		"userinfo forbids":             {upstreamtest.Knobs{UserinfoStatus: 403}, federation.ServerError, "userinfo"},
		"userinfo is down":             {upstreamtest.Knobs{UserinfoStatus: 503}, federation.TemporarilyUnavailable, ""},
		"token endpoint is down":       {upstreamtest.Knobs{TokenStatus: 500}, federation.TemporarilyUnavailable, ""},
		"token endpoint refuses":       {upstreamtest.Knobs{TokenStatus: 400}, federation.ServerError, ""},
		"keys are down":                {upstreamtest.Knobs{KeysStatus: 500}, federation.TemporarilyUnavailable, ""},
		"the user refuses":             {upstreamtest.Knobs{Refuse: "access_denied"}, federation.AccessDenied, ""},
		"prompt none":                  {upstreamtest.Knobs{Refuse: "login_required"}, federation.LoginRequired, ""},
		"an error we do not know":      {upstreamtest.Knobs{Refuse: "teapot\r\n"}, federation.ServerError, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p.Set(c.knobs)
			conn := connect(t, p, nil)
			_, err := conn.Exchange(t.Context(), attempt(), walk(t, conn, attempt()))
			e, ok := errors.AsType[*federation.Error](err)
			if !ok || e.Code != c.code {
				t.Fatalf("got %v, want %s", err, c.code)
			}
			d, _ := errors.AsType[*Distrust](err)
			if c.check != "" && (d == nil || d.Check != c.check) {
				t.Fatalf("got %v, want the check of %s", err, c.check)
			}
			if strings.ContainsAny(err.Error(), "\r\n") || strings.Contains(e.Description, "alice") {
				t.Errorf("the error is not fit to log or to show: %q", err)
			}
		})
	}
}

func TestMaxAgeDemandsARecentLogin(t *testing.T) {
	p := upstreamtest.New(t)
	c := connect(t, p, nil)
	a := attempt()
	a.MaxAge = 10
	for name, k := range map[string]upstreamtest.Knobs{
		"old":    {Claims: map[string]any{"auth_time": time.Now().Add(-time.Hour).Unix()}},
		"untold": {Omit: []string{"auth_time"}},
	} {
		p.Set(k)
		_, err := c.Exchange(t.Context(), a, walk(t, c, a))
		if e, ok := errors.AsType[*federation.Error](err); !ok || e.Code != federation.LoginRequired {
			t.Errorf("%s: %v", name, err)
		}
	}
	p.Set(upstreamtest.Knobs{})
	if _, err := c.Exchange(t.Context(), a, walk(t, c, a)); err != nil {
		t.Error(err)
	}
}

func TestKeyRotationAndKeysWithoutIDs(t *testing.T) {
	p := upstreamtest.New(t)
	clock := time.Now()
	var mu sync.Mutex
	c := connect(t, p, func(o *Options) {
		o.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return clock }
	})
	login := func() error { _, err := c.Exchange(t.Context(), attempt(), walk(t, c, attempt())); return err }
	if err := login(); err != nil {
		t.Fatal(err)
	}
	p.Set(upstreamtest.Knobs{ForeignKey: true})
	for range 20 {
		if login() == nil {
			t.Fatal("a foreign key was accepted")
		}
	}
	if n := p.Hits("/jwks"); n != 2 {
		t.Errorf("%d fetches of the keys within the pause, want the first and one for the unknown key", n)
	}
	p.Set(upstreamtest.Knobs{NoKeyID: true})
	if err := login(); err != nil {
		t.Errorf("a token without kid: %v", err)
	}
	p.Rotate()
	p.Set(upstreamtest.Knobs{})
	mu.Lock()
	clock = clock.Add(keysPause)
	mu.Unlock()
	if err := login(); err != nil {
		t.Errorf("after rotation: %v", err)
	}
	if n := p.Hits("/jwks"); n != 3 {
		t.Errorf("%d fetches of the keys, want 3", n)
	}
}

func TestDiscoveryIsLazySharedAndRetried(t *testing.T) {
	p := upstreamtest.New(t)
	p.Set(upstreamtest.Knobs{DiscoveryStatus: 500})
	clock := time.Now()
	var mu sync.Mutex
	c := connect(t, p, func(o *Options) {
		o.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return clock }
	})
	const path = "/.well-known/openid-configuration"
	if p.Hits(path) != 0 {
		t.Fatal("discovery was not lazy")
	}
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := c.AuthURL(t.Context(), attempt()); err == nil {
				t.Error("a dead provider gave an address")
			}
		})
	}
	wg.Wait()
	if n := p.Hits(path); n != 1 {
		t.Errorf("%d fetches for 50 who waited, want 1", n)
	}
	p.Set(upstreamtest.Knobs{})
	mu.Lock()
	clock = clock.Add(discoveryPause)
	mu.Unlock()
	if _, err := c.AuthURL(t.Context(), attempt()); err != nil {
		t.Fatalf("after recovery: %v", err)
	}
	p.Set(upstreamtest.Knobs{DiscoveryStatus: 500})
	mu.Lock()
	clock = clock.Add(2 * discoveryLife)
	mu.Unlock()
	if _, err := c.AuthURL(t.Context(), attempt()); err != nil {
		t.Errorf("stale metadata does not serve: %v", err)
	}
}

func TestDiscoveryOfAnotherIssuerIsRefused(t *testing.T) {
	p := upstreamtest.New(t)
	p.Set(upstreamtest.Knobs{Issuer: "https://evil.example"})
	if _, err := connect(t, p, nil).AuthURL(t.Context(), attempt()); err == nil {
		t.Error("metadata of another issuer was accepted")
	}
}

func TestAGivenUpWaitEnds(t *testing.T) {
	p := upstreamtest.New(t)
	stuck := make(chan struct{})
	c := connect(t, p, nil)
	c.cache.fetch = func(context.Context) (*provider, error) { <-stuck; return nil, errors.New("late") }
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := c.AuthURL(ctx, attempt())
	if e, ok := errors.AsType[*federation.Error](err); !ok || e.Code != federation.TemporarilyUnavailable {
		t.Errorf("got %v", err)
	}
	close(stuck)
}

func TestWhatTheRelyingPartyAskedReachesTheProvider(t *testing.T) {
	p := upstreamtest.New(t)
	a := attempt()
	a.Prompt, a.LoginHint, a.ACRValues, a.UILocales, a.MaxAge = []string{"login"}, "alice@corp.example", []string{"gold", "silver"}, "de en", 0
	at, err := connect(t, p, nil).AuthURL(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	u, _ := url.Parse(at)
	for name, want := range map[string]string{"prompt": "login", "login_hint": "alice@corp.example", "acr_values": "gold silver", "ui_locales": "de en",
		"max_age": "0", "nonce": "the-nonce", "state": "the-state", "code_challenge_method": "S256", "response_type": "code", "scope": "openid email", "redirect_uri": callback} {
		if got := u.Query().Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
}

func TestEndSessionURL(t *testing.T) {
	p := upstreamtest.New(t)
	got, err := connect(t, p, nil).EndSessionURL(t.Context(), "hint", "https://back.example/x", "s")
	if err != nil {
		t.Fatal(err)
	}
	u, _ := url.Parse(got)
	q := u.Query()
	if u.Path != "/end_session" || q.Get("id_token_hint") != "hint" || q.Get("post_logout_redirect_uri") != "https://back.example/x" || q.Get("state") != "s" {
		t.Errorf("got %s", got)
	}
}
