//go:build e2e

package e2e

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// The provider says group_permissions and urn:onegini.com:oidc:x about everybody; only the client `mapped` asks for one.
func TestAHookCannotForgeWhatIsProtected(t *testing.T) {
	at, mapped := freeAddr(t), freeAddr(t)
	w := startWorld(t, func(_ *world, file settings) {
		file["clients"] = []any{
			clientOf("plain", at, nil),
			clientOf("mapped", mapped, map[string]any{"claims": map[string]any{
				"hook": "enrich", "id_token": []string{"group_permissions", "enriched"},
				"mapping": []any{map[string]any{"claim": "group_permissions", "from": []string{"group_permissions"}}},
			}}),
		}
	})
	plain := w.party(t, "plain", at, nil)
	_, honest := signIn(t, plain, "alice")

	t.Run("nothing protected enters", func(t *testing.T) {
		w.hookAnswers(t, "forge", map[string]any{"enriched": "by the hook", "dept": "board"})
		_, got := signIn(t, plain, "alice")
		saysNothingForged(t, got, honest)
		if got.Userinfo["enriched"] != "by the hook" || got.Userinfo["dept"] != "board" {
			t.Errorf("what the hook may say was lost: %v", got.Userinfo)
		}
	})
	t.Run("what a mapping let in stays", func(t *testing.T) {
		w.hookAnswers(t, "forge", nil)
		_, got := signIn(t, w.party(t, "mapped", mapped, nil), "alice")
		for _, said := range []map[string]any{got.Claims, got.Userinfo} {
			have, err := json.Marshal(said["group_permissions"])
			if err != nil || string(have) != `{"engineers":["read","write"]}` || said["enriched"] != "by the hook" {
				t.Errorf("%v, want the group_permissions of the provider and enriched by the hook", said)
			}
		}
	})
	t.Run("nor in another spelling", func(t *testing.T) {
		w.hookAnswers(t, "replace", map[string]any{"ſub": "forged", "Group_Permissions": "forged", "enriched": "by the hook"})
		_, got := signIn(t, plain, "alice")
		saysNothingForged(t, got, honest)
	})
	t.Run("and it is told", func(t *testing.T) {
		metrics := w.platform().expect(t, http.MethodGet, "/metrics", nil, http.StatusOK, "").body
		if !strings.Contains(metrics, `drawbridge_guard_refusals_total{class="protected",step="enrich"}`) {
			t.Error("the metrics do not count what the guard refused")
		}
		for _, claim := range []string{`"claim":"sub"`, `"claim":"group_permissions"`, `"claim":"urn:onegini.com:oidc:x"`} {
			if !strings.Contains(w.bridge.running.output.String(), claim) {
				t.Errorf("the audit trail has no line with %s", claim)
			}
		}
	})
}

// saysNothingForged holds both answers to the honest one, whatever the spelling of a name.
func saysNothingForged(t *testing.T, got, honest signedIn) {
	t.Helper()
	for _, said := range []map[string]any{got.Claims, got.Userinfo} {
		if said["sub"] != honest.Claims["sub"] {
			t.Errorf("sub is %v, want %v: %v", said["sub"], honest.Claims["sub"], said)
		}
		for _, name := range slices.Sorted(maps.Keys(said)) {
			for _, protected := range []string{"sub", "group_permissions", "urn:onegini.com:oidc:x"} {
				if strings.EqualFold(name, protected) && name != "sub" {
					t.Errorf("%s is %v", name, said[name])
				}
			}
		}
	}
}

func TestAHookThatRefusesOrFails(t *testing.T) {
	at := freeAddr(t)
	w := startWorld(t, func(_ *world, file settings) { file["clients"] = []any{clientOf("plain", at, nil)} })
	party := w.party(t, "plain", at, nil)
	for _, test := range []struct{ mode, want string }{
		{"403", "access_denied"},
		{"twins", "temporarily_unavailable"},
		{"garbage", "temporarily_unavailable"},
		{"hangup", "temporarily_unavailable"},
		{"500", "temporarily_unavailable"},
		{"slow", "temporarily_unavailable"},
	} {
		t.Run(test.mode, func(t *testing.T) {
			w.hookAnswers(t, test.mode, nil)
			who := newVisitor(t)
			refuses(t, who.walk(t, party.url+"/", party.url+"/callback", map[string]string{"login": "bob"}), test.want)
			if cookie := w.sessionCookie(t, who); cookie != nil {
				t.Errorf("a session began: %v", cookie)
			}
			w.hookAnswers(t, "204", nil)
			var got signedIn
			who.walk(t, party.url+"/", party.url+"/callback", nil).decode(t, http.StatusOK, &got)
			if got.Userinfo["email"] != "bob@corp.example" {
				t.Errorf("trying again gave %v", got.Userinfo)
			}
		})
	}
}

// hookAnswers sets how the hook answers from here on.
func (w *world) hookAnswers(t *testing.T, mode string, claims map[string]any) {
	t.Helper()
	setting := map[string]any{"mode": mode}
	if claims != nil {
		setting["claims"] = claims
	}
	callJSON(t, http.MethodPut, w.hook.url+"/mode", setting, nil)
}
