//go:build e2e

package e2e

import (
	"net/http"
	"testing"
)

// TestALogoutReachesEverybody signs out in Chromium: the relying parties hear of it in frames and by logout tokens,
// which another implementation verifies, the foreign provider's session ends too, and the user comes back.
func TestALogoutReachesEverybody(t *testing.T) {
	at, other, third := freeAddr(t), freeAddr(t), freeAddr(t)
	told := func(addr string) map[string]any {
		return map[string]any{"backchannel_logout_uri": "http://" + addr + "/backchannel", "frontchannel_logout_uri": "http://" + addr + "/frontchannel"}
	}
	w := gather(t, nil)
	w.provider = startNode(t, "provider.mjs", map[string]string{
		"REDIRECT_URIS": "http://" + w.public + "/callback/corp", "POST_LOGOUT_REDIRECT_URIS": "http://" + w.public + "/end_session/return", "CONSENT": "skip",
	})
	file := w.settings(t)
	corp, _ := file["upstreams"].([]any)[0].(map[string]any)
	delete(corp, "end_session")
	file["clients"] = []any{clientOf("first", at, told(at)), clientOf("second", other, told(other)), clientOf("plain", third, nil)}
	w.serve(t, file.text(t))
	first, second, plain := w.party(t, "first", at, nil), w.party(t, "second", other, nil), w.party(t, "plain", third, nil)
	browse(t, []step{
		{Visit: first.url + "/", Name: "foreign-login", at: w.provider.url, status: 200, says: "Sign in at the provider"},
		{Fill: "input[name=login]", Value: "alice"},
		{Follow: "form button", Name: "signed-in", at: first.url + "/callback", status: 200, says: "alice@corp.example"},
		{Visit: second.url + "/", Name: "signed-in-at-another", at: second.url + "/callback", status: 200, says: "alice@corp.example"},
		{Visit: first.url + "/logout", Until: w.provider.url, Name: "foreign-logout", at: w.provider.url, status: 200, says: "Sign out?"},
		{Follow: "button", Name: "back-at-the-party", at: first.url + "/signed-out", status: 200, says: `"state_matches": true`},
		{Visit: plain.url + "/", Name: "foreign-login-again", at: w.provider.url, status: 200, says: "Sign in at the provider"},
		{Fill: "input[name=login]", Value: "alice"},
		{Follow: "form button", Name: "signed-in-again", at: plain.url + "/callback", status: 200, says: "alice@corp.example"},
		{Visit: w.bridge.publicURL + "/end_session", Name: "question", at: w.bridge.publicURL, status: 200, says: "Sign out?"},
		{Follow: "#sign-out", Name: "foreign-logout-again", at: w.provider.url, status: 200, says: "Sign out?"},
		{Follow: "button", Name: "signed-out", at: w.bridge.publicURL + "/end_session/return", status: 200, says: "You are signed out"},
	})
	for _, party := range []*program{first, second} {
		var heard struct {
			Backchannel  []struct{ Sub, Sid string }
			Frontchannel []struct{ Iss, Sid string }
		}
		eventually(t, party.url+" is told by a logout token", func() bool {
			newVisitor(t).get(t, party.url+"/told").decode(t, http.StatusOK, &heard)
			return len(heard.Backchannel) == 1
		})
		if len(heard.Frontchannel) != 1 || heard.Frontchannel[0].Iss != w.bridge.publicURL || heard.Frontchannel[0].Sid != heard.Backchannel[0].Sid {
			t.Errorf("%s was told %+v", party.url, heard)
		}
	}
}
