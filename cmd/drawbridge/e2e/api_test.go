//go:build e2e

package e2e

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// orders is an API that access tokens are meant for.
const orders = "https://api.example/orders"

// resourceServer starts resource.mjs as a client of Drawbridge's.
func (w *world) resourceServer(t *testing.T, id string) *program {
	t.Helper()
	return startNode(t, "resource.mjs", map[string]string{
		"ISSUER": w.bridge.publicURL, "AUDIENCE": orders, "CLIENT_ID": id, "CLIENT_SECRET": id + "-secret-of-the-tests",
	})
}

// reads is what a resource server answers about an access token.
func reads(t *testing.T, api *program, path, token string, status int) map[string]any {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, api.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	var said map[string]any
	newVisitor(t).do(t, request).decode(t, status, &said)
	return said
}

func TestResourceServersReadAndAskAboutAccessTokens(t *testing.T) {
	signed, opaque := freeAddr(t), freeAddr(t)
	w := startWorld(t, func(_ *world, file settings) {
		more := func(format string) map[string]any {
			return map[string]any{
				"access_token_format": format, "resources": []string{orders}, "scope": "openid profile email orders:read",
				"claims": map[string]any{"mapping": []any{map[string]any{"claim": "department", "from": []string{"dept"}}}, "access_token": []string{"department"}},
			}
		}
		es256 := more("jwt")
		es256["access_token_signed_response_alg"] = "ES256"
		file["clients"] = []any{
			clientOf("signed", signed, es256), clientOf("opaque", opaque, more("opaque")),
			clientOf("api", freeAddr(t), map[string]any{"resource_server_for": []string{orders}}), clientOf("stranger", freeAddr(t), nil),
		}
	})
	api, stranger := w.resourceServer(t, "api"), w.resourceServer(t, "stranger")
	asking := "/?" + url.Values{"scope": {"openid email orders:read"}, "resource": {orders, w.bridge.publicURL}}.Encode()

	for id, at := range map[string]string{"signed": signed, "opaque": opaque} {
		t.Run(id, func(t *testing.T) {
			party, alice := w.party(t, id, at, nil), newVisitor(t)
			var got, plain signedIn
			alice.walk(t, party.url+asking, party.url+"/callback", map[string]string{"login": "alice"}).decode(t, http.StatusOK, &got)
			token := got.Tokens.AccessToken
			said := reads(t, api, "/ask", token, http.StatusOK)
			w.saysOf(t, said, id, got)
			if said["active"] != true || said["token_type"] != "Bearer" {
				t.Errorf("introspection says %v", said)
			}
			if said := reads(t, stranger, "/ask", token, http.StatusOK); said["active"] != false || len(said) != 1 {
				t.Errorf("a stranger is told %v", said)
			}
			if id == "signed" {
				w.readsSigned(t, api, got)
			} else {
				reads(t, api, "/read", token, http.StatusUnauthorized)
			}
			reads(t, api, "/read", got.Tokens.IDToken, http.StatusUnauthorized)

			// A token for userinfo is none for the API.
			alice.get(t, party.url+"/").decode(t, http.StatusOK, &plain)
			reads(t, api, "/read", plain.Tokens.AccessToken, http.StatusUnauthorized)
			if said := reads(t, api, "/ask", plain.Tokens.AccessToken, http.StatusOK); said["active"] != false {
				t.Errorf("of a token for userinfo the API is told %v", said)
			}

			alice.walk(t, party.url+"/logout", party.url+"/signed-out", nil)
			if said := reads(t, api, "/ask", token, http.StatusOK); said["active"] != false || len(said) != 1 {
				t.Errorf("after the logout introspection says %v", said)
			}
		})
	}
}

// saysOf checks what is said of an access token for the API, in it or about it.
func (w *world) saysOf(t *testing.T, said map[string]any, client string, got signedIn) {
	t.Helper()
	audience, _ := said["aud"].([]any)
	scopes, _ := said["scope"].(string)
	if said["iss"] != w.bridge.publicURL || said["client_id"] != client || said["sub"] != got.Claims["sub"] || said["department"] != "engineering" ||
		said["email"] != nil || !slices.Contains(audience, any(orders)) || !slices.Contains(strings.Fields(scopes), "orders:read") {
		t.Errorf("of the access token is said %v", said)
	}
}

func (w *world) readsSigned(t *testing.T, api *program, got signedIn) {
	t.Helper()
	said := reads(t, api, "/read", got.Tokens.AccessToken, http.StatusOK)
	header, _ := said["header"].(map[string]any)
	claims, _ := said["claims"].(map[string]any)
	if header["alg"] != "ES256" || header["typ"] != "at+jwt" {
		t.Errorf("the access token has the header %v", header)
	}
	w.saysOf(t, claims, "signed", got)
	parts := strings.Split(got.Tokens.AccessToken, ".")
	other := strings.Split(got.Tokens.IDToken, ".")
	for name, forged := range map[string]string{
		"the signature of another token": parts[0] + "." + parts[1] + "." + other[2],
		"the claims of another token":    parts[0] + "." + other[1] + "." + parts[2],
		"no signature":                   parts[0] + "." + parts[1] + ".",
	} {
		if said := reads(t, api, "/read", forged, http.StatusUnauthorized); said["claims"] != nil {
			t.Errorf("%s: %v", name, said)
		}
	}
}
