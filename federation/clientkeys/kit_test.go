package clientkeys_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/drawbridge-id/drawbridge/federation/clientkeys"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// ready are private keys, made once: RSA primes are slow to find.
var ready = sync.OnceValue(func() map[string]any {
	r, err1 := rsa.GenerateKey(rand.Reader, 2048)
	e, err2 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	e5, err3 := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	_, ed, err4 := ed25519.GenerateKey(rand.Reader)
	for _, err := range []error{err1, err2, err3, err4} {
		if err != nil {
			panic(err)
		}
	}
	return map[string]any{"rsa": r, "p256": e, "p521": e5, "ed": ed}
})

// public is the published half of a key.
func public(t testing.TB, name, kid, use, alg string) json.RawMessage {
	t.Helper()
	key := jose.JSONWebKey{Key: ready()[name], KeyID: kid, Use: use, Algorithm: alg}
	raw, err := json.Marshal(key.Public())
	must(t, err)
	return raw
}

func set(t testing.TB, keys ...json.RawMessage) string {
	t.Helper()
	if keys == nil {
		keys = []json.RawMessage{}
	}
	raw, err := json.Marshal(map[string]any{"keys": keys})
	must(t, err)
	return string(raw)
}

// publisher is a relying party's key set over HTTP.
type publisher struct {
	*httptest.Server
	mu    sync.Mutex
	serve http.HandlerFunc
	hits  atomic.Int64
}

func publish(t testing.TB, body string) *publisher {
	p := &publisher{}
	p.says(200, body)
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.hits.Add(1)
		p.mu.Lock()
		serve := p.serve
		p.mu.Unlock()
		serve(w, r)
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *publisher) does(serve http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.serve = serve
}

func (p *publisher) says(status int, body string, headers ...string) {
	p.does(func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Add(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	})
}

// clock is a clock that tests set.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time          { return time.Unix(1_900_000_000, c.ahead.Load()) }
func (c *clock) advance(d time.Duration) { c.ahead.Add(int64(d)) }

// at are the keys that a publisher has.
func at(t testing.TB, p *publisher) (*clientkeys.Keys, *clock) {
	t.Helper()
	c := &clock{}
	k, err := clientkeys.New(clientkeys.Options{URI: p.URL + "/jwks", Now: c.now, Log: slog.New(slog.DiscardHandler),
		// Without kept connections, over which Go would ask again by itself.
		HTTP: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}})
	must(t, err)
	return k, c
}

// named fits keys by their kid.
func named(kid string) func(jose.JSONWebKey) bool {
	return func(k jose.JSONWebKey) bool { return k.KeyID == kid }
}
