//go:build e2e

package e2e

import (
	"encoding/json"
	"maps"
	"net/http"
	"testing"
)

// signedIn is what both relying parties know about a user who has signed in.
type signedIn struct {
	Claims   map[string]any `json:"claims"`
	Header   map[string]any `json:"header"`
	Userinfo map[string]any `json:"userinfo"`
	Tokens   struct {
		AccessToken  string `json:"access_token"`
		RefreshToken string `json:"refresh_token"`
		IDToken      string `json:"id_token"`
		TokenType    string `json:"token_type"`
	} `json:"tokens"`
}

// walked is the report of rp-oauth4webapi.mjs.
type walked struct {
	Runs    int      `json:"runs"`
	Errors  []string `json:"errors"`
	Seconds float64  `json:"seconds"`
	Last    struct {
		signedIn
		Refreshed *struct {
			Claims   map[string]any `json:"claims"`
			Userinfo map[string]any `json:"userinfo"`
			Rotated  bool           `json:"rotated"`
		} `json:"refreshed"`
		SignedOut bool     `json:"signed_out"`
		Pages     []string `json:"pages"`
	} `json:"last"`
}

// refusal is how rp-openid-client.mjs says that a check failed.
type refusal struct {
	Error   string `json:"error"`
	Message string `json:"message"`
	Cause   string `json:"cause"`
}

// pair starts a foreign provider and a relying party that is registered there directly.
func pair(t *testing.T, providerEnv, partyEnv map[string]string) (provider, party *program) {
	t.Helper()
	at := freeAddr(t)
	asProvider := map[string]string{
		"REDIRECT_URIS":             "http://" + at + "/callback",
		"POST_LOGOUT_REDIRECT_URIS": "http://" + at + "/signed-out",
	}
	provider = startNode(t, "provider.mjs", with(asProvider, providerEnv))
	asParty := map[string]string{"PORT": portOf(t, at), "ISSUER": provider.url, "CLIENT_SECRET": "secret"}
	return provider, startNode(t, "rp-openid-client.mjs", with(asParty, partyEnv))
}

func with[V any](base, more map[string]V) map[string]V {
	all := maps.Clone(base)
	maps.Copy(all, more)
	return all
}

func TestRelyingPartySignsInAtTheForeignProvider(t *testing.T) {
	tests := []struct {
		name              string
		alg, inIDToken    string
		login, subject    string
		secretInForm      string
		claimsInIDToken   bool
		department, email string
	}{
		{name: "RS256", alg: "RS256", login: "alice", subject: "u-1001", department: "engineering", email: "alice@corp.example"},
		{name: "ES256, claims in the ID token", alg: "ES256", inIDToken: "1", claimsInIDToken: true, login: "bob", subject: "u-1002", department: "sales", email: "bob@corp.example"},
		{name: "secret in the form", alg: "RS256", secretInForm: "client_secret_post", login: "carol", subject: "u-1003", department: "support", email: "carol@elsewhere.example"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			method := "client_secret_basic"
			if test.secretInForm != "" {
				method = test.secretInForm
			}
			at := freeAddr(t)
			provider := startNode(t, "provider.mjs", map[string]string{
				"ID_TOKEN_ALG": test.alg, "CLAIMS_IN_ID_TOKEN": test.inIDToken, "CLIENTS": clientJSON(t, at, method),
			})
			party := startNode(t, "rp-openid-client.mjs", map[string]string{
				"PORT": portOf(t, at), "ISSUER": provider.url, "CLIENT_SECRET": "secret", "ID_TOKEN_ALG": test.alg, "TOKEN_AUTH": method,
			})
			var got signedIn
			newVisitor(t).walk(t, party.url+"/", party.url+"/callback", map[string]string{"login": test.login}).decode(t, http.StatusOK, &got)
			if got.Claims["sub"] != test.subject || got.Claims["iss"] != provider.url || got.Header["alg"] != test.alg {
				t.Errorf("ID token %v with header %v is not of %s at %s", got.Claims, got.Header, test.subject, provider.url)
			}
			if _, there := got.Claims["dept"]; there != test.claimsInIDToken {
				t.Errorf("dept in the ID token: %v, want %v", there, test.claimsInIDToken)
			}
			if got.Userinfo["dept"] != test.department || got.Userinfo["email"] != test.email || got.Userinfo["urn:onegini.com:oidc:x"] == nil {
				t.Errorf("userinfo lacks what the provider knows: %v", got.Userinfo)
			}
		})
	}
}

func clientJSON(t *testing.T, at, method string) string {
	t.Helper()
	encoded, err := json.Marshal([]map[string]any{{
		"client_id": "drawbridge", "client_secret": "secret", "token_endpoint_auth_method": method,
		"redirect_uris": []string{"http://" + at + "/callback"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return string(encoded)
}

func TestRelyingPartyRefreshesAndSignsOut(t *testing.T) {
	_, party := pair(t, nil, nil)
	alice := newVisitor(t)
	var first, second signedIn
	alice.walk(t, party.url+"/", party.url+"/callback", map[string]string{"login": "alice"}).decode(t, http.StatusOK, &first)
	alice.get(t, party.url+"/refresh").decode(t, http.StatusOK, &second)
	if second.Tokens.AccessToken == first.Tokens.AccessToken || second.Claims["sub"] != first.Claims["sub"] {
		t.Errorf("refresh gave %v after %v", second.Tokens, first.Tokens)
	}
	var out struct {
		StateMatches bool `json:"state_matches"`
	}
	alice.walk(t, party.url+"/logout", party.url+"/signed-out", nil).decode(t, http.StatusOK, &out)
	if !out.StateMatches {
		t.Error("logout came back without the state that it left with")
	}
	if at := alice.get(t, party.url+"/session"); at.status != http.StatusUnauthorized {
		t.Errorf("/session answers %d after logout, want 401", at.status)
	}
	if at := alice.get(t, party.url+"/"); at.url.Host == hostOf(party.url) {
		t.Errorf("signed in again without a form, at %s", at.url)
	}
}

func TestRelyingPartyPassesParametersOn(t *testing.T) {
	_, party := pair(t, nil, nil)
	alice := newVisitor(t)
	var answered refusal
	alice.get(t, party.url+"/?prompt=none").decode(t, http.StatusBadRequest, &answered)
	if answered.Error != "login_required" {
		t.Errorf("prompt=none gave %+v, want login_required", answered)
	}
	var got signedIn
	alice.walk(t, party.url+"/?max_age=600&acr_values=loa:2", party.url+"/callback", map[string]string{"login": "alice"}).decode(t, http.StatusOK, &got)
	if _, ok := got.Claims["auth_time"].(float64); !ok || got.Claims["acr"] != "loa:2" {
		t.Errorf("ID token has auth_time %v and acr %v, want a time and loa:2", got.Claims["auth_time"], got.Claims["acr"])
	}
	alice.get(t, party.url+"/?prompt=none").decode(t, http.StatusOK, &got)
}

// A relying party that accepted anything would prove nothing about Drawbridge.
func TestRelyingPartyIsStrict(t *testing.T) {
	t.Run("another signing algorithm than registered", func(t *testing.T) {
		_, party := pair(t, map[string]string{"ID_TOKEN_ALG": "RS256"}, map[string]string{"ID_TOKEN_ALG": "ES256"})
		refuses(t, newVisitor(t).walk(t, party.url+"/", party.url+"/callback", map[string]string{"login": "alice"}), "OAUTH_INVALID_RESPONSE")
	})
	t.Run("wrong client secret", func(t *testing.T) {
		_, party := pair(t, nil, map[string]string{"CLIENT_SECRET": "guess"})
		refuses(t, newVisitor(t).walk(t, party.url+"/", party.url+"/callback", map[string]string{"login": "alice"}), "invalid_client")
	})
	t.Run("refused at the provider", func(t *testing.T) {
		provider, party := pair(t, nil, nil)
		alice := newVisitor(t)
		asked := alice.get(t, party.url+"/")
		if asked.url.Host != hostOf(provider.url) {
			t.Fatalf("came to %s, want the provider's login page", asked.url)
		}
		asked.body = `<form method="post" action="` + asked.url.Path + `/abort"></form>`
		refuses(t, alice.submit(t, asked, nil), "access_denied")
	})
	t.Run("callback of another browser", func(t *testing.T) {
		_, party := pair(t, nil, nil)
		done := newVisitor(t).walk(t, party.url+"/", party.url+"/callback", map[string]string{"login": "alice"})
		refuses(t, newVisitor(t).get(t, done.url.String()), "unknown_state")
	})
}

func refuses(t *testing.T, at webpage, want string) {
	t.Helper()
	var got refusal
	at.decode(t, http.StatusBadRequest, &got)
	if got.Error != want {
		t.Errorf("refused with %+v, want %s", got, want)
	}
}

func TestHeadlessRelyingPartyWalksWholeLogins(t *testing.T) {
	const callback, signedOut = "http://127.0.0.1:19/callback", "http://127.0.0.1:19/signed-out" // never visited
	provider := startNode(t, "provider.mjs", map[string]string{
		"REDIRECT_URIS": callback, "POST_LOGOUT_REDIRECT_URIS": signedOut, "ID_TOKEN_ALG": "ES256", "CONSENT": "skip",
	})
	env := map[string]string{
		"ISSUER": provider.url, "CLIENT_SECRET": "secret", "ID_TOKEN_ALG": "ES256", "REDIRECT_URI": callback,
		"POST_LOGOUT_REDIRECT_URI": signedOut, "RUNS": "20", "PARALLEL": "4",
	}
	var got walked
	if err := runNode(t, "rp-oauth4webapi.mjs", env, &got); err != nil {
		t.Fatalf("%v: %v", err, got.Errors)
	}
	if got.Runs != 20 || got.Last.Claims["sub"] != "u-1001" || got.Last.Userinfo["customer_id"] != "C-1001" || !got.Last.SignedOut {
		t.Errorf("the last of %d runs ended with %+v", got.Runs, got.Last)
	}
	if got.Last.Refreshed == nil || got.Last.Refreshed.Userinfo["sub"] != "u-1001" {
		t.Errorf("the refresh gave %+v", got.Last.Refreshed)
	}

	env["CLIENT_SECRET"], env["RUNS"] = "guess", "1"
	if err := runNode(t, "rp-oauth4webapi.mjs", env, &got); err == nil || len(got.Errors) != 1 {
		t.Errorf("a wrong secret gave %v and %v, want one error and a failing exit", err, got.Errors)
	}
}
