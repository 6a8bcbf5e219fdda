package op_test

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/upstream/upstreamtest"
)

func TestSignIn(t *testing.T) {
	h := open(t)
	shop, b := h.party("default", "shop"), h.browser()
	h.corp.Set(upstreamtest.Knobs{Claims: map[string]any{"acr": "urn:loa:2", "amr": []string{"pwd", "otp"}, "dept": "r&d", "group_permissions": []string{"all"}}})
	state := strings.Repeat("0123456789abcde&", 8)
	commits := h.engine.count()
	l := b.get(shop.ask("state", state, "code_challenge", challengeOf(verifier), "code_challenge_method", "S256"))
	if got := shop.answer(l).Get("state"); got != state {
		t.Errorf("state came back as %q", got)
	}
	if got := slices.Sorted(maps.Keys(l.url.Query())); !slices.Equal(got, []string{"code", "iss", "state"}) {
		t.Errorf("the answer has %q", got)
	}
	got := shop.token(url.Values{"grant_type": {"authorization_code"}, "code": {shop.code(l)}, "redirect_uri": {"https://shop.example/cb"}, "code_verifier": {verifier}})
	if n := h.engine.count() - commits; n != 2 {
		t.Errorf("a login costs %d durable commits, want 2", n)
	}
	if got.status != 200 || got.Type != "Bearer" || got.Expires != 600 || got.Scope != "openid email profile" || got.Refresh == "" {
		t.Fatalf("%+v", got)
	}
	if got.header.Get("Cache-Control") != "no-store" || got.header.Get("Pragma") != "no-cache" || !strings.HasPrefix(got.header.Get("Content-Type"), "application/json") {
		t.Errorf("headers %v", got.header)
	}
	id, info := shop.claims(got.ID), shop.userinfo(got.Access)
	for name, want := range map[string]any{"iss": h.URL, "aud": "shop", "nonce": "some nonce", "acr": "urn:loa:2", "department": "r&d"} {
		if id[name] != want {
			t.Errorf("%s is %v, want %v", name, id[name], want)
		}
	}
	for _, absent := range []string{"email", "name", "group_permissions", "dept"} {
		if _, there := id[absent]; there {
			t.Errorf("%s is in the ID token", absent)
		}
	}
	if info["sub"] != id["sub"] || info["email"] != "alice@corp.example" || info["name"] != "Alice Liddell" || info["department"] != "r&d" || info["group_permissions"] != nil {
		t.Errorf("userinfo %v", info)
	}
	told := h.events(federation.SignedIn)
	if len(told) != 1 || told[0].Client != "shop" || told[0].Person != id["sub"] || told[0].Session != id["sid"] || told[0].Silent {
		t.Errorf("events %+v", told)
	}
	if len(h.events(federation.PersonCreated)) != 1 || len(h.events(federation.SessionBegan)) != 1 || h.observed("corp", "ok") != 1 || !h.lines.has("signed in", "shop") {
		t.Error("not everybody was told")
	}
	if n := len(b.transactions("default")); n != 0 {
		t.Errorf("%d transactions are left in the browser", n)
	}
}

func TestSignInByPost(t *testing.T) {
	h := open(t)
	shop, b := h.party("default", "shop"), h.browser()
	l := b.post(h.URL+"/authorize", shop.request("login_hint", "alice@corp.example"))
	shop.redeem(shop.code(l))
	for _, hop := range l.hops {
		if strings.HasPrefix(hop, h.URL) && strings.Contains(hop, "alice") {
			t.Errorf("what was posted is in an address of ours: %s", hop)
		}
	}
	// With the cookie it needs no detour, and another site's post, which comes
	// without, finds the session all the same.
	before := h.corp.Hits("/authorize")
	shop.code(b.post(h.URL+"/authorize", shop.request("prompt", "none")))
	r := b.request(http.MethodPost, h.URL+"/authorize", shop.request("prompt", "none", "state", "posted"))
	first := h.browser().step(r)
	l = b.get(first.url.String())
	if shop.code(l); shop.answer(l).Get("state") != "posted" || h.corp.Hits("/authorize") != before {
		t.Errorf("%s", l.url)
	}
	h.clock.advance(16 * time.Minute)
	b.get(first.url.String()).shows(t, "error", http.StatusBadRequest)
}

func TestEveryKindOfClient(t *testing.T) {
	h := open(t)
	for _, id := range []string{"shop", "post", "spa", "app", "once"} {
		t.Run(id, func(t *testing.T) {
			p := h.party("default", id)
			got := p.signIn(h.browser())
			if claims := p.claims(got.ID); claims["aud"] != id {
				t.Errorf("aud is %v", claims["aud"])
			}
			if (got.Refresh == "") != (id == "once") {
				t.Errorf("refresh token %q", got.Refresh)
			}
		})
	}
	once := h.party("default", "once")
	if got := once.signIn(h.browser(), "scope", "openid offline_access"); got.Scope != "openid" {
		t.Errorf("a client that cannot refresh has %q", got.Scope)
	}
	post := h.party("default", "post")
	code := post.code(h.browser().get(post.ask()))
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {"https://post.example/cb"}, "client_id": {"post"}, "client_secret": {"old"}}
	if got := post.call("/token", form.Encode(), "Content-Type", "application/x-www-form-urlencoded"); got.status != 200 {
		t.Errorf("the second secret is refused: %+v", got)
	}
}

func TestCodesAndTokens(t *testing.T) {
	h := open(t)
	shop, b := h.party("default", "shop"), h.browser()
	code := shop.code(b.get(shop.ask("scope", "openid email offline_access profile unknown email")))
	first := shop.redeem(code)
	if first.Scope != "openid email offline_access profile" {
		t.Errorf("granted %q", first.Scope)
	}
	again := shop.redeem(code)
	if again.status != 400 || again.Error != "invalid_grant" || shop.live(first.Access) {
		t.Errorf("a replayed code answers %+v, and its token is live: %v", again, shop.live(first.Access))
	}

	got := shop.signIn(b)
	next := shop.refresh(got.Refresh)
	if next.status != 200 || next.Refresh == got.Refresh || !shop.live(next.Access) {
		t.Fatalf("%+v", next)
	}
	old, renewed := shop.claims(got.ID), shop.claims(next.ID)
	for _, same := range []string{"iss", "sub", "aud", "sid", "auth_time"} {
		if old[same] != renewed[same] {
			t.Errorf("%s was %v and is %v", same, old[same], renewed[same])
		}
	}
	if narrow := shop.refresh(next.Refresh, "scope", "openid"); narrow.Scope != "openid" || shop.userinfo(narrow.Access)["email"] != nil {
		t.Errorf("%+v", narrow)
	}
	if blind := shop.refresh(shop.signIn(b).Refresh, "scope", "email"); blind.Scope != "email" || blind.ID != "" ||
		!strings.Contains(shop.send("GET", "/userinfo", "", "Authorization", "Bearer "+blind.Access).header.Get("WWW-Authenticate"), `error="insufficient_scope"`) {
		t.Errorf("a token without openid: %+v", blind)
	}
	h.clock.advance(11 * time.Second)
	if stale := shop.refresh(got.Refresh); stale.Error != "invalid_grant" || shop.live(next.Access) {
		t.Errorf("a reused refresh token answers %+v", stale)
	}

	post, access := h.party("default", "post"), shop.signIn(b).Access
	if got := revoke(post, access); got.Error != "invalid_grant" || !shop.live(access) {
		t.Errorf("another client's token: %+v", got)
	}
	for range 2 {
		if got := revoke(shop, access); got.status != 200 {
			t.Errorf("%+v", got)
		}
	}
	if shop.live(access) || !h.lines.has("token revoked", "shop") {
		t.Error("the revoked token is live, or nobody was told")
	}
	if got := revoke(shop, "no token at all"); got.status != 200 {
		t.Errorf("%+v", got)
	}
}

func revoke(p *party, token string) tokens {
	p.t.Helper()
	form, header := p.authenticated(url.Values{"token": {token}})
	return p.call("/revoke", form.Encode(), "Authorization", header, "Content-Type", "application/x-www-form-urlencoded")
}

func TestUserinfo(t *testing.T) {
	h := open(t)
	shop := h.party("default", "shop")
	access := shop.signIn(h.browser()).Access
	bearer := "Bearer " + access
	for name, tc := range map[string]struct {
		method, path, body, auth, kind string
		status                         int
		says                           string
	}{
		"GET":                {"GET", "", "", bearer, "", 200, ""},
		"HEAD":               {"HEAD", "", "", bearer, "", 200, ""},
		"other case":         {"GET", "", "", "bearer " + access, "", 200, ""},
		"POST header":        {"POST", "", "", bearer, "", 200, ""},
		"POST body":          {"POST", "", "access_token=" + access, "", form, 200, ""},
		"POST body, charset": {"POST", "", "access_token=" + access, "", form + "; charset=utf-8", 200, ""},
		"nothing":            {"GET", "", "", "", "", 401, `Bearer realm="drawbridge"`},
		"another scheme":     {"GET", "", "", "Basic " + access, "", 401, `Bearer realm="drawbridge"`},
		"no token":           {"GET", "", "", "Bearer ", "", 401, `Bearer realm="drawbridge"`},
		"no such token":      {"GET", "", "", bearer[:len(bearer)-1] + "-", "", 401, `error="invalid_token"`},
		"in two places":      {"POST", "", "access_token=" + access, bearer, form, 400, `error="invalid_request"`},
		"twice in the body":  {"POST", "", "access_token=a&access_token=b", "", form, 400, `error="invalid_request"`},
		"in the address":     {"GET", "?access_token=" + access, "", "", "", 400, `error="invalid_request"`},
		"and in the address": {"GET", "?access_token=" + access, "", bearer, "", 400, `error="invalid_request"`},
		"wrong method":       {"PUT", "", "", bearer, "", 405, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := shop.send(tc.method, "/userinfo"+tc.path, tc.body, "Authorization", tc.auth, "Content-Type", tc.kind)
			if challenge := got.header.Get("WWW-Authenticate"); got.status != tc.status || !strings.Contains(challenge, tc.says) || tc.says == "" && challenge != "" {
				t.Errorf("%d %q %s", got.status, challenge, got.page)
			}
			if tc.says == `Bearer realm="drawbridge"` && (got.page != "" || strings.Contains(got.header.Get("WWW-Authenticate"), "error")) {
				t.Errorf("a call without credentials is told %q %q", got.header.Get("WWW-Authenticate"), got.page)
			}
			if got.status == 200 && got.header.Get("Cache-Control") != "no-store" {
				t.Error("claims may be cached")
			}
		})
	}
	if got := shop.send("GET", "/userinfo", "", "Authorization", bearer, "Authorization", bearer); got.status != 400 {
		t.Errorf("two headers: %d", got.status)
	}
}
