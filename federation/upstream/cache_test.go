package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/upstream/upstreamtest"
)

const metadataPath = "/.well-known/openid-configuration"

// hands is a clock that a test moves.
type hands struct {
	begin time.Time
	moved atomic.Int64
}

func (h *hands) now() time.Time          { return h.begin.Add(time.Duration(h.moved.Load())) }
func (h *hands) advance(d time.Duration) { h.moved.Add(int64(d)) }

// at is a connector with a clock of its own. Tokens live for five minutes by the
// real clock, so a connector that is hours ahead forgives as much.
func at(t *testing.T, p *upstreamtest.Provider) (*OIDC, *hands) {
	t.Helper()
	h := &hands{begin: time.Now()}
	return connect(t, p, func(o *Options) { o.Now, o.Skew = h.now, 24*time.Hour }), h
}

func signIn(t *testing.T, c *OIDC) error {
	t.Helper()
	_, err := c.Exchange(t.Context(), attempt(), walk(t, c, attempt()))
	return err
}

func code(err error) federation.Code {
	if e, ok := errors.AsType[*federation.Error](err); ok {
		return e.Code
	}
	return ""
}

// Keys that cannot be fetched are asked for once per interval, and are there
// again by themselves.
func TestFailedKeysAreNotHammered(t *testing.T) {
	t.Parallel()
	p := upstreamtest.New(t)
	c, clock := at(t, p)
	p.Set(upstreamtest.Knobs{KeysStatus: 500})
	for range 10 {
		if err := signIn(t, c); code(err) != federation.TemporarilyUnavailable {
			t.Fatal(err)
		}
	}
	if n := p.Hits("/jwks"); n != 1 {
		t.Errorf("%d fetches of keys that are down, want 1", n)
	}
	p.Set(upstreamtest.Knobs{})
	clock.advance(keysPause)
	if err := signIn(t, c); err != nil {
		t.Errorf("after recovery: %v", err)
	}
	// Unknown keys while the endpoint is down: an outage, not a lie, and again
	// one fetch. What is known verifies all the same.
	clock.advance(keysPause)
	p.Set(upstreamtest.Knobs{KeysStatus: 500})
	before := p.Hits("/jwks")
	for range 10 {
		if err := signIn(t, c); err != nil {
			t.Fatalf("a known key while the endpoint is down: %v", err)
		}
	}
	p.Set(upstreamtest.Knobs{KeysStatus: 500, ForeignKey: true})
	for range 10 {
		if err := signIn(t, c); code(err) != federation.TemporarilyUnavailable {
			t.Fatal(err)
		}
	}
	if n := p.Hits("/jwks") - before; n != 1 {
		t.Errorf("%d fetches for unknown keys while the endpoint is down, want 1", n)
	}
}

// A key that the provider withdrew is forgotten after keysLife, unless the
// provider cannot be asked.
func TestWithdrawnKeysAreForgotten(t *testing.T) {
	t.Parallel()
	p := upstreamtest.New(t)
	c, clock := at(t, p)
	if err := signIn(t, c); err != nil {
		t.Fatal(err)
	}
	back := walk(t, c, attempt())
	got, err := c.call(c.cache.old()).redeem(t.Context(), attempt(), back.Code)
	if err != nil {
		t.Fatal(err)
	}
	raw := got.id
	verify := func() error { _, err := c.cache.old().verifier.Verify(t.Context(), raw); return err }
	p.Rotate()
	clock.advance(keysLife - time.Second)
	if err := verify(); err != nil {
		t.Errorf("within the life of the keys: %v", err)
	}
	p.Set(upstreamtest.Knobs{KeysStatus: 500})
	clock.advance(time.Second)
	for range 10 {
		if err := verify(); err != nil {
			t.Errorf("while the provider is down: %v", err)
		}
	}
	if n := p.Hits("/jwks"); n != 2 {
		t.Errorf("%d fetches, want 2", n)
	}
	p.Set(upstreamtest.Knobs{})
	clock.advance(keysPause)
	if verify() == nil {
		t.Error("a withdrawn key is believed")
	}
}

// Those who want keys at once share a fetch; so do those who want metadata, and
// nobody waits for metadata to be fetched again.
func TestFetchesAreShared(t *testing.T) {
	t.Parallel()
	p := upstreamtest.New(t)
	c, clock := at(t, p)
	if _, err := c.AuthURL(t.Context(), attempt()); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			if err := signIn(t, c); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if n := p.Hits("/jwks"); n != 1 {
		t.Errorf("%d fetches of the keys for 20 sign-ins at once, want 1", n)
	}
	clock.advance(discoveryLife)
	stuck, asked := make(chan struct{}), make(chan struct{}, 100)
	fetch := c.cache.fetch
	c.cache.fetch = func(ctx context.Context) (*provider, error) { asked <- struct{}{}; <-stuck; return fetch(ctx) }
	for range 20 {
		if _, err := c.AuthURL(t.Context(), attempt()); err != nil { // would hang if it waited
			t.Error(err)
		}
	}
	<-asked
	if len(asked) != 0 {
		t.Errorf("%d more fetches under way", len(asked))
	}
	close(stuck)
}

// Metadata that cannot be fetched again serves on, as long as it takes, with one
// attempt per pause.
func TestStaleMetadataServes(t *testing.T) {
	t.Parallel()
	p := upstreamtest.New(t)
	c, clock := at(t, p)
	if err := signIn(t, c); err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]upstreamtest.Knobs{"down": {DiscoveryStatus: 503}, "another issuer": {Issuer: "https://evil.example"}} {
		p.Set(bad)
		clock.advance(3 * discoveryLife)
		before := p.Hits(metadataPath)
		for range 10 {
			if err := signIn(t, c); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		settled(c)
		if n := p.Hits(metadataPath) - before; n != 1 {
			t.Errorf("%s: %d fetches, want 1", name, n)
		}
	}
}

// settled waits for a fetch of the metadata that is under way.
func settled(c *OIDC) {
	c.cache.mu.Lock()
	waiting := c.cache.waiting
	c.cache.mu.Unlock()
	if waiting != nil {
		<-waiting
	}
}

// A set without a usable key does not replace one, and a huge one is cut.
func TestKeySetsThatAreNoneOrTooMany(t *testing.T) {
	t.Parallel()
	var body atomic.Pointer[string]
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(*body.Load())) }))
	defer far.Close()
	one := `{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"%s}`
	k := &keySet{url: far.URL, http: bounded(&http.Client{}), now: time.Now}
	for name, c := range map[string]struct {
		body string
		keys int
	}{
		"one":             {`{"keys":[` + fmt.Sprintf(one, "") + `]}`, 1},
		"none":            {`{"keys":[]}`, 0},
		"no list":         {`{}`, 0},
		"to encrypt":      {`{"keys":[` + fmt.Sprintf(one, `,"use":"enc"`) + `]}`, 0},
		"secret":          {`{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}`, 0},
		"hundreds":        {`{"keys":[` + strings.Repeat(fmt.Sprintf(one, "")+",", 500) + fmt.Sprintf(one, "") + `]}`, maxKeys},
		"larger than 1 M": {`{"keys":[` + strings.Repeat(fmt.Sprintf(one, "")+",", 10_000) + fmt.Sprintf(one, "") + `]}`, 0},
	} {
		body.Store(&c.body)
		keys, err := k.fetch(t.Context())
		if len(keys) != c.keys || (err == nil) != (c.keys > 0) {
			t.Errorf("%s: %d keys, %v", name, len(keys), err)
		}
	}
}
