// Package upstreamtest is an OpenID provider that lies on demand: over HTTP, on
// a loopback port, with knobs that a real provider does not have. It is for
// tests only, and signs anybody in without asking.
package upstreamtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Knobs are how the provider misbehaves. The zero value behaves.
type Knobs struct {
	// Subject signs in; "alice" when empty.
	Subject string
	// Claims and Userinfo are added to the ID token and to userinfo.
	Claims, Userinfo map[string]any
	// Omit are claims that the ID token goes without.
	Omit []string
	// Payload, when set, makes the ID token's payload of the honest one.
	Payload func(honest []byte) []byte
	// Alg is RS256 (default), ES256, HS256 (signed with the client secret) or none.
	Alg string
	// ForeignKey signs with a key that is not published; NoKeyID leaves kid out;
	// RotateFirst changes the keys just before it signs.
	ForeignKey, NoKeyID, RotateFirst bool
	// Type is the typ of tokens: JWT when empty, none for "-".
	Type string
	// Issuer is what discovery says instead of the truth.
	Issuer string
	// AnswerIssuer is the iss of the authorization answer; "-" for none.
	AnswerIssuer string
	// Refuse is the error that the authorization endpoint answers with.
	Refuse string
	// Delay is how long the token endpoint takes.
	Delay time.Duration
	// TokenStatus, UserinfoStatus, KeysStatus, DiscoveryStatus answer instead of 200.
	TokenStatus, UserinfoStatus, KeysStatus, DiscoveryStatus int
	// RawUserinfo is the body of userinfo as it is.
	RawUserinfo string
	// NoUserinfo leaves the endpoint out of the metadata.
	NoUserinfo bool
	// SignUserinfo answers userinfo as a JWT by RS256 or ES256, with the claims
	// of Userinfo; UserinfoKey signs it with a key that is not published.
	SignUserinfo string
	UserinfoKey  bool
	// Refresh is how refresh tokens are dealt with; Delays by path.
	Refresh Refresh
	// UserinfoDelay is how long userinfo takes.
	UserinfoDelay time.Duration
	// PAR is "offer" or "require".
	PAR string
	// TokenForm answers at the token endpoint with a form; TokenError says no
	// there with the status of a yes.
	TokenForm  bool
	TokenError string
	// NoIDToken leaves it out, as a provider of plain OAuth 2.0 does; Emails is
	// what /emails says.
	NoIDToken bool
	Emails    string
	// Meta is added to the metadata.
	Meta map[string]any
}

// Provider is one running provider.
type Provider struct {
	*httptest.Server
	ClientID, ClientSecret string
	// ClientKey is the client's public key: with it no secret is good any more,
	// and ClientAudience is what a proof must be made for.
	ClientKey      any
	ClientAudience string

	mu    sync.Mutex
	knobs Knobs
	codes map[string]url.Values
	// access are the access tokens that count, as userinfo is shown them;
	// refreshes the refresh tokens, with what their sign-in asked for.
	access    map[string]bool
	refreshes map[string]url.Values
	// requests are those that were pushed, asked the last one that came, proofs
	// the client assertions that were used.
	requests map[string]url.Values
	asked    url.Values
	proofs   map[string]bool
	keys     []signing
	hits     map[string]int
}

type signing struct {
	id  string
	rsa *rsa.PrivateKey
	ec  *ecdsa.PrivateKey
}

// New starts a provider that ends with the test.
func New(t testing.TB) *Provider {
	t.Helper()
	p := &Provider{ClientID: "drawbridge", ClientSecret: "upstream-secret", codes: map[string]url.Values{}, hits: map[string]int{},
		access: map[string]bool{}, refreshes: map[string]url.Values{},
		requests: map[string]url.Values{}, proofs: map[string]bool{}}
	p.Rotate()
	mux := http.NewServeMux()
	for path, h := range map[string]http.HandlerFunc{
		"/.well-known/openid-configuration": p.discovery, "/jwks": p.jwks, "/authorize": p.authorize,
		"/token": p.token, "/userinfo": p.userinfo, "/end_session": p.endSession,
		"/par": p.par, "/emails": p.emails,
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			p.mu.Lock()
			p.hits[path]++
			p.mu.Unlock()
			h(w, r)
		})
	}
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

// Set turns the knobs.
func (p *Provider) Set(k Knobs) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.knobs = k
}

// Hits says how often a path was asked for.
func (p *Provider) Hits(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hits[path]
}

// Rotate replaces the keys: the old ones are published no more.
func (p *Provider) Rotate() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = []signing{newKey(fmt.Sprint("key-", rand.Text()[:6]))}
}

// Join publishes one key more, which is not the one that signs.
func (p *Provider) Join() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = append(p.keys, newKey(fmt.Sprint("key-", rand.Text()[:6])))
}

func newKey(id string) signing {
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return signing{id: id, rsa: r, ec: e}
}

func (p *Provider) now() Knobs {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.knobs
}

func (p *Provider) discovery(w http.ResponseWriter, _ *http.Request) {
	k := p.now()
	issuer := p.URL
	if k.Issuer != "" {
		issuer = k.Issuer
	}
	meta := map[string]any{
		"issuer": issuer, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token",
		"jwks_uri": p.URL + "/jwks", "end_session_endpoint": p.URL + "/end_session",
		"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported":          []string{"RS256", "ES256"},
		"authorization_response_iss_parameter_supported": true,
	}
	maps.Copy(meta, k.Meta)
	if k.PAR != "" {
		meta["pushed_authorization_request_endpoint"] = p.URL + "/par"
		meta["require_pushed_authorization_requests"] = k.PAR == "require"
	}
	if !k.NoUserinfo {
		meta["userinfo_endpoint"] = p.URL + "/userinfo"
	}
	answer(w, k.DiscoveryStatus, meta)
}

func (p *Provider) jwks(w http.ResponseWriter, _ *http.Request) {
	k := p.now()
	p.mu.Lock()
	var set jose.JSONWebKeySet
	for _, key := range p.keys {
		set.Keys = append(set.Keys,
			jose.JSONWebKey{Key: key.rsa.Public(), KeyID: key.id, Algorithm: "RS256", Use: "sig"},
			jose.JSONWebKey{Key: key.ec.Public(), KeyID: key.id + "-ec", Algorithm: "ES256", Use: "sig"})
	}
	p.mu.Unlock()
	answer(w, k.KeysStatus, set)
}

func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	k, q := p.now(), r.URL.Query()
	if uri := q.Get("request_uri"); uri != "" || k.PAR == "require" {
		pushed := p.pushed(uri)
		if pushed == nil || len(q) != 2 || q.Get("client_id") != pushed.Get("client_id") {
			http.Error(w, "no such request", http.StatusBadRequest)
			return
		}
		q = pushed
	}
	p.mu.Lock()
	p.asked = q
	p.mu.Unlock()
	back, err := url.Parse(q.Get("redirect_uri"))
	if err != nil || q.Get("client_id") != p.ClientID {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	out := url.Values{"state": {q.Get("state")}}
	switch k.AnswerIssuer {
	case "":
		out.Set("iss", p.URL)
	case "-":
	default:
		out.Set("iss", k.AnswerIssuer)
	}
	if k.Refuse != "" {
		out.Set("error", k.Refuse)
	} else {
		code := rand.Text()
		p.mu.Lock()
		p.codes[code] = q
		p.mu.Unlock()
		out.Set("code", code)
	}
	if q.Get("response_mode") == "form_post" {
		formPost(w, back.String(), out)
		return
	}
	back.RawQuery = out.Encode()
	http.Redirect(w, r, back.String(), http.StatusFound)
}

func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	k := p.now()
	wait(r, k.Delay)
	if k.TokenStatus != 0 {
		answer(w, k.TokenStatus, map[string]string{"error": "server_error"})
		return
	}
	known := p.knows(r)
	if known && r.PostFormValue("grant_type") == "refresh_token" {
		p.refresh(w, k, r.PostFormValue("refresh_token"))
		return
	}
	p.mu.Lock()
	asked, issued := p.codes[r.PostFormValue("code")]
	delete(p.codes, r.PostFormValue("code"))
	p.mu.Unlock()
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	switch {
	case !known:
		answer(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client"})
	case k.TokenError != "":
		p.answer(w, k, map[string]any{"error": k.TokenError, "error_description": "no"})
	case !issued || r.PostFormValue("redirect_uri") != asked.Get("redirect_uri") ||
		base64.RawURLEncoding.EncodeToString(sum[:]) != asked.Get("code_challenge"):
		answer(w, http.StatusBadRequest, map[string]string{"error": "invalid_grant"})
	default:
		p.answer(w, k, p.issue(k, p.idToken(k, asked)))
	}
}

func (p *Provider) idToken(k Knobs, asked url.Values) string {
	now := time.Now()
	body := map[string]any{"iss": p.URL, "aud": p.ClientID, "sub": k.subject(), "iat": now.Unix(),
		"exp": now.Add(5 * time.Minute).Unix(), "auth_time": now.Unix(), "nonce": asked.Get("nonce")}
	maps.Copy(body, k.Claims)
	for _, name := range k.Omit {
		delete(body, name)
	}
	raw, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	if k.Payload != nil {
		raw = k.Payload(raw)
	}
	return p.sign(k, raw)
}

func (p *Provider) sign(k Knobs, payload []byte) string {
	p.mu.Lock()
	if k.RotateFirst {
		p.keys = []signing{newKey(fmt.Sprint("key-", rand.Text()[:6]))}
	}
	key := p.keys[0]
	p.mu.Unlock()
	if k.ForeignKey {
		key = signing{id: key.id, rsa: newKey("").rsa, ec: newKey("").ec}
	}
	with := jose.SigningKey{Algorithm: jose.RS256, Key: key.rsa}
	id := key.id
	switch k.Alg {
	case "none":
		return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + base64.RawURLEncoding.EncodeToString(payload) + "."
	case "ES256":
		with, id = jose.SigningKey{Algorithm: jose.ES256, Key: key.ec}, key.id+"-ec"
	case "HS256":
		with = jose.SigningKey{Algorithm: jose.HS256, Key: []byte(p.ClientSecret + "-padded-to-thirty-two-bytes")}
	}
	opts := &jose.SignerOptions{}
	switch k.Type {
	case "":
		opts = opts.WithType("JWT")
	case "-":
	default:
		opts = opts.WithType(jose.ContentType(k.Type))
	}
	if !k.NoKeyID {
		opts = opts.WithHeader("kid", id)
	}
	signer, err := jose.NewSigner(with, opts)
	if err != nil {
		panic(err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		panic(err)
	}
	compact, err := jws.CompactSerialize()
	if err != nil {
		panic(err)
	}
	return compact
}

func (k Knobs) subject() string {
	if k.Subject == "" {
		return "alice"
	}
	return k.Subject
}

func (p *Provider) userinfo(w http.ResponseWriter, r *http.Request) {
	k := p.now()
	wait(r, k.UserinfoDelay)
	token := r.Header.Get("Authorization")
	p.mu.Lock()
	good := p.access[token]
	p.mu.Unlock()
	if !good {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		answer(w, http.StatusUnauthorized, map[string]string{"error": "invalid_token"})
		return
	}
	if k.RawUserinfo != "" {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, k.RawUserinfo)
		return
	}
	body := map[string]any{"sub": k.subject(), "name": "Alice Liddell", "email": k.subject() + "@corp.example", "email_verified": true}
	maps.Copy(body, k.Userinfo)
	if k.SignUserinfo != "" {
		raw, err := json.Marshal(body)
		if err != nil {
			panic(err)
		}
		w.Header().Set("Content-Type", "application/jwt")
		fmt.Fprint(w, p.sign(Knobs{Alg: k.SignUserinfo, ForeignKey: k.UserinfoKey, NoKeyID: k.NoKeyID}, raw))
		return
	}
	answer(w, k.UserinfoStatus, body)
}

func (p *Provider) endSession(w http.ResponseWriter, r *http.Request) {
	back := r.URL.Query().Get("post_logout_redirect_uri")
	if back == "" {
		fmt.Fprint(w, "signed out")
		return
	}
	http.Redirect(w, r, back+"?state="+url.QueryEscape(r.URL.Query().Get("state")), http.StatusFound)
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	if status != 0 {
		w.WriteHeader(status)
	}
	_ = json.NewEncoder(w).Encode(body)
}
