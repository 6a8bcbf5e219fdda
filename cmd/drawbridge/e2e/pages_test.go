//go:build e2e

package e2e

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// step is what browser-steps.mjs does next, and what the page that it leads to must be.
type step struct {
	Visit  string `json:"visit,omitempty"`
	Until  string `json:"until,omitempty"`
	Follow string `json:"follow,omitempty"`
	Fill   string `json:"fill,omitempty"`
	Value  string `json:"value,omitempty"`
	Name   string `json:"name,omitempty"`

	at     string // prefix of the page's address
	status int
	says   string
}

// browse takes Chromium through the steps and holds each page to what its step says. Our own pages must fit a narrow
// window, too.
func browse(t *testing.T, steps []step) {
	t.Helper()
	browseIn(t, "en-US", steps)
}

// browseIn does so with a browser that asks for a language.
func browseIn(t *testing.T, language string, steps []step) {
	t.Helper()
	encoded, err := json.Marshal(steps)
	if err != nil {
		t.Fatal(err)
	}
	shots, looks := t.TempDir(), ""
	if folder := os.Getenv("SCREENSHOTS"); folder != "" {
		shots, looks = filepath.Join(folder, strings.ReplaceAll(t.Name(), "/", "-")), "all"
	}
	var got struct {
		Pages []struct {
			Name, URL, Title, Text string
			Status                 int
		} `json:"pages"`
		Problems []string `json:"problems"`
	}
	if err := runNode(t, "browser-steps.mjs", map[string]string{"STEPS": string(encoded), "SCREENSHOTS": shots, "LOOKS": looks, "LANGUAGE": language}, &got); err != nil {
		t.Fatal(err)
	}
	for _, s := range steps {
		if s.Fill != "" {
			continue
		}
		page := got.Pages[0]
		got.Pages = got.Pages[1:]
		if !strings.HasPrefix(page.URL, s.at) || page.Status != s.status || !strings.Contains(page.Text, s.says) {
			t.Errorf("%s: came to %s (%d), want %s (%d) that says %q: %s", s.Name, page.URL, page.Status, s.at, s.status, s.says, page.Text)
		}
	}
	for _, problem := range got.Problems {
		if !strings.HasPrefix(problem, "Failed to load resource: the server responded with a status of ") { // which the steps look at
			t.Errorf("inside a page: %s", problem)
		}
	}
}

// browserWorld has two upstreams and a client that asks for consent.
func browserWorld(t *testing.T) (w *world, party *program) {
	t.Helper()
	at := freeAddr(t)
	w = startWorld(t, func(_ *world, file settings) {
		corp, _ := file["upstreams"].([]any)[0].(map[string]any)
		partner := settings{"id": "partner", "name": "Partner network"}
		for key, value := range corp {
			if _, there := partner[key]; !there && key != "domains" {
				partner[key] = value
			}
		}
		corp["name"] = "Example Corporation"
		file["upstreams"] = []any{corp, map[string]any(partner)}
		file["clients"] = []any{clientOf("shop", at, map[string]any{"client_name": "Example Shop", "consent": "ask"})}
	})
	return w, w.party(t, "shop", at, map[string]string{"SCOPE": "openid profile email offline_access"})
}

func TestSomebodySignsInAndOutInChromium(t *testing.T) {
	w, party := browserWorld(t)
	end := w.bridge.publicURL + "/end_session"
	back := end + "?" + url.Values{"client_id": {"shop"}, "post_logout_redirect_uri": {party.url + "/signed-out"}}.Encode()
	browse(t, []step{
		{Visit: party.url + "/", Name: "chooser", at: w.bridge.publicURL + "/authorize", status: 200, says: "Example Corporation"},
		{Follow: "#upstream-corp", Name: "foreign-login", at: w.provider.url, status: 200, says: "Sign in at the provider"},
		{Fill: "input[name=login]", Value: "alice"},
		{Follow: "form button", Name: "consent", at: w.bridge.publicURL + "/consent", status: 200, says: "Example Shop asks for access"},
		{Follow: "#deny", Name: "consent-refused", at: party.url + "/callback", status: 400, says: "access_denied"},
		{Visit: party.url + "/", Name: "consent-again", at: w.bridge.publicURL + "/consent", status: 200, says: "See your e-mail address"},
		{Follow: "#allow", Name: "signed-in", at: party.url + "/callback", status: 200, says: "alice@corp.example"},
		{Visit: party.url + "/", Name: "consent-remembered", at: party.url + "/callback", status: 200, says: "alice@corp.example"},
		{Visit: back, Name: "logout", at: end, status: 200, says: "Example Shop asks to sign you out"},
		{Follow: "#stay", Name: "stay", at: end + "/confirm", status: 200, says: "You are still signed in"},
		{Visit: party.url + "/?prompt=none", Name: "still-signed-in", at: party.url + "/callback", status: 200, says: "alice@corp.example"},
		{Visit: back, Name: "logout-again", at: end, status: 200, says: "Sign out?"},
		{Follow: "#sign-out", Name: "back-at-the-shop", at: party.url + "/signed-out", status: 200, says: "signed_out"},
		{Visit: party.url + "/", Name: "chooser-again", at: w.bridge.publicURL + "/authorize", status: 200, says: "Partner network"},
		{Follow: "#upstream-partner", Name: "signed-in-at-the-partner", at: w.bridge.publicURL + "/consent", status: 200, says: "Example Shop"},
		{Visit: end, Name: "logout-of-nobody", at: end, status: 200, says: "Sign out?"},
		{Follow: "#sign-out", Name: "signed-out", at: end + "/confirm", status: 200, says: "You are signed out"},
		{Visit: end, Name: "signed-out-already", at: end, status: 200, says: "There was no session in this browser"},
	})
}

func TestChromiumComesToErrorPages(t *testing.T) {
	w := gather(t, map[string]string{"USERS": `{"mallory":{"sub":"u-6666","SUB":"u-1001","name":"Mallory"}}`})
	w.serve(t, w.example(t))
	ask := func(change ...string) string {
		query := url.Values{"client_id": {"shop"}, "redirect_uri": {"http://" + w.shop + "/callback"}, "response_type": {"code"}, "scope": {"openid"}}
		for i := 0; i < len(change); i += 2 {
			query.Set(change[i], change[i+1])
		}
		return w.bridge.publicURL + "/authorize?" + query.Encode()
	}
	browse(t, []step{
		{Visit: ask("client_id", "stranger"), Name: "unknown-client", at: w.bridge.publicURL, status: 400, says: "not known"},
		{Visit: ask("redirect_uri", "https://evil.example/"), Name: "unproven-redirect", at: w.bridge.publicURL, status: 400, says: "not registered"},
		{Visit: w.bridge.publicURL + "/nowhere", Name: "no-such-page", at: w.bridge.publicURL, status: 404, says: "no such page"},
		{Visit: w.bridge.publicURL + "/callback/corp?code=x&state=invented", Name: "lost-sign-in", at: w.bridge.publicURL, status: 400, says: "took too long"},
		{Visit: w.bridge.publicURL + "/end_session?id_token_hint=x", Name: "bad-logout", at: w.bridge.publicURL, status: 400, says: "not one of ours"},
		{Visit: ask(), Name: "foreign-login", at: w.provider.url, status: 200, says: "Sign in at the provider"},
		{Fill: "input[name=login]", Value: "mallory"},
		{Follow: "form button", Name: "a-provider-that-lies", at: w.bridge.publicURL + "/callback/corp", status: 502, says: "Back to shop"},
	})
}

func TestChromiumConfirmsAnAddress(t *testing.T) {
	at := freeAddr(t)
	w := startWorld(t, func(_ *world, file settings) { file["clients"] = []any{clientOf("plain", at, nil)} })
	_, got := signIn(t, w.party(t, "plain", at, nil), "bob")
	w.platform().expect(t, http.MethodPost, "/v1/users/"+got.Claims["sub"].(string)+"/verification-email", nil, http.StatusAccepted, "")
	link := w.awaitMail(t, 1).Links[0]
	page := w.bridge.publicURL + "/email-verification"
	browse(t, []step{
		{Visit: link, Name: "verify", at: page, status: 200, says: "bob@corp.example"},
		{Follow: "#confirm", Name: "verified", at: page, status: 200, says: "Your e-mail address is confirmed"},
		{Visit: link, Name: "verify-again", at: page, status: 410, says: "no longer works"},
	})
}
