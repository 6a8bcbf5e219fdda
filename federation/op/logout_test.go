package op_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
)

// bye is the address of a logout request.
func (p *party) bye(pairs ...string) string {
	q := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return p.h.issuer(p.tenant) + "/end_session?" + q.Encode()
}

// out fails unless the browser's session has ended with a logout.
func (p *party) out(b *browser, got tokens) {
	p.t.Helper()
	if b.session(p.tenant) != "" || p.live(got.Access) {
		p.t.Fatal("the session lives on")
	}
	p.refused(b.get(p.ask("prompt", "none")), federation.LoginRequired)
	ended := p.h.events(federation.SessionEnded)
	if last := ended[len(ended)-1]; last.Cause != federation.Logout || last.Session != p.claims(got.ID)["sid"] {
		p.t.Fatalf("ended with %+v", last)
	}
}

func TestLogoutByHint(t *testing.T) {
	h := open(t)
	shop, b := h.party("default", "shop"), h.browser()
	const back = "https://shop.example/bye"
	for name, tc := range map[string]struct {
		pairs []string
		wait  time.Duration
		to    string // empty for the page
	}{
		"redirect and state":  {[]string{"post_logout_redirect_uri", back, "state", "s &1"}, 0, back + "?state=s+%261"},
		"no state":            {[]string{"post_logout_redirect_uri", back}, 0, back},
		"its own query":       {[]string{"post_logout_redirect_uri", back + "?kept=1", "state", "s"}, 0, back + "?kept=1&state=s"},
		"client_id as well":   {[]string{"client_id", "shop", "post_logout_redirect_uri", back}, 0, back},
		"hint alone":          {nil, 0, ""},
		"state but no target": {[]string{"state", "s"}, 0, ""},
		"an expired hint":     {[]string{"post_logout_redirect_uri", back}, 20 * time.Minute, back},
		"what is not known":   {[]string{"logout_hint", "x", "ui_locales", "nl", "post_logout_redirect_uri", back}, 0, back},
	} {
		t.Run(name, func(t *testing.T) {
			h.pass(0)
			got := shop.signIn(b)
			h.clock.advance(tc.wait)
			l := b.get(shop.bye(append(tc.pairs, "id_token_hint", got.ID)...))
			if tc.to == "" {
				l.shows(t, "signed-out", 200)
			} else if l.url.String() != tc.to || !l.away {
				t.Fatalf("at %s, want %s", l.url, tc.to)
			}
			shop.out(b, got)
		})
	}
	if !h.lines.has("signed out", "shop") {
		t.Error("no audit")
	}
}

func TestLogoutByPost(t *testing.T) {
	h := open(t)
	shop, b := h.party("default", "shop"), h.browser()
	got := shop.signIn(b)
	form := url.Values{"id_token_hint": {got.ID}, "post_logout_redirect_uri": {"https://shop.example/bye"}, "state": {"s"}}
	// Another site's post comes without the cookie. It must not be taken for a
	// browser without a session.
	l := h.browser().step(b.request(http.MethodPost, h.URL+"/end_session", form))
	if b.session("default") == "" || !shop.live(got.Access) || l.header.Get("Set-Cookie") != "" {
		t.Fatal("a post without the cookie did something")
	}
	if l := b.get(l.url.String()); l.url.String() != "https://shop.example/bye?state=s" {
		t.Fatalf("at %s", l.url)
	}
	shop.out(b, got)
	got = shop.signIn(b)
	if l := b.post(h.URL+"/end_session", form); l.find(t, "logout") == nil {
		t.Fatalf("the hint of an earlier session: %s", l.url)
	}
	form.Set("id_token_hint", got.ID)
	if l := b.post(h.URL+"/end_session", form); !l.away {
		t.Fatalf("at %s", l.url)
	}
	shop.out(b, got)
}

func TestLogoutAsks(t *testing.T) {
	h := open(t)
	shop, b := h.party("default", "shop"), h.browser()
	first := shop.signIn(b)
	other := shop.signIn(h.browser())
	const back = "https://shop.example/bye"
	for name, pairs := range map[string][]string{
		"no parameters": nil, "only state": {"state", "s"}, "a client": {"client_id", "shop"}, "no hint": {"client_id", "shop", "post_logout_redirect_uri", back},
		"the hint of another session": {"id_token_hint", other.ID, "post_logout_redirect_uri", back},
	} {
		h.unchanged(name, func() {
			l := b.get(shop.bye(pairs...)).shows(t, "logout", 200)
			if l.text(t, "account") != "Alice Liddell (alice@corp.example)" {
				t.Errorf("%s: %s", name, l.main())
			}
			b.press(l, "stay").shows(t, "still-signed-in", 200)
		})
	}
	if !shop.live(first.Access) {
		t.Fatal("asking ended the session")
	}
	l := b.get(shop.bye("client_id", "shop", "post_logout_redirect_uri", back, "state", "s"))
	if policy := l.header.Get("Content-Security-Policy"); !strings.Contains(policy, "form-action 'self' https:;") {
		t.Errorf("policy %q", policy)
	}
	if l = b.press(l, "sign-out"); l.url.String() != back+"?state=s" {
		t.Fatalf("at %s", l.url)
	}
	shop.out(b, first)
	b.get(shop.bye()).shows(t, "signed-out", 200)
	if l := b.get(shop.bye("client_id", "shop", "post_logout_redirect_uri", back)); l.url.String() != back {
		t.Errorf("without a session at %s", l.url)
	}
	if !shop.live(other.Access) {
		t.Error("the other browser was signed out")
	}
}

// TestConfirmationIsForged tries to have a page answered that was not asked.
func TestConfirmationIsForged(t *testing.T) {
	h := open(t)
	shop, b, eve := h.party("default", "shop"), h.browser(), h.browser()
	shop.signIn(b)
	shop.signIn(eve)
	to, mine := b.get(shop.bye()).form(t, "sign-out")
	_, eves := eve.get(shop.bye()).form(t, "sign-out")
	proof := mine.Get("proof")
	h.unchanged("a forged confirmation", func() {
		for name, form := range map[string]url.Values{
			"nothing": {}, "no proof": {"answer": {"sign-out"}}, "eve's proof": eves, "tampered": {"answer": {"sign-out"}, "proof": {proof[:len(proof)-2] + "AA"}},
			"twice": {"answer": {"sign-out"}, "proof": {proof, proof}}, "no answer": {"proof": {proof}}, "another answer": {"answer": {"yes"}, "proof": {proof}},
			"two answers": {"answer": {"stay", "sign-out"}, "proof": {proof}},
		} {
			l := b.post(to, form)
			if l.away || l.find(t, "signed-out") != nil {
				t.Errorf("%s: %s", name, l.main())
			}
		}
		h.clock.advance(16 * time.Minute)
		b.post(to, mine).shows(t, "error", 400)
	})
	shop.code(b.get(shop.ask("prompt", "none")))
}

// TestLogoutThatIsWrong changes nothing, but shows how to sign out.
func TestLogoutThatIsWrong(t *testing.T) {
	h := open(t)
	shop, b := h.party("default", "shop"), h.browser()
	got := shop.signIn(b)
	foreign := h.party("acme", "shop").signIn(h.browser()).ID
	part := strings.Split(got.ID, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`))
	access, err := h.keys.HookToken(h.tenant("default"), "https://hook.example")(t.Context())
	must(t, err)
	nobody, err := h.keys.Sign(t.Context(), h.tenant("default"), federation.RS256, "JWT", map[string]any{"iss": h.URL, "aud": "shop"})
	must(t, err)
	const back = "https://shop.example/bye"
	for name, pairs := range map[string][]string{
		"alg none":            {"id_token_hint", none + "." + part[1] + ".", "post_logout_redirect_uri", back},
		"no signature":        {"id_token_hint", part[0] + "." + part[1] + ".", "post_logout_redirect_uri", back},
		"another payload":     {"id_token_hint", part[0] + "." + strings.Split(foreign, ".")[1] + "." + part[2]},
		"another tenant's":    {"id_token_hint", foreign, "post_logout_redirect_uri", back},
		"another kind of JWT": {"id_token_hint", access},
		"nobody's":            {"id_token_hint", nobody},
		"rubbish":             {"id_token_hint", "x.y.z"},
		"another client":      {"id_token_hint", got.ID, "client_id", "post"},
		"unknown client":      {"client_id", "nobody"},
		"unregistered":        {"id_token_hint", got.ID, "post_logout_redirect_uri", "https://evil.example/"},
		"query added":         {"id_token_hint", got.ID, "post_logout_redirect_uri", back + "?x=1"},
		"slash added":         {"id_token_hint", got.ID, "post_logout_redirect_uri", back + "/"},
		"a redirect URI":      {"id_token_hint", got.ID, "post_logout_redirect_uri", "https://shop.example/cb"},
		"no client":           {"post_logout_redirect_uri", back},
		"long":                {"id_token_hint", strings.Repeat("x", 17<<10)},
		"NUL":                 {"id_token_hint", got.ID, "state", "a\x00b"},
		"no text":             {"id_token_hint", got.ID, "state", "\xff\xfe"},
	} {
		h.unchanged(name, func() {
			l := b.get(shop.bye(pairs...)).shows(t, "error", 400)
			b.click(l, "sign-out-here").shows(t, "logout", 200)
		})
	}
	h.unchanged("a parameter twice", func() {
		b.get(shop.bye("id_token_hint", got.ID)+"&id_token_hint="+got.ID).shows(t, "error", 400)
		b.get(shop.bye()+"state=%zz").shows(t, "error", 400)
		b.post(h.URL+"/end_session/confirm", url.Values{"x": {strings.Repeat("x", 20<<10)}}).shows(t, "error", 400)
	})
	if b.session("default") == "" || !shop.live(got.Access) {
		t.Fatal("the session has ended")
	}
	b.get(shop.bye("id_token_hint", got.ID)).shows(t, "signed-out", 200)
}

// TestLogoutOfSomebodyElse has cookie and proof of different sessions.
func TestLogoutOfSomebodyElse(t *testing.T) {
	h := open(t)
	shop, b := h.party("default", "shop"), h.browser()
	shop.signIn(b)
	page := b.get(shop.bye()).shows(t, "logout", 200)
	h.party("default", "shop").out(b, func() tokens {
		got := shop.signIn(b)
		b.get(shop.bye("id_token_hint", got.ID)).shows(t, "signed-out", 200)
		return got
	}())
	second := shop.signIn(b)
	b.press(page, "sign-out").shows(t, "error", 400)
	if !shop.live(second.Access) {
		t.Error("an old page ended a new session")
	}
}

func TestLogoutWhileTheStoreFails(t *testing.T) {
	h := open(t)
	shop, b := h.party("default", "shop"), h.browser()
	got := shop.signIn(b)
	for name, arm := range map[string]func(){
		"reading": func() { h.engine.arm(nil, func(storeKey) error { return errBroken }) },
		"writing": func() { h.engine.arm(func([]storeOp) error { return errBroken }, nil) },
	} {
		arm()
		l := b.get(shop.bye("id_token_hint", got.ID, "post_logout_redirect_uri", "https://shop.example/bye"))
		h.engine.arm(nil, nil)
		if l.status != http.StatusServiceUnavailable || l.header.Get("Retry-After") == "" || l.header.Get("Set-Cookie") != "" {
			t.Errorf("%s: %d %v", name, l.status, l.header)
		}
	}
	b.get(shop.bye("id_token_hint", got.ID)).shows(t, "signed-out", 200)
}

// TestAConfirmationFromAnotherSite: the proof is one that eve was shown, and the
// cookie is withheld, as browsers do with another site's form. It takes no
// session away from the browser, nor says that there is none.
func TestAConfirmationFromAnotherSite(t *testing.T) {
	h := open(t)
	shop, b, eve := h.party("default", "shop"), h.browser(), h.browser()
	got := shop.signIn(b)
	shop.signIn(eve)
	to, eves := eve.get(shop.bye("client_id", "shop", "post_logout_redirect_uri", "https://shop.example/bye")).form(t, "sign-out")
	l := h.browser().step(b.request(http.MethodPost, to, eves))
	if l.url.Path != "/end_session/continue" || l.header.Get("Set-Cookie") != "" {
		t.Errorf("the cookie is taken away: %s %v", l.url, l.header)
	}
	b.get(l.url.String()).shows(t, "logout", 200)
	if nobody := h.browser().get(l.url.String()); nobody.url.String() != "https://shop.example/bye" {
		t.Errorf("without a session at %s", nobody.url)
	}
	if !shop.live(got.Access) {
		t.Error("the session has ended")
	}
	for _, address := range []string{shop.bye(), shop.bye("client_id", "shop", "post_logout_redirect_uri", "https://shop.example/bye")} {
		if l := h.browser().step(b.request(http.MethodGet, address, nil)); l.header.Get("Set-Cookie") != "" {
			t.Errorf("a picture of another site's takes the cookie away: %v", l.header)
		}
	}
	b.set(h.URL, "drawbridge-default", "default.0.x.y")
	if l := b.step(b.request(http.MethodGet, shop.bye(), nil)); l.header.Get("Set-Cookie") == "" {
		t.Error("a cookie of no session is left in the browser")
	}
}
