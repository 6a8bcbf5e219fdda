package conformance

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// basicCases are those of the Basic profile, in whichever way they are answered.
func basicCases() map[string]func(*module) {
	with := func(pairs ...string) func(*module) {
		return func(m *module) { m.signIn(m.first(), pairs...) }
	}
	return map[string]func(*module){
		"oidcc-server":                func(m *module) { m.signIn(m.first()); m.signIn(m.second()) },
		"oidcc-response-type-missing": responseTypeMissing,
		"oidcc-idtoken-signature":     with(), // RS256 and a kid that is published are what every case wants
		"oidcc-idtoken-unsigned":      unsignedIDTokens,
		"oidcc-userinfo-get":          with(),
		"oidcc-userinfo-post-header": func(m *module) {
			l := m.signIn(m.first())
			m.userinfoBy(l, http.MethodPost, url.Values{}, bearer(l.access))
		},
		"oidcc-userinfo-post-body": func(m *module) {
			l := m.signIn(m.first())
			m.userinfoBy(l, http.MethodPost, url.Values{"access_token": {l.access}}, nil)
		},
		"oidcc-ensure-request-without-nonce-succeeds-for-code-flow": with("nonce", "-"),
		"oidcc-scope-profile":             scoped("profile"),
		"oidcc-scope-email":               scoped("email"),
		"oidcc-scope-address":             scoped("address"),
		"oidcc-scope-phone":               scoped("phone"),
		"oidcc-scope-all":                 scoped("profile", "email", "address", "phone"),
		"oidcc-alternate-happy-flow":      anotherOrder,
		"oidcc-display-page":              with("display", "page"),
		"oidcc-display-popup":             with("display", "popup"),
		"oidcc-prompt-login":              func(m *module) { m.anew("prompt", "login") },
		"oidcc-max-age-1":                 func(m *module) { m.anew("max_age", "1") },
		"oidcc-prompt-none-not-logged-in": notSignedIn,
		"oidcc-prompt-none-logged-in":     func(m *module) { m.silent("prompt", "none") },
		"oidcc-max-age-10000":             func(m *module) { m.silent("max_age", "10000") },
		"oidcc-ensure-request-with-unknown-parameter-succeeds": with("extra", "foobar"),
		"oidcc-id-token-hint":                           func(m *module) { m.silent("prompt", "none", "id_token_hint", m.signIn(m.first()).id) },
		"oidcc-login-hint":                              with("login_hint", "buffy@corp.example"),
		"oidcc-ui-locales":                              with("ui_locales", "se"),
		"oidcc-claims-locales":                          with("claims_locales", "se"),
		"oidcc-ensure-request-with-acr-values-succeeds": with("acr_values", "1 2"),
		"oidcc-codereuse":                               func(m *module) { m.twice(0) },
		"oidcc-codereuse-30seconds":                     func(m *module) { m.twice(30 * time.Second) },
		"oidcc-ensure-registered-redirect-uri":          anotherRedirectURI,
		"oidcc-ensure-post-request-succeeds":            postedRequest,
		"oidcc-server-client-secret-post":               func(m *module) { m.signIn(m.third()) },
		"oidcc-claims-essential":                        with("claims", `{"userinfo":{"name":{"essential":true}}}`),
		"oidcc-refresh-token":                           refreshed,
		"oidcc-ensure-request-with-valid-pkce-succeeds": withChallenge,
		"oidcc-ensure-request-object-with-redirect-uri": noRequestObject,
		"oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported":    noRequestURI,
		"oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported": noRequestObject,
	}
}

func responseTypeMissing(m *module) {
	q := m.ask(m.first(), "response_type", "-")
	if got := m.denied(q); got != "invalid_request" && got != "unsupported_response_type" {
		m.Errorf("the error is %s", got)
	}
}

// unsignedIDTokens are not offered, for which the suite skips the module.
func unsignedIDTokens(m *module) {
	offered, _ := m.meta["id_token_signing_alg_values_supported"].([]any)
	if len(offered) == 0 || slices.Contains(offered, any("none")) {
		m.Errorf("ID tokens may be signed by %v", offered)
	}
}

// scoped asks for scopes that are offered. What they stand for is in userinfo.
func scoped(scopes ...string) func(*module) {
	return func(m *module) {
		offered, _ := m.meta["scopes_supported"].([]any)
		for _, s := range scopes {
			if !slices.Contains(offered, any(s)) {
				m.Errorf("%s is not offered", s)
			}
		}
		m.signIn(m.first(), "scope", "openid "+strings.Join(scopes, " "))
	}
}

// anotherOrder has scopes and parameters in no usual order.
func anotherOrder(m *module) {
	q := m.ask(m.first(), "scope", "email openid profile")
	pairs := strings.Split(q.Encode(), "&")
	slices.Reverse(pairs)
	m.redeem(m.first(), q, m.codeOf(m.user.get(m.endpoint("authorization_endpoint")+"?"+strings.Join(pairs, "&")), q))
}

// anew signs in twice: the second time the user has to authenticate again.
func (m *module) anew(name, value string) {
	m.Helper()
	before := m.signIn(m.first())
	time.Sleep(2100 * time.Millisecond)
	m.user.seen = nil
	after := m.signIn(m.first(), name, value)
	was, _ := before.said["auth_time"].(float64)
	is, told := after.said["auth_time"].(float64)
	if !told || is <= was || is < float64(time.Now().Unix()-10) || before.said["sub"] != after.said["sub"] {
		m.Errorf("auth_time was %v and is %v", before.said["auth_time"], after.said["auth_time"])
	}
	if !slices.ContainsFunc(m.user.seen, func(at string) bool { return strings.HasPrefix(at, m.corp.URL) }) {
		m.Error("nobody asked the user")
	}
}

// silent signs in twice: the second time nobody asks the user anything.
func (m *module) silent(pairs ...string) {
	m.Helper()
	before := m.signIn(m.first())
	time.Sleep(1100 * time.Millisecond) // an auth_time of now would show
	m.user.seen = nil
	q := m.ask(m.first(), pairs...)
	after := m.redeem(m.first(), q, m.code(q))
	if before.said["sub"] != after.said["sub"] || before.said["auth_time"] == nil || before.said["auth_time"] != after.said["auth_time"] {
		m.Errorf("before %v, after %v", before.said, after.said)
	}
	for _, at := range m.user.seen {
		if strings.HasPrefix(at, m.corp.URL) || strings.Contains(at, "/consent") {
			m.Errorf("the user came to %s", at)
		}
	}
}

func notSignedIn(m *module) {
	if got := m.denied(m.ask(m.first(), "prompt", "none", "state", strings.Repeat("0123456789abcdef", 8))); got != "login_required" {
		m.Errorf("the error is %s", got)
	}
}

// twice spends a code a second time: that is refused, and ends what the first
// time gave.
func (m *module) twice(wait time.Duration) {
	m.Helper()
	l := m.signIn(m.first())
	time.Sleep(wait)
	m.refused(m.call(http.MethodPost, m.endpoint("token_endpoint"), m.redemption(l.asked, l.code), nil, m.first()), "invalid_grant")
	if r := m.call(http.MethodGet, m.endpoint("userinfo_endpoint"), nil, bearer(l.access)); r.status != http.StatusUnauthorized {
		m.Errorf("the first access token lives: %d", r.status)
	}
}

func anotherRedirectURI(m *module) {
	l := m.visit(m.ask(m.first(), "redirect_uri", m.party.URL+"/cb/first/elsewhere"))
	if l.visit != nil || l.status != http.StatusBadRequest || !l.has("error") || l.header.Get("Location") != "" {
		m.Errorf("at %s with %d", l.url, l.status)
	}
}

func postedRequest(m *module) {
	q := m.ask(m.first())
	m.redeem(m.first(), q, m.codeOf(m.user.post(m.endpoint("authorization_endpoint"), q), q))
}

// withChallenge holds also that the code is worth nothing without the verifier.
func withChallenge(m *module) {
	const verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	sum := sha256.Sum256([]byte(verifier))
	q := m.ask(m.first(), "code_challenge_method", "S256", "code_challenge", base64.RawURLEncoding.EncodeToString(sum[:]))
	m.refused(m.call(http.MethodPost, m.endpoint("token_endpoint"), m.redemption(q, m.code(q)), nil, m.first()), "invalid_grant")
	m.redeem(m.first(), q, m.code(q), "code_verifier", verifier)
}

// noRequestURI: request objects are not offered, and whoever sends one is told.
// The suite skips the modules for that.
func noRequestURI(m *module) {
	if m.meta["request_uri_parameter_supported"] != false {
		m.Errorf("request_uri_parameter_supported is %v", m.meta["request_uri_parameter_supported"])
	}
	if got := m.denied(m.ask(m.first(), "request_uri", m.party.URL+"/request.jwt")); got != "request_uri_not_supported" {
		m.Errorf("the error is %s", got)
	}
}

func noRequestObject(m *module) {
	if m.meta["request_parameter_supported"] != false || m.meta["request_object_signing_alg_values_supported"] != nil {
		m.Errorf("request_parameter_supported is %v", m.meta["request_parameter_supported"])
	}
	object := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." +
		base64.RawURLEncoding.EncodeToString([]byte(`{"redirect_uri":"`+m.party.URL+`/cb/second"}`)) + "."
	if got := m.denied(m.ask(m.first(), "request", object)); got != "request_not_supported" {
		m.Errorf("the error is %s", got)
	}
}

// refreshed takes refresh tokens for two clients, each good for its own only.
func refreshed(m *module) {
	if offered, _ := m.meta["grant_types_supported"].([]any); !slices.Contains(offered, any("refresh_token")) {
		m.Errorf("grant types are %v", offered)
	}
	for _, c := range []client{m.first(), m.second()} {
		l := m.signIn(c, "scope", "openid offline_access", "prompt", "consent")
		if l.refresh == "" || entropy(l.refresh) < 96 {
			m.Fatal("no refresh token, or a weak one")
		}
		other := m.second()
		if c == m.second() {
			other = m.first()
		}
		form := func() url.Values { return url.Values{"grant_type": {"refresh_token"}, "refresh_token": {l.refresh}} }
		m.refused(m.call(http.MethodPost, m.endpoint("token_endpoint"), form(), nil, other), "invalid_grant")
		var next login
		next.take(m, m.call(http.MethodPost, m.endpoint("token_endpoint"), form(), nil, c))
		said := m.verify(next.id, "JWT")
		for _, name := range []string{"iss", "sub", "aud", "auth_time"} {
			if said[name] == nil || said[name] != l.said[name] {
				m.Errorf("%s is %v, was %v", name, said[name], l.said[name])
			}
		}
		if next.access == l.access || said["iat"].(float64) < l.said["iat"].(float64) || said["nonce"] != nil && said["nonce"] != l.said["nonce"] {
			m.Errorf("the same access token, or %v", said)
		}
		m.userinfo(l, m.call(http.MethodGet, m.endpoint("userinfo_endpoint"), nil, bearer(next.access)))
	}
}
