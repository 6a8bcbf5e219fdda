package upstreamtest

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Asked is the last authorization request, also one that was pushed.
func (p *Provider) Asked() url.Values {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

// knows says whether a request proves that it is the client's.
func (p *Provider) knows(r *http.Request) bool {
	if p.ClientKey != nil {
		return r.PostFormValue("client_assertion_type") == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" &&
			r.Header.Get("Authorization") == "" && !r.PostForm.Has("client_secret") && p.proof(r.PostFormValue("client_assertion"))
	}
	id, secret, basic := r.BasicAuth()
	if !basic {
		id, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	}
	return id == p.ClientID && secret == p.ClientSecret
}

// proof judges a client assertion (RFC 7523 §3). Each is good once.
func (p *Provider) proof(text string) bool {
	jws, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.ES256, jose.RS256, jose.PS256, jose.EdDSA})
	if err != nil || jws.Signatures[0].Header.KeyID == "" {
		return false
	}
	body, err := jws.Verify(p.ClientKey)
	if err != nil {
		return false
	}
	var c struct {
		Iss, Sub, Aud, Jti string
		Exp, Iat           int64
	}
	if json.Unmarshal(body, &c) != nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now().Unix()
	if c.Iss != p.ClientID || c.Sub != p.ClientID || c.Aud != p.ClientAudience || c.Jti == "" || p.proofs[c.Jti] || c.Exp <= now || c.Exp > now+300 || c.Iat > now+1 {
		return false
	}
	p.proofs[c.Jti] = true
	return true
}

// par takes a pushed request (RFC 9126 §2).
func (p *Provider) par(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.ParseForm() != nil || !p.knows(r):
		answer(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client"})
		return
	case p.now().Refuse == "pushed":
		answer(w, http.StatusBadRequest, map[string]string{"error": "invalid_request"})
		return
	}
	uri := "urn:ietf:params:oauth:request_uri:" + rand.Text()
	p.mu.Lock()
	p.requests[uri] = r.PostForm
	p.mu.Unlock()
	answer(w, http.StatusCreated, map[string]any{"request_uri": uri, "expires_in": 60})
}

// pushed takes a request that was pushed: it is good once.
func (p *Provider) pushed(uri string) url.Values {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := p.requests[uri]
	delete(p.requests, uri)
	return q
}

// emails is an endpoint as GitHub has it.
func (p *Provider) emails(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	good := p.access[r.Header.Get("Authorization")]
	p.mu.Unlock()
	k := p.now()
	if !good || k.Emails == "" {
		answer(w, http.StatusNotFound, map[string]string{"message": "Not Found"})
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	fmt.Fprint(w, k.Emails)
}

// answer is one of the token endpoint's: JSON, or a form.
func (p *Provider) answer(w http.ResponseWriter, k Knobs, body map[string]any) {
	if !k.TokenForm {
		answer(w, 0, body)
		return
	}
	form := url.Values{}
	for name, v := range body {
		form.Set(name, fmt.Sprint(v))
	}
	w.Header().Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	fmt.Fprint(w, form.Encode())
}
