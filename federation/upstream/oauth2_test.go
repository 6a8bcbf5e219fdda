package upstream

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/upstream/upstreamtest"
)

// gitHub is a connector to a provider of GitHub's shape.
func gitHub(t *testing.T, p *upstreamtest.Provider, change func(*OAuth2Options)) *OAuth2 {
	t.Helper()
	o := OAuth2Options{
		Options: Options{ID: "github", ClientID: p.ClientID, ClientSecret: federation.Secret(p.ClientSecret), AuthMethod: federation.AuthPost,
			HTTP: &http.Client{Timeout: 5 * time.Second}, Now: time.Now, Log: slog.New(slog.DiscardHandler), Scopes: []string{"read:user", "user:email"}},
		Authorization: p.URL + "/authorize?allow_signup=false", Token: p.URL + "/token", Userinfo: p.URL + "/userinfo", Emails: p.URL + "/emails", SubjectClaim: "id",
	}
	if change != nil {
		change(&o)
	}
	c, err := NewOAuth2(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func profileOf(more string) upstreamtest.Knobs {
	return upstreamtest.Knobs{
		NoIDToken: true, TokenForm: true, AnswerIssuer: "-",
		RawUserinfo: `{"login":"octocat","id":583231,"email":"public@shown.example","name":"Mona",` + more + `"plan":{"id":"p-1"}}`,
		Emails:      `[{"email":"old@mona.example","primary":false,"verified":true},{"email":"mona@mona.example","primary":true,"verified":true,"visibility":null}]`,
	}
}

// speak walks to a provider and back with a connector.
func speak(t *testing.T, c federation.Connector, a federation.Attempt) (federation.Login, error) {
	t.Helper()
	at, err := c.AuthURL(t.Context(), a)
	if err != nil {
		return federation.Login{}, err
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
	return c.Exchange(t.Context(), a, federation.Callback{Code: q.Get("code"), Issuer: q.Get("iss"), Error: q.Get("error")})
}

func TestAProfileOfPlainOAuth2IsALogin(t *testing.T) {
	p := upstreamtest.New(t)
	p.Set(profileOf(`"iss":"https://evil.example","auth_time":1,"acr":"gold","sub":"eve",`))
	c := gitHub(t, p, nil)
	l, err := speak(t, c, attempt())
	if err != nil {
		t.Fatal(err)
	}
	if l.Subject != "583231" || l.Claims["sub"] != "583231" || l.Issuer != p.URL || c.Issuer() != p.URL || l.IDToken != "" || l.ACR != "" || !l.AuthTimeUntold || time.Since(l.AuthTime) > time.Minute {
		t.Errorf("login %+v", l)
	}
	if l.Claims["email"] != "mona@mona.example" || l.Claims["email_verified"] != true || l.Claims["login"] != "octocat" {
		t.Errorf("claims %v", l.Claims)
	}
	for _, name := range []string{"iss", "auth_time", "acr"} {
		if l.Claims[name] != nil {
			t.Errorf("the profile says %s", name)
		}
	}
	asked := p.Asked()
	for name, want := range map[string]string{"scope": "read:user user:email", "allow_signup": "false", "code_challenge_method": "S256", "nonce": "", "max_age": "", "prompt": ""} {
		if asked.Get(name) != want {
			t.Errorf("%s = %q, want %q", name, asked.Get(name), want)
		}
	}
}

func TestSubjectsOfPlainOAuth2(t *testing.T) {
	p := upstreamtest.New(t)
	for name, c := range map[string]struct{ profile, claim, want string }{
		"a number":              {`{"id":583231}`, "id", "583231"},
		"a large number":        {`{"id":9007199254740993}`, "id", "9007199254740993"},
		"text":                  {`{"id":"u-1"}`, "id", "u-1"},
		"inside":                {`{"data":{"user":{"id":7}}}`, "data.user.id", "7"},
		"a name with a dot":     {`{"data.id":"x"}`, "data.id", "x"},
		"sub where none is set": {`{"sub":"x"}`, "", "x"},
		"none":                  {`{"login":"octocat"}`, "id", ""},
		"null":                  {`{"id":null}`, "id", ""},
		"empty":                 {`{"id":""}`, "id", ""},
		"a fraction":            {`{"id":5.5}`, "id", ""},
		"an exponent":           {`{"id":5e3}`, "id", ""},
		"below zero":            {`{"id":-5}`, "id", ""},
		"a truth":               {`{"id":true}`, "id", ""},
		"an object":             {`{"id":{"x":1}}`, "id", ""},
		"a list":                {`{"id":["x"]}`, "id", ""},
		"too long":              {`{"id":"` + strings.Repeat("x", 256) + `"}`, "id", ""},
		"folded twins":          {`{"id":"alice","ID":"eve"}`, "id", ""},
		"twice":                 {`{"id":"alice","id":"eve"}`, "id", ""},
		"a name that folds":     {`{"id":"alice","Sub":"eve"}`, "id", ""},
		"no object":             {`["x"]`, "id", ""},
		"no JSON":               {`<html>`, "id", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p.Set(upstreamtest.Knobs{NoIDToken: true, RawUserinfo: c.profile})
			l, err := speak(t, gitHub(t, p, func(o *OAuth2Options) { o.SubjectClaim, o.Emails = c.claim, "" }), attempt())
			if l.Subject != c.want || (err == nil) != (c.want != "") {
				t.Errorf("subject %q, %v", l.Subject, err)
			}
			if err != nil && code(err) != federation.ServerError {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestAddressesOfPlainOAuth2(t *testing.T) {
	p := upstreamtest.New(t)
	for name, c := range map[string]struct {
		emails   string
		email    any
		verified any
		bad      bool
	}{
		"the primary one":       {`[{"email":"a@x.example","primary":false,"verified":true},{"email":"b@x.example","primary":true,"verified":false}]`, "b@x.example", false, false},
		"one of its own":        {`{"email":"a@x.example","verified":true}`, "a@x.example", true, false},
		"one in a list":         {`[{"email":"a@x.example","email_verified":true}]`, "a@x.example", true, false},
		"several, none primary": {`[{"email":"a@x.example","verified":true},{"email":"b@x.example","verified":true}]`, nil, nil, false},
		"none":                  {`[]`, nil, nil, false},
		"verified by word":      {`[{"email":"a@x.example","primary":true,"verified":"true"}]`, "a@x.example", false, false},
		"no object":             {`["a@x.example"]`, nil, nil, true},
		"more than one value":   {`[]}, "x": {`, nil, nil, true},
		"not there":             {``, nil, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			k := profileOf("")
			k.Emails = c.emails
			p.Set(k)
			l, err := speak(t, gitHub(t, p, nil), attempt())
			if (err != nil) != c.bad || l.Claims["email"] != c.email || l.Claims["email_verified"] != c.verified {
				t.Errorf("%v %v, %v", l.Claims["email"], l.Claims["email_verified"], err)
			}
		})
	}
}

func TestRefusalsOfPlainOAuth2(t *testing.T) {
	p := upstreamtest.New(t)
	for name, c := range map[string]struct {
		change func(*upstreamtest.Knobs)
		with   func(*OAuth2Options)
		a      func(*federation.Attempt)
		code   federation.Code
	}{
		"a spent code":           {change: func(k *upstreamtest.Knobs) { k.TokenError = "bad_verification_code" }, code: federation.AccessDenied},
		"a spent code as JSON":   {change: func(k *upstreamtest.Knobs) { k.TokenError, k.TokenForm = "bad_verification_code", false }, code: federation.AccessDenied},
		"a wrong secret":         {change: func(k *upstreamtest.Knobs) { k.TokenError = "incorrect_client_credentials" }, code: federation.ServerError},
		"the user refuses":       {change: func(k *upstreamtest.Knobs) { k.Refuse = "access_denied" }, code: federation.AccessDenied},
		"the profile is down":    {change: func(k *upstreamtest.Knobs) { k.RawUserinfo, k.UserinfoStatus = "", 502 }, code: federation.TemporarilyUnavailable},
		"the token is down":      {change: func(k *upstreamtest.Knobs) { k.TokenStatus = 502 }, code: federation.TemporarilyUnavailable},
		"another issuer":         {change: func(k *upstreamtest.Knobs) { k.AnswerIssuer = "https://evil.example" }, with: func(o *OAuth2Options) { o.Issuer = "https://github.com" }, code: federation.ServerError},
		"prompt=login":           {a: func(a *federation.Attempt) { a.Prompt = []string{"login"} }, code: federation.LoginRequired},
		"max_age":                {a: func(a *federation.Attempt) { a.MaxAge = 3600 }, code: federation.LoginRequired},
		"an essential acr":       {a: func(a *federation.Attempt) { a.ACRValues, a.ACREssential = []string{"gold"}, true }, code: federation.UnmetAuthentication},
		"an issuer nobody named": {change: func(k *upstreamtest.Knobs) { k.AnswerIssuer = "https://github.com/login/oauth" }},
		"prompt=login, assumed":  {a: func(a *federation.Attempt) { a.Prompt = []string{"login"} }, with: func(o *OAuth2Options) { o.AssumeAnew = true }},
		"an acr by default": {a: func(a *federation.Attempt) { a.ACRValues, a.ACREssential = []string{"gold"}, true },
			with: func(o *OAuth2Options) { o.Assurance.DefaultACR = "gold" }},
		"an acr that is a wish": {a: func(a *federation.Attempt) { a.ACRValues = []string{"gold"} }},
	} {
		t.Run(name, func(t *testing.T) {
			k, a := profileOf(""), attempt()
			if c.change != nil {
				c.change(&k)
			}
			if c.a != nil {
				c.a(&a)
			}
			p.Set(k)
			if _, err := speak(t, gitHub(t, p, c.with), a); code(err) != c.code {
				t.Errorf("got %v, want %q", err, c.code)
			}
		})
	}
}

func TestRecheckOfPlainOAuth2(t *testing.T) {
	p := upstreamtest.New(t)
	p.Set(profileOf(""))
	c := gitHub(t, p, nil)
	l, err := speak(t, c, attempt())
	if err != nil {
		t.Fatal(err)
	}
	p.Set(profileOf(`"company":"new",`))
	if got, err := c.Recheck(t.Context(), l); err != nil || got.Claims["company"] != "new" || got.Claims["sub"] != "583231" {
		t.Errorf("%v, %v", got.Claims, err)
	}
	other := profileOf("")
	other.RawUserinfo = `{"id":7}`
	p.Set(other)
	if _, err := c.Recheck(t.Context(), l); code(err) != federation.ServerError {
		t.Errorf("another user: %v", err)
	}
	p.Set(profileOf(""))
	p.Revoke()
	if _, err := c.Recheck(t.Context(), l); !errors.Is(err, federation.ErrGone) {
		t.Errorf("revoked: %v", err)
	}
}

func TestOAuth2NeedsItsEndpoints(t *testing.T) {
	for name, change := range map[string]func(*OAuth2Options){
		"authorization": func(o *OAuth2Options) { o.Authorization = "" },
		"token":         func(o *OAuth2Options) { o.Token = "" },
		"userinfo":      func(o *OAuth2Options) { o.Userinfo = "/userinfo" },
	} {
		o := OAuth2Options{Options: Options{ID: "x", ClientID: "x", HTTP: http.DefaultClient, Now: time.Now, Log: slog.New(slog.DiscardHandler)},
			Authorization: "https://x.example/a", Token: "https://x.example/t", Userinfo: "https://x.example/u"}
		change(&o)
		if _, err := NewOAuth2(o); err == nil {
			t.Errorf("%s is not missed", name)
		}
	}
}
