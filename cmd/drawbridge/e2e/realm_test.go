//go:build e2e

package e2e

import (
	"bytes"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
)

// realm is a realm of Keycloak's that one test has to itself.
type realm struct {
	// issuer is its address as a provider, admin the one where it is administered, keycloak that of the whole.
	issuer, admin, keycloak string
}

// passwords are those of the realm's users.
var passwords = map[string]string{"alice": "password-of-alice", "bob": "password-of-bob"}

// keycloakWorld is Drawbridge with a realm of Keycloak's as its only upstream, which `change` may configure further. The
// test runs beside others from here on: Keycloak, which the first such test starts, becomes ready while others run. The
// realm is that of keycloak-realm.json with `replaced` in it, old and new by turns; a client of its own is at `portal`.
func keycloakWorld(t *testing.T, portal string, change func(upstream, file settings), replaced ...string) (*world, realm) {
	t.Helper()
	k, err := runningKeycloak()
	if err != nil {
		t.Fatal(err)
	}
	t.Parallel()
	if err := k.up(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("output of Keycloak:\n%s", k.output)
		}
	})
	w := gather(t, nil)
	r := k.makeRealm(t, "tests-"+portOf(t, w.public), append(replaced, "BRIDGE", w.public, "PORTAL", portal))
	upstream := settings{
		"id": "keycloak", "name": "Keycloak", "issuer": r.issuer, "client_id": "drawbridge", "client_secret": "secret",
		"scopes": []string{"openid", "profile", "email"}, "domains": []string{"corp.example"},
	}
	file := w.settings(t)
	file["upstreams"] = []any{upstream}
	change(upstream, file)
	w.serve(t, file.text(t))
	return w, r
}

func (k *keycloakProgram) makeRealm(t *testing.T, name string, replaced []string) realm {
	t.Helper()
	text, err := os.ReadFile("keycloak-realm.json")
	if err != nil {
		t.Fatal(err)
	}
	r := realm{issuer: k.url + "/realms/" + name, admin: k.url + "/admin/realms/" + name, keycloak: k.url}
	made := strings.NewReplacer(append(replaced, "REALM", name)...).Replace(string(text))
	if got := r.administer(t, http.MethodPost, k.url+"/admin/realms", made); got.status != http.StatusCreated {
		t.Fatalf("making the realm is answered %d: %s", got.status, got.body)
	}
	return r
}

// administer calls Keycloak's administration with a token of this call's own.
func (r realm) administer(t *testing.T, method, address, body string) webpage {
	t.Helper()
	credentials := url.Values{"grant_type": {"password"}, "client_id": {"admin-cli"}, "username": {keycloakAdmin}, "password": {keycloakPassword}}
	var token struct {
		AccessToken string `json:"access_token"`
	}
	r.call(t, http.MethodPost, r.keycloak+"/realms/master/protocol/openid-connect/token", credentials.Encode(), http.Header{
		"Content-Type": {"application/x-www-form-urlencoded"},
	}).decode(t, http.StatusOK, &token)
	return r.call(t, method, address, body, http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + token.AccessToken}})
}

func (r realm) call(t *testing.T, method, address, body string, header http.Header) webpage {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, address, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = header
	return newVisitor(t).do(t, request)
}

// expect administers what must be answered without a body.
func (r realm) expect(t *testing.T, method, path string) {
	t.Helper()
	if got := r.administer(t, method, r.admin+path, ""); got.status != http.StatusNoContent {
		t.Fatalf("%s %s is answered %d: %s", method, path, got.status, got.body)
	}
}

// user is the id of a user.
func (r realm) user(t *testing.T, username string) string {
	t.Helper()
	found := r.ids(t, "/users?exact=true&username="+username)
	if len(found) != 1 {
		t.Fatalf("%d users are called %s", len(found), username)
	}
	return found[0]
}

// sessions are the ids of a user's sessions.
func (r realm) sessions(t *testing.T, username string) []string {
	t.Helper()
	return r.ids(t, "/users/"+r.user(t, username)+"/sessions")
}

func (r realm) ids(t *testing.T, path string) []string {
	t.Helper()
	var found []struct {
		ID string `json:"id"`
	}
	r.administer(t, http.MethodGet, r.admin+path, "").decode(t, http.StatusOK, &found)
	ids := make([]string, 0, len(found))
	for _, one := range found {
		ids = append(ids, one.ID)
	}
	return ids
}

// enter signs somebody in at a relying party by way of Keycloak's form, and returns what the party then knows.
func enter(t *testing.T, who *visitor, start, username string) signedIn {
	t.Helper()
	party := start[:strings.Index(start, "/?")+1] + "callback"
	var got signedIn
	who.walk(t, start, party, map[string]string{"username": username, "password": passwords[username]}).decode(t, http.StatusOK, &got)
	return got
}
