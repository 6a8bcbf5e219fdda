package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/drawbridge-id/drawbridge/federation/upstream/upstreamtest"
)

// vault is a relying party that is told nothing in plain: it publishes a key and
// takes logout tokens.
type vault struct {
	*httptest.Server
	key     *ecdsa.PrivateKey
	fetched atomic.Int64
	told    chan string
}

func newVault(t *testing.T) *vault {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	v := &vault{key: key, told: make(chan string, 10)}
	v.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/bye" {
			v.told <- r.PostFormValue("logout_token")
			return
		}
		v.fetched.Add(1)
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "v1", Use: "enc"}}})
	}))
	t.Cleanup(v.Close)
	return v
}

// file is the file of a test in which shop is the vault.
func (v *vault) file(t *testing.T, reach string) string {
	t.Helper()
	text := file(t, upstreamtest.New(t).URL, "")
	text = strings.Replace(text, "egress: {", "egress: {"+reach, 1)
	return strings.Replace(text, "egress:", `    jwks_uri: "`+v.URL+`/keys"
    id_token_signed_response_alg: PS256
    id_token_encrypted_response_alg: ECDH-ES+A128KW
    userinfo_signed_response_alg: EdDSA
    userinfo_encrypted_response_alg: ECDH-ES
    userinfo_encrypted_response_enc: A256GCM
    backchannel_logout_uri: "`+v.URL+`/bye"
egress:`, 1)
}

// open decrypts, and reads what was signed inside.
func (v *vault) open(t *testing.T, text string, alg jose.KeyAlgorithm, enc jose.ContentEncryption, sig jose.SignatureAlgorithm) map[string]any {
	t.Helper()
	box, err := jose.ParseEncryptedCompact(text, []jose.KeyAlgorithm{alg}, []jose.ContentEncryption{enc})
	if err != nil {
		t.Fatal(err)
	}
	nested, err := box.Decrypt(v.key)
	if err != nil || box.Header.ExtraHeaders[jose.HeaderContentType] != "JWT" {
		t.Fatalf("%+v, %v", box.Header, err)
	}
	signed, err := jwt.ParseSigned(string(nested), []jose.SignatureAlgorithm{sig})
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]any
	if err := signed.UnsafeClaimsWithoutVerification(&all); err != nil {
		t.Fatal(err)
	}
	return all
}

// raw asks an endpoint as the browser's relying party does.
func (b *browser) raw(method, path, body, auth string) (int, string, string) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, "http://127.0.0.1:8080"+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	secret, _ := secrets("SHOP_SECRET")
	if req.SetBasicAuth("shop", secret); auth != "" {
		req.Header.Set("Authorization", auth)
	}
	res, err := b.client().Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return res.StatusCode, res.Header.Get("Content-Type"), string(text)
}

// redeem spends a code of shop.
func (b *browser) redeem(code string) (status int, answer map[string]any) {
	b.t.Helper()
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {"http://127.0.0.1:9100/callback"}}
	status, _, text := b.raw(http.MethodPost, "/token", form.Encode(), "")
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		b.t.Fatalf("%d %s", status, text)
	}
	return status, answer
}

// TestNothingIsToldInPlain: ID token, userinfo and logout token of a client that
// publishes its keys, all of the file and over the guarded client.
func TestNothingIsToldInPlain(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	text := v.file(t, "relying_parties: [127.0.0.0/8], ")
	app, _ := serveOnce(t, operator(load(t, text)))
	b := newBrowser(t, app)
	status, got := b.redeem(b.authorize("").Get("code"))
	if status != http.StatusOK {
		t.Fatalf("%d %v", status, got)
	}
	id := v.open(t, got["id_token"].(string), jose.ECDH_ES_A128KW, jose.A128CBC_HS256, jose.PS256)
	status, kind, info := b.raw(http.MethodGet, "/userinfo", "", "Bearer "+got["access_token"].(string))
	if status != http.StatusOK || kind != "application/jwt" {
		t.Fatalf("%d %s", status, kind)
	}
	if told := v.open(t, info, jose.ECDH_ES, jose.A256GCM, jose.EdDSA); told["sub"] != id["sub"] || told["aud"] != "shop" || told["iss"] != id["iss"] {
		t.Errorf("%v and %v", told, id)
	}
	app.Reload(t.Context(), operator(load(t, strings.Replace(text, "consent: skip", "consent: skip\n    client_name: Another", 1))))
	if status, _ = b.redeem(b.authorize("").Get("code")); status != http.StatusOK || v.fetched.Load() != 1 {
		t.Errorf("after a reload: %d, keys were fetched %d times", status, v.fetched.Load())
	}
	if status, _, body := manage(t, app, http.MethodDelete, "/v1/tenants/default/sessions/"+id["sid"].(string), ""); status != http.StatusNoContent {
		t.Fatalf("%d %s", status, body)
	}
	if bye := v.open(t, <-v.told, jose.ECDH_ES_A128KW, jose.A128CBC_HS256, jose.PS256); bye["sid"] != id["sid"] || bye["events"] == nil {
		t.Errorf("%v", bye)
	}
}

// TestKeysStayWithinTheirRange: no range is open to relying parties unless the
// file says so, and a code is not used up by that.
func TestKeysStayWithinTheirRange(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	app, _ := serveOnce(t, operator(load(t, v.file(t, ""))))
	b := newBrowser(t, app)
	code := b.authorize("").Get("code")
	for range 2 {
		if status, got := b.redeem(code); status != http.StatusServiceUnavailable || got["error"] != "temporarily_unavailable" || got["access_token"] != nil {
			t.Errorf("%d %v", status, got)
		}
	}
	if v.fetched.Load() != 0 {
		t.Error("an address that is not allowed was reached")
	}
	cfg := app.started
	cfg.Egress.RelyingParties = cfg.Egress.Upstreams
	app.Reload(t.Context(), cfg)
	if status, got := b.redeem(code); status != http.StatusOK {
		t.Errorf("once it is allowed: %d %v", status, got)
	}
}

func TestStartUpRefusesKeysThatAreNone(t *testing.T) {
	t.Parallel()
	p := upstreamtest.New(t)
	const ec = `{kty: EC, use: sig, crv: P-256, x: gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0, y: SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps}`
	for jwks, want := range map[string]string{
		"{}": "is not a JSON Web Key Set", "{keys: []}": "holds no key", "{keys: [{kty: oct, k: AAECAwQFBgcICQoLDA0ODw}]}": "keys[0] is not a public key",
		"{keys: [" + ec + "]}": "holds no key to encrypt with ECDH-ES",
		"{keys: [" + strings.Replace(ec, "kty", "d: 870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE, kty", 1) + "]}": "keys[0] is not a public key",
	} {
		text := strings.Replace(file(t, p.URL, ""), "egress:", "    id_token_encrypted_response_alg: ECDH-ES\n    jwks: "+jwks+"\negress:", 1)
		_, err := New(load(t, text), slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), "clients[0].jwks") || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "870MB6") {
			t.Errorf("%s: %v", jwks, err)
		}
	}
}
