package op_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/clientkeys"
)

// ownKeys are the keys of a relying party that publishes them.
type ownKeys struct {
	*httptest.Server
	private *ecdsa.PrivateKey
	down    atomic.Bool
	hits    atomic.Int64
}

func newOwnKeys(t testing.TB) *ownKeys {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	k := &ownKeys{private: private}
	k.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		k.hits.Add(1)
		if k.down.Load() {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: private.Public(), KeyID: "mine", Use: "enc"}}})
	}))
	t.Cleanup(k.Close)
	return k
}

// of makes a client's answers signed and encrypted as a test wants.
func (k *ownKeys) of(h *house, c *federation.Client) {
	keys, err := clientkeys.New(clientkeys.Options{URI: k.URL, HTTP: k.Client(), Now: h.clock.now, Log: slog.New(slog.DiscardHandler)})
	must(h.t, err)
	c.Keys = keys
}

// opens decrypts, and answers what was in it.
func (k *ownKeys) opens(t testing.TB, text string, cty any) string {
	t.Helper()
	box, err := jose.ParseEncryptedCompact(text, []jose.KeyAlgorithm{jose.ECDH_ES_A256KW}, []jose.ContentEncryption{jose.A256GCM})
	must(t, err)
	plain, err := box.Decrypt(k.private)
	must(t, err)
	if box.Header.KeyID != "mine" || box.Header.ExtraHeaders[jose.HeaderContentType] != cty {
		t.Errorf("header %+v", box.Header)
	}
	return string(plain)
}

var boxed = federation.Encryption{Alg: "ECDH-ES+A256KW", Enc: "A256GCM"}

// jwtUserinfo is the answer of userinfo as it is.
func (p *party) jwtUserinfo(access string) landing {
	p.t.Helper()
	return p.send(http.MethodGet, "/userinfo", "", "Authorization", "Bearer "+access)
}

func TestEncryptedIDToken(t *testing.T) {
	own := newOwnKeys(t)
	h := open(t)
	h.configure(&setup{change: func(c *federation.Client) {
		if c.ID == "shop" {
			own.of(h, c)
			c.IDTokenEncryption, c.IDTokenAlg = boxed, federation.PS256
		}
	}})
	shop, b := h.party("default", "shop"), h.browser()
	if own.hits.Load() != 0 {
		t.Error("keys were fetched before they were needed")
	}
	got := shop.signIn(b)
	signed := own.opens(t, got.ID, "JWT")
	id := shop.claims(signed)
	if id["aud"] != "shop" || id["sub"] != shop.userinfo(got.Access)["sub"] || id["nonce"] != "some nonce" {
		t.Errorf("%v", id)
	}
	next := shop.refresh(got.Refresh)
	if again := shop.claims(own.opens(t, next.ID, "JWT")); again["sub"] != id["sub"] || own.hits.Load() != 1 {
		t.Errorf("%v, fetched %d times", again, own.hits.Load())
	}
	// As a hint it is good only as the client has opened it.
	shop.signIn(b, "id_token_hint", signed, "prompt", "none")
	shop.refused(b.get(shop.ask("id_token_hint", got.ID, "prompt", "none")), federation.InvalidRequest)
	b.get(h.URL+"/end_session?id_token_hint="+got.ID).shows(t, "error", http.StatusBadRequest)
	if b.session("default") == "" {
		t.Error("a hint that nobody can read ended the session")
	}
}

// TestClientKeysThatCannotBeFetched: what cannot be encrypted is not told, and
// nothing is used up.
func TestClientKeysThatCannotBeFetched(t *testing.T) {
	own := newOwnKeys(t)
	own.down.Store(true)
	h := open(t)
	h.configure(&setup{change: func(c *federation.Client) {
		if own.of(h, c); c.ID == "shop" {
			c.IDTokenEncryption, c.UserinfoEncryption = boxed, boxed
		}
	}})
	shop, b := h.party("default", "shop"), h.browser()
	code := shop.code(b.get(shop.ask("scope", "openid offline_access")))
	h.unchanged("a redemption that cannot be answered", func() {
		for range 2 {
			if got := shop.redeem(code); got.status != http.StatusServiceUnavailable || got.Error != "temporarily_unavailable" || got.header.Get("Retry-After") == "" || got.ID != "" || got.Access != "" {
				t.Errorf("%+v", got)
			}
		}
	})
	if own.hits.Load() != 1 {
		t.Errorf("fetched %d times", own.hits.Load())
	}
	own.down.Store(false)
	h.clock.advance(10 * time.Second)
	got := shop.redeem(code)
	own.opens(t, got.ID, "JWT")
	own.down.Store(true)
	h.clock.advance(26 * time.Hour) // keys are believed for an hour, and a day more while there are no others
	h.unchanged("a refresh that cannot be answered", func() {
		if again := shop.refresh(got.Refresh); again.status != http.StatusServiceUnavailable || again.Error != "temporarily_unavailable" {
			t.Errorf("%+v", again)
		}
	})
	own.down.Store(false)
	h.clock.advance(2 * time.Minute)
	next := shop.refresh(got.Refresh)
	own.opens(t, next.ID, "JWT")
	own.down.Store(true)
	if info := shop.jwtUserinfo(next.Access); info.status != http.StatusOK {
		t.Errorf("keys at hand were not used: %d", info.status)
	}
}

func TestUserinfoThatIsSigned(t *testing.T) {
	for _, alg := range federation.SigningAlgs() {
		h := open(t, func(s *setup) {
			s.change = func(c *federation.Client) { c.UserinfoAlg = alg }
		})
		shop, b := h.party("default", "shop"), h.browser()
		got := shop.signIn(b)
		res := shop.jwtUserinfo(got.Access)
		if res.status != 200 || res.header.Get("Content-Type") != "application/jwt" || res.header.Get("Cache-Control") != "no-store" {
			t.Fatalf("%s: %d %v", alg, res.status, res.header)
		}
		reader := *shop
		reader.client.IDTokenAlg = alg
		info, id := reader.claims(res.page), shop.claims(got.ID)
		if info["iss"] != h.URL || info["aud"] != "shop" || info["sub"] != id["sub"] || info["email"] != "alice@corp.example" || info["exp"] != nil || info["nonce"] != nil {
			t.Errorf("%s: %v", alg, info)
		}
		// It is no ID token, and no hint.
		shop.refused(b.get(shop.ask("id_token_hint", res.page, "prompt", "none")), federation.InvalidRequest)
		for _, token := range []string{"", "nobody", got.Access + "x"} {
			if bad := shop.jwtUserinfo(token); bad.status != http.StatusUnauthorized || strings.Contains(bad.header.Get("Content-Type"), "jwt") {
				t.Errorf("%s: %d %v", alg, bad.status, bad.header)
			}
		}
		head := shop.send(http.MethodHead, "/userinfo", "", "Authorization", "Bearer "+got.Access)
		if head.status != 200 || head.page != "" || head.header.Get("Content-Type") != "application/jwt" {
			t.Errorf("%s: HEAD %d %v", alg, head.status, head.header)
		}
	}
}

func TestUserinfoThatIsEncrypted(t *testing.T) {
	own := newOwnKeys(t)
	h := open(t)
	h.configure(&setup{change: func(c *federation.Client) {
		own.of(h, c)
		c.UserinfoEncryption = boxed
		if c.ID == "post" {
			c.UserinfoAlg = federation.ES256
		}
	}})
	shop, post, b := h.party("default", "shop"), h.party("default", "post"), h.browser()
	got := shop.signIn(b)
	res := shop.jwtUserinfo(got.Access)
	if res.status != 200 || res.header.Get("Content-Type") != "application/jwt" {
		t.Fatalf("%d %v %s", res.status, res.header, res.page)
	}
	if info := object(t, own.opens(t, res.page, nil)); info["sub"] != shop.claims(got.ID)["sub"] || info["iss"] != h.URL || info["aud"] != "shop" {
		t.Errorf("%v", info)
	}
	nested := post.jwtUserinfo(post.signIn(b).Access)
	if info := post.claims(own.opens(t, nested.page, "JWT")); info["aud"] != "post" || info["email"] != "alice@corp.example" {
		t.Errorf("%v", info)
	}
	// Keys that are gone are an outage, not an answer in plain.
	own.down.Store(true)
	h.configure(&setup{change: func(c *federation.Client) { own.of(h, c); c.UserinfoEncryption = boxed }})
	if res := shop.jwtUserinfo(got.Access); res.status != http.StatusServiceUnavailable || strings.Contains(res.page, "alice") || res.header.Get("Retry-After") == "" {
		t.Errorf("%d %s", res.status, res.page)
	}
	h.configure(&setup{change: func(c *federation.Client) { c.UserinfoEncryption = boxed }})
	if res := shop.jwtUserinfo(got.Access); res.status != http.StatusServiceUnavailable || strings.Contains(res.page, "alice") {
		t.Errorf("without keys: %d %s", res.status, res.page)
	}
}
