package main

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/config"
)

// said is the payload of a JWT; nothing of what does not look like one.
func said(t *testing.T, jwt string) map[string]any {
	t.Helper()
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 || !strings.HasPrefix(jwt, "eyJ") {
		return nil
	}
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]any
	if err := json.Unmarshal(body, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// introspected asks about a token as a client of the file.
func (b *browser) introspected(client, token string) map[string]any {
	b.t.Helper()
	form := url.Values{"token": {token}}
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, "http://127.0.0.1:8080/introspect", strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	secret, _ := secrets("SHOP_SECRET")
	req.SetBasicAuth(client, secret)
	res, err := b.client().Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	var all map[string]any
	text, _ := io.ReadAll(res.Body)
	if err := json.Unmarshal(text, &all); err != nil || res.StatusCode != http.StatusOK {
		b.t.Fatalf("introspection answers %s: %s", res.Status, text)
	}
	return all
}

// codeFor signs the browser in at shop for scopes.
func (b *browser) codeFor(scope, more string) string {
	b.t.Helper()
	res, err := b.client().Get("http://127.0.0.1:8080/authorize?response_type=code&client_id=shop&redirect_uri=http://127.0.0.1:9100/callback&scope=" + url.QueryEscape(scope) + more)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	back, err := res.Location()
	if err != nil || back.Query().Get("code") == "" {
		b.t.Fatalf("no code: %s, %v", back, err)
	}
	return back.Query().Get("code")
}

// What the file says of a client's tokens is what it gets; after a restart, and
// in a store that was moved, users have the same sub. A token for a resource
// server opens nothing of ours, the management listener least of all.
func TestTokensAsTheFileHasThem(t *testing.T) {
	t.Parallel()
	const api = "https://api.example"
	text := strings.Replace(storeFile(t), "    consent: skip", `    consent: skip
    scope: openid offline_access users
    subject_type: pairwise
    access_token_format: jwt
    access_token_signed_response_alg: EdDSA
    resources: [`+api+`]`, 1)
	text = strings.Replace(text, "egress:", `  - {client_id: api, client_secret: "${env:SHOP_SECRET}", redirect_uris: ["http://127.0.0.1:9100/callback"], resource_server_for: [`+api+`]}
  - {client_id: all, client_secret: "${env:SHOP_SECRET}", redirect_uris: ["http://127.0.0.1:9100/callback"], introspect: any}
egress:`, 1)
	cfg := operator(load(t, text))
	var sub any
	for _, moved := range []bool{false, false, true} {
		if moved {
			cfg = inAnotherStore(t, cfg)
		}
		app, stop := serveOnce(t, cfg)
		b := newBrowser(t, app)
		code := func(more string) url.Values {
			return url.Values{"grant_type": {"authorization_code"}, "code": {b.codeFor("openid users", more)}, "redirect_uri": {"http://127.0.0.1:9100/callback"}}
		}
		own, _ := b.tokens(code(""))
		aimed, _ := b.tokens(code("&resource=" + url.QueryEscape(api)))
		mine, theirs := said(t, own), said(t, aimed)
		if mine == nil || mine["sub"] != theirs["sub"] || sub != nil && mine["sub"] != sub || mine["aud"] != "http://127.0.0.1:8080" || theirs["aud"] != api {
			t.Fatalf("%v and %v, before %v", mine, theirs, sub)
		}
		sub = mine["sub"]
		if b.userinfo(own) != http.StatusOK || b.userinfo(aimed) != http.StatusUnauthorized {
			t.Error("userinfo takes what is not for it")
		}
		for token, want := range map[string]int{own: http.StatusOK, aimed: http.StatusUnauthorized} {
			users := "http://" + app.ManagementAddr() + "/v1/users?email=nobody%40corp.example"
			if status, _, body := ask(t, users, http.MethodGet, "bearer", token, "", ""); (status == http.StatusUnauthorized) != (want == http.StatusUnauthorized) {
				t.Errorf("the management listener answers %d to a token for %v: %s", status, said(t, token)["aud"], body)
			}
		}
		for asker, want := range map[string][2]bool{"shop": {true, true}, "api": {false, true}, "all": {true, true}} {
			if b.introspected(asker, own)["active"] != want[0] || b.introspected(asker, aimed)["active"] != want[1] {
				t.Errorf("%s is told otherwise", asker)
			}
		}
		stop()
	}
}

// TestTokensAtTheManagementListener: a token of a user opens it for what the file
// lets the client have at that moment, whatever the token was given for.
func TestTokensAtTheManagementListener(t *testing.T) {
	t.Parallel()
	text := strings.Replace(storeFile(t), "    consent: skip", "    consent: skip\n    scope: openid offline_access users", 1)
	app, stop := serveOnce(t, operator(load(t, text)))
	defer stop()
	b := newBrowser(t, app)
	code := func(scope string) url.Values {
		return url.Values{"grant_type": {"authorization_code"}, "code": {b.codeFor(scope, "")}, "redirect_uri": {"http://127.0.0.1:9100/callback"}}
	}
	bound, _ := b.tokens(code("openid users"))
	offline, _ := b.tokens(code("openid users offline_access"))
	less, _ := b.tokens(code("openid"))
	for _, step := range []struct {
		name, was, is      string
		with, withoutScope int
	}{
		{"as it was", "", "", http.StatusNotFound, http.StatusForbidden},
		{"the scope is taken away", " offline_access users", " offline_access", http.StatusForbidden, http.StatusForbidden},
		{"the client is gone", "client_id: shop", "client_id: another", http.StatusUnauthorized, http.StatusUnauthorized},
		{"all is back", "", "", http.StatusNotFound, http.StatusForbidden},
	} {
		app.Reload(t.Context(), operator(load(t, strings.Replace(text, step.was, step.is, 1))))
		for token, want := range map[string]int{bound: step.with, offline: step.with, less: step.withoutScope} {
			users := "http://" + app.ManagementAddr() + "/v1/users?email=nobody%40corp.example" // 404 is being let in
			if status, _, body := ask(t, users, http.MethodGet, "bearer", token, "", ""); status != want {
				t.Errorf("%s: %d, not %d: %s", step.name, status, want, body)
			}
		}
	}
}

// inAnotherStore is the configuration over a copy of its store.
func inAnotherStore(t *testing.T, cfg config.Config) config.Config {
	t.Helper()
	dump := filepath.Join(t.TempDir(), "dump")
	if _, err := exportStore(t.Context(), cfg, "", dump); err != nil {
		t.Fatal(err)
	}
	cfg.Store.Path = filepath.Join(t.TempDir(), "another.db")
	if _, err := importStore(t.Context(), cfg, dump); err != nil {
		t.Fatal(err)
	}
	return cfg
}
