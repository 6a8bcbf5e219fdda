package demo

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// token is the token endpoint (RFC 6749 §4.1.3).
func (p *provider) token(w http.ResponseWriter, r *http.Request) {
	if err := parseForm(w, r); err != nil {
		refuse(w, http.StatusBadRequest, "invalid_request")
		return
	}
	if !p.authenticated(r) {
		w.Header().Set("WWW-Authenticate", `Basic realm="Corp ID"`)
		refuse(w, http.StatusUnauthorized, "invalid_client")
		return
	}
	if r.PostForm.Get("grant_type") != "authorization_code" {
		refuse(w, http.StatusBadRequest, "unsupported_grant_type")
		return
	}
	p.mu.Lock()
	code, ok := p.codes[r.PostForm.Get("code")]
	delete(p.codes, r.PostForm.Get("code"))
	p.mu.Unlock()
	now := p.o.Now()
	if !ok || now.Sub(code.at) > codeLife || r.PostForm.Get("redirect_uri") != code.request.redirectURI ||
		!matches(r.PostForm.Get("code_verifier"), code.request.challenge) {
		refuse(w, http.StatusBadRequest, "invalid_grant")
		return
	}
	access := rand.Text() + rand.Text()
	signed, err := p.idToken(code, access, now)
	if err != nil {
		refuse(w, http.StatusInternalServerError, "server_error")
		return
	}
	p.mu.Lock()
	keep(p.tokens, access, issuedToken{account: code.account, at: now}, func(t issuedToken) time.Time { return t.at })
	p.mu.Unlock()
	writeJSON(w, http.StatusOK, map[string]any{
		"access_token": access, "token_type": "Bearer", "expires_in": int(tokenLife / time.Second), "id_token": signed, "scope": "openid profile email",
	})
}

// authenticated takes client_secret_basic and client_secret_post.
func (p *provider) authenticated(r *http.Request) bool {
	id, secret, basic := r.BasicAuth()
	if basic { // RFC 6749 §2.3.1: both are form-encoded first
		var err, also error
		id, err = url.QueryUnescape(id)
		secret, also = url.QueryUnescape(secret)
		if err != nil || also != nil {
			return false
		}
	} else {
		id, secret = r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	}
	return id == p.o.Client.ID && subtle.ConstantTimeCompare([]byte(secret), []byte(p.o.Client.Secret)) == 1
}

// idToken says who signed in, and what an application needs at once; the rest
// is at userinfo.
func (p *provider) idToken(code issuedCode, access string, now time.Time) (string, error) {
	half := sha256.Sum256([]byte(access))
	said := map[string]any{
		"iss": p.o.Issuer, "aud": p.o.Client.ID, "iat": now.Unix(), "exp": now.Add(tokenLife).Unix(), "auth_time": code.at.Unix(),
		"at_hash": base64.RawURLEncoding.EncodeToString(half[:16]), "amr": []string{"pwd"},
	}
	if code.request.nonce != "" {
		said["nonce"] = code.request.nonce
	}
	for _, name := range []string{"sub", "name", "preferred_username", "email", "email_verified"} {
		said[name] = code.account.claims[name]
	}
	payload, err := json.Marshal(said)
	if err != nil {
		return "", fmt.Errorf("encode ID token: %w", err)
	}
	signed, err := p.signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("sign ID token: %w", err)
	}
	p.remember(code.account.Login, func(s *saying) { s.IDToken = said })
	return signed.CompactSerialize()
}

// userinfo is everything the provider knows of the user (OpenID Connect Core
// 1.0 §5.3), and two claims that are none of its business.
func (p *provider) userinfo(w http.ResponseWriter, r *http.Request) {
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	p.mu.Lock()
	token, ok := p.tokens[given]
	p.mu.Unlock()
	if !ok || !strings.EqualFold(scheme, "Bearer") || p.o.Now().Sub(token.at) > tokenLife {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		refuse(w, http.StatusUnauthorized, "invalid_token")
		return
	}
	said := maps.Clone(token.account.claims)
	p.remember(token.account.Login, func(s *saying) { s.Userinfo = said })
	writeJSON(w, http.StatusOK, said)
}

func (p *provider) remember(login string, set func(*saying)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.said[login]
	set(&s)
	p.said[login] = s
}

func refuse(w http.ResponseWriter, status int, code string) {
	writeJSON(w, status, map[string]string{"error": code})
}
