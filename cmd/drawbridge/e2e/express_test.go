//go:build e2e

package e2e

import (
	"net/http"
	"testing"
)

// expressWorld is a provider that tells of logouts, Drawbridge, and behind it an application on express-openid-connect
// and another on openid-client. The portal is an application of the provider's own.
func expressWorld(t *testing.T) (w *world, app, second, portal *program) {
	t.Helper()
	at, other, portalAt := freeAddr(t), freeAddr(t), freeAddr(t)
	w = gather(t, nil)
	w.provider = startNode(t, "provider.mjs", map[string]string{
		"REDIRECT_URIS": "http://" + w.public + "/callback/corp", "POST_LOGOUT_REDIRECT_URIS": "http://" + w.public + "/end_session/return",
		"BACKCHANNEL_LOGOUT_URI": "http://" + w.public + "/backchannel_logout/corp", "PORTAL": "http://" + portalAt, "CONSENT": "skip",
	})
	file := w.settings(t)
	corp, _ := file["upstreams"].([]any)[0].(map[string]any)
	delete(corp, "end_session")
	file["clients"] = []any{listening("express", at), listening("second", other)}
	w.serve(t, file.text(t))
	app = startNode(t, "rp-express.mjs", map[string]string{
		"PORT": portOf(t, at), "ISSUER": w.bridge.publicURL, "CLIENT_ID": "express", "CLIENT_SECRET": "express-secret-of-the-tests",
	})
	portal = startNode(t, "rp-openid-client.mjs", map[string]string{
		"PORT": portOf(t, portalAt), "ISSUER": w.provider.url, "CLIENT_ID": "portal", "CLIENT_SECRET": "secret",
	})
	return w, app, w.party(t, "second", other, nil), portal
}

func signInAtExpress(t *testing.T, app *program, login string) (*visitor, signedIn) {
	t.Helper()
	who := newVisitor(t)
	var got signedIn
	who.walk(t, app.url+"/", app.url+"/session", map[string]string{"login": login}).decode(t, http.StatusOK, &got)
	return who, got
}

func TestExpressSignsInRefreshesAndSignsOutOfEverything(t *testing.T) {
	w, app, second, portal := expressWorld(t)
	alice, first := signInAtExpress(t, app, "alice")
	if first.Claims["iss"] != w.bridge.publicURL || first.Claims["aud"] != "express" || first.Userinfo["email"] != "alice@corp.example" || first.Userinfo["enriched"] != "by the hook" {
		t.Errorf("signed in as %v with %v", first.Claims, first.Userinfo)
	}
	var refreshed signedIn
	alice.get(t, app.url+"/refresh").decode(t, http.StatusOK, &refreshed)
	if refreshed.Tokens.AccessToken == first.Tokens.AccessToken || refreshed.Userinfo["sub"] != first.Claims["sub"] {
		t.Errorf("a refresh gave %+v after %+v", refreshed, first)
	}
	alice.get(t, second.url+"/").decode(t, http.StatusOK, &signedIn{})
	alice.get(t, portal.url+"/").decode(t, http.StatusOK, &signedIn{}) // the provider's own session
	var out struct {
		SignedOut bool `json:"signed_out"`
	}
	alice.walk(t, app.url+"/logout", app.url+"/signed-out", nil).decode(t, http.StatusOK, &out)
	if !out.SignedOut {
		t.Error("the application still has its session")
	}
	sid, _ := first.Claims["sid"].(string)
	if told := w.awaitEnding(t, sid); told.Event != "LOGOUT" || told.User != first.Claims["sub"] {
		t.Errorf("the webhook says %+v", told)
	}
	isTold(t, second, sid)
	w.userinfo(t, refreshed.Tokens.AccessToken, http.StatusUnauthorized)
	if at := alice.get(t, app.url+"/"); at.url.Host != hostOf(w.provider.url) {
		t.Errorf("the next sign-in came to %s, want the provider's form", at.url)
	}
	// The provider tells us of the session that we have ended: that is no second ending.
	if all := w.endings(t); len(all) != 1 {
		t.Errorf("%d webhooks about one session: %+v", len(all), all)
	}
}

func TestExpressHearsThatTheProviderEndedTheSession(t *testing.T) {
	w, app, second, portal := expressWorld(t)
	alice, first := signInAtExpress(t, app, "alice")
	alice.get(t, second.url+"/").decode(t, http.StatusOK, &signedIn{})
	bob, _ := signInAtExpress(t, app, "bob")
	alice.get(t, portal.url+"/").decode(t, http.StatusOK, &signedIn{})
	alice.walk(t, portal.url+"/logout", portal.url+"/signed-out", nil)

	sid, _ := first.Claims["sid"].(string)
	if told := w.awaitEnding(t, sid); told.Event != "DESTROY" || told.User != first.Claims["sub"] {
		t.Errorf("the webhook says %+v", told)
	}
	eventually(t, "the application lets go of the session", func() bool {
		return alice.get(t, app.url+"/session").status == http.StatusUnauthorized
	})
	isTold(t, second, sid)
	w.userinfo(t, first.Tokens.AccessToken, http.StatusUnauthorized)
	if still := bob.get(t, app.url+"/session"); still.status != http.StatusOK {
		t.Errorf("somebody else's session at the application answers %d: %s", still.status, still.body)
	}
	if again := bob.get(t, second.url+"/"); again.url.Host != hostOf(second.url) {
		t.Errorf("somebody else's session at Drawbridge is over: came to %s", again.url)
	}
}

// TestExpressInChromium has the library's cookies where they count: its callback is posted to from our page.
func TestExpressInChromium(t *testing.T) {
	w, app, _, _ := expressWorld(t)
	browse(t, []step{
		{Visit: app.url + "/", Name: "foreign-login", at: w.provider.url, status: 200, says: "Sign in at the provider"},
		{Fill: "input[name=login]", Value: "alice"},
		{Follow: "form button", Until: app.url + "/session", Name: "signed-in", at: app.url + "/session", status: 200, says: "alice@corp.example"},
		{Visit: app.url + "/logout", Until: w.provider.url, Name: "foreign-logout", at: w.provider.url, status: 200, says: "Sign out?"},
		{Follow: "button", Until: app.url + "/signed-out", Name: "signed-out", at: app.url + "/signed-out", status: 200, says: "true"},
		{Visit: app.url + "/session", Name: "nobody", at: app.url + "/session", status: 401, says: "not_signed_in"},
	})
}
