package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"testing"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/sessionhooks"
)

// operated is an app with somebody signed in, and an operator.
func operated(t *testing.T) (app *App, b *browser, access, refresh string) {
	t.Helper()
	app, _ = serveOnce(t, operator(load(t, storeFile(t))))
	b = newBrowser(t, app)
	code := b.authorize("").Get("code")
	access, refresh = b.tokens(url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {"http://127.0.0.1:9100/callback"}})
	return app, b, access, refresh
}

// refused is the status of the token endpoint for a refresh token.
func (b *browser) refused(refresh string) int {
	b.t.Helper()
	secret, _ := secrets("SHOP_SECRET")
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}}
	status, _, _ := ask(b.t, "http://"+b.app.PublicAddr()+"/token", http.MethodPost, "shop", secret, "application/x-www-form-urlencoded", form.Encode())
	return status
}

// An operator blocks somebody: the Users contract shows it, events tell of it,
// sessions and tokens end, and it is undone as easily.
func TestAnOperatorBlocksAUser(t *testing.T) {
	app, b, access, refresh := operated(t)
	_, _, text := manage(t, app, "GET", "/v1/tenants/default/sessions", "")
	var page struct{ Sessions []struct{ Person string } }
	if err := json.Unmarshal([]byte(text), &page); err != nil || len(page.Sessions) != 1 {
		t.Fatalf("%v %s", err, text)
	}
	user := "/v1/tenants/default/users/" + page.Sessions[0].Person
	blocked := func() bool {
		var shown struct{ Blocked bool }
		if _, _, text := manage(t, app, "GET", user, ""); json.Unmarshal([]byte(text), &shown) != nil {
			t.Fatal(text)
		}
		return shown.Blocked
	}
	for _, path := range []string{user, "/v1/tenants/default/users/" + url.PathEscape("corp|alice")} {
		if status, _, body := manage(t, app, "PUT", path+"/blocked", ""); status != 204 || !blocked() {
			t.Fatalf("%d %s", status, body)
		}
	}
	if b.userinfo(access) == 200 {
		t.Error("userinfo answers of who is blocked")
	}
	if got := b.authorize(""); got.Get("error") != "access_denied" {
		t.Errorf("%v", got)
	}
	if status, _, body := manage(t, app, "DELETE", user+"/blocked", ""); status != 204 || blocked() {
		t.Errorf("%d %s", status, body)
	}
	if got := b.authorize(""); got.Get("code") == "" {
		t.Errorf("%v", got)
	}
	if status := b.refused(refresh); status != 400 {
		t.Errorf("a refresh token of before the block answers %d", status)
	}
	// The client's users are not asked, so there is no consent; there are tokens.
	if status, _, body := manage(t, app, "GET", user+"/consents", ""); status != 200 || body != "{\"consents\":[]}\n" && body != `{"consents":[]}` {
		t.Errorf("%d %s", status, body)
	}
	_, again := b.tokens(url.Values{"grant_type": {"authorization_code"}, "code": {b.authorize("").Get("code")}, "redirect_uri": {"http://127.0.0.1:9100/callback"}})
	for i, want := range []int{204, 404} {
		if status, _, body := manage(t, app, "DELETE", user+"/consents/shop", ""); status != want {
			t.Errorf("withdrawal %d: %d %s", i, status, body)
		}
	}
	if status := b.refused(again); status != 400 {
		t.Errorf("a withdrawn refresh token answers %d", status)
	}
	stored, err := app.events.Read(t.Context(), 0, store.Position{}, 100, 0)
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, s := range stored {
		if s.Event.Type == sessionhooks.UserLockedOut || s.Event.Type == sessionhooks.UserUnlocked {
			told = append(told, s.Event.Topic())
		}
	}
	if want := []string{"user/irm.aspnetcore.identity.events.userlockedout", "user/irm.aspnetcore.identity.events.userunlocked"}; !slices.Equal(told, want) {
		t.Errorf("told %q", told)
	}
}
