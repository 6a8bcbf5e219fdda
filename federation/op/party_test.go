package op_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/drawbridge-id/drawbridge/federation"
)

const verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// party is a relying party of a tenant.
type party struct {
	t      testing.TB
	h      *house
	tenant string
	client federation.Client
	http   *http.Client
}

func (h *house) party(tenant, client string) *party {
	h.t.Helper()
	c, ok := h.registry.Load().Client(tenant, client)
	if !ok {
		h.t.Fatalf("no client %q", client)
	}
	return &party{t: h.t, h: h, tenant: tenant, client: c, http: h.client()}
}

// ask is the address of an authorization request. Pairs change it: "-" leaves a
// parameter out.
func (p *party) ask(pairs ...string) string {
	return p.h.tenant(p.tenant).URL("/authorize") + "?" + p.request(pairs...).Encode()
}

func (p *party) request(pairs ...string) url.Values {
	q := url.Values{
		"response_type": {"code"}, "client_id": {p.client.ID}, "redirect_uri": {p.client.RedirectURIs[0]},
		"scope": {"openid email profile"}, "state": {"some state"}, "nonce": {"some nonce"},
	}
	if p.client.Public() {
		q.Set("code_challenge", challengeOf(verifier))
		q.Set("code_challenge_method", "S256")
	}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] == "-" {
			q.Del(pairs[i])
		} else {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	return q
}

// code is the one that came back, with everything that goes with it.
func (p *party) code(l landing) string {
	p.t.Helper()
	q := p.answer(l)
	if q.Get("error") != "" || q.Get("code") == "" {
		p.t.Fatalf("no code: %s", l.url)
	}
	if q.Get("iss") != p.h.issuer(p.tenant) {
		p.t.Fatalf("iss is %q", q.Get("iss"))
	}
	return q.Get("code")
}

// answer is the query of an answer at one of the party's redirect URIs.
func (p *party) answer(l landing) url.Values {
	p.t.Helper()
	if !l.away {
		p.t.Fatalf("not back at %s, but at %s (%d):\n%s", p.client.ID, l.url, l.status, l.main())
	}
	at := *l.url
	at.RawQuery = ""
	if !slices.ContainsFunc(p.client.RedirectURIs, func(u string) bool { before, _, _ := strings.Cut(u, "?"); return before == at.String() }) {
		p.t.Fatalf("sent to %s, which is not registered", l.url)
	}
	return l.url.Query()
}

// refused is the error that came back, with the state and issuer that go with it.
func (p *party) refused(l landing, want federation.Code) {
	p.t.Helper()
	q := p.answer(l)
	if q.Get("error") != string(want) || q.Get("code") != "" {
		p.t.Fatalf("want %s: %s", want, l.url)
	}
	if q.Get("iss") != p.h.issuer(p.tenant) || q.Get("error_description") == "" {
		p.t.Fatalf("iss or description is missing: %s", l.url)
	}
}

// tokens is an answer of the token endpoint.
type tokens struct {
	status  int
	header  http.Header
	Access  string `json:"access_token"`
	Type    string `json:"token_type"`
	Refresh string `json:"refresh_token"`
	ID      string `json:"id_token"`
	Scope   string `json:"scope"`
	Expires int    `json:"expires_in"`
	Error   string `json:"error"`
	Reason  string `json:"error_description"`
}

// authenticated adds what proves the client.
func (p *party) authenticated(form url.Values) (url.Values, string) {
	switch p.client.AuthMethod {
	case federation.AuthBasic:
		secret := p.client.Secrets[0].Reveal()
		return form, "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(p.client.ID)+":"+url.QueryEscape(secret)))
	case federation.AuthPost:
		form.Set("client_secret", p.client.Secrets[0].Reveal())
	}
	form.Set("client_id", p.client.ID)
	return form, ""
}

// token calls the token endpoint as the client.
func (p *party) token(form url.Values) tokens {
	p.t.Helper()
	form, header := p.authenticated(form)
	return p.call("/token", form.Encode(), "Authorization", header, "Content-Type", "application/x-www-form-urlencoded")
}

// call posts a body as it is.
func (p *party) call(path, body string, headers ...string) tokens {
	p.t.Helper()
	res := p.send(http.MethodPost, path, body, headers...)
	var out tokens
	if res.page != "" {
		must(p.t, json.Unmarshal([]byte(res.page), &out))
	}
	out.status, out.header = res.status, res.header
	return out
}

// send makes one request of an endpoint.
func (p *party) send(method, path, content string, headers ...string) landing {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), method, p.h.tenant(p.tenant).URL(path), strings.NewReader(content))
	must(p.t, err)
	for i := 0; i < len(headers); i += 2 {
		if headers[i+1] != "" {
			r.Header.Add(headers[i], headers[i+1])
		}
	}
	res, err := p.http.Do(r)
	must(p.t, err)
	return landing{url: r.URL, status: res.StatusCode, header: res.Header, page: body(p.t, res)}
}

// redeem spends a code.
func (p *party) redeem(code string) tokens {
	p.t.Helper()
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {p.client.RedirectURIs[0]}}
	if p.client.Public() {
		form.Set("code_verifier", verifier)
	}
	return p.token(form)
}

// signIn walks a browser through a sign-in and spends the code.
func (p *party) signIn(b *browser, pairs ...string) tokens {
	p.t.Helper()
	got := p.redeem(p.code(b.get(p.ask(pairs...))))
	if got.status != http.StatusOK || got.Access == "" || got.ID == "" {
		p.t.Fatalf("no tokens: %d %s %s", got.status, got.Error, got.Reason)
	}
	return got
}

func (p *party) refresh(token string, pairs ...string) tokens {
	p.t.Helper()
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return p.token(form)
}

// userinfo asks for the claims, and fails unless there are some.
func (p *party) userinfo(access string) map[string]any {
	p.t.Helper()
	res := p.send(http.MethodGet, "/userinfo", "", "Authorization", "Bearer "+access)
	if res.status != http.StatusOK {
		p.t.Fatalf("userinfo: %d %s %s", res.status, res.header.Get("WWW-Authenticate"), res.page)
	}
	return object(p.t, res.page)
}

// live says whether an access token is good.
func (p *party) live(access string) bool {
	p.t.Helper()
	return p.send(http.MethodGet, "/userinfo", "", "Authorization", "Bearer "+access).status == http.StatusOK
}

// claims verifies an ID token with the published keys.
func (p *party) claims(id string) map[string]any {
	p.t.Helper()
	var set jose.JSONWebKeySet
	must(p.t, json.Unmarshal([]byte(p.send(http.MethodGet, "/jwks", "").page), &set))
	jws, err := jose.ParseSignedCompact(id, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(p.client.IDTokenAlg)})
	must(p.t, err)
	keys := set.Key(jws.Signatures[0].Protected.KeyID)
	if len(keys) != 1 {
		p.t.Fatalf("%d keys are called %q", len(keys), jws.Signatures[0].Protected.KeyID)
	}
	payload, err := jws.Verify(keys[0])
	must(p.t, err)
	return object(p.t, string(payload))
}

func object(t testing.TB, text string) map[string]any {
	t.Helper()
	var all map[string]any
	must(t, json.Unmarshal([]byte(text), &all))
	return all
}
