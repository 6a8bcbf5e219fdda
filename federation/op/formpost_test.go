package op_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/upstream/upstreamtest"
)

// posted is what a browser would post to the relying party, and where. It fails
// unless the page keeps to itself what it has.
func (p *party) posted(l landing) url.Values {
	p.t.Helper()
	if l.away || l.find(p.t, "form-post") == nil {
		p.t.Fatalf("no form, but %s (%d):\n%s", l.url, l.status, l.main())
	}
	to, values := l.form(p.t, "continue")
	values.Del("")
	if to != p.client.RedirectURIs[0] || l.status != http.StatusOK {
		p.t.Fatalf("%d, to be posted to %s", l.status, to)
	}
	for name := range values {
		if !strings.Contains(" code state iss error error_description ", " "+name+" ") || len(values[name]) != 1 {
			p.t.Errorf("the form has %s: %q", name, values[name])
		}
	}
	if code := values.Get("code"); code != "" && strings.Contains(strings.Join(l.hops, " "), code) {
		p.t.Errorf("the code is in an address: %q", l.hops)
	}
	policy := l.header.Get("Content-Security-Policy")
	_, script, _ := strings.Cut(l.page, "<script>")
	script, _, _ = strings.Cut(script, "</script>")
	sum := sha256.Sum256([]byte(script))
	for _, part := range []string{"default-src 'none'", "script-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'",
		"form-action https:;", "frame-ancestors 'none'"} {
		if !strings.Contains(policy, part) {
			p.t.Errorf("the policy lacks %s: %s", part, policy)
		}
	}
	if l.header.Get("Cache-Control") != "no-store" || script == "" || strings.Contains(policy, "unsafe") {
		p.t.Errorf("%v", l.header)
	}
	return values
}

func TestFormPost(t *testing.T) {
	h := open(t, two)
	shop, b := h.party("default", "shop"), h.browser()
	state := `a"><script>alert(1)</script>&b=c ` + strings.Repeat("s", 128)
	mode := []string{"response_mode", "form_post", "state", state}

	l := b.get(shop.ask(mode...))
	got := shop.posted(l)
	if got.Get("state") != state || got.Get("iss") != h.issuer("default") || got.Has("error") || strings.Count(l.page, "<script>") != 1 {
		t.Errorf("%q\n%s", got, l.page)
	}
	if tok := shop.redeem(got.Get("code")); tok.status != http.StatusOK {
		t.Errorf("%+v", tok)
	}
	if shop.redeem(shop.posted(b.get(shop.ask(append(mode, "prompt", "none")...))).Get("code")).status != http.StatusOK {
		t.Error("a silent sign-in has no code")
	}
	if shop.posted(b.get(shop.ask("response_mode", "form_post", "state", "-"))).Has("state") {
		t.Error("a state that nobody sent")
	}
	form := shop.request(mode...)
	if shop.posted(b.post(h.URL+"/authorize", form)).Get("code") == "" || shop.posted(h.browser().post(h.URL+"/authorize", form)).Get("code") == "" {
		t.Error("a posted request has no code")
	}
}

// TestFormPostErrors: whatever goes wrong is told in the way that was asked for.
func TestFormPostErrors(t *testing.T) {
	h := open(t, two)
	shop, ask, wide := h.party("default", "shop"), h.party("default", "ask"), h.party("default", "wide")
	refused := func(p *party, l landing, want federation.Code) {
		t.Helper()
		got := p.posted(l)
		if got.Get("error") != string(want) || got.Get("error_description") == "" || got.Get("state") != "some state" || got.Get("iss") == "" || got.Has("code") {
			t.Errorf("want %s: %q", want, got)
		}
	}
	post := func(p *party, pairs ...string) string { return p.ask(append(pairs, "response_mode", "form_post")...) }
	for want, pairs := range map[federation.Code][]string{
		federation.LoginRequired:           {"prompt", "none"},
		federation.InvalidScope:            {"scope", "email"},
		federation.UnsupportedResponseType: {"response_type", "token"},
		federation.InvalidRequest:          {"response_type", "-"},
		federation.RequestNotSupported:     {"request", "a.b.c"},
		federation.RequestURINotSupported:  {"request_uri", "https://shop.example/r"},
	} {
		refused(shop, h.browser().get(post(shop, pairs...)), want)
	}
	refused(shop, h.browser().get(post(shop)+"&nonce=again"), federation.InvalidRequest)

	b := h.browser()
	refused(ask, b.press(b.get(post(ask)), "deny"), federation.AccessDenied)
	chosen := b.get(post(wide, "prompt", "select_account")).shows(t, "choose", 200)
	if !strings.Contains(chosen.page, "upstream-corp") {
		t.Fatal(chosen.page)
	}
	gone, _ := url.Parse(attr(chosen.element(t, "upstream-corp"), "href"))
	refused(wide, b.get(changed(chosen.url.ResolveReference(gone), "upstream", "nobody")), federation.AccessDenied)

	back := shop.atCallback(h.browser(), "response_mode", "form_post")
	h.browser().get(back.String()).shows(t, "error", 400) // of another browser
	eve := h.browser()
	back = shop.atCallback(eve, "response_mode", "form_post")
	refused(shop, eve.get(changed(back, "error", "access_denied")), federation.AccessDenied)

	// One that is unknown, or there twice, is told in the query: there is no other.
	for _, address := range []string{shop.ask("response_mode", "fragment"), shop.ask("response_mode", "form_post.jwt"), post(shop) + "&response_mode=form_post"} {
		shop.refused(h.browser().get(address), federation.InvalidRequest)
	}
	// Before the redirect URI is proven nothing is posted anywhere.
	h.browser().get(post(shop, "redirect_uri", "https://evil.example/")).shows(t, "error", 400)
}

// TestFormPostDistrusted: the way back from an answer that is not to be believed
// is a form as well.
func TestFormPostDistrusted(t *testing.T) {
	h := open(t)
	h.corp.Set(upstreamtest.Knobs{ForeignKey: true})
	shop := h.party("default", "shop")
	l := h.browser().get(shop.ask("response_mode", "form_post")).shows(t, "error", http.StatusBadGateway)
	to, values := l.form(t, "back")
	if to != shop.client.RedirectURIs[0] || values.Get("error") != "server_error" || values.Get("state") != "some state" {
		t.Errorf("%s %q", to, values)
	}
	if !strings.Contains(l.header.Get("Content-Security-Policy"), "form-action 'self' https:;") {
		t.Errorf("%v", l.header)
	}
}

// TestParametersThatAreNoErrors is what a request may hold without harm.
func TestParametersThatAreNoErrors(t *testing.T) {
	h := open(t)
	shop, b := h.party("default", "shop"), h.browser()
	for _, pairs := range [][]string{
		{"display", "page"}, {"display", "popup"}, {"display", "nonsense"}, {"ui_locales", "xx de"}, {"claims_locales", "de"},
		{"login_hint", "bob"}, {"extra", "foobar"}, {"acr_values", "urn:unheard:of"}, {"response_mode", "query"},
	} {
		if code := shop.code(b.get(shop.ask(pairs...))); code == "" {
			t.Errorf("%q: no code", pairs)
		}
	}
	shop.code(b.get(shop.ask() + "&extra=1&extra=2&display=page&display=page"))
}
