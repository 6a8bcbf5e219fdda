package op_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/federation"
)

// likenesses are addresses that somebody could take for one of shop.example, and
// are not it: what parsers, browsers and people disagree about.
func likenesses(path string) []string {
	return []string{
		"https://shop.example" + path + "/", "https://shop.example" + path + "?", "https://shop.example" + path + "#", "https://shop.example" + path + "#x",
		"https://shop.example." + path, "https://shop.example%2e" + path, "https://SHOP.example" + path, "https://sh\u043ep.example" + path, "https://xn--shp-fed.example" + path,
		"https://shop.example:443" + path, "https://shop.example:" + path, "https://shop.example:443@evil.example" + path, "https://evil.example:443\\@shop.example" + path,
		"https://user@shop.example" + path, "https://evil.example/https://shop.example" + path, "https://evil.example?https://shop.example" + path,
		"https://evil.example#@shop.example" + path, "https://shop.example.evil.example" + path, "https://evilshop.example" + path, "https://evil.shop.example" + path,
		"https://shop.example%00.evil.example" + path, "https://shop.example%2f@evil.example" + path, "https://shop.example%252f@evil.example" + path,
		"https://shop.example" + path + "/../evil", "https://shop.example/x/.." + path, "https://shop.example/x/%2e%2e" + path, "https://shop.example/." + path, "https://shop.example/" + path,
		"https://shop.example" + path + "%2f", "https://shop.example" + path + "%20", "https://shop.example" + path + ";x", "https://shop.example" + path + "\t", "https://shop.example" + path + "\n",
		"https:/shop.example" + path, "https:shop.example" + path, "https:\\\\shop.example" + path, "//shop.example" + path, "\\\\shop.example" + path, "///shop.example" + path,
		"http://shop.example" + path, "HTTPS://shop.example" + path, " https://shop.example" + path, "\u00a0https://shop.example" + path, "https://shop.example" + strings.ToUpper(path),
		"javascript:alert(1)//https://shop.example" + path, "data:text/html,https://shop.example" + path, "https://127.0.0.1" + path, "https://[::1]" + path, path,
	}
}

// TestLikenessesOfRegisteredAddresses: nobody is sent to what only looks like it,
// at sign-in or at logout, by any method and in any mode, although a session would
// answer at once (RFC 9700 §4.1 and §4.11).
func TestLikenessesOfRegisteredAddresses(t *testing.T) {
	h := open(t)
	shop, b := h.party("default", "shop"), h.browser()
	got := shop.signIn(b)
	h.unchanged("a likeness", func() {
		for _, address := range likenesses("/cb") {
			for _, pairs := range [][]string{nil, {"prompt", "none"}, {"response_mode", "form_post"}, {"response_type", "token"}} {
				q := shop.request(append(pairs, "redirect_uri", address)...)
				for method, l := range map[string]landing{"GET": b.get(h.URL + "/authorize?" + q.Encode()), "POST": b.post(h.URL+"/authorize", q)} {
					if l.away || l.status != http.StatusBadRequest || l.find(t, "error") == nil || l.find(t, "form-post") != nil {
						t.Errorf("%s %q %q: %d %s", method, address, pairs, l.status, l.url)
					}
				}
			}
		}
		for _, address := range likenesses("/bye") {
			q := url.Values{"id_token_hint": {got.ID}, "post_logout_redirect_uri": {address}}
			for method, l := range map[string]landing{"GET": b.get(h.URL + "/end_session?" + q.Encode()), "POST": b.post(h.URL+"/end_session", q)} {
				if l.away || l.status != http.StatusBadRequest || l.find(t, "error") == nil || strings.Contains(l.page, `href="https://`) {
					t.Errorf("%s %q: %d %s", method, address, l.status, l.url)
				}
			}
		}
	})
	shop.code(b.get(shop.ask("prompt", "none")))
}

// TestStolenCodes brings a code to where it does not belong (RFC 9700 §4.5). The
// one that it was made for can still spend it, and sees by the nonce whose it is.
func TestStolenCodes(t *testing.T) {
	h := open(t)
	shop, spa, b := h.party("default", "shop"), h.party("default", "spa"), h.browser()
	code, bound := shop.code(b.get(shop.ask("nonce", "the user's"))), spa.code(b.get(spa.ask()))
	form := func(code string, pairs ...string) url.Values {
		f := url.Values{"grant_type": {"authorization_code"}, "code": {code}}
		for i := 0; i < len(pairs); i += 2 {
			f.Set(pairs[i], pairs[i+1])
		}
		return f
	}
	const uri, proof = "redirect_uri", "code_verifier"
	h.unchanged("a stolen code", func() {
		for name, tc := range map[string]struct {
			by   *party
			form url.Values
		}{
			"another client":                    {h.party("default", "post"), form(code, uri, "https://shop.example/cb")},
			"another client with its own URI":   {h.party("default", "post"), form(code, uri, "https://post.example/cb")},
			"another of the client's URIs":      {shop, form(code, uri, "https://shop.example/cb?tenant=a%20b")},
			"no redirect URI":                   {shop, form(code)},
			"a verifier that nobody asked for":  {shop, form(code, uri, "https://shop.example/cb", proof, verifier)},
			"a public client without verifier":  {spa, form(bound, uri, "https://spa.example/cb")},
			"with the verifier of another":      {spa, form(bound, uri, "https://spa.example/cb", proof, strings.Repeat("a", 43))},
			"with the challenge for a verifier": {spa, form(bound, uri, "https://spa.example/cb", proof, challengeOf(verifier))},
			"another client with the verifier":  {shop, form(bound, uri, "https://spa.example/cb", proof, verifier)},
		} {
			if got := tc.by.token(tc.form); got.status != http.StatusBadRequest || got.Error != "invalid_grant" || got.Access != "" {
				t.Errorf("%s: %+v", name, got)
			}
		}
	})
	if got := shop.redeem(code); got.status != 200 || shop.claims(got.ID)["nonce"] != "the user's" {
		t.Errorf("%+v", got)
	}
	if got := spa.redeem(bound); got.status != 200 {
		t.Errorf("%+v", got)
	}
}

// TestPKCEIsNotLeftOut tries to do without, or with less (RFC 9700 §4.8).
func TestPKCEIsNotLeftOut(t *testing.T) {
	h := open(t, func(s *setup) {
		s.change = func(c *federation.Client) { c.RequirePKCE = c.ID == "post" }
	})
	b := h.browser()
	h.party("default", "shop").signIn(b)
	h.unchanged("less than PKCE", func() {
		for _, id := range []string{"spa", "app", "post"} {
			p := h.party("default", id)
			for name, pairs := range map[string][]string{
				"none": {"code_challenge", "-", "code_challenge_method", "-"}, "a method alone": {"code_challenge", "-", "code_challenge_method", "S256"},
				"plain": {"code_challenge", verifier, "code_challenge_method", "plain"}, "no method": {"code_challenge", challengeOf(verifier), "code_challenge_method", "-"},
				"another method": {"code_challenge", challengeOf(verifier), "code_challenge_method", "s256"}, "empty": {"code_challenge", "", "code_challenge_method", "S256"},
				"short": {"code_challenge", "abc", "code_challenge_method", "S256"},
			} {
				l := b.get(p.ask(pairs...))
				if p.refused(l, federation.InvalidRequest); l.url.Query().Has("code") {
					t.Errorf("%s, %s: %s", id, name, l.url)
				}
			}
		}
	})
}

// TestTossedCookies has cookies that another host of the domain could have set. A
// provider of https believes only in names that such a host cannot set; one of two
// cookies of a name is nobody's, whichever comes first.
func TestTossedCookies(t *testing.T) {
	for _, tls := range []bool{true, false} {
		h := open(t, func(s *setup) { s.tls = tls })
		shop, alice, eve := h.party("default", "shop"), h.browser(), h.browser()
		shop.signIn(alice)
		h.as("eve")
		shop.signIn(eve)
		name := "drawbridge-default"
		if tls {
			victim := h.browser()
			victim.set(h.URL, name, eve.session("default"))
			shop.refused(victim.get(shop.ask("prompt", "none")), federation.LoginRequired)
			begun := h.browser()
			back := shop.atCallback(begun)
			open := begun.transactions("default")[0]
			victim.set(h.URL, strings.TrimPrefix(open, "__Host-"), begun.cookies(h.URL)[open])
			h.unchanged("a transaction of another host", func() { victim.get(back.String()).shows(t, "error", 400) })
			name = "__Host-" + name
		}
		h.unchanged("two cookies of a name", func() {
			for _, pair := range [][2]*browser{{eve, alice}, {alice, eve}, {eve, eve}} {
				victim := h.browser()
				r := victim.request(http.MethodGet, shop.ask("prompt", "none"), nil)
				r.Header.Set("Cookie", name+"="+pair[0].session("default")+"; "+name+"="+pair[1].session("default"))
				l := victim.step(r)
				l.away = true
				shop.refused(l, federation.LoginRequired)
			}
		})
		shop.code(alice.get(shop.ask("prompt", "none")))
	}
}

// TestSessionsAreNotFixed: what was in the browser before a user signs in is not
// what the user's session is known by.
func TestSessionsAreNotFixed(t *testing.T) {
	h := open(t)
	shop, eve, victim := h.party("default", "shop"), h.browser(), h.browser()
	h.as("eve")
	mine := shop.signIn(eve)
	planted := eve.session("default")
	victim.set(h.URL, "drawbridge-default", planted)
	h.as("alice")
	got := shop.signIn(victim, "prompt", "login")
	if victim.session("default") == planted || shop.claims(got.ID)["sid"] == shop.claims(mine.ID)["sid"] || shop.claims(got.ID)["sub"] == shop.claims(mine.ID)["sub"] {
		t.Error("the user signed in to the session that was planted")
	}
	shop.refused(eve.get(shop.ask("prompt", "none")), federation.LoginRequired)
	made := "default.0." + strings.Repeat("A", 27) + "." + federation.NewSecret()
	other := h.browser()
	other.set(h.URL, "drawbridge-default", made)
	shop.signIn(other)
	if other.session("default") == made {
		t.Error("a value that was made up was adopted")
	}
	eve.set(h.URL, "drawbridge-default", made)
	shop.refused(eve.get(shop.ask("prompt", "none")), federation.LoginRequired)
}
