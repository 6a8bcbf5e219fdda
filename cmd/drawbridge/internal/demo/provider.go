package demo

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// The lifetimes of what the provider hands out.
const (
	requestLife = 10 * time.Minute
	codeLife    = time.Minute
	tokenLife   = 10 * time.Minute
	// mostOpen bounds how many of each are kept; the oldest go first.
	mostOpen = 500
)

// registration is the one client that the provider knows: Drawbridge.
type registration struct {
	ID, Secret, RedirectURI string
}

// providerOptions are what the provider is made of.
type providerOptions struct {
	Issuer string
	Client registration
	Pages  *pages
	Now    func() time.Time
}

// provider is an honest OpenID provider: authorization code with PKCE, ES256,
// and a page with one button per user.
type provider struct {
	o      providerOptions
	key    jose.JSONWebKey
	signer jose.Signer
	mux    *http.ServeMux

	mu       sync.Mutex
	requests map[string]authRequest
	codes    map[string]issuedCode
	tokens   map[string]issuedToken
	said     map[string]saying // by login
}

// authRequest is an authorization request that waits for somebody to sign in.
type authRequest struct {
	redirectURI, state, nonce, challenge, hint string
	at                                         time.Time
}

type issuedCode struct {
	request authRequest
	account account
	at      time.Time
}

type issuedToken struct {
	account account
	at      time.Time
}

// saying is what the provider last said about a user.
type saying struct{ IDToken, Userinfo map[string]any }

// all is both as Drawbridge is told to read them: userinfo is the newer one.
func (s saying) all() map[string]any {
	out := maps.Clone(s.IDToken)
	if out == nil {
		out = map[string]any{}
	}
	maps.Copy(out, s.Userinfo)
	return out
}

func newProvider(o providerOptions) (*provider, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the provider's key: %w", err)
	}
	key := jose.JSONWebKey{Key: private, KeyID: rand.Text(), Algorithm: string(jose.ES256), Use: "sig"}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return nil, fmt.Errorf("make the provider's signer: %w", err)
	}
	p := &provider{
		o: o, key: key, signer: signer, mux: http.NewServeMux(), requests: map[string]authRequest{}, codes: map[string]issuedCode{},
		tokens: map[string]issuedToken{}, said: map[string]saying{},
	}
	p.mux.HandleFunc("GET /.well-known/openid-configuration", p.discovery)
	p.mux.HandleFunc("GET /jwks", p.jwks)
	p.mux.HandleFunc("/authorize", p.authorize)
	p.mux.HandleFunc("POST /login", p.login)
	p.mux.HandleFunc("POST /token", p.token)
	p.mux.HandleFunc("/userinfo", p.userinfo)
	p.mux.HandleFunc("GET /end_session", p.endSession)
	p.mux.HandleFunc("GET /reset", p.reset)
	p.mux.HandleFunc("GET /icon.svg", icon("foreign.svg"))
	return p, nil
}

// ServeHTTP implements http.Handler.
func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.mux.ServeHTTP(w, r) }

// lastSaid is what was last said about a user.
func (p *provider) lastSaid(login string) saying {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.said[login]
}

func (p *provider) discovery(w http.ResponseWriter, _ *http.Request) {
	at := p.o.Issuer
	writeJSON(w, http.StatusOK, map[string]any{
		"issuer": at, "authorization_endpoint": at + "/authorize", "token_endpoint": at + "/token", "userinfo_endpoint": at + "/userinfo",
		"jwks_uri": at + "/jwks", "end_session_endpoint": at + "/end_session", "scopes_supported": []string{"openid", "profile", "email"},
		"response_types_supported": []string{"code"}, "grant_types_supported": []string{"authorization_code"},
		"subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{string(jose.ES256)},
		"token_endpoint_auth_methods_supported": []string{"client_secret_basic", "client_secret_post"},
		"code_challenge_methods_supported":      []string{"S256"}, "authorization_response_iss_parameter_supported": true,
	})
}

func (p *provider) jwks(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{p.key.Public()}})
}

// authorize shows the login page (OpenID Connect Core 1.0 §3.1.2.1). Nothing is
// sent to an address that is not registered.
func (p *provider) authorize(w http.ResponseWriter, r *http.Request) {
	if err := parseForm(w, r); err != nil || r.Form.Get("client_id") != p.o.Client.ID || r.Form.Get("redirect_uri") != p.o.Client.RedirectURI {
		p.problem(w, http.StatusBadRequest, "The application that sent you here is not registered with this provider.")
		return
	}
	asked := authRequest{
		redirectURI: r.Form.Get("redirect_uri"), state: r.Form.Get("state"), nonce: r.Form.Get("nonce"),
		challenge: r.Form.Get("code_challenge"), hint: r.Form.Get("login_hint"), at: p.o.Now(),
	}
	scopes, prompts := strings.Fields(r.Form.Get("scope")), strings.Fields(r.Form.Get("prompt"))
	switch {
	case r.Form.Get("response_type") != "code":
		p.back(w, r, asked, url.Values{"error": {"unsupported_response_type"}})
	case !slices.Contains(scopes, "openid"):
		p.back(w, r, asked, url.Values{"error": {"invalid_scope"}})
	case r.Form.Get("code_challenge_method") != "S256" || len(asked.challenge) != 43:
		p.back(w, r, asked, url.Values{"error": {"invalid_request"}, "error_description": {"PKCE with S256 is required."}})
	case slices.Contains(prompts, "none"):
		p.back(w, r, asked, url.Values{"error": {"login_required"}})
	default:
		id := rand.Text()
		p.mu.Lock()
		keep(p.requests, id, asked, func(q authRequest) time.Time { return q.at })
		p.mu.Unlock()
		p.o.Pages.render(w, http.StatusOK, "login", loginView{Transaction: id, Accounts: accounts(), Hint: asked.hint})
	}
}

// login is the answer of the login page.
func (p *provider) login(w http.ResponseWriter, r *http.Request) {
	if err := parseForm(w, r); err != nil {
		p.problem(w, http.StatusBadRequest, "The answer could not be read.")
		return
	}
	p.mu.Lock()
	asked, ok := p.requests[r.PostForm.Get("tx")]
	delete(p.requests, r.PostForm.Get("tx"))
	p.mu.Unlock()
	who, known := accountOf(r.PostForm.Get("user"))
	if !ok || !known || p.o.Now().Sub(asked.at) > requestLife {
		p.problem(w, http.StatusBadRequest, "This sign-in is over. Go back to the shop and begin again.")
		return
	}
	code := rand.Text()
	p.mu.Lock()
	keep(p.codes, code, issuedCode{request: asked, account: who, at: p.o.Now()}, func(c issuedCode) time.Time { return c.at })
	p.mu.Unlock()
	p.back(w, r, asked, url.Values{"code": {code}})
}

// back sends the browser back to the client, with the issuer (RFC 9207).
func (p *provider) back(w http.ResponseWriter, r *http.Request, asked authRequest, answer url.Values) {
	answer.Set("iss", p.o.Issuer)
	if asked.state != "" {
		answer.Set("state", asked.state)
	}
	http.Redirect(w, r, asked.redirectURI+"?"+answer.Encode(), http.StatusSeeOther)
}

// reset is where the provider's users would set a new password.
func (p *provider) reset(w http.ResponseWriter, _ *http.Request) {
	p.o.Pages.render(w, http.StatusOK, "notice", noticeView{Title: "Set a new password", Foreign: true,
		Text: "Here the identity provider would let its user set a new password. Drawbridge has no passwords; it only knows where to send people."})
}

// endSession is OpenID Connect RP-Initiated Logout 1.0 §2. There is no session
// to end, so what is left is the way back.
func (p *provider) endSession(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if to := q.Get("post_logout_redirect_uri"); to != "" && q.Get("client_id") == p.o.Client.ID && sameOrigin(to, p.o.Client.RedirectURI) {
		http.Redirect(w, r, to+"?"+url.Values{"state": {q.Get("state")}}.Encode(), http.StatusSeeOther)
		return
	}
	p.o.Pages.render(w, http.StatusOK, "notice", noticeView{Title: "Signed out", Foreign: true, Text: "You are signed out of Corp ID."})
}

func (p *provider) problem(w http.ResponseWriter, status int, text string) {
	p.o.Pages.render(w, status, "notice", noticeView{Title: "This did not work", Foreign: true, Text: text})
}

// keep adds an entry to a map and takes the oldest away where there are too many.
func keep[V any](all map[string]V, id string, entry V, at func(V) time.Time) {
	if len(all) >= mostOpen {
		oldest := slices.MinFunc(slices.Collect(maps.Keys(all)), func(a, b string) int { return at(all[a]).Compare(at(all[b])) })
		delete(all, oldest)
	}
	all[id] = entry
}

func parseForm(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	return r.ParseForm()
}

func sameOrigin(a, b string) bool {
	x, err := url.Parse(a)
	if err != nil {
		return false
	}
	y, err := url.Parse(b)
	return err == nil && x.Scheme == y.Scheme && x.Host == y.Host
}

// matches compares a PKCE verifier with its challenge (RFC 7636 §4.6).
func matches(verifier, challenge string) bool {
	sum := sha256.Sum256([]byte(verifier))
	return subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(challenge)) == 1
}
