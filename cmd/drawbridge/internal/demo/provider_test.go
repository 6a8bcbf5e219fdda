package demo

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// clock is a clock that a test moves.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

// foreign starts a provider for a client whose redirect URI is nowhere.
func foreign(t *testing.T, now func() time.Time) (*provider, *oauth2.Config) {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	issuer := "http://" + server.Listener.Addr().String()
	shown, err := newPages(issuer)
	if err != nil {
		t.Fatal(err)
	}
	client := registration{ID: "drawbridge", Secret: "s/cr+t", RedirectURI: "http://127.0.0.1:1/callback"}
	p, err := newProvider(providerOptions{Issuer: issuer, Client: client, Pages: shown, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = p
	server.Start()
	t.Cleanup(server.Close)
	return p, &oauth2.Config{
		ClientID: client.ID, ClientSecret: client.Secret, RedirectURL: client.RedirectURI, Scopes: []string{"openid"},
		Endpoint: oauth2.Endpoint{AuthURL: issuer + "/authorize", TokenURL: issuer + "/token", AuthStyle: oauth2.AuthStyleInHeader},
	}
}

// answerOf goes to an address, presses a user's button if there is a page, and
// returns the parameters that the client gets.
func answerOf(t *testing.T, address, login string) url.Values {
	t.Helper()
	guest, err := newVisitor()
	if err != nil {
		t.Fatal(err)
	}
	var back url.Values
	guest.client.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		back = r.URL.Query()
		return http.ErrUseLastResponse
	}
	page, err := guest.get(t.Context(), address)
	if err == nil && back == nil && login != "" {
		_, err = guest.press(t.Context(), page, "user-"+login)
	}
	if err != nil {
		t.Fatal(err)
	}
	return back
}

func TestTheProviderSatisfiesAForeignRelyingParty(t *testing.T) {
	p, conf := foreign(t, time.Now)
	discovered, err := oidc.NewProvider(t.Context(), p.o.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	for _, style := range []oauth2.AuthStyle{oauth2.AuthStyleInHeader, oauth2.AuthStyleInParams} {
		conf.Endpoint = discovered.Endpoint()
		conf.Endpoint.AuthStyle = style
		verifier := oauth2.GenerateVerifier()
		back := answerOf(t, conf.AuthCodeURL("here", oidc.Nonce("n-1"), oauth2.S256ChallengeOption(verifier)), "carol")
		if back.Get("state") != "here" || back.Get("iss") != p.o.Issuer {
			t.Fatalf("answer %v", back)
		}
		token, err := conf.Exchange(t.Context(), back.Get("code"), oauth2.VerifierOption(verifier))
		if err != nil {
			t.Fatal(err)
		}
		raw, _ := token.Extra("id_token").(string)
		verified, err := discovered.Verifier(&oidc.Config{ClientID: conf.ClientID}).Verify(t.Context(), raw)
		if err != nil {
			t.Fatal(err)
		}
		if err := verified.VerifyAccessToken(token.AccessToken); err != nil {
			t.Error(err)
		}
		if verified.Subject != "u-1003" || verified.Nonce != "n-1" {
			t.Errorf("ID token of %s with nonce %q", verified.Subject, verified.Nonce)
		}
		info, err := discovered.UserInfo(t.Context(), oauth2.StaticTokenSource(token))
		if err != nil {
			t.Fatal(err)
		}
		var all map[string]any
		if err := info.Claims(&all); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"dept", "customer_id", "groups", "group_permissions", "urn:onegini.com:oidc:tier"} {
			if all[name] == nil || compact(all[name]) != compact(p.lastSaid("carol").all()[name]) {
				t.Errorf("%s is %v in userinfo, and %v was remembered", name, all[name], p.lastSaid("carol").all()[name])
			}
		}
	}
}

func TestTheProviderRefuses(t *testing.T) {
	at := &clock{at: time.Now()}
	p, conf := foreign(t, at.now)
	verifier := oauth2.GenerateVerifier()
	code := func() string {
		return answerOf(t, conf.AuthCodeURL("s", oauth2.S256ChallengeOption(verifier)), "alice").Get("code")
	}
	redeem := func(conf oauth2.Config, code, verifier string) string {
		_, err := conf.Exchange(t.Context(), code, oauth2.VerifierOption(verifier))
		if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
			return refused.ErrorCode
		}
		return ""
	}
	spent := code()
	if got := redeem(*conf, spent, verifier); got != "" {
		t.Fatalf("a good code was refused: %s", got)
	}
	stranger, elsewhere := *conf, *conf
	stranger.ClientSecret = "guessed"
	elsewhere.RedirectURL = "http://127.0.0.1:1/other"
	late := code()
	at.at = at.at.Add(codeLife + time.Second)
	for name, got := range map[string][2]string{
		"spent code":          {redeem(*conf, spent, verifier), "invalid_grant"},
		"invented code":       {redeem(*conf, "nothing", verifier), "invalid_grant"},
		"late code":           {redeem(*conf, late, verifier), "invalid_grant"},
		"other verifier":      {redeem(*conf, code(), oauth2.GenerateVerifier()), "invalid_grant"},
		"other redirect":      {redeem(elsewhere, code(), verifier), "invalid_grant"},
		"wrong client secret": {redeem(stranger, code(), verifier), "invalid_client"},
	} {
		if got[0] != got[1] {
			t.Errorf("%s: %q, not %q", name, got[0], got[1])
		}
	}
	for name, c := range map[string]struct{ address, want string }{
		"prompt none": {conf.AuthCodeURL("s", oauth2.S256ChallengeOption(verifier), oauth2.SetAuthURLParam("prompt", "none")), "login_required"},
		"no PKCE":     {conf.AuthCodeURL("s"), "invalid_request"},
		"no openid":   {strings.Replace(conf.AuthCodeURL("s", oauth2.S256ChallengeOption(verifier)), "scope=openid", "scope=email", 1), "invalid_scope"},
		"implicit":    {strings.Replace(conf.AuthCodeURL("s"), "response_type=code", "response_type=token", 1), "unsupported_response_type"},
	} {
		if got := answerOf(t, c.address, "").Get("error"); got != c.want {
			t.Errorf("%s: %q, not %q", name, got, c.want)
		}
	}
	if back := answerOf(t, elsewhere.AuthCodeURL("s", oauth2.S256ChallengeOption(verifier)), ""); back != nil {
		t.Errorf("an unregistered redirect URI was told %v", back)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.o.Issuer+"/userinfo", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer guessed")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusUnauthorized {
		t.Errorf("a guessed token was answered with %s", res.Status)
	}
}

func TestASignInAtTheProviderIsAnsweredOnce(t *testing.T) {
	_, conf := foreign(t, time.Now)
	guest, err := newVisitor()
	if err != nil {
		t.Fatal(err)
	}
	guest.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	page, err := guest.get(t.Context(), conf.AuthCodeURL("s", oauth2.S256ChallengeOption(oauth2.GenerateVerifier())))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{http.StatusSeeOther, http.StatusBadRequest} {
		if got, err := guest.press(t.Context(), page, "user-bob"); err != nil || got.status != want {
			t.Errorf("press %d: %d, %v; want %d", i+1, got.status, err, want)
		}
	}
}

func TestOnlySoManyAreKept(t *testing.T) {
	all, began := map[string]time.Time{}, time.Now()
	for i := range mostOpen + 10 {
		keep(all, fmt.Sprint(i), began.Add(time.Duration(i)), func(at time.Time) time.Time { return at })
	}
	_, oldest := all["9"]
	_, next := all["10"]
	if len(all) != mostOpen || oldest || !next {
		t.Errorf("%d are kept, the oldest: %t, the one after: %t", len(all), oldest, next)
	}
}

func TestSigningOutAtTheProviderLeadsBackToItsClientOnly(t *testing.T) {
	p, _ := foreign(t, time.Now)
	for to, want := range map[string]string{"http://127.0.0.1:1/bye": "x", "http://127.0.0.1:2/bye": ""} {
		q := url.Values{"client_id": {"drawbridge"}, "post_logout_redirect_uri": {to}, "state": {"x"}}
		if got := answerOf(t, p.o.Issuer+"/end_session?"+q.Encode(), "").Get("state"); got != want {
			t.Errorf("%s was told %q", to, got)
		}
	}
}
