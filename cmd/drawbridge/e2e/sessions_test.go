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
	const idleTime = 3 * time.Second
	at := freeAddr(t)
	w := startWorld(t, func(_ *world, file settings) {
		file["clients"] = []any{clientOf("plain", at, nil)}
		file["session"] = map[string]any{"idle_timeout": idleTime.String(), "max_lifetime": "7s"}
	})
	party := w.party(t, "plain", at, nil)
	_, idle := signIn(t, party, "alice")
	began := time.Now()
	_, busy := signIn(t, party, "bob")
	sid, _ := idle.Claims["sid"].(string)
	other, _ := busy.Claims["sid"].(string)

	causes := []string{"MAX_TIMEOUT"}
	if pause := w.keepsBusy(t, busy, began); pause > idleTime/2 { // the machine did not let the test be as busy as it meant to be
		causes = append(causes, "IDLE_TIMEOUT")
	}
	if told := w.awaitEnding(t, sid); told.Event != "IDLE_TIMEOUT" || told.User != idle.Claims["sub"] {
		t.Errorf("the webhook about the idle session says %+v", told)
	}
	if told := w.awaitEnding(t, other); !slices.Contains(causes, told.Event) || told.User != busy.Claims["sub"] {
		t.Errorf("the webhook about the busy session says %+v, want %v", told, causes)
	}
	w.userinfo(t, idle.Tokens.AccessToken, http.StatusUnauthorized)
	if all := w.endings(t); len(all) != 2 {
		t.Errorf("%d webhooks about two sessions: %+v", len(all), all)
	}
}

// keepsBusy asks for userinfo, which is activity, until the session is over, and returns the longest time without an
// answer since `last`.
func (w *world) keepsBusy(t *testing.T, who signedIn, last time.Time) (pause time.Duration) {
	t.Helper()
	c := bearerCaller(w.bridge, who.Tokens.AccessToken)
	c.base = w.bridge.publicURL
	eventually(t, "the greatest lifetime of a busy session", func() bool {
		over := c.call(t, http.MethodGet, "/userinfo", nil).status == http.StatusUnauthorized
		pause, last = max(pause, time.Since(last)), time.Now()
		return over
	})
	return pause
}
