//go:build faults

package faults

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// upstream is a foreign OpenID Provider that signs in whoever login_hint names
// and believes everybody.
type upstream struct {
	*httptest.Server
	signer jose.Signer
	public jose.JSONWebKey

	mu    sync.Mutex
	codes map[string]attempt
}

// attempt is what an authorization request had to say.
type attempt struct{ subject, nonce string }

func startUpstream(t *testing.T) *upstream {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	u := &upstream{codes: map[string]attempt{}, public: jose.JSONWebKey{Key: key.Public(), KeyID: "1", Algorithm: "ES256", Use: "sig"}}
	opts := (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", "1")
	if u.signer, err = jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, opts); err != nil {
		t.Fatal(err)
	}
	routes := http.NewServeMux()
	routes.HandleFunc("/.well-known/openid-configuration", u.discovery)
	routes.HandleFunc("/jwks", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{u.public}})
	})
	routes.HandleFunc("/authorize", u.authorize)
	routes.HandleFunc("/token", u.token)
	routes.HandleFunc("/userinfo", u.userinfo)
	u.Server = httptest.NewServer(routes)
	t.Cleanup(u.Close)
	return u
}

func (u *upstream) discovery(w http.ResponseWriter, _ *http.Request) {
	answer(w, map[string]any{
		"issuer": u.URL, "authorization_endpoint": u.URL + "/authorize", "token_endpoint": u.URL + "/token",
		"userinfo_endpoint": u.URL + "/userinfo", "jwks_uri": u.URL + "/jwks", "response_types_supported": []string{"code"},
		"subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{"ES256"},
	})
}

func (u *upstream) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	code := rand.Text()
	u.mu.Lock()
	u.codes[code] = attempt{subject: q.Get("login_hint"), nonce: q.Get("nonce")}
	u.mu.Unlock()
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+url.Values{"code": {code}, "state": {q.Get("state")}}.Encode(), http.StatusFound)
}

func (u *upstream) token(w http.ResponseWriter, r *http.Request) {
	code := r.PostFormValue("code")
	u.mu.Lock()
	who, known := u.codes[code]
	delete(u.codes, code)
	u.mu.Unlock()
	if !known {
		http.Error(w, `{"error":"invalid_grant"}`, http.StatusBadRequest)
		return
	}
	now := time.Now().Unix()
	body, err := json.Marshal(map[string]any{
		"iss": u.URL, "aud": "drawbridge", "sub": who.subject, "nonce": who.nonce, "iat": now, "exp": now + 300, "auth_time": now, "sid": rand.Text(),
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	signed, err := u.signer.Sign(body)
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

func (u *upstream) userinfo(w http.ResponseWriter, r *http.Request) {
	subject := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	answer(w, map[string]any{"sub": subject, "email": mailOf(subject), "email_verified": true, "customer_id": "C-" + subject})
}

// mailOf is the address of a user, by which webhooks name them.
func mailOf(user string) string { return user + "@corp.example" }

func answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	text, err := json.Marshal(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_, _ = w.Write(text) // a client that has gone needs no answer
}
