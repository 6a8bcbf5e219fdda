//go:build e2e

package e2e

import (
	"net/http"
	"testing"
)

// heard is what rp-openid-client.mjs was told about sessions that are over.
type heard struct {
	Backchannel  []struct{ Sub, Sid string }
	Frontchannel []struct{ Iss, Sid string }
}

// isTold returns when a relying party has got a logout token about a session.
func isTold(t *testing.T, party *program, sid any) {
	t.Helper()
	eventually(t, party.url+" is told of the session by a logout token", func() bool {
		var got heard
		newVisitor(t).get(t, party.url+"/told").decode(t, http.StatusOK, &got)
		for _, token := range got.Backchannel {
			if token.Sid == sid {
				return true
			}
		}
		return false
	})
}

func listening(id, at string) map[string]any {
	return clientOf(id, at, map[string]any{"backchannel_logout_uri": "http://" + at + "/backchannel"})
}

func TestALogoutGoesOnToKeycloakAndComesBack(t *testing.T) {
	at, other := freeAddr(t), freeAddr(t)
	w, r := keycloakWorld(t, freeAddr(t), func(_, file settings) {
		file["clients"] = []any{listening("shop", at), listening("second", other)}
	})
	party, second := w.party(t, "shop", at, nil), w.party(t, "second", other, nil)
	alice := newVisitor(t)
	first := enter(t, alice, party.url+"/?", "alice")
	alice.get(t, second.url+"/").decode(t, http.StatusOK, &signedIn{})
	enter(t, newVisitor(t), party.url+"/?", "bob")
	if had := r.sessions(t, "alice"); len(had) != 1 {
		t.Fatalf("Keycloak has the sessions %v of alice, want one", had)
	}
	var out struct {
		StateMatches bool `json:"state_matches"`
	}
	// No form on the way: who has an ID token as a hint is not asked, neither here nor there.
	alice.get(t, party.url+"/logout").decode(t, http.StatusOK, &out)
	if !out.StateMatches {
		t.Error("logout came back without its state")
	}
	if left := r.sessions(t, "alice"); len(left) != 0 {
		t.Errorf("Keycloak still has the sessions %v of alice", left)
	}
	if left := r.sessions(t, "bob"); len(left) != 1 {
		t.Errorf("Keycloak has the sessions %v of bob, want one", left)
	}
	sid, _ := first.Claims["sid"].(string)
	if told := w.awaitEnding(t, sid); told.Event != "LOGOUT" || told.User != first.Claims["sub"] {
		t.Errorf("the webhook says %+v", told)
	}
	isTold(t, second, sid)
	var refused refusal
	alice.get(t, party.url+"/?prompt=none").decode(t, http.StatusBadRequest, &refused)
	if refused.Error != "login_required" {
		t.Errorf("prompt=none after the logout gave %+v", refused)
	}
	if form := alice.get(t, party.url+"/"); form.url.Host != hostOf(r.issuer) {
		t.Errorf("the next sign-in came to %s, want Keycloak's form", form.url)
	}
	// Keycloak tells us of the session that we have ended: that is no second ending.
	if all := w.endings(t); len(all) != 1 {
		t.Errorf("%d webhooks about one session: %+v", len(all), all)
	}
}

func TestKeycloakEndsSessions(t *testing.T) {
	at, other, portalAt := freeAddr(t), freeAddr(t), freeAddr(t)
	w, r := keycloakWorld(t, portalAt, func(_, file settings) {
		file["clients"] = []any{listening("shop", at), listening("second", other)}
	})
	party, second := w.party(t, "shop", at, nil), w.party(t, "second", other, nil)
	portal := startNode(t, "rp-openid-client.mjs", map[string]string{
		"PORT": portOf(t, portalAt), "ISSUER": r.issuer, "CLIENT_ID": "portal", "CLIENT_SECRET": "secret",
	})
	bystander := enter(t, newVisitor(t), party.url+"/?", "bob")
	tests := []struct {
		name string
		end  func(t *testing.T, alice *visitor)
	}{
		{"an administrator kills one", func(t *testing.T, _ *visitor) {
			r.expect(t, http.MethodDelete, "/sessions/"+r.sessions(t, "alice")[0])
		}},
		{"an administrator signs the user out everywhere", func(t *testing.T, _ *visitor) {
			r.expect(t, http.MethodPost, "/users/"+r.user(t, "alice")+"/logout")
		}},
		{"the user signs out of another application there", func(t *testing.T, alice *visitor) {
			enter(t, alice, portal.url+"/?", "alice")
			alice.walk(t, portal.url+"/logout", portal.url+"/signed-out", nil)
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			alice := newVisitor(t)
			first := enter(t, alice, party.url+"/?", "alice")
			alice.get(t, second.url+"/").decode(t, http.StatusOK, &signedIn{})
			test.end(t, alice)
			sid, _ := first.Claims["sid"].(string)
			if told := w.awaitEnding(t, sid); told.Event != "DESTROY" || told.User != first.Claims["sub"] {
				t.Errorf("the webhook says %+v", told)
			}
			isTold(t, party, sid)
			isTold(t, second, sid)
			w.userinfo(t, first.Tokens.AccessToken, http.StatusUnauthorized)
			refuses(t, alice.get(t, party.url+"/refresh"), "invalid_grant")
			w.userinfo(t, bystander.Tokens.AccessToken, http.StatusOK)
		})
	}
}

// TestKeycloakSignsOutInFrames signs out of an application of Keycloak's own in Chromium: its page loads ours in a frame,
// which is of another site and gets no cookie.
func TestKeycloakSignsOutInFrames(t *testing.T) {
	at, portalAt := freeAddr(t), freeAddr(t)
	w, r := keycloakWorld(t, portalAt, func(upstream, file settings) {
		upstream["backchannel_logout"] = false
		file["clients"] = []any{listening("shop", at)}
	}, `"frontchannelLogout": false`, `"frontchannelLogout": true`, `"backchannel.logout.url"`, `"unused"`)
	party := w.party(t, "shop", at, nil)
	portal := startNode(t, "rp-openid-client.mjs", map[string]string{
		"PORT": portOf(t, portalAt), "ISSUER": r.issuer, "CLIENT_ID": "portal", "CLIENT_SECRET": "secret",
	})
	browse(t, []step{
		{Visit: party.url + "/", Name: "keycloak-login", at: r.issuer, status: 200, says: "Sign in to your account"},
		{Fill: "input[name=username]", Value: "alice"},
		{Fill: "input[name=password]", Value: passwords["alice"]},
		{Follow: "#kc-login", Name: "signed-in", at: party.url + "/callback", status: 200, says: "alice@corp.example"},
		{Visit: portal.url + "/", Name: "signed-in-at-the-portal", at: portal.url + "/callback", status: 200, says: "alice@corp.example"},
		{Visit: portal.url + "/logout", Until: portal.url + "/signed-out", Name: "signed-out-of-the-portal", at: portal.url, status: 200, says: `"state_matches": true`},
		{Visit: party.url + "/?prompt=none", Name: "signed-out-here", at: party.url + "/callback", status: 400, says: "login_required"},
	})
	var all []ending
	eventually(t, "a webhook about the session", func() bool { all = w.endings(t); return len(all) > 0 })
	if len(all) != 1 || all[0].Event != "DESTROY" {
		t.Errorf("the webhooks say %+v", all)
	}
	isTold(t, party, all[0].Session)
}
