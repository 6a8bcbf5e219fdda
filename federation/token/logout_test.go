package token

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/clientkeys"
)

// TestLogoutToken holds it to OpenID Connect Back-Channel Logout 1.0 §2.4.
func TestLogoutToken(t *testing.T) {
	h := newHouse(t)
	for _, alg := range []federation.SigningAlg{federation.RS256, federation.ES256, ""} {
		client := shop()
		client.IDTokenAlg = alg
		said := Farewell{Session: "the-sid", Subject: "the-sub"}
		one, err := h.keys.LogoutToken(t.Context(), h.tenant, client, said)
		if err != nil {
			t.Fatal(err)
		}
		two, err := h.keys.LogoutToken(t.Context(), h.tenant, client, said)
		if err != nil {
			t.Fatal(err)
		}
		got, again := payloadOf(t, one), payloadOf(t, two)
		if got["jti"] == again["jti"] || got["jti"] == "" {
			t.Errorf("%s: two tokens with one jti", alg)
		}
		events, _ := got["events"].(map[string]any)
		event, told := events[logoutEvent].(map[string]any)
		if got["iss"] != h.tenant.Issuer || got["aud"] != client.ID || got["sid"] != "the-sid" || got["sub"] != "the-sub" ||
			got["exp"].(float64)-got["iat"].(float64) != 120 || !told || len(event) != 0 || len(events) != 1 || len(got) != 8 {
			t.Errorf("%s: %v", alg, got)
		}
		if _, err := h.keys.Verify(t.Context(), h.tenant, one); err == nil {
			t.Errorf("%s: it is taken for an ID token", alg)
		}
		wanted := "RS256"
		if alg != "" {
			wanted = string(alg)
		}
		if _, err := h.relyingParty(client.ID, wanted).Verify(t.Context(), one); err != nil {
			t.Errorf("%s: the published keys do not verify it: %v", alg, err)
		}
	}
}

// TestLogoutTokenIsEncryptedLikeIDTokens, or there is none.
func TestLogoutTokenIsEncryptedLikeIDTokens(t *testing.T) {
	h := newHouse(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	client := shop()
	client.IDTokenEncryption = federation.Encryption{Alg: "ECDH-ES", Enc: "A128GCM"}
	if text, err := h.keys.LogoutToken(t.Context(), h.tenant, client, Farewell{Session: "s", Subject: "u"}); err == nil {
		t.Fatalf("in plain: %s", text)
	}
	if client.Keys, err = clientkeys.New(clientkeys.Options{Inline: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k", Use: "enc"}}, Now: time.Now}); err != nil {
		t.Fatal(err)
	}
	text, err := h.keys.LogoutToken(t.Context(), h.tenant, client, Farewell{Session: "s", Subject: "u"})
	if err != nil || strings.Count(text, ".") != 4 {
		t.Fatalf("%q, %v", text, err)
	}
	box, err := jose.ParseEncryptedCompact(text, []jose.KeyAlgorithm{jose.ECDH_ES}, []jose.ContentEncryption{jose.A128GCM})
	if err != nil {
		t.Fatal(err)
	}
	inner, err := box.Decrypt(key)
	if err != nil || payloadOf(t, string(inner))["sid"] != "s" {
		t.Errorf("%s, %v", inner, err)
	}
}
