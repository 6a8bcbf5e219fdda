//go:build bench

package bench

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// The secrets of the configuration; nobody but this test ever listens.
const (
	upstreamSecret = "upstream-secret-of-the-benchmarks"
	clientSecret   = "client-secret-of-the-benchmarks"
)

// redirectURI is where browsers are sent back to; they stop there.
const redirectURI = "http://127.0.0.1:9/callback"

// delays are how long the parties take to answer what they are asked while a user or a client waits.
const (
	slowUpstream = 200 * time.Millisecond
	slowHook     = 50 * time.Millisecond
)

// parties are whom Drawbridge calls. They are plain, so that they leave the machine to it.
type parties struct {
	corp, slow *provider
	hook       *httptest.Server
	// asked counts the calls of the hook.
	asked atomic.Int64
}

func startParties(t *testing.T) *parties {
	t.Helper()
	p := &parties{corp: startProvider(t, 0), slow: startProvider(t, slowUpstream)}
	p.hook = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.asked.Add(1)
		if r.URL.Path == "/slow" {
			time.Sleep(slowHook)
		}
		enrich(w, r)
	}))
	t.Cleanup(p.hook.Close)
	return p
}

// enrich adds a claim, by the contract of the hook.
func enrich(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Claims map[string]any `json:"claims"`
	}
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	asked.Claims["tier"] = "gold"
	answer(w, map[string]any{"claims": asked.Claims})
}

// configure is the configuration of DESIGN §5 with a second upstream, which is slow, and a second hook, which is slow at
// refreshes. The clients differ in one thing each; `shop` is as the example has it.
func (p *parties) configure(public, management string) string {
	return p.configureOn("{engine: bolt, path: data/drawbridge.db}")(public, management)
}

// configureOn is configure with another store.
func (p *parties) configureOn(store string) func(public, management string) string {
	return func(public, management string) string { return p.configuration(public, management, store) }
}

func (p *parties) configuration(public, management, store string) string {
	client := func(id, more string) string {
		return fmt.Sprintf(`
  - client_id: %s
    client_secret: %s
    redirect_uris: [%s]
    post_logout_redirect_uris: [http://127.0.0.1:9/]
    consent: skip
    %s`, id, clientSecret, redirectURI, more)
	}
	claims := func(hook string) string {
		return "claims: {mapping: [{claim: department, from: [dept, department]}], id_token: [department], hook: " + hook + "}"
	}
	refresh := "\n    grant_types: [authorization_code, refresh_token]\n    "
	return fmt.Sprintf(`
issuer: http://%[1]s
listen: %[1]s
management:
  listen: %[2]s
  credentials: [{username: platform, password: %[6]s, tenants: [default], scopes: [users, events, sessions, webhooks]}]
store: %[9]s
upstreams:
  - &corp {id: corp, issuer: "%[3]s", client_id: drawbridge, client_secret: %[7]s, domains: [corp.example], user: {customer: [customer_id, sub], email: [email]}}
  - {<<: *corp, id: slow, issuer: "%[4]s", domains: [slow.example]}
clients:%[8]s
hooks:
  - &hook {id: enrich, base_url: "%[5]s", path: /v1/customize-token, on_failure: deny}
  - {<<: *hook, id: slow, path: /slow, grants: [refresh_token]}
session: {idle_timeout: 30m, max_lifetime: 8h}
limits: off
session_webhooks:
  - id: tell-crm
    url: "%[5]s/sink"
    headers: {Content-Type: application/json}
    body: '{"event":"${WebhookEventType}","user":"${UserId}","session":"${OidcSid}"}'
egress: {upstreams: [127.0.0.0/8], hooks: [127.0.0.0/8], webhooks: [127.0.0.0/8]}
`, public, management, p.corp.URL, p.slow.URL, p.hook.URL, clientSecret, upstreamSecret, strings.Join([]string{
		client("shop", "id_token_signed_response_alg: RS256\n    upstreams: [corp]\n    "+claims("enrich")),
		client("shop-es256", "id_token_signed_response_alg: ES256\n    upstreams: [corp]\n    "+claims("enrich")),
		client("mobile", "id_token_signed_response_alg: RS256\n    upstreams: [corp]"+refresh+claims("enrich")),
		client("mobile-es256", "id_token_signed_response_alg: ES256\n    upstreams: [corp]"+refresh+claims("enrich")),
		client("patient", "id_token_signed_response_alg: ES256\n    upstreams: [corp]"+refresh+claims("slow")),
		client("remote", "id_token_signed_response_alg: ES256\n    upstreams: [slow]\n    "+claims("enrich")),
	}, ""), store)
}

// provider is a foreign OpenID Provider that signs in whoever login_hint names, with ES256, and believes everybody.
type provider struct {
	*httptest.Server
	delay  time.Duration
	signer jose.Signer
	public jose.JSONWebKey

	mu    sync.Mutex
	codes map[string]asked
}

// asked is what an authorization request had to say.
type asked struct{ subject, nonce string }

func startProvider(t *testing.T, delay time.Duration) *provider {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := &provider{delay: delay, codes: map[string]asked{}, public: jose.JSONWebKey{Key: key.Public(), KeyID: "1", Algorithm: "ES256", Use: "sig"}}
	opts := (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", "1")
	if p.signer, err = jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, opts); err != nil {
		t.Fatal(err)
	}
	routes := http.NewServeMux()
	routes.HandleFunc("/.well-known/openid-configuration", p.discovery)
	routes.HandleFunc("/jwks", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{p.public}})
	})
	routes.HandleFunc("/authorize", p.authorize)
	routes.HandleFunc("/token", p.token)
	routes.HandleFunc("/userinfo", p.userinfo)
	p.Server = httptest.NewServer(routes)
	t.Cleanup(p.Close)
	return p
}

func (p *provider) discovery(w http.ResponseWriter, _ *http.Request) {
	answer(w, map[string]any{
		"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token",
		"userinfo_endpoint": p.URL + "/userinfo", "jwks_uri": p.URL + "/jwks", "response_types_supported": []string{"code"},
		"subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{"ES256"},
	})
}

func (p *provider) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	code := rand.Text()
	p.mu.Lock()
	p.codes[code] = asked{subject: q.Get("login_hint"), nonce: q.Get("nonce")}
	p.mu.Unlock()
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+url.Values{"code": {code}, "state": {q.Get("state")}}.Encode(), http.StatusFound)
}

func (p *provider) token(w http.ResponseWriter, r *http.Request) {
	time.Sleep(p.delay)
	code := r.PostFormValue("code")
	p.mu.Lock()
	who, known := p.codes[code]
	delete(p.codes, code)
	p.mu.Unlock()
	if !known {
		http.Error(w, `{"error":"invalid_grant"}`, http.StatusBadRequest)
		return
	}
	now := time.Now().Unix()
	body, err := json.Marshal(map[string]any{
		"iss": p.URL, "aud": "drawbridge", "sub": who.subject, "nonce": who.nonce, "iat": now, "exp": now + 300, "auth_time": now,
		"amr": []string{"pwd"}, "sid": rand.Text(),
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	signed, err := p.signer.Sign(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	raw, err := signed.CompactSerialize()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	answer(w, map[string]any{"access_token": who.subject, "token_type": "Bearer", "expires_in": 300, "id_token": raw})
}

func (p *provider) userinfo(w http.ResponseWriter, r *http.Request) {
	subject := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	answer(w, map[string]any{
		"sub": subject, "name": "Ada Lovelace", "given_name": "Ada", "family_name": "Lovelace", "locale": "en-GB",
		"email": subject + "@corp.example", "email_verified": true, "customer_id": "C-" + subject, "dept": "engineering",
		"groups": []string{"staff", "engineering", "on-call"}, "address": map[string]string{"locality": "London", "country": "GB"},
	})
}

func answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	text, err := json.Marshal(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_, _ = w.Write(text) // a client that has gone needs no answer
}
