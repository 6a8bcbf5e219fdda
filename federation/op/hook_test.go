package op_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"testing"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/upstream/upstreamtest"
)

func TestHookCustomises(t *testing.T) {
	h := open(t)
	hooked, b := h.party("default", "hooked"), h.browser()
	h.corp.Set(upstreamtest.Knobs{Claims: map[string]any{"dept": "r&d"}})
	h.hooks.says(200, `{"claims":{"department":"research","tier":"gold","name":"Alice L."}}`)
	got := hooked.signIn(b, "hook_context_custom_param.channel", "web")
	id, info := hooked.claims(got.ID), hooked.userinfo(got.Access)
	if id["department"] != "research" || info["department"] != "research" || info["tier"] != "gold" || info["name"] != "Alice L." || info["email"] != nil {
		t.Errorf("%v %v", id, info)
	}
	call := h.hooks.last(t)
	if call.User.ID != id["sub"] || call.Claims["sub"] != id["sub"] || call.Claims["iss"] != h.URL || call.Claims["department"] != "r&d" {
		t.Errorf("the hook was sent %+v", call)
	}
	if !slices.Equal(call.Scopes, []string{"openid", "email", "profile"}) || !slices.Equal(call.Context["channel"], []string{"web"}) || !slices.Equal(call.Context["tier"], []string{"gold"}) {
		t.Errorf("the hook was sent %+v", call)
	}
	// A refresh asks anew, with what the sign-in brought along.
	h.hooks.says(200, `{"claims":{"tier":"lead"}}`)
	next := hooked.refresh(got.Refresh)
	if info := hooked.userinfo(next.Access); info["tier"] != "lead" || info["department"] != nil {
		t.Errorf("%v", info)
	}
	if call := h.hooks.last(t); !slices.Equal(call.Context["channel"], []string{"web"}) {
		t.Errorf("the refresh was sent %+v", call)
	}
	if hooked.userinfo(got.Access)["tier"] != "gold" {
		t.Error("the earlier access token has another snapshot now")
	}
}

func TestHookContext(t *testing.T) {
	h := open(t)
	hooked := h.party("default", "hooked")
	const param = "hook_context_custom_param."
	code := func(address string) hookCall {
		t.Helper()
		hooked.code(h.browser().get(address))
		return h.hooks.last(t)
	}
	call := code(hooked.ask() + "&" + param + "channel=a&" + param + "channel=b&" + param + "tier=stolen")
	if !slices.Equal(call.Context["channel"], []string{"a", "b"}) || !slices.Equal(call.Context["tier"], []string{"gold"}) {
		t.Errorf("%v", call.Context)
	}
	if call := code(hooked.ask(param+"channel", "")); len(call.Context) != 1 {
		t.Errorf("%v", call.Context)
	}
	many := hooked.ask()
	for i := range 21 {
		many += fmt.Sprintf("&%schannel=%d", param, i)
	}
	h.unchanged("context that is refused", func() {
		for _, address := range []string{
			many, hooked.ask(param+"other", "x"), hooked.ask(param, "x"), hooked.ask(param+"Channel", "x"),
			hooked.ask(param+"channel", "a\x00"), h.party("default", "shop").ask(param+"channel", "x"),
		} {
			b := h.browser()
			if l := b.get(address); l.url.Query().Get("error") != "invalid_request" || l.url.Query().Get("state") != "some state" {
				t.Errorf("%s", l.url)
			}
		}
	})
}

// TestHookThatForges is the guard's case: everybody is told, nobody is fooled.
func TestHookThatForges(t *testing.T) {
	h := open(t)
	hooked, b := h.party("default", "hooked"), h.browser()
	h.corp.Set(upstreamtest.Knobs{Claims: map[string]any{"groups": []string{"reader"}}})
	h.hooks.says(200, `{"claims":{"sub":"root","ſub":"root","group_permissions":["admin"],"urn:onegini.com:oidc:level":9,"department":"ops"}}`)
	hooked.refused(b.get(hooked.ask()), federation.TemporarilyUnavailable) // folded twins: refused whole
	h.hooks.says(200, `{"claims":{"sub":"root","group_permissions":["admin"],"urn:onegini.com:oidc:level":9,"exp":1,"department":"ops"}}`)
	refused := h.refused.Load()
	got := hooked.signIn(b)
	id, info := hooked.claims(got.ID), hooked.userinfo(got.Access)
	for name, all := range map[string]map[string]any{"ID token": id, "userinfo": info} {
		groups, _ := all["group_permissions"].([]any)
		if all["sub"] == "root" || len(groups) != 1 || groups[0] != "reader" || all["urn:onegini.com:oidc:level"] != nil || all["department"] != "ops" {
			t.Errorf("%s: %v", name, all)
		}
	}
	if id["sub"] != info["sub"] || info["exp"] != nil {
		t.Errorf("%v %v", id, info)
	}
	told := h.events(federation.ClaimRefused)
	if len(told) != 1 || len(told[0].Verdicts) != 4 || told[0].Person != id["sub"] || h.refused.Load()-refused != 4 || !h.lines.has("claim refused", "group_permissions", "enrich") {
		t.Errorf("%+v, %d counted", told, h.refused.Load()-refused)
	}
	hooked.refresh(got.Refresh)
	if told := h.events(federation.ClaimRefused); len(told) != 2 || told[1].Client != "hooked" {
		t.Errorf("at a refresh: %+v", told)
	}
}

// TestStrictGuard fails the sign-in, and tells why all the same.
func TestStrictGuard(t *testing.T) {
	h := open(t)
	strict, b := h.party("default", "strict"), h.browser()
	h.hooks.says(200, `{"claims":{"sub":"root"}}`)
	strict.refused(b.get(strict.ask()), federation.TemporarilyUnavailable)
	told, failed := h.events(federation.ClaimRefused), h.events(federation.SignInFailed)
	if len(told) != 1 || len(told[0].Verdicts) != 1 || told[0].Verdicts[0].Claim != "sub" || len(failed) != 1 || b.session("default") != "" {
		t.Errorf("%+v %+v", told, failed)
	}
}

func TestHookThatRefuses(t *testing.T) {
	h := open(t)
	hooked, b := h.party("default", "hooked"), h.browser()
	h.hooks.says(403, ``)
	hooked.refused(b.get(hooked.ask()), federation.AccessDenied)
	if b.session("default") != "" || len(h.events(federation.SessionBegan)) != 0 || len(h.events(federation.PersonCreated)) != 0 {
		t.Error("something began")
	}
	if failed := h.events(federation.SignInFailed); len(failed) != 1 || failed[0].Reason != "access_denied" || failed[0].Client != "hooked" || failed[0].Upstream != "corp" {
		t.Errorf("%+v", failed)
	}
	if h.observed("corp", "access_denied") != 1 || !h.lines.has("sign-in failed", "access_denied") {
		t.Error("nobody was told")
	}
	// The user is still in the browser, and can try again.
	h.hooks.says(204, ``)
	got := hooked.signIn(b)
	h.hooks.says(403, ``)
	hooked.refused(b.get(hooked.ask()), federation.AccessDenied)
	if failed := h.events(federation.SignInFailed); len(failed) != 2 || failed[1].Person != hooked.claims(got.ID)["sub"] || b.session("default") == "" {
		t.Errorf("%+v", failed)
	}
	if answer := hooked.refresh(got.Refresh); answer.status != 400 || answer.Error != "invalid_grant" {
		t.Errorf("%+v", answer)
	}
}

func TestHookThatFails(t *testing.T) {
	h := open(t)
	hooked, b := h.party("default", "hooked"), h.browser()
	got := hooked.signIn(h.browser())
	h.hooks.says(500, ``)
	sessions := len(h.events(federation.SessionBegan))
	hooked.refused(b.get(hooked.ask()), federation.TemporarilyUnavailable)
	if b.session("default") != "" || len(h.events(federation.SessionBegan)) != sessions {
		t.Error("a session began")
	}
	if failed := h.events(federation.SignInFailed); len(failed) != 1 || failed[0].Reason != "temporarily_unavailable" {
		t.Errorf("%+v", failed)
	}
	for range 2 {
		answer := hooked.refresh(got.Refresh)
		if answer.status != http.StatusServiceUnavailable || answer.Error != "temporarily_unavailable" || answer.header.Get("Retry-After") == "" {
			t.Errorf("%+v", answer)
		}
	}
	h.hooks.says(204, ``)
	if answer := hooked.refresh(got.Refresh); answer.status != 200 {
		t.Errorf("the refresh token was used up: %+v", answer)
	}
	hooked.code(b.get(hooked.ask()))
}

// TestBaseOfARefresh is what this session's login said, or, where no session
// stands behind the grant, what the upstream said last.
func TestBaseOfARefresh(t *testing.T) {
	h := open(t)
	shop := h.party("default", "shop")
	says := func(dept string) { h.corp.Set(upstreamtest.Knobs{Claims: map[string]any{"dept": dept}}) }
	says("r&d")
	bound, offline := shop.signIn(h.browser()), shop.signIn(h.browser(), "scope", "openid offline_access")
	says("sales")
	shop.signIn(h.browser())
	for name, tc := range map[string]struct {
		got  tokens
		want string
	}{"bound": {bound, "r&d"}, "offline": {offline, "sales"}} {
		next := shop.refresh(tc.got.Refresh)
		if info := shop.userinfo(next.Access); info["department"] != tc.want {
			t.Errorf("%s: %v, want %s", name, info["department"], tc.want)
		}
	}
}

// TestProjectionsAgree compares what one issuance says in two places.
func TestProjectionsAgree(t *testing.T) {
	h := open(t)
	hooked := h.party("default", "hooked")
	h.corp.Set(upstreamtest.Knobs{Claims: map[string]any{"dept": "r&d", "groups": []string{"a"}}})
	h.hooks.says(200, `{"claims":{"department":"x","big":9007199254740993,"nested":{"a":[1,2.50,null]},"empty":""}}`)
	got := hooked.signIn(h.browser())
	id, info := hooked.claims(got.ID), hooked.userinfo(got.Access)
	for _, name := range []string{"sub", "department"} {
		if id[name] != info[name] {
			t.Errorf("%s is %v and %v", name, id[name], info[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(info)) {
		if slices.Contains([]string{"iss", "aud", "exp", "iat", "nonce", "sid", "auth_time"}, name) {
			t.Errorf("userinfo has %s", name)
		}
	}
	raw := hooked.send(http.MethodGet, "/userinfo", "", "Authorization", "Bearer "+got.Access).page
	if want := `"big":9007199254740993`; !contains(raw, want) {
		t.Errorf("%s", raw)
	}
}
