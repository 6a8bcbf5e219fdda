package token

import (
	"bytes"
	"context"
	"crypto"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

// node is a keyring of its own over an engine that it may share.
func node(t testing.TB, eng store.Engine, now func() time.Time, change ...func(*KeyringOptions)) *Keyring {
	t.Helper()
	o := KeyringOptions{
		Engine: eng, Now: now, RotateEvery: 40 * time.Hour, Overlap: 24 * time.Hour, // published 10 hours before it signs
		Tenants: func() []federation.Tenant { return []federation.Tenant{tenantOf("acme")} },
	}
	for _, f := range change {
		f(&o)
	}
	k, err := NewKeyring(o)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func published(t testing.TB, k *Keyring) []jose.JSONWebKey {
	t.Helper()
	body, err := k.JWKS(t.Context(), k.o.Tenants()[0])
	if err != nil {
		t.Fatal(err)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(body, &set); err != nil {
		t.Fatal(err)
	}
	return set.Keys
}

// kids are the published keys of an algorithm, in order.
func kids(t testing.TB, k *Keyring, alg string) []string {
	t.Helper()
	var out []string
	for _, key := range published(t, k) {
		if key.Algorithm == alg {
			out = append(out, key.KeyID)
		}
	}
	return out
}

func mustSign(t testing.TB, k *Keyring, alg federation.SigningAlg) (jwt, kid string) {
	t.Helper()
	jwt, err := k.Sign(t.Context(), k.o.Tenants()[0], alg, "JWT", map[string]string{"sub": "x"})
	if err != nil {
		t.Fatal(err)
	}
	jws, err := jose.ParseSignedCompact(jwt, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
	if err != nil {
		t.Fatal(err)
	}
	return jwt, jws.Signatures[0].Protected.KeyID
}

func TestKeySet(t *testing.T) {
	k := node(t, openEngine(t, newClock().now), newClock().now)
	if err := k.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	keys := published(t, k)
	if len(keys) != 2 || keys[0].Algorithm != "RS256" || keys[1].Algorithm != "ES256" {
		t.Fatalf("%d keys", len(keys))
	}
	for _, key := range keys {
		sum, err := key.Thumbprint(crypto.SHA256)
		if err != nil {
			t.Fatal(err)
		}
		if key.KeyID != base64.RawURLEncoding.EncodeToString(sum) || key.Use != "sig" || !key.IsPublic() || !key.Valid() {
			t.Errorf("key %q, use %q, public %v", key.KeyID, key.Use, key.IsPublic())
		}
		_, kid := mustSign(t, k, federation.SigningAlg(key.Algorithm))
		if kid != key.KeyID {
			t.Errorf("%s signs with %q, published is %q", key.Algorithm, kid, key.KeyID)
		}
	}
	body, _ := k.JWKS(t.Context(), tenantOf("acme"))
	for _, member := range []string{`"d"`, `"p"`, `"q"`, `"dp"`, `"dq"`, `"qi"`, `"k"`} {
		if bytes.Contains(body, []byte(member)) {
			t.Errorf("the set holds the member %s", member)
		}
	}
}

// TestRotation walks two nodes over one engine through the life of a key.
func TestRotation(t *testing.T) {
	c := newClock()
	eng := openEngine(t, c.now)
	a, b := node(t, eng, c.now), node(t, eng, c.now)
	begin := c.now()
	for _, k := range []*Keyring{a, b} {
		if err := k.Ensure(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	jwt, first := mustSign(t, a, federation.ES256)
	sealed, err := a.Seal(t.Context(), tenantOf("acme"), "p", []byte("plain"))
	if err != nil {
		t.Fatal(err)
	}
	var second, third string
	both := func(at time.Duration, what string, set []*string, signs *string) {
		t.Helper()
		for name, k := range map[string]*Keyring{"a": a, "b": b} {
			var want []string
			for _, s := range set {
				want = append(want, *s)
			}
			if got := kids(t, k, "ES256"); !slices.Equal(got, want) {
				t.Errorf("%v, %s: node %s publishes %v, want %v", at, what, name, got, want)
			}
			if _, kid := mustSign(t, k, federation.ES256); kid != *signs {
				t.Errorf("%v, %s: node %s signs with %s, want %s", at, what, name, kid, *signs)
			}
		}
	}
	ensure := func(at time.Duration, nodes ...*Keyring) {
		t.Helper()
		c.setTo(begin.Add(at))
		for _, k := range nodes {
			if err := k.Ensure(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	hour := time.Hour
	ensure(30*hour-time.Second, a, b)
	both(30*hour-time.Second, "not due", []*string{&first}, &first)

	ensure(30*hour, a, b)
	second = kids(t, a, "ES256")[1]
	both(30*hour, "next is published", []*string{&first, &second}, &first)

	// From here the clock alone decides: no node changes the store.
	eng.arm(func(int) (bool, error) { return false, store.ErrClosed }, nil)
	c.setTo(begin.Add(40*hour - time.Microsecond))
	both(40*hour, "just before", []*string{&first, &second}, &first)
	c.setTo(begin.Add(40 * hour))
	both(40*hour, "takes over", []*string{&first, &second}, &second)
	c.setTo(begin.Add(64*hour - time.Microsecond))
	both(64*hour, "overlap", []*string{&first, &second}, &second)
	for name, k := range map[string]*Keyring{"a": a, "b": b} {
		if _, err := k.Verify(t.Context(), tenantOf("acme"), jwt); err != nil {
			t.Errorf("node %s does not know its own token in the overlap: %v", name, err)
		}
		if _, err := k.Open(t.Context(), tenantOf("acme"), "p", sealed); err != nil {
			t.Errorf("node %s does not open in the overlap: %v", name, err)
		}
	}
	eng.arm(nil, nil)
	c.setTo(begin.Add(64 * hour))
	both(64*hour, "gone", []*string{&second}, &second)
	for name, k := range map[string]*Keyring{"a": a, "b": b} {
		if _, err := k.Verify(t.Context(), tenantOf("acme"), jwt); !errors.Is(err, ErrNotOurs) {
			t.Errorf("node %s after the overlap: %v", name, err)
		}
		if _, err := k.Open(t.Context(), tenantOf("acme"), "p", sealed); !errors.Is(err, ErrNotOurs) {
			t.Errorf("node %s opens after the overlap: %v", name, err)
		}
	}

	// Nobody looked for a long time: the next one is still published first.
	ensure(200*hour, a, b)
	third = kids(t, a, "ES256")[1]
	both(200*hour, "late", []*string{&second, &third}, &second)
	ensure(210*hour, a, b)
	both(210*hour, "late one takes over", []*string{&second, &third}, &third)
	ensure(234*hour, a, b)
	row, err := a.table.Get(t.Context(), tenantOf("acme").Place, ringID)
	if err != nil {
		t.Fatal(err)
	}
	for _, rec := range row.Value.Keys {
		if rec.ID == first || rec.ID == second {
			t.Error("a key that is gone is still in the store")
		}
	}
}

// TestNodesAgree: many nodes that start at once, and rotate at once, end with
// the same keys.
func TestNodesAgree(t *testing.T) {
	c := newClock()
	eng := openEngine(t, c.now)
	var nodes []*Keyring
	for range 6 {
		nodes = append(nodes, node(t, eng, c.now))
	}
	for _, want := range []int{1, 2} {
		var group sync.WaitGroup
		for _, k := range nodes {
			group.Go(func() {
				if err := k.Ensure(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		for _, k := range nodes {
			if got := kids(t, k, "RS256"); len(got) != want || !slices.Equal(got, kids(t, nodes[0], "RS256")) {
				t.Errorf("keys %v, want %d, the same everywhere", got, want)
			}
		}
		c.advance(30 * time.Hour)
	}
}

// TestSigningNeedsNoStore: not to sign, not to seal, not to publish, not to
// verify what is known.
func TestSigningNeedsNoStore(t *testing.T) {
	c := newClock()
	eng := openEngine(t, c.now)
	k := node(t, eng, c.now)
	if err := k.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	eng.arm(nil, func(store.Key) error { t.Error("the store was read"); return store.ErrClosed })
	tenant := tenantOf("acme")
	jwt, _ := mustSign(t, k, federation.RS256)
	if _, err := k.Verify(t.Context(), tenant, jwt); err != nil {
		t.Error(err)
	}
	sealed, err := k.Seal(t.Context(), tenant, "p", nil)
	if err != nil {
		t.Error(err)
	}
	if _, err := k.Open(t.Context(), tenant, "p", sealed); err != nil {
		t.Error(err)
	}
	published(t, k)
	eng.arm(nil, func(store.Key) error { return store.ErrClosed })
	if err := k.Ensure(t.Context()); !errors.Is(err, store.ErrClosed) {
		t.Errorf("ensure: %v", err)
	}
	mustSign(t, k, federation.RS256) // what was known still works
}

// TestUnknownKidReadsSeldom: a key that another node published is found at
// once, and a thousand made-up ones cost one read.
func TestUnknownKidReadsSeldom(t *testing.T) {
	c := newClock()
	eng := openEngine(t, c.now)
	a, b := node(t, eng, c.now), node(t, eng, c.now)
	for _, k := range []*Keyring{a, b} {
		if err := k.Ensure(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	c.advance(30 * time.Hour)
	if err := a.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.advance(10 * time.Hour)
	jwt, kid := mustSign(t, a, federation.ES256)
	if b.ring(tenantOf("acme")).seen.Load().byID[kid] != nil {
		t.Fatal("the other node knows the key already")
	}
	eng.arm(nil, nil)
	if _, err := b.Verify(t.Context(), tenantOf("acme"), jwt); err != nil {
		t.Errorf("a key of another node: %v", err)
	}
	head := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256","kid":"made-up"}`))
	forged := head + jwt[strings.IndexByte(jwt, '.'):]
	for range 1000 {
		if _, err := b.Verify(t.Context(), tenantOf("acme"), forged); !errors.Is(err, ErrNotOurs) {
			t.Fatal(err)
		}
		if _, err := b.Open(t.Context(), tenantOf("acme"), "p", "made-up.AAAA"); !errors.Is(err, ErrNotOurs) {
			t.Fatal(err)
		}
	}
	if _, gets := eng.counts(); gets != 1 {
		t.Errorf("%d reads, want 1", gets)
	}
	c.advance(maxSearch)
	_, _ = b.Verify(t.Context(), tenantOf("acme"), forged)
	if _, gets := eng.counts(); gets != 2 {
		t.Errorf("%d reads after another interval, want 2", gets)
	}
}

// TestTenantNeverMet: one that came with a new configuration has keys when it
// is first asked for.
func TestTenantNeverMet(t *testing.T) {
	c := newClock()
	k := node(t, openEngine(t, c.now), c.now)
	var group sync.WaitGroup
	made := make([]string, 8)
	for i := range made {
		group.Go(func() { _, made[i] = mustSign(t, k, federation.ES256) })
	}
	group.Wait()
	if len(slices.Compact(made)) != 1 {
		t.Errorf("signed with %v", made)
	}
	if _, err := k.Sign(t.Context(), tenantOf("acme"), "HS256", "JWT", nil); err == nil {
		t.Error("signed with an algorithm that there is no key for")
	}
	if _, err := k.Sign(t.Context(), tenantOf("acme"), "seal", "JWT", nil); err == nil {
		t.Error("signed with the sealing key")
	}
	if _, err := k.Sign(t.Context(), tenantOf("acme"), federation.ES256, `x","alg":"none`, nil); err == nil {
		t.Error("a type wrote into the header")
	}
}

// TestKeysAtRest: they are sealed, and where they do not open nobody makes
// others in their place.
func TestKeysAtRest(t *testing.T) {
	c := newClock()
	eng := openEngine(t, c.now)
	sealer := func(b byte) func(*KeyringOptions) {
		s, err := store.NewSealer([]store.SealingKey{{ID: "k1", Key: bytes.Repeat([]byte{b}, 32)}})
		if err != nil {
			t.Fatal(err)
		}
		return func(o *KeyringOptions) { o.Sealer = s }
	}
	k := node(t, eng, c.now, sealer(1))
	if err := k.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, kid := mustSign(t, k, federation.RS256)
	rec, err := eng.Get(t.Context(), tenantOf("acme").Place.Key(ringKind, ringID))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(rec.Value, []byte("material")) || bytes.Contains(rec.Value, []byte(kid)) {
		t.Error("the ring is not sealed")
	}
	stranger := node(t, eng, c.now, sealer(2))
	if err := stranger.Ensure(t.Context()); !errors.Is(err, store.ErrSealed) {
		t.Errorf("with another sealing key: %v", err)
	}
	if _, err := stranger.Sign(t.Context(), tenantOf("acme"), federation.RS256, "JWT", nil); err == nil {
		t.Error("signed with keys of its own")
	}
	again := node(t, eng, c.now, sealer(1))
	if _, found := mustSign(t, again, federation.RS256); found != kid {
		t.Error("the keys are others after a restart")
	}
}

// TestEnsureGoesOn: one tenant's failure keeps nobody else from keys.
func TestEnsureGoesOn(t *testing.T) {
	c := newClock()
	eng := openEngine(t, c.now)
	k := node(t, eng, c.now, func(o *KeyringOptions) {
		o.Tenants = func() []federation.Tenant { return []federation.Tenant{tenantOf("acme"), tenantOf("broken")} }
	})
	eng.arm(nil, func(key store.Key) error {
		if key.Place().Tenant == "broken" {
			return errors.New("disk")
		}
		return nil
	})
	if err := k.Ensure(t.Context()); err == nil || !strings.Contains(err.Error(), `"broken"`) {
		t.Errorf("error %v", err)
	}
	if len(published(t, k)) != 2 {
		t.Error("the other tenant has no keys")
	}
}

// TestRun: keys come and go by themselves, over failures of the store, and the
// work ends with its context.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		eng := openEngine(t, time.Now)
		k := node(t, eng, time.Now)
		if err := k.Ensure(t.Context()); err != nil {
			t.Fatal(err)
		}
		_, first := mustSign(t, k, federation.ES256)
		ended := make(chan error, 1)
		ctx, stop := context.WithCancel(t.Context())
		go func() { ended <- k.Run(ctx) }()
		time.Sleep(29 * time.Hour)
		eng.arm(nil, func(store.Key) error { return store.ErrClosed })
		time.Sleep(2 * time.Hour)
		eng.arm(nil, nil)
		time.Sleep(2*time.Hour + 30*time.Minute) // Run has looked at every tenant, so the next key waits ten hours
		if got := kids(t, k, "ES256"); len(got) != 2 {
			t.Errorf("published are %v", got)
		}
		time.Sleep(10 * time.Hour)
		if _, now := mustSign(t, k, federation.ES256); now == first {
			t.Error("the first key still signs")
		}
		if got := kids(t, k, "ES256"); len(got) != 2 || got[0] != first {
			t.Errorf("published are %v", got)
		}
		time.Sleep(24 * time.Hour)
		if got := kids(t, k, "ES256"); slices.Contains(got, first) {
			t.Error("the first key is still published")
		}
		synctest.Wait()
		select {
		case err := <-ended:
			t.Fatalf("ended: %v", err)
		default:
		}
		stop()
		if err := <-ended; err != nil {
			t.Errorf("after its context: %v", err)
		}
	})
}

func TestNewKeyringRefuses(t *testing.T) {
	c := newClock()
	eng := openEngine(t, c.now)
	for name, f := range map[string]func(*KeyringOptions){
		"no engine":   func(o *KeyringOptions) { o.Engine = nil },
		"no clock":    func(o *KeyringOptions) { o.Now = nil },
		"no tenants":  func(o *KeyringOptions) { o.Tenants = nil },
		"no rotation": func(o *KeyringOptions) { o.RotateEvery = 0 },
		"no overlap":  func(o *KeyringOptions) { o.Overlap = -1 },
	} {
		o := KeyringOptions{Engine: eng, Now: c.now, RotateEvery: time.Hour, Overlap: time.Hour, Tenants: func() []federation.Tenant { return nil }}
		f(&o)
		if _, err := NewKeyring(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
