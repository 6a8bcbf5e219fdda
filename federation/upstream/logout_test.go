package upstream

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/upstream/upstreamtest"
)

type tokenClaims = map[string]any

func TestALogoutTokenIsRead(t *testing.T) {
	p := upstreamtest.New(t)
	c := connect(t, p, nil)
	for name, tc := range map[string]struct {
		knobs        upstreamtest.Knobs
		claims       tokenClaims
		subject, sid string
	}{
		"by subject":              {subject: "alice"},
		"by session":              {claims: tokenClaims{"sub": nil, "sid": "up-1"}, sid: "up-1"},
		"by both":                 {claims: tokenClaims{"sid": "up-1"}, subject: "alice", sid: "up-1"},
		"without a type":          {knobs: upstreamtest.Knobs{Type: "-"}, subject: "alice"},
		"of the type JWT":         {knobs: upstreamtest.Knobs{Type: "JWT"}, subject: "alice"},
		"type spelled out":        {knobs: upstreamtest.Knobs{Type: "application/LOGOUT+jwt"}, subject: "alice"},
		"ES256":                   {knobs: upstreamtest.Knobs{Alg: "ES256"}, subject: "alice"},
		"without a key id":        {knobs: upstreamtest.Knobs{NoKeyID: true}, subject: "alice"},
		"several audiences":       {claims: tokenClaims{"aud": []string{"x", p.ClientID}}, subject: "alice"},
		"without exp":             {claims: tokenClaims{"exp": nil}, subject: "alice"},
		"half an hour old":        {claims: tokenClaims{"iat": time.Now().Add(-30 * time.Minute).Unix()}, subject: "alice"},
		"a clock ahead":           {claims: tokenClaims{"iat": time.Now().Add(30 * time.Second).Unix()}, subject: "alice"},
		"another event beside it": {claims: tokenClaims{"events": tokenClaims{logoutEvent: tokenClaims{}, "urn:x": tokenClaims{}}}, subject: "alice"},
		"an event with a member":  {claims: tokenClaims{"events": tokenClaims{logoutEvent: tokenClaims{"a": 1}}}, subject: "alice"},
	} {
		t.Run(name, func(t *testing.T) {
			n, err := c.ReadLogout(t.Context(), p.LogoutToken(tc.knobs, tc.claims), time.Now())
			if err != nil {
				t.Fatalf("%v: %v", err, errors.Unwrap(err))
			}
			if n.Upstream != "corp" || n.Issuer != p.URL || n.Subject != tc.subject || n.SID != tc.sid || n.ID == "" || n.Issued.IsZero() {
				t.Errorf("%+v", n)
			}
		})
	}
}

// TestLogoutTokensThatAreNone has one row per check of Back-Channel Logout 1.0
// §2.6 and of the conformance suite.
func TestLogoutTokensThatAreNone(t *testing.T) {
	p := upstreamtest.New(t)
	c := connect(t, p, nil)
	swap := func(old, with string) func([]byte) []byte {
		return func(b []byte) []byte { return bytes.Replace(b, []byte(old), []byte(with), 1) }
	}
	hour := func(n time.Duration) int64 { return time.Now().Add(n * time.Hour).Unix() }
	for name, tc := range map[string]struct {
		knobs  upstreamtest.Knobs
		claims tokenClaims
		check  string
	}{
		"alg none":                  {knobs: upstreamtest.Knobs{Alg: "none"}, check: "header"},
		"alg HS256":                 {knobs: upstreamtest.Knobs{Alg: "HS256"}, check: "header"},
		"a foreign key":             {knobs: upstreamtest.Knobs{ForeignKey: true}, check: "signature"},
		"an ID token's type":        {knobs: upstreamtest.Knobs{Type: "at+jwt"}, check: "header"},
		"no event":                  {claims: tokenClaims{"events": nil}, check: "events"},
		"events are a list":         {claims: tokenClaims{"events": []string{logoutEvent}}, check: "events"},
		"another event":             {claims: tokenClaims{"events": tokenClaims{"urn:x": tokenClaims{}}}, check: "events"},
		"the event is no object":    {claims: tokenClaims{"events": tokenClaims{logoutEvent: true}}, check: "events"},
		"the event is null":         {claims: tokenClaims{"events": tokenClaims{logoutEvent: nil}}, check: "events"},
		"with a nonce":              {claims: tokenClaims{"nonce": "n"}, check: "nonce"},
		"with an empty nonce":       {claims: tokenClaims{"nonce": ""}, check: "nonce"},
		"another issuer":            {claims: tokenClaims{"iss": "https://evil.example"}, check: "iss"},
		"no issuer":                 {claims: tokenClaims{"iss": nil}, check: "iss"},
		"another client":            {claims: tokenClaims{"aud": "other"}, check: "aud"},
		"other clients":             {claims: tokenClaims{"aud": []string{"other", "more"}}, check: "aud"},
		"no audience":               {claims: tokenClaims{"aud": nil}, check: "aud"},
		"an audience of two kinds":  {claims: tokenClaims{"aud": []any{p.ClientID, 7}}, check: "aud"},
		"no jti":                    {claims: tokenClaims{"jti": nil}, check: "jti"},
		"an empty jti":              {claims: tokenClaims{"jti": ""}, check: "jti"},
		"a number as jti":           {claims: tokenClaims{"jti": 7}, check: "jti"},
		"an endless jti":            {claims: tokenClaims{"jti": strings.Repeat("x", 2000)}, check: "jti"},
		"neither sub nor sid":       {claims: tokenClaims{"sub": nil}, check: "sub or sid"},
		"an empty sub":              {claims: tokenClaims{"sub": "", "sid": "up-1"}, check: "sub"},
		"a number as sub":           {claims: tokenClaims{"sub": 7, "sid": "up-1"}, check: "sub"},
		"an empty sid":              {claims: tokenClaims{"sid": ""}, check: "sid"},
		"a list as sid":             {claims: tokenClaims{"sid": []string{"up-1"}}, check: "sid"},
		"no iat":                    {claims: tokenClaims{"iat": nil}, check: "iat"},
		"iat is text":               {claims: tokenClaims{"iat": "now"}, check: "iat"},
		"issued in the future":      {claims: tokenClaims{"iat": hour(1), "exp": hour(2)}, check: "iat"},
		"issued long ago":           {claims: tokenClaims{"iat": hour(-2), "exp": hour(2)}, check: "iat"},
		"expired":                   {claims: tokenClaims{"exp": time.Now().Add(-2 * time.Minute).Unix()}, check: "exp"},
		"exp is text":               {claims: tokenClaims{"exp": "never"}, check: "exp"},
		"SUB beside sub":            {claims: tokenClaims{"SUB": "eve"}, check: "payload"},
		"ſid beside sid":            {claims: tokenClaims{"sid": "up-1", "ſid": "up-2"}, check: "payload"},
		"sub twice":                 {knobs: upstreamtest.Knobs{Payload: swap(`"sub":"alice"`, `"sub":"alice","sub":"eve"`)}, check: "payload"},
		"the event twice":           {knobs: upstreamtest.Knobs{Payload: swap(`backchannel-logout":{}`, `backchannel-logout":{},"`+logoutEvent+`":{}`)}, check: "payload"},
		"not an object":             {knobs: upstreamtest.Knobs{Payload: func([]byte) []byte { return []byte(`[]`) }}, check: "payload"},
		"larger than anybody needs": {claims: tokenClaims{"more": strings.Repeat("x", 17<<10)}, check: "size"},
	} {
		t.Run(name, func(t *testing.T) { disbelieved(t, c, p.LogoutToken(tc.knobs, tc.claims), tc.check) })
	}
	good := p.LogoutToken(upstreamtest.Knobs{}, nil)
	part := strings.Split(good, ".")
	for name, tc := range map[string]struct{ token, check string }{
		"rubbish": {"x", "header"}, "two parts": {part[0] + "." + part[1], "header"}, "no signature": {part[0] + "." + part[1] + ".", "signature"},
		"encrypted": {good + ".a.b", "header"}, "another payload": {part[0] + "." + strings.Split(p.LogoutToken(upstreamtest.Knobs{Subject: "bob"}, nil), ".")[1] + "." + part[2], "signature"},
	} {
		t.Run(name, func(t *testing.T) { disbelieved(t, c, tc.token, tc.check) })
	}
}

func disbelieved(t *testing.T, c *OIDC, token, check string) {
	t.Helper()
	n, err := c.ReadLogout(t.Context(), token, time.Now())
	refused, _ := errors.AsType[*federation.Error](err)
	why, _ := errors.AsType[*Distrust](err)
	if refused == nil || refused.Code != federation.InvalidRequest || why == nil || why.Check != check {
		t.Errorf("%v, want %s", err, check)
	}
	if n != (federation.LogoutNotice{}) {
		t.Errorf("it says %+v all the same", n)
	}
}

// TestALogoutTokenWhoseKeyCannotBeHad is put off, not refused, and judged later
// by when it came in.
func TestALogoutTokenWhoseKeyCannotBeHad(t *testing.T) {
	for name, down := range map[string]upstreamtest.Knobs{"the keys": {KeysStatus: 500}, "discovery": {DiscoveryStatus: 503}, "another issuer": {Issuer: "https://evil.example"}} {
		t.Run(name, func(t *testing.T) {
			p := upstreamtest.New(t)
			hands := &hands{begin: time.Now()}
			c := connect(t, p, func(o *Options) { o.Now = hands.now })
			p.Set(down)
			token, received := p.LogoutToken(upstreamtest.Knobs{}, nil), hands.now()
			if _, err := c.ReadLogout(t.Context(), token, received); code(err) != federation.TemporarilyUnavailable {
				t.Fatalf("%v", err)
			}
			disbelieved(t, c, p.LogoutToken(upstreamtest.Knobs{}, tokenClaims{"aud": "other"}), "aud")
			p.Set(upstreamtest.Knobs{})
			hands.advance(3 * time.Hour)
			if _, err := c.ReadLogout(t.Context(), token, received); err != nil {
				t.Errorf("later: %v", err)
			}
			if _, err := c.ReadLogout(t.Context(), token, hands.now()); code(err) != federation.InvalidRequest {
				t.Errorf("new to us, and old: %v", err)
			}
		})
	}
}

// TestALogoutTokenWaitsForARotatedKey does not lose what was signed by a key
// that is newer than our last fetch, and makes no fetch more for it than allowed.
func TestALogoutTokenWaitsForARotatedKey(t *testing.T) {
	t.Parallel()
	p := upstreamtest.New(t)
	c := connect(t, p, nil)
	for range 2 { // the keys that follow the first ones are fetched at once
		p.Rotate()
		if _, err := c.ReadLogout(t.Context(), p.LogoutToken(upstreamtest.Knobs{}, nil), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	old := p.LogoutToken(upstreamtest.Knobs{}, nil)
	p.Rotate()
	began := time.Now()
	disbelieved(t, c, p.LogoutToken(upstreamtest.Knobs{Alg: "none"}, nil), "header")
	if time.Since(began) > keysPause/2 {
		t.Error("what can never be believed has waited")
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if _, err := c.ReadLogout(t.Context(), p.LogoutToken(upstreamtest.Knobs{}, nil), time.Now()); err != nil {
				t.Errorf("a new key: %v", err)
			}
		})
	}
	all.Wait()
	if n := p.Hits("/jwks"); n != 3 {
		t.Errorf("%d fetches", n)
	}
	disbelieved(t, c, old, "signature")
}

// TestOnlySoManyWait for a key that nobody may have.
func TestOnlySoManyWait(t *testing.T) {
	p := upstreamtest.New(t)
	c := connect(t, p, nil)
	for range 2 { // the keys that follow the first ones are fetched at once
		p.Rotate()
		if _, err := c.ReadLogout(t.Context(), p.LogoutToken(upstreamtest.Knobs{}, nil), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	prov, err := c.cache.provider(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p.Rotate()
	prov.keys.patient.Store(maxPatient)
	if _, err := c.ReadLogout(t.Context(), p.LogoutToken(upstreamtest.Knobs{}, nil), time.Now()); code(err) != federation.TemporarilyUnavailable {
		t.Errorf("%v", err)
	}
}
