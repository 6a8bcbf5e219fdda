//go:build e2e

package e2e

import (
	"net/http"
	"strings"
	"testing"
)

// The clients here may ask for scopes of the management API: their access tokens open it.
func TestWhoMayCallTheManagementAPI(t *testing.T) {
	at, other := freeAddr(t), freeAddr(t)
	w := startWorld(t, func(_ *world, file settings) {
		file["clients"] = []any{
			clientOf("backoffice", at, map[string]any{"scope": "openid users:read sessions"}),
			clientOf("plain", other, nil),
		}
		management, _ := file["management"].(map[string]any)
		management["credentials"] = append(management["credentials"].([]any),
			map[string]any{"username": "reader", "password": "reader-secret-of-the-tests", "tenants": []string{"default"}, "scopes": []string{"events"}})
	})
	visitor, staff := signIn(t, w.party(t, "backoffice", at, map[string]string{"SCOPE": "openid users:read sessions"}), "alice")
	_, customer := signIn(t, w.party(t, "plain", other, map[string]string{"SCOPE": "openid users:read sessions"}), "bob")
	bob, _ := customer.Claims["sub"].(string)
	sid, _ := staff.Claims["sid"].(string)

	nobody := caller{client: w.bridge.client, base: w.bridge.managementURL}
	bearer := bearerCaller(w.bridge, staff.Tokens.AccessToken)
	tests := []struct {
		name         string
		who          caller
		method, path string
		status       int
		problem      string
	}{
		{"nobody", nobody, http.MethodGet, "/v1/users/" + bob, 401, "unauthenticated"},
		{"a wrong password", basicCaller(w.bridge, "platform", "guess"), http.MethodGet, "/v1/users/" + bob, 401, "unauthenticated"},
		{"an unknown name", basicCaller(w.bridge, "nobody", platformPassword), http.MethodGet, "/v1/users/" + bob, 401, "unauthenticated"},
		{"the right password", w.platform(), http.MethodGet, "/v1/users/" + bob, 200, ""},
		{"another tenant", w.platform(), http.MethodGet, "/v1/tenants/acme/users/" + bob, 403, "tenant_refused"},
		{"a credential without the scope", basicCaller(w.bridge, "reader", "reader-secret-of-the-tests"), http.MethodGet, "/v1/users/" + bob, 403, "forbidden"},
		{"a token with the scope", bearer, http.MethodGet, "/v1/users/" + bob, 200, ""},
		{"a token with the scope of sessions", bearer, http.MethodGet, "/v1/sessions/" + sid, 200, ""},
		{"a token with the scope to read, to delete", bearer, http.MethodDelete, "/v1/users/" + bob, 403, "forbidden"},
		{"a token without the scope of webhooks", bearer, http.MethodGet, "/v1/session-webhooks", 403, "forbidden"},
		{"a token of a client that may not ask", bearerCaller(w.bridge, customer.Tokens.AccessToken), http.MethodGet, "/v1/users/" + bob, 403, "forbidden"},
		{"an ID token", bearerCaller(w.bridge, staff.Tokens.IDToken), http.MethodGet, "/v1/users/" + bob, 401, "unauthenticated"},
		{"a refresh token", bearerCaller(w.bridge, customer.Tokens.RefreshToken), http.MethodGet, "/v1/users/" + bob, 401, "unauthenticated"},
		{"an invented token", bearerCaller(w.bridge, "invented"), http.MethodGet, "/v1/users/" + bob, 401, "unauthenticated"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			answer := test.who.expect(t, test.method, test.path, nil, test.status, test.problem)
			challenges := strings.Join(answer.header.Values("WWW-Authenticate"), ", ")
			if asks := strings.Contains(challenges, "Basic ") && strings.Contains(challenges, "Bearer "); asks != (test.status == 401) {
				t.Errorf("status %d with the challenges %q", answer.status, challenges)
			}
			if wrong := strings.HasPrefix(test.who.authorization, "Bearer ") && test.status == 401; strings.Contains(challenges, "invalid_token") != wrong {
				t.Errorf("the challenges are %q", challenges)
			}
		})
	}
	t.Run("a token after the session", func(t *testing.T) {
		party := staff.Claims["aud"]
		visitor.walk(t, "http://"+at+"/logout", "http://"+at+"/signed-out", nil)
		if answer := bearer.call(t, http.MethodGet, "/v1/users/"+bob, nil); answer.status != http.StatusUnauthorized {
			t.Errorf("the token of %v opens the API after the logout: %d %s", party, answer.status, answer.body)
		}
	})
}

// A browser has the operator's password cached, or the operator's machine can reach the listener: pages must not use that.
func TestAForeignPageCannotCallTheManagementAPI(t *testing.T) {
	w := startWorld(t, nil)
	for _, headers := range []map[string]string{
		{"Origin": "https://evil.example"},
		{"Host": "evil.example", "Origin": "http://evil.example"},
		{"Sec-Fetch-Site": "cross-site"},
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, w.bridge.managementURL+"/v1/users/somebody", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.SetBasicAuth("platform", platformPassword)
		for name, value := range headers {
			request.Header.Set(name, value)
		}
		request.Host = headers["Host"]
		answer, err := fetch(w.bridge.client, request)
		if err != nil {
			t.Fatal(err)
		}
		if answer.status != http.StatusForbidden && answer.status != http.StatusMisdirectedRequest {
			t.Errorf("%v is answered %d: %s", headers, answer.status, answer.body)
		}
	}
}
