package op_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// registered are the names of the IANA registry "OAuth Authorization Server
// Metadata" that a provider such as this one may use.
func registered() []string {
	return strings.Fields(`issuer authorization_endpoint token_endpoint userinfo_endpoint jwks_uri registration_endpoint scopes_supported
		response_types_supported response_modes_supported grant_types_supported acr_values_supported subject_types_supported
		id_token_signing_alg_values_supported id_token_encryption_alg_values_supported id_token_encryption_enc_values_supported
		userinfo_signing_alg_values_supported userinfo_encryption_alg_values_supported userinfo_encryption_enc_values_supported token_endpoint_auth_methods_supported display_values_supported claim_types_supported
		claims_supported service_documentation claims_locales_supported ui_locales_supported claims_parameter_supported
		request_parameter_supported request_uri_parameter_supported require_request_uri_registration op_policy_uri op_tos_uri
		revocation_endpoint revocation_endpoint_auth_methods_supported introspection_endpoint introspection_endpoint_auth_methods_supported code_challenge_methods_supported
		prompt_values_supported authorization_response_iss_parameter_supported end_session_endpoint backchannel_logout_supported
		backchannel_logout_session_supported frontchannel_logout_supported frontchannel_logout_session_supported`)
}

func TestDiscovery(t *testing.T) {
	h := open(t)
	for _, tenant := range []string{"default", "acme", "solo"} {
		p, issuer := h.party(tenant, "shop"), h.issuer(tenant)
		res := p.send(http.MethodGet, "/.well-known/openid-configuration", "")
		if res.status != 200 || res.header.Get("Content-Type") != "application/json" || res.header.Get("Cache-Control") != "public, max-age=300" {
			t.Fatalf("%d %v", res.status, res.header)
		}
		meta := object(t, res.page)
		if meta["issuer"] != issuer || meta["request_uri_parameter_supported"] != false || meta["authorization_response_iss_parameter_supported"] != true ||
			meta["backchannel_logout_supported"] != true || meta["backchannel_logout_session_supported"] != true ||
			meta["frontchannel_logout_supported"] != true || meta["frontchannel_logout_session_supported"] != true {
			t.Errorf("%s", res.page)
		}
		allowed := registered()
		for name, value := range meta {
			if !strings.Contains(" "+strings.Join(allowed, " ")+" ", " "+name+" ") {
				t.Errorf("%s is not registered", name)
			}
			if address, ok := value.(string); ok && !strings.HasPrefix(address, issuer) {
				t.Errorf("%s is %s", name, address)
			}
			if address, ok := value.(string); ok && name != "issuer" {
				path := strings.TrimPrefix(address, issuer)
				if got := p.send(http.MethodOptions, path, ""); got.status != 204 || !strings.Contains(got.header.Get("Allow"), "OPTIONS") {
					t.Errorf("%s is not served: %d", address, got.status)
				}
			}
		}
		for _, needed := range []string{"scopes_supported", "claims_supported", "response_types_supported", "subject_types_supported", "grant_types_supported"} {
			if list, _ := meta[needed].([]any); len(list) == 0 {
				t.Errorf("%s is missing", needed)
			}
		}
	}
}

func TestPublicDocuments(t *testing.T) {
	h := open(t)
	p := h.party("default", "shop")
	for _, path := range []string{"/jwks", "/.well-known/openid-configuration"} {
		res := p.send(http.MethodGet, path, "")
		tag := res.header.Get("ETag")
		for given, status := range map[string]int{tag: 304, "W/" + tag: 304, `"other", ` + tag: 304, "*": 304, `"other"`: 200, tag + "x": 200} {
			if got := p.send(http.MethodGet, path, "", "If-None-Match", given); got.status != status || got.header.Get("ETag") != tag {
				t.Errorf("%s with %s: %d", path, given, got.status)
			}
		}
		head := p.send(http.MethodHead, path, "")
		if head.status != 200 || head.page != "" || head.header.Get("ETag") != tag || head.header.Get("Content-Length") != res.header.Get("Content-Length") {
			t.Errorf("HEAD %s: %d %v", path, head.status, head.header)
		}
		if res.header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s cannot be read by scripts", path)
		}
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(p.send(http.MethodGet, "/jwks", "").page), &set); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, k := range set.Keys {
		if k.KeyID == "" || seen[k.KeyID] || !k.IsPublic() || k.Algorithm != "RS256" && k.Algorithm != "ES256" {
			t.Errorf("key %q of %q", k.KeyID, k.Algorithm)
		}
		seen[k.KeyID] = true
	}
	if len(seen) < 2 {
		t.Errorf("%d keys", len(seen))
	}
}

func TestPathsAndMethods(t *testing.T) {
	h := open(t)
	p := h.party("default", "shop")
	for _, tc := range []struct {
		method, path string
		status       int
		allow, kind  string
	}{
		{"GET", "/", 404, "", "text/html"},
		{"GET", "/authorize/", 404, "", "text/html"},
		{"GET", "//authorize", 404, "", "text/html"},
		{"GET", "/t/acme/../authorize", 404, "", "text/html"},
		{"GET", "/AUTHORIZE", 404, "", "text/html"},
		{"GET", "/t/nobody/authorize", 404, "", "text/html"},
		{"GET", "/t/acme", 404, "", "text/html"},
		{"GET", "/jwks/", 404, "", "text/html"},
		{"GET", "/callback/corp/", 404, "", "text/html"},
		{"GET", "/callback/", 404, "", "text/html"},
		{"GET", "/token", 405, "POST, OPTIONS", "application/json"},
		{"GET", "/revoke", 405, "POST, OPTIONS", "application/json"},
		{"GET", "/introspect", 405, "POST, OPTIONS", "application/json"},
		{"POST", "/jwks", 405, "GET, HEAD, OPTIONS", "application/json"},
		{"DELETE", "/userinfo", 405, "GET, HEAD, POST, OPTIONS", "application/json"},
		{"HEAD", "/authorize", 405, "GET, POST, OPTIONS", ""},
		{"HEAD", "/callback/corp", 405, "GET, POST, OPTIONS", ""},
		{"HEAD", "/end_session", 405, "GET, POST, OPTIONS", ""},
		{"POST", "/callback/corp", 400, "", "text/html"},
		{"POST", "/callback/corp/continue", 405, "GET, OPTIONS", "text/html"},
		{"PUT", "/authorize", 405, "GET, POST, OPTIONS", "text/html"},
		{"GET", "/end_session/confirm", 405, "POST, OPTIONS", "text/html"},
		{"BREW", "/consent", 405, "GET, HEAD, POST, OPTIONS", "text/html"},
		{"OPTIONS", "/authorize", 204, "GET, POST, OPTIONS", ""},
		{"OPTIONS", "/token", 204, "POST, OPTIONS", ""},
		{"HEAD", "/consent", 400, "", ""},
	} {
		got := p.send(tc.method, tc.path, "")
		if got.status != tc.status || got.header.Get("Allow") != tc.allow || tc.kind != "" && !strings.HasPrefix(got.header.Get("Content-Type"), tc.kind) {
			t.Errorf("%s %s: %d Allow %q %q", tc.method, tc.path, got.status, got.header.Get("Allow"), got.header.Get("Content-Type"))
		}
		if got.status == 404 && got.find(t, "error-code") != nil {
			t.Errorf("%s has an OAuth error code", tc.path)
		}
	}
}

func TestScriptsOfOtherOrigins(t *testing.T) {
	h := open(t)
	p := h.party("default", "spa")
	for _, path := range []string{"/token", "/revoke", "/userinfo", "/jwks", "/.well-known/openid-configuration"} {
		got := p.send(http.MethodOptions, path, "", "Origin", "https://spa.example", "Access-Control-Request-Method", "POST")
		if got.status != 204 || got.header.Get("Access-Control-Allow-Origin") != "*" || got.header.Get("Access-Control-Allow-Headers") != "Authorization, Content-Type" {
			t.Errorf("%s: %d %v", path, got.status, got.header)
		}
		if got.header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s takes credentials of the browser", path)
		}
	}
	if got := p.redeem("no code"); got.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Error("a script cannot read an error")
	}
	for _, path := range []string{"/authorize", "/end_session", "/consent"} {
		if got := p.send(http.MethodOptions, path, "", "Origin", "https://spa.example"); got.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s is open to scripts", path)
		}
	}
}

// TestPagesKeepToThemselves looks at the headers of every answer to a browser.
func TestPagesKeepToThemselves(t *testing.T) {
	h := open(t, func(s *setup) { s.two = true })
	wide, ask, b := h.party("default", "wide"), h.party("default", "ask"), h.browser()
	pages := map[string]landing{
		"chooser": b.get(wide.ask()).shows(t, "choose", 200),
		"consent": b.get(ask.ask()).shows(t, "consent", 200),
		"logout":  b.get(h.URL+"/end_session").shows(t, "logout", 200),
		"error":   b.get(h.URL+"/authorize").shows(t, "error", 400),
		"lost":    b.get(h.URL+"/callback/corp?state=x").shows(t, "error", 400),
	}
	pages["still signed in"] = b.press(pages["logout"], "stay").shows(t, "still-signed-in", 200)
	pages["signed out"] = b.press(pages["logout"], "sign-out").shows(t, "signed-out", 200)
	for name, l := range pages {
		policy := l.header.Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} {
			if !strings.Contains(policy, part) {
				t.Errorf("%s: policy %q", name, policy)
			}
		}
		if strings.Contains(policy, "unsafe") || strings.Contains(l.page, "<script") || l.header.Get("X-Frame-Options") != "DENY" ||
			l.header.Get("Referrer-Policy") != "no-referrer" || l.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", name, l.header)
		}
		if !strings.HasPrefix(l.page, "<!doctype html>") || !strings.Contains(l.page, `<html lang="en" dir="ltr">`) {
			t.Errorf("%s begins with %.60q", name, l.page)
		}
	}
	if policy := pages["consent"].header.Get("Content-Security-Policy"); !strings.Contains(policy, "form-action 'self' https: http:;") {
		t.Errorf("the answer of the consent page cannot go back: %q", policy)
	}
	away := h.browser().step(b.request(http.MethodGet, wide.ask("prompt", "none"), nil))
	if away.header.Get("Referrer-Policy") != "no-referrer" || away.header.Get("Cache-Control") != "no-store" || away.status != 303 {
		t.Errorf("redirect: %d %v", away.status, away.header)
	}
}
