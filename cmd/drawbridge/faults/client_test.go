//go:build faults

package faults

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// The secrets of every round; nobody but the test ever listens.
const (
	clientID       = "shop"
	clientSecret   = "client-secret-of-the-faults"
	upstreamSecret = "upstream-secret-of-the-faults"
	password       = "platform-password-of-the-faults"
	redirectURI    = "http://127.0.0.1:9/callback"
	signedOutURI   = "http://127.0.0.1:9/"
)

// errNoAnswer says that nobody knows what became of a request.
var errNoAnswer = errors.New("no answer")

// client is a relying party with its users' browsers, and the platform.
type client struct {
	issuer           string
	http, management *http.Client
	verifier         *oidc.IDTokenVerifier
}

func newClient(issuer string, public, management http.RoundTripper) (*client, error) {
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c := &client{issuer: issuer,
		http:       &http.Client{Transport: public, Timeout: patience, CheckRedirect: stay},
		management: &http.Client{Transport: management, Timeout: patience, CheckRedirect: stay},
	}
	ctx := oidc.ClientContext(context.Background(), c.http)
	keys := oidc.NewRemoteKeySet(ctx, issuer+"/jwks")
	c.verifier = oidc.NewVerifier(issuer, keys, &oidc.Config{ClientID: clientID, SupportedSigningAlgs: []string{oidc.ES256}})
	// The keys are fetched now, before anything fails: nobody signed this.
	if _, err := keys.VerifySignature(ctx, unsigned); err == nil || strings.Contains(err.Error(), "fetching keys") {
		return nil, fmt.Errorf("fetch the keys of %s: %w", issuer, err)
	}
	return c, nil
}

// unsigned is a token with a signature of zeros.
var unsigned = base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256","kid":"nobody"}`)) + ".e30." + base64.RawURLEncoding.EncodeToString(make([]byte, 64))

// tokens are what a visitor holds.
type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	ID      string `json:"id_token"`
	Error   string `json:"error"`

	sid, sub string
}

// reply is an answer, read to its end.
type reply struct {
	status   int
	location string
	cookies  []*http.Cookie
	body     []byte
}

func send(c *http.Client, request *http.Request) (reply, error) {
	answer, err := c.Do(request)
	if err != nil {
		return reply{}, fmt.Errorf("%w: %w", errNoAnswer, err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if err != nil {
		return reply{}, fmt.Errorf("%w: %w", errNoAnswer, err)
	}
	return reply{status: answer.StatusCode, location: answer.Header.Get("Location"), cookies: answer.Cookies(), body: body}, nil
}

func (c *client) get(address string, cookies map[string]string) (reply, error) {
	request, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		return reply{}, err
	}
	for name, value := range cookies {
		request.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	return send(c.http, request)
}

// browser is a user's, with the cookies of the issuer.
type browser struct {
	c       *client
	cookies map[string]string
}

func (c *client) newBrowser() *browser { return &browser{c: c, cookies: map[string]string{}} }

func (b *browser) get(address string) (reply, error) {
	r, err := b.c.get(address, b.cookies)
	for _, cookie := range r.cookies {
		if cookie.MaxAge < 0 || cookie.Value == "" {
			delete(b.cookies, cookie.Name)
		} else {
			b.cookies[cookie.Name] = cookie.Value
		}
	}
	return r, err
}

// grant is an authorization code, with what it takes to redeem it.
type grant struct{ code, nonce, verifier string }

// authorize begins an authorization request and follows it to the upstream's
// answer. Nothing is stored by then. Done is set where the session of the
// browser answered by itself.
func (b *browser) authorize(user string, more url.Values) (back string, g grant, done bool, err error) {
	g = grant{nonce: rand.Text(), verifier: rand.Text() + rand.Text()}
	challenge := sha256.Sum256([]byte(g.verifier))
	q := url.Values{
		"client_id": {clientID}, "redirect_uri": {redirectURI}, "response_type": {"code"}, "scope": {"openid email"}, "state": {rand.Text()},
		"nonce": {g.nonce}, "login_hint": {user}, "code_challenge_method": {"S256"}, "code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])},
	}
	maps.Copy(q, more)
	r, err := b.get(b.c.issuer + "/authorize?" + q.Encode())
	switch {
	case err != nil:
		return "", g, false, err
	case strings.HasPrefix(r.location, redirectURI+"?"):
		g.code, err = codeOf(r.location)
		return r.location, g, true, err
	case r.location == "":
		return "", g, false, &refused{code: fmt.Sprintf("authorize: %.200s", r.body), status: r.status}
	}
	there, err := b.c.get(r.location, nil)
	if err == nil && there.location == "" {
		err = fmt.Errorf("the upstream answers %d", there.status)
	}
	return there.location, g, false, err
}

func codeOf(location string) (string, error) {
	u, err := url.Parse(location)
	if err != nil {
		return "", err
	}
	q := u.Query()
	if q.Get("code") == "" {
		return "", &refused{code: q.Get("error")}
	}
	return q.Get("code"), nil
}

// refused is an error answer of a protocol endpoint.
type refused struct {
	code   string
	status int
}

func (r *refused) Error() string { return fmt.Sprintf("refused: %s (%d)", r.code, r.status) }

// callback brings the upstream's answer: the session begins here.
func (b *browser) callback(back string) (code string, err error) {
	r, err := b.get(back)
	if err != nil {
		return "", err
	}
	if !strings.HasPrefix(r.location, redirectURI+"?") {
		return "", &refused{code: fmt.Sprintf("callback: %.200s", r.body), status: r.status}
	}
	return codeOf(r.location)
}

// redeem trades a code for tokens.
func (c *client) redeem(g grant) (tokens, error) {
	return c.token(g.nonce, url.Values{"grant_type": {"authorization_code"}, "code": {g.code}, "redirect_uri": {redirectURI}, "code_verifier": {g.verifier}})
}

// refresh trades a refresh token for new tokens.
func (c *client) refresh(token string) (tokens, error) {
	return c.token("", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
}

func (c *client) token(nonce string, form url.Values) (got tokens, err error) {
	request, err := http.NewRequest(http.MethodPost, c.issuer+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		return got, err
	}
	request.SetBasicAuth(clientID, clientSecret)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r, err := send(c.http, request)
	if err != nil {
		return got, err
	}
	if err := json.Unmarshal(r.body, &got); err != nil || r.status != http.StatusOK {
		return got, &refused{code: got.Error, status: r.status}
	}
	id, err := c.verifier.Verify(oidc.ClientContext(context.Background(), c.http), got.ID)
	if err != nil {
		return got, fmt.Errorf("the ID token is no good: %w", err)
	}
	var claims struct {
		SID string `json:"sid"`
	}
	if err := id.Claims(&claims); err != nil || id.Nonce != nonce || claims.SID == "" {
		return got, fmt.Errorf("the ID token has nonce %q and sid %q (%w)", id.Nonce, claims.SID, err)
	}
	got.sid, got.sub = claims.SID, id.Subject
	return got, nil
}

// userinfo asks with an access token and returns the status.
func (c *client) userinfo(token string) (int, error) {
	request, err := http.NewRequest(http.MethodGet, c.issuer+"/userinfo", nil)
	if err != nil {
		return 0, err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	r, err := send(c.http, request)
	return r.status, err
}

// signOut asks for the end of the session; gone means that the program said so.
func (b *browser) signOut(idToken string) (gone bool, status int, err error) {
	r, err := b.get(b.c.issuer + "/end_session?" + url.Values{"id_token_hint": {idToken}, "post_logout_redirect_uri": {signedOutURI}}.Encode())
	return r.location == signedOutURI, r.status, err
}

// destroy ends a session as the platform and returns the status.
func (c *client) destroy(sid string) (int, error) {
	r, err := c.platform(http.MethodDelete, "/v1/sessions/"+sid)
	return r.status, err
}

// forget deletes a user as the platform and returns the status.
func (c *client) forget(sub string) (int, error) {
	r, err := c.platform(http.MethodDelete, "/v1/users/"+sub)
	return r.status, err
}

func (c *client) platform(method, path string) (reply, error) {
	request, err := http.NewRequest(method, "http://management"+path, nil)
	if err != nil {
		return reply{}, err
	}
	request.SetBasicAuth("platform", password)
	return send(c.management, request)
}

// within is the span of a call.
func within(call func()) (from, to time.Time) {
	from = time.Now()
	call()
	return from, time.Now()
}
