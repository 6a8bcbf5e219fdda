//go:build e2e

package e2e

import (
	"net/http"
	"slices"
	"testing"
	"time"
)

func TestSessionsAreListedAndKilled(t *testing.T) {
	at := freeAddr(t)
	w := startWorld(t, func(_ *world, file settings) { file["clients"] = []any{clientOf("plain", at, nil)} })
	party, platform := w.party(t, "plain", at, nil), w.platform()
	alice, alices := signIn(t, party, "alice")
	_, bobs := signIn(t, party, "bob")
	sid, _ := alices.Claims["sid"].(string)
	person, _ := alices.Claims["sub"].(string)

	var listed struct {
		Sessions []sessionView `json:"sessions"`
	}
	platform.call(t, http.MethodGet, "/v1/tenants/default/sessions", nil).decode(t, http.StatusOK, &listed)
	if len(listed.Sessions) != 2 {
		t.Errorf("%d sessions are listed, want those of alice and bob: %+v", len(listed.Sessions), listed)
	}
	platform.call(t, http.MethodGet, "/v1/sessions?person="+person, nil).decode(t, http.StatusOK, &listed)
	if len(listed.Sessions) != 1 || listed.Sessions[0].ID != sid {
		t.Fatalf("the sessions of alice are %+v, want %s", listed, sid)
	}
	var got sessionView
	platform.call(t, http.MethodGet, "/v1/sessions/"+sid, nil).decode(t, http.StatusOK, &got)
	if got.Person != person || got.Clients[0].Client != "plain" || got.Logins[0].Upstream != "corp" || got.Logins[0].Subject != "u-1001" ||
		!slices.Equal(got.Webhooks, []string{"tell-crm"}) || got.DeadlineCause != "IDLE_TIMEOUT" {
		t.Errorf("the session is %+v", got)
	}

	platform.expect(t, http.MethodDelete, "/v1/sessions/"+sid, nil, http.StatusNoContent, "")
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		platform.expect(t, method, "/v1/sessions/"+sid, nil, http.StatusNotFound, "session_not_found")
	}
	if told := w.awaitEnding(t, sid); told.Event != "DESTROY" || told.User != person {
		t.Errorf("the webhook says %+v", told)
	}
	w.userinfo(t, alices.Tokens.AccessToken, http.StatusUnauthorized)
	w.userinfo(t, bobs.Tokens.AccessToken, http.StatusOK)
	refuses(t, alice.get(t, party.url+"/refresh"), "invalid_grant")
}

func TestASessionIdlesOut(t *testing.T) {
	t.Parallel() // it waits for two deadlines
	at := freeAddr(t)
	w := startWorld(t, func(_ *world, file settings) {
		file["clients"] = []any{clientOf("plain", at, nil)}
		file["session"] = map[string]any{"idle_timeout": "3s", "max_lifetime": "7s"}
	})
	party := w.party(t, "plain", at, nil)
	_, idle := signIn(t, party, "alice")
	_, busy := signIn(t, party, "bob")
	sid, _ := idle.Claims["sid"].(string)
	other, _ := busy.Claims["sid"].(string)

	stop := time.After(patience)
	for ended := false; !ended; {
		c := bearerCaller(w.bridge, busy.Tokens.AccessToken) // activity
		c.base = w.bridge.publicURL
		ended = c.call(t, http.MethodGet, "/userinfo", nil).status == http.StatusUnauthorized
		select {
		case <-stop:
			t.Fatal("a session outlives its greatest lifetime")
		case <-time.After(200 * time.Millisecond):
		}
	}
	if told := w.awaitEnding(t, sid); told.Event != "IDLE_TIMEOUT" || told.User != idle.Claims["sub"] {
		t.Errorf("the webhook about the idle session says %+v", told)
	}
	if told := w.awaitEnding(t, other); told.Event != "MAX_TIMEOUT" || told.User != busy.Claims["sub"] {
		t.Errorf("the webhook about the busy session says %+v", told)
	}
	w.userinfo(t, idle.Tokens.AccessToken, http.StatusUnauthorized)
	if all := w.endings(t); len(all) != 2 {
		t.Errorf("%d webhooks about two sessions: %+v", len(all), all)
	}
}
