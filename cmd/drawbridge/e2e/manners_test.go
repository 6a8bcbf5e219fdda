//go:build e2e

package e2e

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"testing"
)

func TestAnswersArePosted(t *testing.T) {
	at := freeAddr(t)
	w := startWorld(t, func(_ *world, file settings) { file["clients"] = []any{clientOf("plain", at, nil)} })
	party, alice := w.party(t, "plain", at, nil), newVisitor(t)
	refused := alice.walk(t, party.url+"/?prompt=none&response_mode=form_post", party.url+"/callback", nil)
	refuses(t, refused, "login_required")
	answered := alice.walk(t, party.url+"/?response_mode=form_post", party.url+"/callback", map[string]string{"login": "alice"})
	var got signedIn
	answered.decode(t, http.StatusOK, &got)
	if got.Userinfo["email"] != "alice@corp.example" || answered.url.RawQuery != "" {
		t.Errorf("came to %s as %v", answered.url, got.Userinfo)
	}
	browse(t, []step{ // where our page posts by itself
		{Visit: party.url + "/", Name: "foreign-login", at: w.provider.url, status: 200, says: "Sign in at the provider"},
		{Fill: "input[name=login]", Value: "alice"},
		{Follow: "form button", Name: "signed-in", at: party.url + "/callback?", status: 200, says: "alice@corp.example"},
		{Visit: party.url + "/?response_mode=form_post", Until: party.url + "/callback", Name: "posted", at: party.url + "/callback", status: 200, says: "alice@corp.example"},
	})
}

func TestClientsAskForClaims(t *testing.T) {
	at, other := freeAddr(t), freeAddr(t)
	w := startWorld(t, func(_ *world, file settings) {
		file["clients"] = []any{clientOf("plain", at, nil), clientOf("headless", other, nil)}
	})
	const asked = `{"id_token":{"email":{"essential":true},"auth_time":{"essential":true}},"userinfo":{"name":null}}`
	party := w.party(t, "plain", at, map[string]string{"SCOPE": "openid"})
	var got signedIn
	newVisitor(t).walk(t, party.url+"/?"+url.Values{"claims": {asked}}.Encode(), party.url+"/callback", map[string]string{"login": "alice"}).decode(t, http.StatusOK, &got)
	params, err := json.Marshal(map[string]string{"claims": asked, "scope": "openid", "response_mode": "form_post"})
	if err != nil {
		t.Fatal(err)
	}
	headless := w.headless(t, "headless", other, map[string]string{"PARAMS": string(params)})
	for name, got := range map[string]signedIn{"openid-client": got, "oauth4webapi": headless} {
		if got.Claims["email"] != "alice@corp.example" || got.Claims["auth_time"] == nil || got.Claims["name"] != nil {
			t.Errorf("%s: the ID token says %v", name, got.Claims)
		}
		if got.Userinfo["name"] != "Alice Adams" || got.Userinfo["email"] != nil || got.Userinfo["given_name"] != nil {
			t.Errorf("%s: userinfo says %v", name, got.Userinfo)
		}
	}
}

// headless is a login that rp-oauth4webapi.mjs walks as a client of Drawbridge's.
func (w *world) headless(t *testing.T, id, at string, env map[string]string) signedIn {
	t.Helper()
	var got walked
	if err := runNode(t, "rp-oauth4webapi.mjs", with(map[string]string{
		"ISSUER": w.bridge.publicURL, "CLIENT_ID": id, "CLIENT_SECRET": id + "-secret-of-the-tests", "REDIRECT_URI": "http://" + at + "/callback",
	}, env), &got); err != nil {
		t.Fatalf("%v: %v", err, got.Errors)
	}
	return got.Last.signedIn
}

func TestPairwiseSubjectsDifferFromSectorToSector(t *testing.T) {
	sectors := map[string]string{"public": "", "one": "https://one.example/", "same": "https://one.example/other.json", "two": "https://two.example/"}
	at, clients := map[string]string{}, []any{}
	for id, sector := range sectors {
		at[id] = freeAddr(t)
		client := listening(id, at[id])
		if sector != "" {
			client["subject_type"], client["sector_identifier_uri"] = "pairwise", sector
		}
		clients = append(clients, client)
	}
	w := startWorld(t, func(_ *world, file settings) { file["clients"] = clients })
	alice, bob := newVisitor(t), newVisitor(t)
	subjects, parties := map[string]any{}, map[string]*program{}
	for id := range sectors {
		party := w.party(t, id, at[id], nil)
		var got, again, others signedIn
		alice.walk(t, party.url+"/", party.url+"/callback", map[string]string{"login": "alice"}).decode(t, http.StatusOK, &got)
		alice.get(t, party.url+"/refresh").decode(t, http.StatusOK, &again)
		bob.walk(t, party.url+"/", party.url+"/callback", map[string]string{"login": "bob"}).decode(t, http.StatusOK, &others)
		if got.Userinfo["sub"] != got.Claims["sub"] || again.Claims["sub"] != got.Claims["sub"] || others.Claims["sub"] == got.Claims["sub"] {
			t.Errorf("%s: alice is %v, at userinfo %v, after a refresh %v, and bob is %v", id, got.Claims["sub"], got.Userinfo["sub"], again.Claims["sub"], others.Claims["sub"])
		}
		subjects[id], parties[id] = got.Claims["sub"], party
	}
	if subjects["one"] != subjects["same"] || subjects["one"] == subjects["two"] || subjects["one"] == subjects["public"] || subjects["two"] == subjects["public"] {
		t.Errorf("alice has the subjects %v", subjects)
	}
	alice.walk(t, parties["one"].url+"/logout", parties["one"].url+"/signed-out", nil)
	for id, party := range parties {
		var got heard
		eventually(t, id+" is told by a logout token", func() bool {
			newVisitor(t).get(t, party.url+"/told").decode(t, http.StatusOK, &got)
			return len(got.Backchannel) == 1
		})
		if got.Backchannel[0].Sub != subjects[id] {
			t.Errorf("the logout token to %s is about %s, want %v", id, got.Backchannel[0].Sub, subjects[id])
		}
	}
}

// TestTokensAreEncrypted has keys fetched from one client and given for the other. Logout tokens are encrypted as ID
// tokens are.
func TestTokensAreEncrypted(t *testing.T) {
	at, other := freeAddr(t), freeAddr(t)
	private, public := curveKey(t, "enc", "ECDH-ES+A256KW")
	encrypted := func(alg, enc string, keys map[string]any) map[string]any {
		return with(map[string]any{
			"id_token_encrypted_response_alg": alg, "id_token_encrypted_response_enc": enc, "userinfo_signed_response_alg": "RS256",
			"userinfo_encrypted_response_alg": alg, "userinfo_encrypted_response_enc": enc,
		}, keys)
	}
	w := startWorld(t, func(_ *world, file settings) {
		file["clients"] = []any{
			clientOf("fetched", at, encrypted("RSA-OAEP-256", "A128CBC-HS256", map[string]any{
				"jwks_uri": "http://" + at + "/jwks.json", "backchannel_logout_uri": "http://" + at + "/backchannel",
			})),
			clientOf("given", other, encrypted("ECDH-ES+A256KW", "A256GCM", map[string]any{"jwks": map[string]any{"keys": []any{public}}})),
		}
	})
	party := w.party(t, "fetched", at, map[string]string{"ENCRYPTION": "RSA-OAEP-256"})
	alice, got := signIn(t, party, "alice")
	var raw struct {
		Encryption map[string]any `json:"encryption"`
	}
	alice.get(t, party.url+"/session").decode(t, http.StatusOK, &raw)
	if raw.Encryption["alg"] != "RSA-OAEP-256" || raw.Encryption["enc"] != "A128CBC-HS256" || raw.Encryption["kid"] != "only" || got.Header["alg"] != "RS256" {
		t.Errorf("the ID token has the headers %v and %v", raw.Encryption, got.Header)
	}
	if got.Userinfo["email"] != "alice@corp.example" {
		t.Errorf("userinfo says %v", got.Userinfo)
	}
	alice.get(t, party.url+"/refresh").decode(t, http.StatusOK, &got)
	alice.walk(t, party.url+"/logout", party.url+"/signed-out", nil)
	isTold(t, party, got.Claims["sid"])

	headless := w.headless(t, "given", other, map[string]string{
		"DECRYPTION_KEY": private, "USERINFO_ALG": "RS256", "POST_LOGOUT_REDIRECT_URI": "http://" + other + "/signed-out",
	})
	if headless.Header["alg"] != "ECDH-ES+A256KW" || headless.Header["enc"] != "A256GCM" || headless.Claims["sub"] != got.Claims["sub"] || headless.Userinfo["name"] != "Alice Adams" {
		t.Errorf("oauth4webapi signed in as %+v", headless)
	}
}

// curveKey is a key on P-256 as JWKs, the private one as a text.
func curveKey(t *testing.T, use, alg string) (private string, public map[string]any) {
	t.Helper()
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point := key.PublicKey().Bytes() // 4, x, y
	text := base64.RawURLEncoding.EncodeToString
	public = map[string]any{"kty": "EC", "crv": "P-256", "kid": "only", "use": use, "alg": alg, "x": text(point[1:33]), "y": text(point[33:])}
	whole := with(public, map[string]any{"d": text(key.Bytes())})
	encoded, err := json.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	return string(encoded), public
}
