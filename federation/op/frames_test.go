package op_test

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/federation"
)

// everyPage is a house and each page that it shows a user who is signed in, by name.
func everyPage(t *testing.T) (*house, *browser, map[string]landing) {
	t.Helper()
	h := open(t, func(s *setup) {
		links(federation.LinkAsk)(s)
		s.change = func(c *federation.Client) {
			switch c.ID {
			case "wide":
				c.SignIn = federation.SignInIdentifier
			case "post":
				c.Upstreams = []string{"corp", "partner"}
			case "shop":
				c.Logout = federation.ClientLogout{FrontchannelURI: "https://shop.example/front", On: []federation.Cause{federation.Logout}}
			}
		}
	})
	shop, ask, b := h.party("default", "shop"), h.party("default", "ask"), h.browser()
	got := shop.signIn(b)
	ask.code(b.press(b.get(ask.ask()), "allow"))
	pages := map[string]landing{
		"chooser":     b.get(h.party("default", "post").ask("prompt", "select_account")).shows(t, "choose", 200),
		"identifier":  b.get(h.party("default", "wide").ask("prompt", "select_account")).shows(t, "identify", 200),
		"consent":     b.get(ask.ask("prompt", "consent")).shows(t, "consent", 200),
		"form post":   b.get(shop.ask("response_mode", "form_post")).shows(t, "form-post", 200),
		"me":          b.get(h.URL+"/me").shows(t, "me", 200),
		"logout":      b.get(h.URL+"/end_session").shows(t, "logout", 200),
		"error":       b.get(h.URL+"/authorize").shows(t, "error", 400),
		"logout lost": b.get(shop.bye("id_token_hint", "x.y.z")).shows(t, "error", 400),
		"no page":     b.get(h.URL + "/nothing"),
		"no method":   shop.send(http.MethodPut, "/consent", ""),
	}
	pages["still signed in"] = b.press(pages["logout"], "stay").shows(t, "still-signed-in", 200)
	other := h.browser()
	pages["signed out, with frames"] = other.get(shop.bye("id_token_hint", shop.signIn(other).ID)).shows(t, "signed-out", 200)
	pages["signed out before"] = other.get(h.URL+"/end_session").shows(t, "signed-out", 200)
	pages["me, signed out"] = other.get(h.URL+"/me").shows(t, "me-signed-out", 200)
	says(h.partner, "p-alice", "alice@corp.example", true)
	pages["link"] = h.browser().get(h.party("default", "wide").ask("idp_hint", "partner")).shows(t, "link", 200)
	if !shop.live(got.Access) {
		t.Fatal("a page has ended the session")
	}
	return h, b, pages
}

// TestNoPageIsFramed: a page that others could show in theirs would have its
// buttons pressed by users who do not see it (RFC 9700 §4.16). Only a script that
// the policy names by its hash runs, and nobody is told where the user was.
func TestNoPageIsFramed(t *testing.T) {
	_, _, pages := everyPage(t)
	shown := map[string]bool{}
	for name, l := range pages {
		for _, m := range mains().FindAllStringSubmatch(l.page, -1) {
			shown[m[1]] = true
		}
		policy := l.header.Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") || !strings.Contains(policy, "base-uri 'none'") ||
			!strings.Contains(policy, "form-action ") || strings.Contains(policy, "unsafe") || l.header.Get("X-Frame-Options") != "DENY" {
			t.Errorf("%s: %q %v", name, policy, l.header)
		}
		referrer := "no-referrer"
		if name == "form post" {
			referrer = "strict-origin" // a relying party looks at where its answer comes from
		}
		if l.header.Get("Referrer-Policy") != referrer || l.header.Get("X-Content-Type-Options") != "nosniff" || l.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", name, l.header)
		}
	}
	files, err := filepath.Glob("page/templates/*.html")
	must(t, err)
	for _, name := range files {
		text, err := os.ReadFile(name)
		must(t, err)
		for _, m := range mains().FindAllStringSubmatch(string(text), -1) {
			if !shown[m[1]] {
				t.Errorf("nobody looked at the page %s", m[1])
			}
		}
	}
}

// mains finds what pages are called.
func mains() *regexp.Regexp { return regexp.MustCompile(`<main id="([a-z-]+)"`) }

// TestFormsCountInTheirBrowserOnly has every form of every page sent by somebody
// else, and somebody else's by the user: another site's page can do no more, and
// not even that (RFC 9700 §4.7).
func TestFormsCountInTheirBrowserOnly(t *testing.T) {
	h, alice, pages := everyPage(t)
	shop, ask, eve := h.party("default", "shop"), h.party("default", "ask"), h.browser()
	h.as("eve")
	shop.signIn(eve)
	ask.code(eve.press(eve.get(ask.ask()), "allow"))
	eves := map[string]landing{
		"consent": eve.get(ask.ask("prompt", "consent")), "logout": eve.get(h.URL + "/end_session"), "me": eve.get(h.URL + "/me"),
		"identifier": eve.get(h.party("default", "wide").ask("prompt", "select_account")),
	}
	h.unchanged("a form of another browser", func() {
		for name, buttons := range map[string][]string{"consent": {"allow", "deny"}, "logout": {"sign-out"}, "me": {"withdraw-0", "sign-out"}, "identifier": {"next"}, "link": {"yes", "no"}} {
			for _, button := range buttons {
				to, form := pages[name].form(t, button)
				sent := map[string]landing{"a stranger": h.browser().post(to, form), "eve": eve.post(to, form)}
				if own, asked := eves[name]; asked {
					_, theirs := own.form(t, button)
					sent["alice with eve's"] = alice.post(to, theirs)
				}
				for who, l := range sent {
					if l.away {
						t.Errorf("%s, %s, sent by %s: at %s", name, button, who, l.url)
					}
				}
			}
		}
	})
	for _, b := range []*browser{alice, eve} {
		shop.code(b.get(shop.ask("prompt", "none")))
		ask.code(b.get(ask.ask("prompt", "none")))
	}
}
