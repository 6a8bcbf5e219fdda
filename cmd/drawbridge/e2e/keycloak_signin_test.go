//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

func TestKeycloakSignsUsersIn(t *testing.T) {
	at := freeAddr(t)
	w, r := keycloakWorld(t, freeAddr(t), func(_, file settings) {
		file["clients"] = []any{clientOf("shop", at, map[string]any{"claims": map[string]any{
			"mapping": []any{
				map[string]any{"claim": "department", "from": []string{"dept"}},
				map[string]any{"claim": "teams", "from": []string{"groups"}, "type": "array"},
			},
			"hook": "enrich",
		}})}
	})
	party := w.party(t, "shop", at, map[string]string{"SCOPE": "openid profile email offline_access"})
	alice := newVisitor(t)
	first := enter(t, alice, party.url+"/?", "alice")
	if id, err := uuid.Parse(first.Claims["sub"].(string)); err != nil || id.Version() != 7 {
		t.Errorf("sub is %v, want a UUID of version 7", first.Claims["sub"])
	}
	for name, want := range map[string]any{
		"department": "engineering", "name": "Alice Adams", "email": "alice@corp.example", "email_verified": true, "enriched": "by the hook",
	} {
		if first.Userinfo[name] != want {
			t.Errorf("userinfo has %s %v, want %v", name, first.Userinfo[name], want)
		}
	}
	if teams, _ := first.Userinfo["teams"].([]any); !slices.Equal(teams, []any{"engineers"}) {
		t.Errorf("userinfo has the teams %v", first.Userinfo["teams"])
	}

	var refreshed signedIn
	alice.get(t, party.url+"/refresh").decode(t, http.StatusOK, &refreshed)
	if refreshed.Tokens.RefreshToken == first.Tokens.RefreshToken || refreshed.Claims["sid"] != first.Claims["sid"] {
		t.Errorf("a refresh gave %v after %v", refreshed.Claims, first.Claims)
	}
	for _, silent := range []string{"prompt=none", "max_age=600"} {
		var again signedIn
		alice.get(t, party.url+"/?"+silent).decode(t, http.StatusOK, &again)
		if again.Claims["auth_time"] != first.Claims["auth_time"] {
			t.Errorf("%s says auth_time %v, want %v: nobody was asked", silent, again.Claims["auth_time"], first.Claims["auth_time"])
		}
	}
	time.Sleep(2100 * time.Millisecond) // older than max_age=1 allows, whatever the clocks round
	for _, asks := range []string{"prompt=login", "max_age=1"} {
		began := time.Now().Truncate(time.Second)
		form := alice.get(t, party.url+"/?"+asks)
		if !strings.HasPrefix(form.url.String(), r.issuer) {
			t.Fatalf("%s came to %s, want a form of Keycloak's", asks, form.url)
		}
		var again signedIn
		alice.submit(t, form, map[string]string{"username": "alice", "password": passwords["alice"]}).decode(t, http.StatusOK, &again)
		seconds, _ := again.Claims["auth_time"].(float64)
		if again.Claims["sub"] != first.Claims["sub"] || time.Unix(int64(seconds), 0).Before(began) {
			t.Errorf("%s gave %v, want %v of %v or later", asks, again.Claims, first.Claims["sub"], began.Unix())
		}
		time.Sleep(2100 * time.Millisecond)
	}
	bob := enter(t, newVisitor(t), party.url+"/?", "bob")
	if bob.Claims["sub"] == first.Claims["sub"] || bob.Userinfo["department"] != "sales" || bob.Userinfo["teams"] != nil {
		t.Errorf("bob is %v with %v", bob.Claims, bob.Userinfo)
	}
}

// Requests are pushed, we prove who we are with a key, the answer is posted, and ID token and userinfo are signed.
func TestKeycloakInItsStrictestManner(t *testing.T) {
	at := freeAddr(t)
	private, public := curveKey(t, "sig", "ES256")
	keys, err := json.Marshal(map[string]any{"keys": []any{public}})
	if err != nil {
		t.Fatal(err)
	}
	attributes := fmt.Sprintf(`"pkce.code.challenge.method": "S256", "require.pushed.authorization.requests": "true", "id.token.signed.response.alg": "ES256",
		"user.info.response.signature.alg": "RS256", "token.endpoint.auth.signing.alg": "ES256", "use.jwks.string": "true", "jwks.string": %q,`, keys)
	w, _ := keycloakWorld(t, freeAddr(t), func(upstream, file settings) {
		delete(upstream, "client_secret")
		maps.Copy(upstream, settings{
			"token_endpoint_auth_method": "private_key_jwt", "client_key": map[string]any{"key": private, "audience": "issuer"},
			"par": "always", "response_mode": "form_post",
		})
		file["clients"] = []any{clientOf("shop", at, nil)}
	}, `"clientId": "drawbridge",`, `"clientId": "drawbridge", "clientAuthenticatorType": "client-jwt",`, `"pkce.code.challenge.method": "S256",`, attributes)
	party := w.party(t, "shop", at, nil)
	alice := newVisitor(t)
	got := enter(t, alice, party.url+"/?", "alice")
	if got.Userinfo["name"] != "Alice Adams" || got.Userinfo["email_verified"] != true {
		t.Errorf("signed in as %v", got.Userinfo)
	}
	var out struct {
		StateMatches bool `json:"state_matches"`
	}
	alice.get(t, party.url+"/logout").decode(t, http.StatusOK, &out)
	if !out.StateMatches {
		t.Error("logout came back without its state")
	}
}

// Keycloak is asked again while nobody is there: it knows of a session that it does not tell us about.
func TestKeycloakIsAskedAgainWhenClientsRefresh(t *testing.T) {
	at := freeAddr(t)
	w, r := keycloakWorld(t, freeAddr(t), func(upstream, file settings) {
		upstream["freshness"] = map[string]any{"check": "always"}
		upstream["backchannel_logout"] = false
		file["clients"] = []any{clientOf("shop", at, nil)}
	}, `"backchannel.logout.url"`, `"unused"`)
	party := w.party(t, "shop", at, nil)
	alice := newVisitor(t)
	first := enter(t, alice, party.url+"/?", "alice")
	var refreshed signedIn
	alice.get(t, party.url+"/refresh").decode(t, http.StatusOK, &refreshed)
	if refreshed.Claims["sid"] != first.Claims["sid"] {
		t.Errorf("a refresh gave %v after %v", refreshed.Claims, first.Claims)
	}
	for _, id := range r.sessions(t, "alice") {
		r.expect(t, http.MethodDelete, "/sessions/"+id)
	}
	refuses(t, alice.get(t, party.url+"/refresh"), "invalid_grant")
	w.userinfo(t, refreshed.Tokens.AccessToken, http.StatusUnauthorized)
}
