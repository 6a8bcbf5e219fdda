package op_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/federation"
)

// rawAsk is an authorization request with a piece of query added as it is.
func (p *party) rawAsk(more string, pairs ...string) string { return p.ask(pairs...) + more }

// TestAuthorizeUnproven has errors that may be told on a page only.
func TestAuthorizeUnproven(t *testing.T) {
	h := open(t)
	shop, b := h.party("default", "shop"), h.browser()
	shop.signIn(b) // a session must not make a difference
	const id, uri = "client_id", "redirect_uri"
	for name, address := range map[string]string{
		"nothing":                    h.URL + "/authorize",
		"no client_id":               shop.ask(id, "-"),
		"empty client_id":            shop.ask(id, ""),
		"unknown client_id":          shop.ask(id, "nobody"),
		"client_id in another case":  shop.ask(id, "Shop"),
		"client_id twice":            shop.rawAsk("&client_id=shop"),
		"client_id and another":      shop.rawAsk("&client_id=post"),
		"long client_id":             shop.ask(id, strings.Repeat("x", 5000)),
		"client_id with NUL":         shop.ask(id, "shop\x00"),
		"client_id, no text":         shop.ask(id, "\xff"),
		"another tenant's client":    shop.ask(id, "acme/shop"),
		"no redirect_uri":            shop.ask(uri, "-"),
		"empty redirect_uri":         shop.ask(uri, ""),
		"redirect_uri twice":         shop.rawAsk("&redirect_uri=https%3A%2F%2Fshop.example%2Fcb"),
		"two redirect_uris":          shop.rawAsk("&redirect_uri=https%3A%2F%2Fevil.example%2F"),
		"another client's":           shop.ask(uri, "https://post.example/cb"),
		"host in another case":       shop.ask(uri, "https://SHOP.example/cb"),
		"scheme in another case":     shop.ask(uri, "HTTPS://shop.example/cb"),
		"path in another case":       shop.ask(uri, "https://shop.example/CB"),
		"slash at the end":           shop.ask(uri, "https://shop.example/cb/"),
		"another scheme":             shop.ask(uri, "http://shop.example/cb"),
		"userinfo":                   shop.ask(uri, "https://shop.example@evil.example/cb"),
		"empty userinfo":             shop.ask(uri, "https://@shop.example/cb"),
		"port":                       shop.ask(uri, "https://shop.example:8443/cb"),
		"the default port":           shop.ask(uri, "https://shop.example:443/cb"),
		"fragment":                   shop.ask(uri, "https://shop.example/cb#x"),
		"empty fragment":             shop.ask(uri, "https://shop.example/cb#"),
		"encoded slash":              shop.ask(uri, "https://shop.example%2Fcb"),
		"encoded path":               shop.ask(uri, "https://shop.example/%63b"),
		"dot segments":               shop.ask(uri, "https://shop.example/x/../cb"),
		"backslash":                  shop.ask(uri, "https://shop.example\\@evil.example/cb"),
		"query added":                shop.ask(uri, "https://shop.example/cb?x=1"),
		"query added to a query":     shop.ask(uri, "https://shop.example/cb?tenant=a%20b&x=1"),
		"query decoded":              shop.ask(uri, "https://shop.example/cb?tenant=a b"),
		"question mark":              shop.ask(uri, "https://shop.example/cb?"),
		"space":                      shop.ask(uri, " https://shop.example/cb"),
		"line break":                 shop.ask(uri, "https://shop.example/cb\r\nX: y"),
		"a sub domain":               shop.ask(uri, "https://evil.shop.example/cb"),
		"a longer host":              shop.ask(uri, "https://shop.example.evil.example/cb"),
		"javascript":                 shop.ask(uri, "javascript:alert(1)"),
		"nowhere":                    shop.ask(uri, "/cb"),
		"post-logout redirect URI":   shop.ask(uri, "https://shop.example/bye"),
		"a query that is none":       shop.ask() + "&%zz=1",
		"semicolons":                 shop.ask() + ";x=1",
		"too much":                   shop.ask("nonce", strings.Repeat("x", 17<<10)),
		"unregistered, prompt=none":  shop.ask(uri, "https://evil.example/", "prompt", "none"),
		"unregistered, unsupported":  shop.ask(uri, "https://evil.example/", "response_type", "token"),
		"unregistered, code at once": shop.ask(uri, "https://evil.example/", "state", "x"),
	} {
		h.unchanged(name, func() {
			if l := b.get(address); l.away || l.status != 400 || l.find(t, "error-text") == nil || l.header.Get("Location") != "" {
				t.Errorf("%s: %d %s", name, l.status, l.url)
			}
		})
	}
	h.unchanged("a body that is no form", func() {
		for _, kind := range []string{"", "text/plain", "application/json", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded-not", ";"} {
			if got := shop.send("POST", "/authorize", shop.request().Encode(), "Content-Type", kind); got.status != 400 || got.find(t, "error") == nil {
				t.Errorf("%q: %d", kind, got.status)
			}
		}
		if got := shop.send("POST", "/authorize?"+shop.request().Encode(), "", "Content-Type", "application/x-www-form-urlencoded"); got.status != 400 {
			t.Errorf("parameters in the address of a POST: %d", got.status)
		}
	})
}

// refusal is an error that goes to the redirect URI.
type refusal struct {
	want    federation.Code
	address string
}

// badRequests are requests of a client that is proven.
func badRequests(shop, spa *party) map[string]refusal {
	const challenged = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
	return map[string]refusal{
		"no response_type":         {federation.InvalidRequest, shop.ask("response_type", "-")},
		"empty response_type":      {federation.InvalidRequest, shop.ask("response_type", "")},
		"token":                    {federation.UnsupportedResponseType, shop.ask("response_type", "token")},
		"hybrid":                   {federation.UnsupportedResponseType, shop.ask("response_type", "code id_token")},
		"id_token":                 {federation.UnsupportedResponseType, shop.ask("response_type", "id_token")},
		"web_message":              {federation.InvalidRequest, shop.ask("response_mode", "web_message")},
		"response_type twice":      {federation.InvalidRequest, shop.rawAsk("&response_type=code")},
		"fragment":                 {federation.InvalidRequest, shop.ask("response_mode", "fragment")},
		"no scope":                 {federation.InvalidScope, shop.ask("scope", "-")},
		"empty scope":              {federation.InvalidScope, shop.ask("scope", "")},
		"not openid":               {federation.InvalidScope, shop.ask("scope", "profile email")},
		"OpenID":                   {federation.InvalidScope, shop.ask("scope", "OpenID")},
		"scope twice":              {federation.InvalidRequest, shop.rawAsk("&scope=openid")},
		"long scope":               {federation.InvalidRequest, shop.ask("scope", "openid "+strings.Repeat("x", 4096))},
		"scope with NUL":           {federation.InvalidRequest, shop.ask("scope", "openid\x00")},
		"nonce twice":              {federation.InvalidRequest, shop.rawAsk("&nonce=2")},
		"nonce, no text":           {federation.InvalidRequest, shop.ask("nonce", "\xc3\x28")},
		"long nonce":               {federation.InvalidRequest, shop.ask("nonce", strings.Repeat("n", 4097))},
		"unknown prompt":           {federation.InvalidRequest, shop.ask("prompt", "create")},
		"prompt none and more":     {federation.InvalidRequest, shop.ask("prompt", "none login")},
		"prompt twice":             {federation.InvalidRequest, shop.rawAsk("&prompt=none&prompt=login")},
		"max_age, a word":          {federation.InvalidRequest, shop.ask("max_age", "long")},
		"max_age, negative":        {federation.InvalidRequest, shop.ask("max_age", "-1")},
		"max_age, minus zero":      {federation.InvalidRequest, shop.ask("max_age", "-0")},
		"max_age, signed":          {federation.InvalidRequest, shop.ask("max_age", "+1")},
		"max_age, fraction":        {federation.InvalidRequest, shop.ask("max_age", "1.5")},
		"max_age, huge":            {federation.InvalidRequest, shop.ask("max_age", "99999999999999999999")},
		"max_age, a million years": {federation.InvalidRequest, shop.ask("max_age", "2147483648")},
		"challenge without method": {federation.InvalidRequest, shop.ask("code_challenge", challenged)},
		"plain":                    {federation.InvalidRequest, shop.ask("code_challenge", verifier, "code_challenge_method", "plain")},
		"method alone":             {federation.InvalidRequest, shop.ask("code_challenge_method", "S256")},
		"method in another case":   {federation.InvalidRequest, shop.ask("code_challenge", challenged, "code_challenge_method", "s256")},
		"short challenge":          {federation.InvalidRequest, shop.ask("code_challenge", challenged[1:], "code_challenge_method", "S256")},
		"padded challenge":         {federation.InvalidRequest, shop.ask("code_challenge", challenged+"=", "code_challenge_method", "S256")},
		"odd challenge":            {federation.InvalidRequest, shop.ask("code_challenge", challenged[:42]+"N", "code_challenge_method", "S256")},
		"no PKCE, public":          {federation.InvalidRequest, spa.ask("code_challenge", "-", "code_challenge_method", "-")},
		"request":                  {federation.RequestNotSupported, shop.ask("request", "e30.e30.")},
		"request_uri":              {federation.RequestURINotSupported, shop.ask("request_uri", "https://shop.example/r")},
		"registration":             {federation.RegistrationUnsupported, shop.ask("registration", "{}")},
		"hint, rubbish":            {federation.InvalidRequest, shop.ask("id_token_hint", "rubbish")},
		"hint, unsigned":           {federation.InvalidRequest, shop.ask("id_token_hint", "eyJhbGciOiJub25lIn0.e30.")},
		"hint twice":               {federation.InvalidRequest, shop.rawAsk("&id_token_hint=a&id_token_hint=b")},
		"login_hint twice":         {federation.InvalidRequest, shop.rawAsk("&login_hint=a&login_hint=b")},
		"acr_values, no text":      {federation.InvalidRequest, shop.ask("acr_values", "\xff")},
		"ui_locales, long":         {federation.InvalidRequest, shop.ask("ui_locales", strings.Repeat("n", 5000))},
		"too much for a cookie": {federation.InvalidRequest,
			shop.ask("nonce", strings.Repeat("n", 4000), "login_hint", strings.Repeat("l", 4000), "prompt", "login")},
	}
}

// TestAuthorizeRedirectsErrors has errors that go to the redirect URI, with
// state.
func TestAuthorizeRedirectsErrors(t *testing.T) {
	h := open(t)
	shop, spa, b := h.party("default", "shop"), h.party("default", "spa"), h.browser()
	shop.signIn(b)
	for name, tc := range badRequests(shop, spa) {
		h.unchanged(name, func() {
			p := shop
			if strings.Contains(tc.address, "client_id=spa") {
				p = spa
			}
			l := b.get(tc.address)
			p.refused(l, tc.want)
			if p.answer(l).Get("state") != "some state" {
				t.Errorf("%s: state came back as %q", name, p.answer(l).Get("state"))
			}
		})
	}
}

// TestStateIsEchoed as it came, but not one that came twice.
func TestStateIsEchoed(t *testing.T) {
	h := open(t)
	shop, b := h.party("default", "shop"), h.browser()
	shop.signIn(b)
	for given, want := range map[string]string{"a\x00b": "a\x00b", "\xff": "\xff", "": ""} {
		if l := b.get(shop.ask("state", given, "scope", "-")); shop.answer(l).Get("state") != want || shop.answer(l).Has("state") != (want != "") {
			t.Errorf("%q came back as %s", given, l.url)
		}
	}
	if l := b.get(shop.rawAsk("&state=2")); shop.answer(l).Get("error") != "invalid_request" || shop.answer(l).Has("state") {
		t.Errorf("%s", l.url)
	}
	long := strings.Repeat("s", 4000)
	if l := b.get(shop.ask("state", long, "prompt", "none")); shop.answer(l).Get("state") != long {
		t.Error("a long state was not echoed")
	}
	// The registered query is kept byte by byte.
	l := b.get(shop.ask("redirect_uri", "https://shop.example/cb?tenant=a%20b", "prompt", "none"))
	if shop.code(l); !strings.HasPrefix(l.url.String(), "https://shop.example/cb?tenant=a%20b&code=") {
		t.Errorf("%s", l.url)
	}
	if _, err := url.Parse(l.url.String()); err != nil {
		t.Error(err)
	}
}

// TestWhatIsNotReadDoesNotMatter sends parameters that nobody knows.
func TestWhatIsNotReadDoesNotMatter(t *testing.T) {
	h := open(t)
	shop, b := h.party("default", "shop"), h.browser()
	shop.code(b.get(shop.rawAsk("&audience=a&audience=b&x=%00&y=%ff&claims=%7B%7D&display=touch&=&z=" + strings.Repeat("z", 5000))))
	form := url.Values{"grant_type": {"authorization_code"}, "code": {shop.code(b.get(shop.ask()))}, "redirect_uri": {"https://shop.example/cb"},
		"audience": {"a", "b"}, "extra": {"\x00"}, "client_assertion": {"x"}}
	if got := shop.token(form); got.status != 200 {
		t.Errorf("%+v", got)
	}
}
