//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// driver is a relying party on go-oidc and x/oauth2 inside the test, for tests that must know what was answered, and
// when. Everything it does returns an error instead of failing the test, and may run at the same time.
type driver struct {
	oauth     oauth2.Config
	verifier  *oidc.IDTokenVerifier
	provider  *oidc.Provider
	endURL    string
	signedOut string
	transport http.RoundTripper
}

// drive makes a driver of one of the configuration's clients.
func (w *world) drive(t *testing.T, id, secret, redirectURI, signedOut string) *driver {
	t.Helper()
	provider, err := oidc.NewProvider(t.Context(), w.bridge.publicURL)
	if err != nil {
		t.Fatal(err)
	}
	var more struct {
		End string `json:"end_session_endpoint"`
	}
	if err := provider.Claims(&more); err != nil {
		t.Fatal(err)
	}
	return &driver{
		oauth: oauth2.Config{
			ClientID: id, ClientSecret: secret, Endpoint: provider.Endpoint(), RedirectURL: redirectURI, Scopes: []string{"openid", "profile", "email"},
		},
		verifier: provider.Verifier(&oidc.Config{ClientID: id}), provider: provider, endURL: more.End, signedOut: signedOut,
		transport: http.DefaultTransport,
	}
}

// entry is somebody whom the driver has signed in: the token endpoint has answered.
type entry struct {
	browser              *http.Client
	sid, sub             string
	idToken, accessToken string
}

// signIn walks a browser of its own through a sign-in.
func (d *driver) signIn(ctx context.Context, login string) (*entry, error) {
	e := &entry{browser: d.newBrowser()}
	return e, d.authorize(ctx, e, login)
}

// newBrowser keeps cookies and follows redirects until one leads back to the relying party.
func (d *driver) newBrowser() *http.Client {
	jar, _ := cookiejar.New(nil) // fails for none of its options
	return &http.Client{Jar: jar, Transport: d.transport, Timeout: patience, CheckRedirect: d.stay}
}

// authorize makes one authorization request from the entry's browser, silently where login is empty.
func (d *driver) authorize(ctx context.Context, e *entry, login string) error {
	state, nonce, secret := oauth2.GenerateVerifier(), oauth2.GenerateVerifier(), oauth2.GenerateVerifier()
	options := []oauth2.AuthCodeOption{oidc.Nonce(nonce), oauth2.S256ChallengeOption(secret)}
	if login == "" {
		options = append(options, oauth2.SetAuthURLParam("prompt", "none"))
	}
	answer, err := d.walk(ctx, e.browser, d.oauth.AuthCodeURL(state, options...), map[string]string{"login": login})
	if err != nil {
		return err
	}
	q := answer.Query()
	if q.Get("state") != state || q.Get("code") == "" {
		return &authorizationError{code: q.Get("error"), description: q.Get("error_description")}
	}
	token, err := d.oauth.Exchange(context.WithValue(ctx, oauth2.HTTPClient, &http.Client{Transport: d.transport, Timeout: patience}), q.Get("code"), oauth2.VerifierOption(secret))
	if err != nil {
		return err
	}
	return d.read(ctx, e, token, nonce)
}

// authorizationError is an error answer of the authorization endpoint.
type authorizationError struct{ code, description string }

func (e *authorizationError) Error() string { return "authorization: " + e.code + ": " + e.description }

func (d *driver) read(ctx context.Context, e *entry, token *oauth2.Token, nonce string) error {
	e.accessToken = token.AccessToken
	e.idToken, _ = token.Extra("id_token").(string)
	verified, err := d.verifier.Verify(ctx, e.idToken)
	if err != nil {
		return err
	}
	var claims struct {
		SID string `json:"sid"`
	}
	if err := verified.Claims(&claims); err != nil || verified.Nonce != nonce || claims.SID == "" {
		return fmt.Errorf("ID token with nonce %q and sid %q: %w", verified.Nonce, claims.SID, err)
	}
	if e.sid != "" && e.sid != claims.SID {
		return fmt.Errorf("session %s goes on as %s", e.sid, claims.SID)
	}
	e.sid, e.sub = claims.SID, verified.Subject
	return nil
}

// signOut asks for the end of the session; nil means that the answer came.
func (d *driver) signOut(ctx context.Context, e *entry) error {
	q := url.Values{"id_token_hint": {e.idToken}, "post_logout_redirect_uri": {d.signedOut}}
	_, err := d.walk(ctx, e.browser, d.endURL+"?"+q.Encode(), nil)
	return err
}

// isLive says whether the session still is, by the access token and by the browser's cookie, which must agree.
func (d *driver) isLive(ctx context.Context, e *entry) (bool, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, d.provider.UserInfoEndpoint(), nil)
	if err != nil {
		return false, err
	}
	request.Header.Set("Authorization", "Bearer "+e.accessToken)
	answer, err := fetch(&http.Client{Transport: d.transport, Timeout: patience}, request)
	if err != nil {
		return false, err
	}
	live := answer.status == http.StatusOK
	if !live && answer.status != http.StatusUnauthorized {
		return false, fmt.Errorf("userinfo answers %d: %s", answer.status, answer.body)
	}
	err = d.authorize(ctx, e, "")
	if refused, ok := errors.AsType[*authorizationError](err); ok && refused.code == "login_required" && !live {
		return false, nil
	}
	if err == nil && !live {
		err = fmt.Errorf("session %s goes on in the browser, and its access token does not", e.sid)
	}
	return live, err
}

// stay follows redirects but those back to the relying party.
func (d *driver) stay(request *http.Request, _ []*http.Request) error {
	if at := request.URL.String(); strings.HasPrefix(at, d.oauth.RedirectURL) || strings.HasPrefix(at, d.signedOut) {
		return http.ErrUseLastResponse
	}
	return nil
}

// walk submits form after form until a redirect back to the relying party, which is not followed but returned.
func (d *driver) walk(ctx context.Context, browser *http.Client, start string, values map[string]string) (*url.URL, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, start, nil)
	for range 8 {
		if err != nil {
			return nil, err
		}
		page, err2 := fetch(browser, request)
		if err2 != nil {
			return nil, err2
		}
		if to := page.header.Get("Location"); to != "" {
			return url.Parse(to)
		}
		if page.status >= http.StatusBadRequest {
			return nil, fmt.Errorf("stopped at %s (%d): %s", page.url, page.status, page.body)
		}
		request, err = fill(ctx, page, values)
	}
	return nil, errors.New("still not back after 8 forms")
}
