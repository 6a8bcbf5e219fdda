//go:build e2e

package e2e

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
)

// logo serves a picture, so that pages have one to load from elsewhere.
func logo(t *testing.T) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "image/svg+xml")
		_, _ = w.Write([]byte(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 160 48"><rect width="48" height="48" rx="10" fill="#0a7d5a"/>` +
			`<path d="M14 20h20l-3 14H17z" fill="#fff"/><text x="60" y="33" font-family="sans-serif" font-size="24" fill="#0a7d5a">Shop</text></svg>`))
	}))
	t.Cleanup(srv.Close)
	return srv.URL + "/logo.svg"
}

// askingWorld asks users for an identifier, says all there is to say about a client, and speaks German on the side.
func askingWorld(t *testing.T, signIn string) (*world, *program) {
	t.Helper()
	at := freeAddr(t)
	w := startWorld(t, func(_ *world, file settings) {
		corp, _ := file["upstreams"].([]any)[0].(map[string]any)
		partner := settings{"id": "partner", "name": "Partnernetz", "domains": []string{"partner.example"}}
		for key, value := range corp {
			if _, there := partner[key]; !there {
				partner[key] = value
			}
		}
		corp["name"] = "Muster-Konzern"
		file["upstreams"] = []any{corp, map[string]any(partner)}
		file["tenants"] = []any{map[string]any{"id": "default", "name": "Muster-Gruppe", "sign_in": signIn}}
		file["clients"] = []any{clientOf("shop", at, map[string]any{
			"client_name": "Muster-Laden", "consent": "ask", "logo_uri": logo(t), "client_uri": "https://shop.example/",
			"policy_uri": "https://shop.example/privacy", "tos_uri": "https://shop.example/terms",
		})}
	})
	return w, w.party(t, "shop", at, map[string]string{"SCOPE": "openid profile email offline_access"})
}

func TestChromiumSignsInInGerman(t *testing.T) {
	w, party := askingWorld(t, "identifier")
	end := w.bridge.publicURL + "/end_session"
	ours := w.bridge.publicURL
	browseIn(t, "de-DE", []step{
		{Visit: party.url + "/", Name: "identify", at: ours + "/authorize", status: 200, says: "E-Mail-Adresse oder Benutzername"},
		{Follow: "#next", Name: "identify-empty", at: ours + "/identify", status: 422, says: "Bitte geben Sie"},
		{Fill: "#identifier", Value: "jemand@anderswo.example"},
		{Follow: "#next", Name: "identify-unknown", at: ours + "/identify", status: 422, says: "Damit kann sich hier niemand anmelden"},
		{Fill: "#identifier", Value: "alice@corp.example"},
		{Follow: "#next", Name: "foreign-login", at: w.provider.url, status: 200, says: "Sign in at the provider"},
		{Fill: "input[name=login]", Value: "alice"},
		{Follow: "form button", Name: "consent", at: ours + "/consent", status: 200, says: "Muster-Laden bittet um Zugriff"},
		{Follow: "#allow", Name: "signed-in", at: party.url + "/callback", status: 200, says: "alice@corp.example"},
		{Visit: ours + "/me", Name: "me", at: ours + "/me", status: 200, says: "Muster-Laden"},
		{Visit: end, Name: "logout", at: end, status: 200, says: "Abmelden?"},
		{Follow: "#stay", Name: "stay", at: end + "/confirm", status: 200, says: "Sie sind weiterhin angemeldet"},
		{Visit: end, Name: "logout-again", at: end, status: 200, says: "Abmelden?"},
		{Follow: "#sign-out", Name: "signed-out", at: end + "/confirm", status: 200, says: "Sie sind abgemeldet"},
		{Visit: ours + "/me", Name: "me-nobody", at: ours + "/me", status: 200, says: "angemeldet"},
		{Visit: ours + "/nowhere", Name: "no-such-page", at: ours, status: 404, says: "Diese Seite gibt es hier nicht"},
		{Visit: ours + "/callback/corp?code=x&state=invented", Name: "lost-sign-in", at: ours, status: 400, says: "nicht bekannt"},
		{Visit: end + "?id_token_hint=x", Name: "bad-logout", at: end, status: 400, says: "Hier abmelden"},
	})
}

// TestChromiumRemembersTheProvider shows the chooser with a logo, and what was used last first.
func TestChromiumRemembersTheProvider(t *testing.T) {
	w, party := askingWorld(t, "choose")
	ours := w.bridge.publicURL
	browseIn(t, "de-DE", []step{
		{Visit: party.url + "/", Name: "choose", at: ours + "/authorize", status: 200, says: "Bei Muster-Laden anmelden"},
		{Follow: "#upstream-partner", Name: "foreign-login", at: w.provider.url, status: 200, says: "Sign in at the provider"},
		{Fill: "input[name=login]", Value: "alice"},
		{Follow: "form button", Name: "consent", at: ours + "/consent", status: 200, says: "Muster-Laden"},
		{Follow: "#deny", Name: "refused", at: party.url + "/callback", status: 400, says: "access_denied"},
		{Visit: party.url + "/?prompt=select_account", Name: "choose-again", at: ours + "/authorize", status: 200, says: "zuletzt verwendet"},
	})
}

// TestConsentLeadsOnToAnotherOrigin: an application may take the answer at one origin and show itself at another. Browsers
// hold redirects that follow a form to the policy of the page that had the form.
func TestConsentLeadsOnToAnotherOrigin(t *testing.T) {
	shown := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("the application")) }))
	t.Cleanup(shown.Close)
	takes := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, shown.URL+"/", http.StatusFound) }))
	t.Cleanup(takes.Close)
	w := startWorld(t, func(_ *world, file settings) {
		client := clientOf("shop", "127.0.0.1:1", map[string]any{"consent": "ask"})
		client["redirect_uris"], client["post_logout_redirect_uris"] = []string{takes.URL + "/callback"}, []string{takes.URL + "/bye"}
		file["clients"] = []any{client}
	})
	ask := w.bridge.publicURL + "/authorize?" + url.Values{"client_id": {"shop"}, "redirect_uri": {takes.URL + "/callback"}, "response_type": {"code"}, "scope": {"openid"}}.Encode()
	end := w.bridge.publicURL + "/end_session?" + url.Values{"client_id": {"shop"}, "post_logout_redirect_uri": {takes.URL + "/bye"}}.Encode()
	browse(t, []step{
		{Visit: ask, Name: "foreign-login", at: w.provider.url, status: 200, says: "Sign in at the provider"},
		{Fill: "input[name=login]", Value: "alice"},
		{Follow: "form button", Name: "consent", at: w.bridge.publicURL + "/consent", status: 200, says: "shop"},
		{Follow: "#allow", Name: "there", at: shown.URL, status: 200, says: "the application"},
		{Visit: end, Name: "logout", at: w.bridge.publicURL, status: 200, says: "Sign out?"},
		{Follow: "#sign-out", Name: "gone", at: shown.URL, status: 200, says: "the application"},
	})
}
