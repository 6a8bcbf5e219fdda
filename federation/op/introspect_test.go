package op_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

const formBody = "application/x-www-form-urlencoded"

// introspect asks about a token as the client.
func introspect(p *party, token string, pairs ...string) map[string]any {
	p.t.Helper()
	form, header := p.authenticated(url.Values{"token": {token}})
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	res := p.send(http.MethodPost, "/introspect", form.Encode(), "Authorization", header, "Content-Type", formBody)
	if res.status != http.StatusOK || res.header.Get("Cache-Control") != "no-store" || !strings.HasPrefix(res.header.Get("Content-Type"), "application/json") {
		p.t.Fatalf("introspection: %d %v %s", res.status, res.header, res.page)
	}
	return object(p.t, res.page)
}

// asks says whether a client is told that a token is good.
func asks(p *party, token string) bool {
	p.t.Helper()
	said := introspect(p, token)
	if said["active"] == false && len(said) != 1 {
		p.t.Errorf("more is said of a token that is not active: %v", said)
	}
	return said["active"] == true
}

func TestIntrospection(t *testing.T) {
	for name, more := range map[string]func(*setup){"": func(*setup) {}, "spread": spread} {
		t.Run(name, func(t *testing.T) {
			h := open(t, formats, more)
			post, shop := h.party("default", "post"), h.party("default", "shop")
			for _, p := range []*party{post, shop} {
				got := p.signIn(h.browser())
				id := p.claims(got.ID)
				for _, hint := range []string{"", "access_token", "refresh_token", "nonsense"} {
					said := introspect(p, got.Access, "token_type_hint", hint)
					for name, want := range map[string]any{"active": true, "token_type": "Bearer", "client_id": p.client.ID, "sub": id["sub"], "sid": id["sid"],
						"iss": h.issuer("default"), "aud": h.issuer("default"), "scope": "openid email profile", "auth_time": id["auth_time"]} {
						if said[name] != want {
							t.Errorf("%s is %v, not %v", name, said[name], want)
						}
					}
					if said["exp"].(float64)-said["iat"].(float64) != 600 || said["jti"] == nil || said["username"] != nil || said["email"] != nil {
						t.Errorf("%v", said)
					}
					if jti, _ := said["jti"].(string); p.live(jti) || strings.Contains(got.Access, jti) {
						t.Error("the jti is the token")
					}
					said = introspect(p, got.Refresh, "token_type_hint", hint)
					if said["active"] != true || said["sub"] != id["sub"] || said["client_id"] != p.client.ID || said["token_type"] != nil || said["exp"] == nil || said["aud"] != nil {
						t.Errorf("refresh token: %v", said)
					}
				}
				if asks(p, got.ID) {
					t.Error("an ID token is active")
				}
				next := p.refresh(got.Refresh)
				if !asks(p, got.Refresh) || !asks(p, next.Refresh) {
					t.Error("not as the token endpoint has it, within the grace")
				}
				h.clock.advance(11 * time.Second)
				h.unchanged("asking about a used refresh token", func() {
					if asks(p, got.Refresh) || !asks(p, next.Refresh) {
						t.Error("not as the token endpoint has it, after the grace")
					}
				})
				revoke(p, next.Refresh)
				for name, text := range map[string]string{"access": next.Access, "refresh": next.Refresh} {
					if asks(p, text) {
						t.Errorf("%s: active after it was revoked", name)
					}
				}
			}
		})
	}
}

// Who may ask about whose token.
func TestWhoMayIntrospect(t *testing.T) {
	h := open(t, formats)
	shop, post, serves, any, none := h.party("default", "shop"), h.party("default", "post"), h.party("default", "ask"), h.party("default", "partners"), h.party("default", "aged")
	foreign := h.party("acme", "partners")
	for _, p := range []*party{shop, post} {
		plain, aimed, elsewhere := p.signIn(h.browser()), p.redeem(p.code(h.browser().get(p.ask("resource", api)))), p.redeem(p.code(h.browser().get(p.ask("resource", files))))
		for name, tc := range map[string]struct {
			who                     *party
			plain, aimed, elsewhere bool
		}{
			"its own": {p, true, true, true}, "the resource server": {serves, false, true, false}, "one that may ask about any": {any, true, true, true},
			"nobody in particular": {none, false, false, false}, "another tenant's": {foreign, false, false, false},
		} {
			if asks(tc.who, plain.Access) != tc.plain || asks(tc.who, aimed.Access) != tc.aimed || asks(tc.who, elsewhere.Access) != tc.elsewhere {
				t.Errorf("%s asks about tokens of %s", name, p.client.ID)
			}
			if asks(tc.who, aimed.Refresh) != (tc.who == p) {
				t.Errorf("%s asks about a refresh token of %s", name, p.client.ID)
			}
		}
		if said := introspect(serves, aimed.Access); said["client_id"] != p.client.ID || said["aud"] != api {
			t.Errorf("%v", said)
		}
	}
}

func TestIntrospectionRefuses(t *testing.T) {
	h := open(t, formats)
	post, spa := h.party("default", "post"), h.party("default", "spa")
	got := post.signIn(h.browser())
	mine := spa.signIn(h.browser())
	good, _ := post.authenticated(url.Values{"token": {got.Access}})
	for name, tc := range map[string]struct {
		body   string
		kind   string
		status int
		code   string
	}{
		"no client":        {url.Values{"token": {got.Access}}.Encode(), formBody, 401, "invalid_client"},
		"a wrong secret":   {url.Values{"token": {got.Access}, "client_id": {"post"}, "client_secret": {"wrong"}}.Encode(), formBody, 401, "invalid_client"},
		"an unknown one":   {url.Values{"token": {got.Access}, "client_id": {"who"}, "client_secret": {"new"}}.Encode(), formBody, 401, "invalid_client"},
		"a public client":  {url.Values{"token": {mine.Access}, "client_id": {"spa"}}.Encode(), formBody, 401, "invalid_client"},
		"no token":         {"client_id=post&client_secret=new", formBody, 400, "invalid_request"},
		"an empty token":   {"client_id=post&client_secret=new&token=", formBody, 400, "invalid_request"},
		"two tokens":       {good.Encode() + "&token=x", formBody, 400, "invalid_request"},
		"two hints":        {good.Encode() + "&token_type_hint=a&token_type_hint=b", formBody, 400, "invalid_request"},
		"no form":          {`{"token":"x"}`, "application/json", 400, "invalid_request"},
		"an overlong one":  {"client_id=post&client_secret=new&token=" + strings.Repeat("a", 17_000), formBody, 400, "invalid_request"},
		"two ways to auth": {good.Encode() + "&client_secret=x", formBody, 400, "invalid_request"},
	} {
		h.unchanged(name, func() {
			if res := post.call("/introspect", tc.body, "Content-Type", tc.kind); res.status != tc.status || res.Error != tc.code {
				t.Errorf("%s: %d %s", name, res.status, res.Error)
			}
		})
	}
	if res := post.send(http.MethodGet, "/introspect?"+good.Encode(), ""); res.status != 405 {
		t.Errorf("GET: %d", res.status)
	}
	h.unchanged("whatever is no token", func() {
		for _, text := range []string{"x", ".", "..", "eyJ", "eyJ.eyJ.x", got.Access + "x", got.Access[:len(got.Access)-1], "default.0.x", "default.65535." + strings.Repeat("A", 43),
			"acme.0." + strings.Repeat("A", 43), "\u202e", got.Refresh + "A", strings.Repeat("9", 16_000)} {
			if asks(post, text) {
				t.Errorf("%.40q is active", text)
			}
		}
	})
}

// A token is not active once its person, session or client is not there.
func TestIntrospectionOfWhatIsOver(t *testing.T) {
	for name, end := range map[string]func(h *house, b *browser, p *party, got tokens){
		"signed out": func(_ *house, b *browser, p *party, got tokens) { b.get(p.bye("id_token_hint", got.ID)) },
		"timed out":  func(h *house, _ *browser, _ *party, _ tokens) { h.clock.advance(idle + time.Second) },
		"blocked": func(h *house, _ *browser, p *party, got tokens) {
			sub, _ := p.claims(got.ID)["sub"].(string)
			h.block(sub)
		},
		"deleted": func(h *house, _ *browser, p *party, got tokens) {
			sub, _ := p.claims(got.ID)["sub"].(string)
			must(h.t, h.persons.Delete(h.t.Context(), h.tenant("default"), sub, federation.Request{}))
		},
		"the client is gone": func(h *house, _ *browser, _ *party, _ tokens) {
			h.configure(&setup{change: func(c *federation.Client) {
				if c.Tokens.IntrospectsAny = true; c.ID == "shop" {
					c.ID = "other"
				}
			}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, jwt := range []bool{false, true} {
				h := open(t, func(s *setup) {
					s.change = func(c *federation.Client) {
						c.Tokens = federation.ClientTokens{JWT: jwt, Alg: federation.RS256, IntrospectsAny: true}
					}
				})
				p, all, b := h.party("default", "shop"), h.party("default", "post"), h.browser()
				got := p.signIn(b)
				if !asks(all, got.Access) {
					t.Fatal("not active at first")
				}
				end(h, b, p, got)
				if asks(all, got.Access) {
					t.Errorf("active (jwt: %v)", jwt)
				}
				if name != "the client is gone" && asks(p, got.Refresh) {
					t.Error("the refresh token is active")
				}
			}
		})
	}
}

// Asking about a token keeps its session alive, if the client may ask; and is
// written down once per tenth of the idle time.
func TestIntrospectionIsActivity(t *testing.T) {
	h := open(t, formats)
	post, none := h.party("default", "post"), h.party("default", "aged")
	got := post.signIn(h.browser())
	refresh := post.refresh(got.Refresh)
	before := h.engine.count()
	for range 10 {
		asks(post, refresh.Access)
	}
	if n := h.engine.count() - before; n != 0 {
		t.Errorf("%d commits", n)
	}
	for range 5 { // each within the idle time, all of them beyond it
		h.clock.advance(idle / 2)
		if !asks(post, refresh.Refresh) {
			t.Fatal("the session ended")
		}
	}
	h.unchanged("somebody who may not ask", func() {
		h.clock.advance(idle / 2)
		asks(none, refresh.Refresh)
	})
	h.clock.advance(idle / 2)
	if asks(post, refresh.Refresh) {
		t.Error("the session lives on")
	}
}

// A store that does not answer is no answer about a token.
func TestIntrospectionWithoutStore(t *testing.T) {
	h := open(t, formats)
	for _, id := range []string{"post", "shop"} {
		p := h.party("default", id)
		got := p.signIn(h.browser())
		for _, kind := range []string{"token.access", "session", "person"} {
			h.engine.arm(nil, func(k store.Key) error {
				if k.Kind == kind {
					return store.ErrUnavailable
				}
				return nil
			})
			form, header := p.authenticated(url.Values{"token": {got.Access}})
			res := p.call("/introspect", form.Encode(), "Authorization", header, "Content-Type", formBody)
			h.engine.arm(nil, nil)
			if res.status != 503 || res.Error != "temporarily_unavailable" {
				t.Errorf("%s, %s: %d %s", id, kind, res.status, res.Error)
			}
		}
		if !asks(p, got.Access) {
			t.Error("not active afterwards")
		}
	}
}
