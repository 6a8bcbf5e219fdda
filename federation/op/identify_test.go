package op_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/upstream/upstreamtest"
)

// asking has a client whose users are asked who they are, and of whose
// upstreams some serve any domain.
func asking(open ...string) func(*setup) {
	return func(s *setup) {
		s.two = true
		s.change = func(c *federation.Client) { c.SignIn = federation.SignInIdentifier }
		s.upstream = func(u *federation.Upstream) {
			for _, id := range open {
				if u.ID == id {
					u.Domains = nil
				}
			}
			if u.ID == "corp" && len(u.Domains) > 0 {
				u.Domains = append(u.Domains, "xn--bcher-kva.example")
			}
		}
	}
}

// enter fills the identifier page in and sends it.
func (b *browser) enter(l landing, text string) landing {
	b.t.Helper()
	to, form := l.form(b.t, "next")
	form.Set("identifier", text)
	return b.post(to, form)
}

func TestIdentifierLeadsHome(t *testing.T) {
	for name, tc := range map[string]struct {
		open    []string
		entered string
		want    string // an upstream, "choose", or the page's problem
	}{
		"domain":                   {nil, "ann@corp.example", "corp"},
		"another domain":           {nil, "ann@partner.example", "partner"},
		"capitals and spaces":      {nil, "  Ann@CORP.Example ", "corp"},
		"two ats":                  {nil, `"a@corp.example"@partner.example`, "partner"},
		"IDN":                      {nil, "ann@bücher.example", "corp"},
		"subdomain":                {nil, "ann@it.corp.example", "problem"},
		"unknown domain":           {nil, "ann@elsewhere.example", "problem"},
		"domain alone":             {nil, "corp.example", "problem"},
		"user name":                {nil, "ann", "problem"},
		"nothing":                  {nil, "", "problem"},
		"spaces":                   {nil, "  \t", "problem"},
		"overlong":                 {nil, strings.Repeat("a", 330) + "@corp.example", "problem"},
		"markup":                   {nil, `"><script>alert(1)</script>`, "problem"},
		"unknown, one serves any":  {[]string{"partner"}, "ann@elsewhere.example", "partner"},
		"user name, one does":      {[]string{"partner"}, "ann", "partner"},
		"known, one serves any":    {[]string{"partner"}, "ann@corp.example", "corp"},
		"unknown, both serve any":  {[]string{"corp", "partner"}, "ann@elsewhere.example", "choose"},
		"overlong, one serves any": {[]string{"partner"}, strings.Repeat("a", 330), "problem"},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t, asking(tc.open...))
			wide, b := h.party("default", "wide"), h.browser()
			var l, got landing
			h.unchanged(name, func() { l = b.get(wide.ask("state", "kept")).shows(t, "identify", 200) })
			if strings.Contains(l.page, ".example") && tc.open == nil || strings.Contains(l.page, "The partner") {
				t.Errorf("the page tells who is configured: %s", l.main())
			}
			switch tc.want {
			case "problem":
				h.unchanged(name, func() { got = b.enter(l, tc.entered).shows(t, "problem", http.StatusUnprocessableEntity) })
				if strings.Contains(got.page, "<script") || attr(got.element(t, "identifier"), "aria-invalid") != "true" {
					t.Errorf("%s", got.main())
				}
				got = b.enter(got, "ann@corp.example") // and another try
			case "choose":
				got = b.click(b.enter(l, tc.entered).shows(t, "choose", 200), "upstream-partner")
			default:
				got = b.enter(l, tc.entered)
			}
			wide.code(got)
			if wide.answer(got).Get("state") != "kept" {
				t.Errorf("%s", got.url)
			}
			if tc.want == "corp" || tc.want == "partner" {
				if h.observed(tc.want, "ok") != 1 {
					t.Errorf("signed in elsewhere: %q", got.hops)
				}
				if !strings.Contains(strings.Join(got.hops, " "), "login_hint="+url.QueryEscape(strings.TrimSpace(tc.entered))) {
					t.Errorf("what was entered is not passed on: %q", got.hops)
				}
			}
			b.enter(l, "ann@corp.example").shows(t, "error", 400) // it led somewhere: it counts once
		})
	}
}

// TestUnknownDomainsLookTheSame: nobody learns from the page which domains
// there are, but by having one.
func TestUnknownDomainsLookTheSame(t *testing.T) {
	h := open(t, asking())
	wide, b := h.party("default", "wide"), h.browser()
	l := b.get(wide.ask())
	one, other := b.enter(l, "a@elsewhere.example"), b.enter(l, "a@nowhere.example.")
	if strings.ReplaceAll(one.page, "a@elsewhere.example", "") != strings.ReplaceAll(other.page, "a@nowhere.example.", "") {
		t.Error("they differ")
	}
	policy := l.header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "form-action 'self' https: http:;") {
		t.Errorf("the form cannot end at an upstream, or tells which there are: %s", policy)
	}
}

// TestIdentifierPageTakesNothingElse attacks the form.
func TestIdentifierPageTakesNothingElse(t *testing.T) {
	h := open(t, asking())
	wide, b := h.party("default", "wide"), h.browser()
	to, form := b.get(wide.ask()).form(t, "next")
	tx, who := form.Get("tx"), "ann@corp.example"
	chooser := h.browser()
	h.unchanged("a bad answer", func() {
		for name, form := range map[string]url.Values{
			"nothing": {}, "no transaction": {"identifier": {who}}, "transaction twice": {"tx": {tx, tx}, "identifier": {who}},
			"identifier twice": {"tx": {tx}, "identifier": {who, who}}, "another transaction": {"tx": {federation.NewSecret()}, "identifier": {who}},
			"too long": {"tx": {tx}, "identifier": {strings.Repeat("x", 5000)}}, "not text": {"tx": {tx}, "identifier": {"\xff"}}, "zero": {"tx": {tx}, "identifier": {"a\x00"}},
		} {
			if l := b.post(to, form); l.away || l.status != http.StatusBadRequest || l.find(t, "error-text") == nil {
				t.Errorf("%s: %d %s", name, l.status, l.url)
			}
		}
		form.Set("identifier", who)
		if l := chooser.post(to, form); l.status != http.StatusBadRequest {
			t.Errorf("from another browser: %d", l.status)
		}
		if l := b.get(to + "?tx=" + tx + "&identifier=" + who); l.status != http.StatusMethodNotAllowed {
			t.Errorf("by GET: %d", l.status)
		}
		if l := b.get(h.URL + "/choose?tx=" + tx + "&upstream=corp"); l.status != http.StatusBadRequest {
			t.Errorf("as a choice: %d", l.status)
		}
		if l := b.get(h.URL + "/consent?tx=" + tx); l.status != http.StatusBadRequest {
			t.Errorf("as a consent: %d", l.status)
		}
		if l := b.post(h.URL+"/t/acme/identify", form); l.status != http.StatusBadRequest {
			t.Errorf("at another tenant: %d", l.status)
		}
	})
	form.Set("identifier", who)
	wide.code(b.post(to, form)) // the page is still good
	stranger := h.browser()
	to, form = stranger.get(wide.ask()).form(t, "next")
	form.Set("identifier", who)
	h.configure(&setup{two: true, change: func(c *federation.Client) { c.RedirectURIs = []string{"https://moved.example/cb"} }})
	stranger.post(to, form).shows(t, "error", 400) // the way back is proven again
}

func TestWhoIsAskedWho(t *testing.T) {
	for name, tc := range map[string]struct {
		tenant, client federation.SignIn
		pairs          []string
		want           string
	}{
		"neither says":          {"", "", nil, "choose"},
		"the tenant":            {federation.SignInIdentifier, "", nil, "identify"},
		"the client":            {federation.SignInChoose, federation.SignInIdentifier, nil, "identify"},
		"the client otherwise":  {federation.SignInIdentifier, federation.SignInChoose, nil, "choose"},
		"a hint, unknown":       {federation.SignInIdentifier, "", []string{"login_hint", "ann@elsewhere.example"}, "identify"},
		"a hint, known":         {federation.SignInIdentifier, "", []string{"login_hint", "ann@corp.example"}, ""},
		"an upstream":           {federation.SignInIdentifier, "", []string{"idp_hint", "partner"}, ""},
		"an upstream, unknown":  {federation.SignInIdentifier, "", []string{"idp_hint", "nobody"}, "identify"},
		"an upstream to choose": {"", "", []string{"idp_hint", "partner", "prompt", "select_account"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t, func(s *setup) {
				s.two, s.signIn = true, tc.tenant
				s.change = func(c *federation.Client) { c.SignIn = tc.client }
			})
			wide, b := h.party("default", "wide"), h.browser()
			l := b.get(wide.ask(tc.pairs...))
			if tc.want == "" {
				wide.code(l)
				return
			}
			l.shows(t, tc.want, 200)
			if len(tc.pairs) > 1 && tc.pairs[0] == "login_hint" && attr(l.element(t, "identifier"), "value") != tc.pairs[1] {
				t.Errorf("%s", l.main())
			}
		})
	}
}

func TestHintOfAnUpstream(t *testing.T) {
	h := open(t, two)
	wide, shop, b := h.party("default", "wide"), h.party("default", "shop"), h.browser()
	wide.code(b.get(wide.ask("idp_hint", "partner", "login_hint", "ann@corp.example")))
	if h.observed("partner", "ok") != 1 {
		t.Error("the relying party's choice does not win")
	}
	wide.code(b.get(wide.ask("idp_hint", "corp"))) // a session is enough
	if h.corp.Hits("/authorize") != 0 {
		t.Error("who is signed in is sent to sign in")
	}
	wide.code(b.get(wide.ask("idp_hint", "corp", "prompt", "login")))
	if h.corp.Hits("/authorize") != 1 {
		t.Error("who is to sign in again is sent elsewhere than the relying party says")
	}
	shop.code(h.browser().get(shop.ask("idp_hint", "partner"))) // not for this client, and so nothing
	if h.partner.Hits("/authorize") != 1 {
		t.Error("an upstream that the client may not use was asked")
	}
	wide.refused(b.get(wide.ask()+"&idp_hint=a&idp_hint=b"), federation.InvalidRequest)
	form := wide.request("idp_hint", "partner") // posted by another site, and carried on
	wide.code(h.browser().post(h.URL+"/authorize", form))
	if h.partner.Hits("/authorize") != 2 {
		t.Error("the hint was lost on the way")
	}
}

func TestUsedLastComesFirst(t *testing.T) {
	for _, secure := range []bool{false, true} {
		h := open(t, two, func(s *setup) { s.tls = secure })
		wide, b := h.party("default", "wide"), h.browser()
		first := func(l landing) string {
			before, _, _ := strings.Cut(l.shows(t, "choose", 200).page, `id="upstream-partner"`)
			if strings.Contains(before, `id="upstream-corp"`) {
				return "corp"
			}
			return "partner"
		}
		l := b.get(wide.ask())
		if first(l) != "corp" || l.find(t, "last") != nil {
			t.Errorf("%s", l.main())
		}
		wide.code(b.click(l, "upstream-partner"))
		name := "drawbridge-default.last"
		if secure {
			name = "__Host-" + name
		}
		if b.cookies(h.URL)[name] != "partner" {
			t.Errorf("%v", b.cookies(h.URL))
		}
		l = b.get(wide.ask("prompt", "select_account"))
		if first(l) != "partner" || l.find(t, "last") == nil || l.find(t, "upstream-corp") == nil {
			t.Errorf("%s", l.main())
		}
		if got := h.browser().get(wide.ask()); first(got) != "corp" {
			t.Error("another browser knows")
		}
		for _, forged := range []string{"nobody", "", `"><script>`, strings.Repeat("x", 3000)} {
			b.set(h.URL, name, forged)
			if l := b.get(wide.ask("prompt", "select_account")); first(l) != "corp" || l.find(t, "last") != nil || strings.Contains(l.page, "<script") {
				t.Errorf("%q counts", forged)
			}
		}
	}
	h := open(t) // one upstream: nothing to remember
	shop, b := h.party("default", "shop"), h.browser()
	shop.code(b.get(shop.ask()))
	if _, there := b.cookies(h.URL)["drawbridge-default.last"]; there {
		t.Error("there was nothing to choose")
	}
}

// TestPagesSpeakTheUsersLanguage, as the request asks for it, all the way.
func TestPagesSpeakTheUsersLanguage(t *testing.T) {
	h := open(t, two, func(s *setup) {
		s.change = func(c *federation.Client) {
			c.LogoURI, c.URI, c.PolicyURI, c.TermsURI = "https://cdn.example/logo.png", "https://shop.example/", "https://shop.example/privacy", "https://shop.example/terms"
		}
	})
	ask, wide, b := h.party("default", "ask"), h.party("default", "wide"), h.browser()
	ui := []string{"ui_locales", "fr de-AT"}
	pages := map[string]landing{
		"choose":    h.browser().get(wide.ask(ui...)),
		"consent":   b.get(ask.ask(ui...)),
		"logout":    b.get(h.URL + "/end_session?ui_locales=de"),
		"error":     b.get(h.URL + "/authorize?ui_locales=de"),
		"form-post": h.browser().get(wide.ask("ui_locales", "de", "response_mode", "form_post", "prompt", "none")),
	}
	pages["still-signed-in"] = b.press(pages["logout"], "stay")
	pages["signed-out"] = b.press(pages["logout"], "sign-out")
	for id, l := range pages {
		l.element(t, id)
		if !strings.Contains(l.page, `<html lang="de" `) || l.header.Get("Content-Language") != "de" {
			t.Errorf("%s is not in German: %.60s", id, l.page)
		}
	}
	h.corp.Set(upstreamtest.Knobs{ForeignKey: true})
	lied := h.browser().get(h.party("default", "shop").ask(ui...)).shows(t, "error", http.StatusBadGateway)
	if !strings.Contains(lied.page, `<html lang="de" `) || !strings.HasPrefix(lied.text(t, "error-text"), "Die Antwort des Anmeldedienstes") {
		t.Errorf("%s", lied.main())
	}
	for id, href := range map[string]string{"client-uri": "https://shop.example/", "policy-uri": "https://shop.example/privacy", "tos-uri": "https://shop.example/terms"} {
		if got := attr(pages["consent"].element(t, id), "href"); got != href {
			t.Errorf("%s leads to %q", id, got)
		}
	}
	if l := pages["consent"]; !strings.Contains(l.header.Get("Content-Security-Policy"), "img-src https://cdn.example;") || attr(l.element(t, "logo"), "src") == "" {
		t.Errorf("no logo: %v", l.header)
	}
	r := b.request(http.MethodGet, h.URL+"/nowhere", nil)
	r.Header.Set("Accept-Language", "de-CH, en;q=0.5")
	if l := b.step(r); !strings.Contains(l.page, "Diese Seite gibt es hier nicht.") {
		t.Errorf("%s", l.main())
	}
	for _, bad := range []string{"ui_locales=" + strings.Repeat("x", 9000), "ui_locales=a&ui_locales=b", "ui_locales=%ff", "ui_locales=%"} {
		if l := b.get(h.URL + "/nowhere?" + bad); l.status != http.StatusNotFound || !strings.Contains(l.page, `<html lang="en" `) {
			t.Errorf("%.40s: %d", bad, l.status)
		}
	}
}
