package conformance

import (
	"crypto/rand"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// module is one case that runs: a user, and what every module has found first.
type module struct {
	*testing.T
	*suite
	user *browser
	// tenant is the one that is looked at, empty for the default one.
	tenant, issuer string
	// mode is the response_mode to ask for; empty for none.
	mode string
	meta map[string]any
	keys jose.JSONWebKeySet
}

// begin is what every module does first: discovery and keys.
func (m *module) begin() {
	m.Helper()
	m.meta = m.object(m.call(http.MethodGet, m.issuer+"/.well-known/openid-configuration", nil, nil))
	if m.meta["issuer"] != m.issuer {
		m.Fatalf("the issuer is %v", m.meta["issuer"])
	}
	text := m.call(http.MethodGet, m.endpoint("jwks_uri"), nil, nil)
	if err := json.Unmarshal(text.body, &m.keys); err != nil || text.status != http.StatusOK {
		m.Fatalf("keys: %d %v", text.status, err)
	}
	seen := map[string]bool{}
	for _, k := range m.keys.Keys {
		if k.KeyID == "" || seen[k.KeyID] || !k.IsPublic() || !k.Valid() {
			m.Errorf("key %q: no kid, one that repeats, or no public key", k.KeyID)
		}
		seen[k.KeyID] = true
	}
}

func (m *module) first() client  { return first().at(m.tenant) }
func (m *module) second() client { return second().at(m.tenant) }
func (m *module) third() client  { return third().at(m.tenant) }

// endpoint is an address out of the metadata.
func (m *module) endpoint(name string) string {
	m.Helper()
	address, _ := m.meta[name].(string)
	if !strings.HasPrefix(address, "https://") {
		m.Fatalf("%s is %q", name, address)
	}
	return address
}

// reply is what an endpoint answers.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// call is a relying party's own request. A client proves itself by its method.
func (m *module) call(method, address string, form url.Values, header http.Header, as ...client) reply {
	m.Helper()
	var body io.Reader = http.NoBody
	if form != nil {
		for _, c := range as {
			if c.post {
				form.Set("client_id", c.id)
				form.Set("client_secret", c.secret)
			}
		}
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(m.Context(), method, address, body)
	if err != nil {
		m.Fatal(err)
	}
	if header != nil {
		req.Header = header
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, c := range as {
		if !c.post {
			req.SetBasicAuth(url.QueryEscape(c.id), url.QueryEscape(c.secret))
		}
	}
	res, err := m.http(m.T).Do(req)
	if err != nil {
		m.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		m.Fatal(err)
	}
	return reply{res.StatusCode, res.Header, text}
}

// object is an answer of 200 in JSON.
func (m *module) object(r reply) map[string]any {
	m.Helper()
	var all map[string]any
	if err := json.Unmarshal(r.body, &all); err != nil || r.status != http.StatusOK || !strings.HasPrefix(r.header.Get("Content-Type"), "application/json") {
		m.Fatalf("%d %s: %s", r.status, r.header.Get("Content-Type"), r.body)
	}
	return all
}

// refused fails unless an endpoint answers 400 with an error in JSON.
func (m *module) refused(r reply, want string) {
	m.Helper()
	var all map[string]any
	if err := json.Unmarshal(r.body, &all); err != nil || r.status != http.StatusBadRequest || all["error"] != want ||
		!strings.HasPrefix(r.header.Get("Content-Type"), "application/json") || strings.ContainsAny(all["error_description"].(string), "\r\n\t") {
		m.Fatalf("want 400 %s: %d %v %s", want, r.status, r.header, r.body)
	}
}

// ask is an authorization request. Pairs change it: "-" leaves a parameter out.
func (m *module) ask(c client, pairs ...string) url.Values {
	q := url.Values{
		"response_type": {"code"}, "client_id": {c.id}, "redirect_uri": {m.party.callback(c)}, "scope": {"openid"},
		"state": {rand.Text()[:10]}, "nonce": {rand.Text()[:10]},
	}
	if m.mode != "" {
		q.Set("response_mode", m.mode)
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

func (m *module) visit(q url.Values) landing {
	m.Helper()
	return m.user.get(m.endpoint("authorization_endpoint") + "?" + q.Encode())
}

// answer is what came back to the redirect URI of a request, in the way that was
// asked for, with its state and the issuer, and nothing that is not meant for it.
func (m *module) answer(l landing, q url.Values) url.Values {
	m.Helper()
	if l.visit == nil || l.visit.Path != "/cb/"+q.Get("client_id") {
		m.Fatalf("not at the redirect URI, but at %s (%d)", l.url, l.status)
	}
	posted := l.visit.Method == http.MethodPost && l.visit.Query == "" && l.visit.Type == "application/x-www-form-urlencoded"
	if posted != (m.mode == "form_post") {
		m.Fatalf("answered by %s with query %q", l.visit.Method, l.visit.Query)
	}
	got := l.visit.values(m)
	allowed := []string{"state", "iss", "code"}
	if got.Has("error") {
		allowed = []string{"state", "iss", "error", "error_description", "error_uri"}
	}
	for name, values := range got {
		if !slices.Contains(allowed, name) || len(values) != 1 {
			m.Errorf("the answer has %s: %q", name, values)
		}
	}
	if got.Get("state") != q.Get("state") || got.Has("state") != q.Has("state") || got.Get("iss") != m.issuer {
		m.Fatalf("state or iss are wrong: %v for %v", got, q)
	}
	return got
}

// code is the one that a request is answered with: long, and hard to guess.
func (m *module) code(q url.Values) string {
	m.Helper()
	return m.codeOf(m.visit(q), q)
}

func (m *module) codeOf(l landing, q url.Values) string {
	m.Helper()
	code := m.answer(l, q).Get("code")
	if len(code) < 22 || entropy(code) < 96 {
		m.Fatalf("no code, or a weak one: %v", l.visit.values(m))
	}
	return code
}

// entropy is Shannon's, in bits, as the suite reckons it.
func entropy(text string) float64 {
	count := map[rune]float64{}
	for _, r := range text {
		count[r]++
	}
	var perRune float64
	for _, n := range count {
		p := n / float64(len(text))
		perRune -= p * math.Log2(p)
	}
	return perRune * float64(len(text))
}

// denied is the error that a request is answered with.
func (m *module) denied(q url.Values) string {
	m.Helper()
	got := m.answer(m.visit(q), q)
	if got.Get("error") == "" || strings.ContainsAny(got.Get("error_description"), "\r\n\t\"\\") {
		m.Fatalf("no error, or one that is malformed: %v", got)
	}
	return got.Get("error")
}

// login is a sign-in that came to tokens.
type login struct {
	asked url.Values
	code  string
	// access, refresh and id are the tokens; said is what the ID token says, info
	// what userinfo does.
	access, refresh, id string
	said, info          map[string]any
}

// redemption is the request that spends a code.
func (m *module) redemption(q url.Values, code string) url.Values {
	return url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {q.Get("redirect_uri")}}
}

// redeem spends a code, and checks everything that comes for it.
func (m *module) redeem(c client, q url.Values, code string, more ...string) login {
	m.Helper()
	form := m.redemption(q, code)
	for i := 0; i < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	l := login{asked: q, code: code}
	l.take(m, m.call(http.MethodPost, m.endpoint("token_endpoint"), form, nil, c))
	l.said = m.idToken(c, q, l.id, l.access)
	l.info = m.userinfo(l, m.call(http.MethodGet, m.endpoint("userinfo_endpoint"), nil, bearer(l.access)))
	return l
}

// take reads an answer of the token endpoint.
func (l *login) take(m *module, r reply) {
	m.Helper()
	all := m.object(r)
	l.access, _ = all["access_token"].(string)
	l.refresh, _ = all["refresh_token"].(string)
	l.id, _ = all["id_token"].(string)
	kind, _ := all["token_type"].(string)
	lives, _ := all["expires_in"].(float64)
	if l.access == "" || entropy(l.access) < 96 || l.id == "" || !strings.EqualFold(kind, "bearer") || lives <= 0 || r.header.Get("Cache-Control") != "no-store" {
		m.Fatalf("tokens: %v %s", r.header, r.body)
	}
}

// signIn is a request, a code and tokens.
func (m *module) signIn(c client, pairs ...string) login {
	m.Helper()
	q := m.ask(c, pairs...)
	return m.redeem(c, q, m.code(q))
}

// isOut fails unless the user has no session any more.
func (m *module) isOut(c client) {
	m.Helper()
	if got := m.denied(m.ask(c, "prompt", "none")); got != "login_required" {
		m.Errorf("prompt=none is answered with %s", got)
	}
}

func bearer(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }
