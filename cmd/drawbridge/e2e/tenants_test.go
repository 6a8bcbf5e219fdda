//go:build e2e

package e2e

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"
)

func TestTenantsDoNotMeet(t *testing.T) {
	at, acmeAt := freeAddr(t), freeAddr(t)
	w := startWorld(t, func(_ *world, file settings) {
		file["tenants"] = []any{map[string]any{"id": "default"}, map[string]any{"id": "acme"}}
		upstream, _ := file["upstreams"].([]any)[0].(map[string]any)
		other := settings{"tenant": "acme", "id": "corp-of-acme"}
		for key, value := range upstream {
			if _, there := other[key]; !there {
				other[key] = value
			}
		}
		file["upstreams"] = []any{upstream, map[string]any(other)}
		file["clients"] = []any{clientOf("plain", at, nil), clientOf("roadrunner", acmeAt, map[string]any{"tenant": "acme"})}
		webhook, _ := file["session_webhooks"].([]any)[0].(map[string]any)
		webhook["tenant"] = "acme"
		management, _ := file["management"].(map[string]any)
		management["credentials"] = append(management["credentials"].([]any), map[string]any{
			"username": "acme", "password": "acme-secret-of-the-tests", "tenants": []string{"acme"}, "scopes": []string{"users", "sessions", "webhooks"},
		})
	})
	acmeIssuer := w.bridge.publicURL + "/t/acme"
	party := w.party(t, "plain", at, nil)
	acmeParty := w.party(t, "roadrunner", acmeAt, map[string]string{"ISSUER": acmeIssuer})
	alice, ours := signIn(t, party, "alice")
	var theirs signedIn
	alice.walk(t, acmeParty.url+"/", acmeParty.url+"/callback", nil).decode(t, http.StatusOK, &theirs)
	if theirs.Claims["iss"] != acmeIssuer || ours.Claims["iss"] != w.bridge.publicURL {
		t.Errorf("the issuers are %v and %v", ours.Claims["iss"], theirs.Claims["iss"])
	}
	if theirs.Claims["sub"] == ours.Claims["sub"] || theirs.Claims["sid"] == ours.Claims["sid"] {
		t.Errorf("one user or session in two tenants: %v and %v", ours.Claims, theirs.Claims)
	}
	id, acmeID := ours.Claims["sub"].(string), theirs.Claims["sub"].(string)

	t.Run("keys", func(t *testing.T) { w.haveNoKeyInCommon(t, w.bridge.publicURL, acmeIssuer) })
	t.Run("tokens", func(t *testing.T) {
		for base, token := range map[string]string{acmeIssuer: ours.Tokens.AccessToken, w.bridge.publicURL: theirs.Tokens.AccessToken} {
			c := bearerCaller(w.bridge, token)
			c.base = base
			c.expect(t, http.MethodGet, "/userinfo", nil, http.StatusUnauthorized, "")
		}
	})
	t.Run("clients", func(t *testing.T) {
		query := url.Values{"client_id": {"roadrunner"}, "redirect_uri": {acmeParty.url + "/callback"}, "response_type": {"code"}, "scope": {"openid"}}
		page := newVisitor(t).get(t, w.bridge.publicURL+"/authorize?"+query.Encode())
		if page.url.Host != w.public || page.status < 400 {
			t.Errorf("acme's client at the default tenant comes to %s (%d)", page.url, page.status)
		}
	})
	t.Run("users", func(t *testing.T) {
		acme, platform := basicCaller(w.bridge, "acme", "acme-secret-of-the-tests"), w.platform()
		acme.expect(t, http.MethodGet, "/v1/tenants/acme/users/"+acmeID, nil, http.StatusOK, "")
		acme.expect(t, http.MethodGet, "/v1/users/"+acmeID, nil, http.StatusOK, "")
		acme.expect(t, http.MethodGet, "/v1/users/"+id, nil, http.StatusNotFound, "user_not_found")
		acme.expect(t, http.MethodGet, "/v1/tenants/default/users/"+id, nil, http.StatusForbidden, "tenant_refused")
		platform.expect(t, http.MethodGet, "/v1/users/"+acmeID, nil, http.StatusNotFound, "user_not_found")
		platform.expect(t, http.MethodGet, "/v1/tenants/acme/sessions", nil, http.StatusForbidden, "tenant_refused")
		acme.expect(t, http.MethodGet, "/v1/sessions/"+ours.Claims["sid"].(string), nil, http.StatusNotFound, "session_not_found")
	})
	t.Run("logouts", func(t *testing.T) {
		alice.walk(t, acmeParty.url+"/logout", acmeParty.url+"/signed-out", nil)
		if told := w.awaitEnding(t, theirs.Claims["sid"].(string)); told.User != acmeID {
			t.Errorf("the webhook says %+v", told)
		}
		var still signedIn
		alice.get(t, party.url+"/?prompt=none").decode(t, http.StatusOK, &still)
		if still.Claims["sid"] != ours.Claims["sid"] {
			t.Errorf("after the logout at acme the session at default is %v, was %v", still.Claims["sid"], ours.Claims["sid"])
		}
		alice.walk(t, party.url+"/logout", party.url+"/signed-out", nil)
		w.userinfo(t, ours.Tokens.AccessToken, http.StatusUnauthorized)
		if all := w.endings(t); len(all) != 1 {
			t.Errorf("acme's webhook heard %+v", all)
		}
	})
}

// haveNoKeyInCommon compares the published keys of two issuers.
func (w *world) haveNoKeyInCommon(t *testing.T, issuers ...string) {
	t.Helper()
	seen := map[string]string{}
	for _, issuer := range issuers {
		var set struct {
			Keys []map[string]any `json:"keys"`
		}
		callJSON(t, http.MethodGet, issuer+"/jwks", nil, &set)
		if len(set.Keys) == 0 {
			t.Errorf("%s publishes no keys", issuer)
		}
		for _, key := range set.Keys {
			material, err := json.Marshal([]any{key["n"], key["x"], key["y"]})
			if err != nil || seen[string(material)] != "" {
				t.Errorf("%s publishes a key of %s (%v)", issuer, seen[string(material)], err)
			}
			seen[string(material)] = issuer
		}
	}
}
