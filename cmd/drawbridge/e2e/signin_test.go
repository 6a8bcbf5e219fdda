//go:build e2e

package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
)

// manner is one way of being a client of Drawbridge's.
type manner struct {
	id, alg, method string
	// headless clients are oauth4webapi, the others openid-client.
	headless bool
	at       string
}

func manners(t *testing.T) []manner {
	t.Helper()
	all := []manner{
		{id: "rs256-basic", alg: "RS256", method: "client_secret_basic"},
		{id: "es256-post", alg: "ES256", method: "client_secret_post"},
		{id: "public-rs256", alg: "RS256", method: "none"},
		{id: "headless-es256-basic", alg: "ES256", method: "client_secret_basic", headless: true},
		{id: "headless-public-es256", alg: "ES256", method: "none", headless: true},
	}
	for i := range all {
		all[i].at = freeAddr(t)
	}
	return all
}

func (m manner) client() map[string]any {
	return clientOf(m.id, m.at, map[string]any{
		"id_token_signed_response_alg": m.alg, "token_endpoint_auth_method": m.method, "require_pkce": true,
		"claims": map[string]any{
			"mapping": []any{map[string]any{"claim": "department", "from": []string{"dept"}}}, "id_token": []string{"department"}, "hook": "enrich",
		},
	})
}

func (m manner) env() map[string]string {
	env := map[string]string{"ID_TOKEN_ALG": m.alg, "TOKEN_AUTH": m.method, "SCOPE": "openid profile email offline_access"}
	if m.method == "none" {
		env["CLIENT_SECRET"] = "" // a public client has none
	}
	return env
}

func TestRelyingPartiesSignUsersInThroughDrawbridge(t *testing.T) {
	all := manners(t)
	w := startWorld(t, func(_ *world, file settings) {
		clients := []any{}
		for _, m := range all {
			clients = append(clients, m.client())
		}
		file["clients"] = clients
	})
	subjects := map[any]bool{}
	for _, m := range all {
		t.Run(m.id, func(t *testing.T) {
			walk := w.walkWithOpenIDClient
			if m.headless {
				walk = w.walkWithOAuth4WebAPI
			}
			got := walk(t, m)
			w.holds(t, m, got)
			subjects[got.Claims["sub"]] = true
			sid, _ := got.Claims["sid"].(string)
			if told := w.awaitEnding(t, sid); told.Event != "LOGOUT" || told.User != got.Claims["sub"] {
				t.Errorf("the webhook about session %q says %+v", sid, told)
			}
		})
	}
	if len(subjects) != 1 {
		t.Errorf("one user has the subjects %v, want one that all clients know", subjects)
	}
}

// holds checks what a client was told about alice.
func (w *world) holds(t *testing.T, m manner, got signedIn) {
	t.Helper()
	if id, err := uuid.Parse(got.Claims["sub"].(string)); err != nil || id.Version() != 7 {
		t.Errorf("sub is %v, want a UUID of version 7", got.Claims["sub"])
	}
	if got.Claims["iss"] != w.bridge.publicURL || got.Claims["aud"] != m.id || got.Header["alg"] != m.alg {
		t.Errorf("ID token %v with header %v, want it of %s for %s with %s", got.Claims, got.Header, w.bridge.publicURL, m.id, m.alg)
	}
	if got.Claims["department"] != "engineering" || got.Claims["name"] != nil {
		t.Errorf("ID token %v, want it lean but for the department", got.Claims)
	}
	for name, want := range map[string]any{
		"department": "engineering", "name": "Alice Adams", "email": "alice@corp.example", "email_verified": true, "enriched": "by the hook",
	} {
		if got.Userinfo[name] != want {
			t.Errorf("userinfo has %s %v, want %v", name, got.Userinfo[name], want)
		}
	}
}

func (w *world) walkWithOpenIDClient(t *testing.T, m manner) signedIn {
	t.Helper()
	party := w.party(t, m.id, m.at, m.env())
	alice, first := signIn(t, party, "alice")
	var second signedIn
	alice.get(t, party.url+"/refresh").decode(t, http.StatusOK, &second)
	if second.Tokens.RefreshToken == first.Tokens.RefreshToken || second.Tokens.AccessToken == first.Tokens.AccessToken {
		t.Error("a refresh gave the same tokens again")
	}
	if second.Claims["sub"] != first.Claims["sub"] || second.Claims["sid"] != first.Claims["sid"] || second.Claims["auth_time"] != first.Claims["auth_time"] {
		t.Errorf("a refresh gave %v after %v", second.Claims, first.Claims)
	}
	var again signedIn
	alice.get(t, party.url+"/?prompt=none").decode(t, http.StatusOK, &again)
	if again.Claims["sid"] != first.Claims["sid"] {
		t.Errorf("prompt=none answers session %v, want %v", again.Claims["sid"], first.Claims["sid"])
	}
	var out struct {
		StateMatches bool `json:"state_matches"`
	}
	alice.walk(t, party.url+"/logout", party.url+"/signed-out", nil).decode(t, http.StatusOK, &out)
	if !out.StateMatches {
		t.Error("logout came back without its state")
	}
	var refused refusal
	alice.get(t, party.url+"/?prompt=none").decode(t, http.StatusBadRequest, &refused)
	if refused.Error != "login_required" {
		t.Errorf("prompt=none after logout gave %+v", refused)
	}
	return second
}

func (w *world) walkWithOAuth4WebAPI(t *testing.T, m manner) signedIn {
	t.Helper()
	env := with(map[string]string{
		"ISSUER": w.bridge.publicURL, "CLIENT_ID": m.id, "CLIENT_SECRET": m.id + "-secret-of-the-tests",
		"REDIRECT_URI": "http://" + m.at + "/callback", "POST_LOGOUT_REDIRECT_URI": "http://" + m.at + "/signed-out",
	}, m.env())
	var got walked
	if err := runNode(t, "rp-oauth4webapi.mjs", env, &got); err != nil {
		t.Fatalf("%v: %v", err, got.Errors)
	}
	if got.Last.Refreshed == nil || !got.Last.Refreshed.Rotated || got.Last.Refreshed.Userinfo["sub"] != got.Last.Claims["sub"] {
		t.Errorf("the refresh gave %+v", got.Last.Refreshed)
	}
	if !got.Last.SignedOut || !strings.HasPrefix(got.Last.Pages[0], w.provider.url+"/interaction/") {
		t.Errorf("signed out: %v, by way of %v", got.Last.SignedOut, got.Last.Pages)
	}
	return got.Last.signedIn
}
