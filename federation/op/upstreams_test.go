package op_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/upstream/upstreamtest"
)

func two(s *setup) { s.two = true }

func TestChooser(t *testing.T) {
	h := open(t, two)
	wide, b := h.party("default", "wide"), h.browser()
	var l landing
	h.unchanged("the chooser", func() { l = b.get(wide.ask("state", "kept")).shows(t, "choose", 200) })
	if l.text(t, "upstream-partner") != "The partner" {
		t.Errorf("%s", l.page)
	}
	back := b.click(l, "upstream-partner")
	if got := wide.claims(wide.redeem(wide.code(back)).ID); got["sub"] == "" || wide.answer(back).Get("state") != "kept" {
		t.Errorf("%v", got)
	}
	if h.observed("partner", "ok") != 1 || h.corp.Hits("/authorize") != 0 {
		t.Error("not the one that was chosen")
	}
	// A choice counts once, and only in the browser that was asked.
	b.click(l, "upstream-partner").shows(t, "error", 400)
	h.browser().click(l, "upstream-corp").shows(t, "error", 400)
	// One's own session is enough from now on, for those who may use the upstream.
	wide.code(b.get(wide.ask("prompt", "none")))
	shop := h.party("default", "shop")
	shop.refused(b.get(shop.ask("prompt", "none")), federation.LoginRequired)

	for path, want := range map[string]federation.Code{"&upstream=nobody": federation.AccessDenied, "": federation.AccessDenied} {
		l := h.browser()
		page := l.get(wide.ask())
		address := strings.Split(attr(page.element(t, "upstream-corp"), "href"), "&upstream")[0] + path
		wide.refused(l.get(h.URL+address), want)
	}
}

func TestDomainPicksTheUpstream(t *testing.T) {
	h := open(t, two)
	wide := h.party("default", "wide")
	for hint, want := range map[string]string{
		"a@corp.example": "corp", "A@PARTNER.example": "partner", `"odd@corp.example"@partner.example`: "partner",
		"a@elsewhere.example": "", "corp.example": "", "a@": "", "@": "", strings.Repeat("a", 320) + "@corp.example": "",
	} {
		before := map[string]int{"corp": h.corp.Hits("/authorize"), "partner": h.partner.Hits("/authorize")}
		l := h.browser().get(wide.ask("login_hint", hint))
		for id, p := range map[string]*upstreamtest.Provider{"corp": h.corp, "partner": h.partner} {
			if asked := p.Hits("/authorize") - before[id]; asked == 1 != (id == want) {
				t.Errorf("%q led %d times to %s", hint, asked, id)
			}
		}
		if want == "" {
			l.shows(t, "choose", 200)
		}
	}
}

// TestWhoSignsInAgain goes back to where the session came from.
func TestWhoSignsInAgain(t *testing.T) {
	h := open(t, two)
	wide, b := h.party("default", "wide"), h.browser()
	wide.code(b.get(wide.ask("login_hint", "a@partner.example")))
	wide.code(b.get(wide.ask("prompt", "login")))
	if h.partner.Hits("/authorize") != 2 {
		t.Error("prompt=login asked another provider")
	}
	b.get(wide.ask("prompt", "select_account")).shows(t, "choose", 200)
}

func TestTwoTabsAtTwoUpstreams(t *testing.T) {
	h := open(t, two)
	wide, b := h.party("default", "wide"), h.browser()
	first := b.step(b.request(http.MethodGet, wide.ask("state", "one", "login_hint", "a@corp.example"), nil))
	second := b.step(b.request(http.MethodGet, wide.ask("state", "two", "login_hint", "a@partner.example"), nil))
	if n := len(b.transactions("default")); n != 2 {
		t.Fatalf("%d transactions", n)
	}
	two := b.get(second.url.String())
	one := b.get(first.url.String())
	wide.redeem(wide.code(two))
	if wide.answer(one).Get("state") != "one" || wide.answer(two).Get("state") != "two" {
		t.Errorf("the tabs met: %s %s", one.url, two.url)
	}
	// They were two persons: the later one has the browser now.
	ended := h.events(federation.SessionEnded)
	if len(ended) != 1 || ended[0].Cause != federation.Destroy || ended[0].Upstream != "partner" {
		t.Errorf("%+v", ended)
	}
	if got := wide.redeem(wide.code(one)); got.status != 200 {
		t.Errorf("%+v", got)
	}
}

func TestOneDeadUpstreamStopsNobodyElse(t *testing.T) {
	h := open(t, two)
	wide := h.party("default", "wide")
	h.partner.Close()
	h.unchanged("a dead provider", func() {
		dead := h.browser()
		wide.refused(dead.get(wide.ask("login_hint", "a@partner.example")), federation.TemporarilyUnavailable)
		if n := len(dead.transactions("default")); n != 0 {
			t.Errorf("%d transactions are left of a sign-in that never began", n)
		}
	})
	wide.code(h.browser().get(wide.ask("login_hint", "a@corp.example")))
	if h.observed("partner", "temporarily_unavailable") != 1 || h.observed("corp", "ok") != 1 {
		t.Error("not counted")
	}
}

func TestAnotherPersonOnTheSameBrowser(t *testing.T) {
	h := open(t)
	shop, b := h.party("default", "shop"), h.browser()
	alice := shop.signIn(b)
	before := b.session("default")
	h.corp.Set(upstreamtest.Knobs{Subject: "bob"})
	bob := shop.signIn(b, "prompt", "login")
	if b.session("default") == before || shop.claims(alice.ID)["sub"] == shop.claims(bob.ID)["sub"] {
		t.Error("bob has alice's session")
	}
	ended := h.events(federation.SessionEnded)
	if len(ended) != 1 || ended[0].Cause != federation.Destroy || ended[0].Session != shop.claims(alice.ID)["sid"] {
		t.Errorf("%+v", ended)
	}
	if shop.live(alice.Access) || shop.refresh(alice.Refresh).Error != "invalid_grant" || !shop.live(bob.Access) {
		t.Error("alice's tokens outlive her session, or bob's do not live")
	}
	again := shop.signIn(b, "prompt", "login")
	if shop.claims(again.ID)["sid"] != shop.claims(bob.ID)["sid"] || len(h.events(federation.SessionEnded)) != 1 {
		t.Error("the same person did not continue")
	}
}

// TestUpstreamThatLies shows a page with a way back, and changes nothing.
func TestUpstreamThatLies(t *testing.T) {
	h := open(t)
	shop := h.party("default", "shop")
	expired := time.Now().Add(-time.Hour).Unix()
	for name, k := range map[string]upstreamtest.Knobs{
		"issuer":            {Claims: map[string]any{"iss": "https://evil.example"}},
		"issuer of answer":  {AnswerIssuer: "https://evil.example"},
		"no issuer":         {AnswerIssuer: "-"},
		"audience":          {Claims: map[string]any{"aud": "another"}},
		"two audiences":     {Claims: map[string]any{"aud": []string{"drawbridge", "another"}}},
		"nonce":             {Claims: map[string]any{"nonce": "another"}},
		"no nonce":          {Omit: []string{"nonce"}},
		"no subject":        {Omit: []string{"sub"}},
		"no iat":            {Omit: []string{"iat"}},
		"signature":         {ForeignKey: true},
		"alg none":          {Alg: "none"},
		"alg HS256":         {Alg: "HS256"},
		"expired":           {Claims: map[string]any{"exp": expired, "iat": expired - 60}},
		"SUB beside sub":    {Claims: map[string]any{"SUB": "eve"}},
		"userinfo of eve":   {Userinfo: map[string]any{"sub": "eve"}},
		"SUB in userinfo":   {RawUserinfo: `{"sub":"alice","SUB":"eve"}`},
		"userinfo, no JSON": {RawUserinfo: `<html>`},
		"unknown error":     {Refuse: "invalid_request_object"},
	} {
		t.Run(name, func(t *testing.T) {
			h.corp.Set(k)
			b := h.browser()
			var l landing
			h.unchanged(name, func() { l = b.get(shop.ask("state", "kept & safe")).shows(t, "error", http.StatusBadGateway) })
			if l.text(t, "error-code") != "server_error" || strings.Contains(l.page, "evil") || strings.Contains(l.page, "eve") {
				t.Errorf("%s", l.page)
			}
			back := b.click(l, "back")
			shop.refused(back, federation.ServerError)
			if shop.answer(back).Get("state") != "kept & safe" || b.session("default") != "" || len(b.transactions("default")) != 0 {
				t.Errorf("%s, %v", back.url, b.cookies(h.URL))
			}
		})
	}
	h.corp.Rotate()
	h.pass(time.Minute) // unknown keys are looked for once in a while
	shop.signIn(h.browser())
	if len(h.events(federation.SignInFailed)) != 0 || !h.lines.has("sign-in refused by upstream", "nonce") {
		t.Error("what nobody vouched for was stored, or not audited")
	}
}

func TestUpstreamThatRefuses(t *testing.T) {
	h := open(t)
	shop := h.party("default", "shop")
	for refusal, want := range map[string]federation.Code{
		"access_denied": federation.AccessDenied, "login_required": federation.LoginRequired, "interaction_required": federation.InteractionRequired,
		"temporarily_unavailable": federation.TemporarilyUnavailable, "unmet_authentication_requirements": federation.UnmetAuthentication,
	} {
		h.corp.Set(upstreamtest.Knobs{Refuse: refusal})
		h.unchanged(refusal, func() { shop.refused(h.browser().get(shop.ask()), want) })
	}
	for _, k := range []upstreamtest.Knobs{{TokenStatus: 503}, {UserinfoStatus: 500}, {TokenStatus: 500}} {
		h.corp.Set(k)
		h.unchanged("an upstream in trouble", func() { shop.refused(h.browser().get(shop.ask()), federation.TemporarilyUnavailable) })
	}
}

// TestBackToAnApplicationOnTheDevice has a link of a private-use scheme.
func TestBackToAnApplicationOnTheDevice(t *testing.T) {
	h := open(t)
	app := h.party("default", "app")
	h.corp.Set(upstreamtest.Knobs{ForeignKey: true})
	l := h.browser().get(app.ask()).shows(t, "error", http.StatusBadGateway)
	if href := attr(l.element(t, "back"), "href"); !strings.HasPrefix(href, "com.example.app:/cb?error=server_error") {
		t.Errorf("the way back is %q", href)
	}
}
