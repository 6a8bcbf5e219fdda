package token

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

// wanting lets a test change what the tenant's clients want.
func wanting(algs *[]federation.SigningAlg) func(*KeyringOptions) {
	return func(o *KeyringOptions) {
		o.Algs = func(federation.Tenant) []federation.SigningAlg { return *algs }
	}
}

// TestAlgorithmsThatAClientWants: keys for them are made once a client wants
// them, by whoever needs one first, and live as the others do, also on nodes
// whose configuration does not want them.
func TestAlgorithmsThatAClientWants(t *testing.T) {
	t.Parallel()
	for _, alg := range []federation.SigningAlg{federation.PS256, federation.EdDSA} {
		t.Run(string(alg), func(t *testing.T) {
			t.Parallel()
			c := newClock()
			eng := openEngine(t, c.now)
			var wants []federation.SigningAlg
			a, b := node(t, eng, c.now, wanting(&wants)), node(t, eng, c.now)
			for _, k := range []*Keyring{a, b} {
				if err := k.Ensure(t.Context()); err != nil {
					t.Fatal(err)
				}
				if _, err := k.Sign(t.Context(), tenantOf("acme"), alg, "JWT", 1); err == nil || len(published(t, k)) != 2 {
					t.Fatal("there is a key that nobody wanted")
				}
			}
			if err := a.Rotate(t.Context(), tenantOf("acme")); err != nil || len(kids(t, a, string(alg))) != 0 {
				t.Fatalf("a rotation made a key that nobody wanted, %v", err)
			}
			wants = []federation.SigningAlg{federation.RS256, alg}
			jwt, first := mustSign(t, a, alg)
			if got := kids(t, a, string(alg)); !slices.Equal(got, []string{first}) {
				t.Errorf("published are %v", got)
			}
			c.advance(maxSearch)
			if _, err := b.Verify(t.Context(), tenantOf("acme"), jwt); err != nil {
				t.Errorf("another node: %v", err)
			}
			if _, kid := mustSign(t, b, alg); kid != first {
				t.Error("another node has another key")
			}
			wants = nil
			c.advance(30 * time.Hour) // the next one is due, whoever comes first
			if got := kids(t, b, string(alg)); len(got) != 2 || got[0] != first {
				t.Fatalf("published are %v", got)
			}
			if _, kid := mustSign(t, b, alg); kid != first {
				t.Error("the next key signs before its turn")
			}
			c.advance(10 * time.Hour)
			_, second := mustSign(t, a, alg)
			if second == first {
				t.Error("the next key does not sign")
			}
			if _, err := a.Verify(t.Context(), tenantOf("acme"), jwt); err != nil {
				t.Errorf("the key before: %v", err)
			}
			if err := b.Revoke(t.Context(), tenantOf("acme"), second); err != nil {
				t.Fatal(err)
			}
			if _, kid := mustSign(t, b, alg); kid == second {
				t.Error("what is revoked signs")
			}
			all, err := b.Keys(t.Context(), tenantOf("acme"))
			if err != nil || !slices.ContainsFunc(all, func(i KeyInfo) bool { return i.Use == string(alg) && i.Standing == "working" }) {
				t.Errorf("%+v, %v", all, err)
			}
		})
	}
}

// TestAlgorithmsWantedAtOnce: however many ask, on however many nodes, one key
// is made, and while the store is down the error says so.
func TestAlgorithmsWantedAtOnce(t *testing.T) {
	t.Parallel()
	wants := []federation.SigningAlg{}
	c, eng, nodes := cluster(t, 3, wanting(&wants))
	for _, k := range nodes {
		mustSign(t, k, federation.ES256)
	}
	wants = append(wants, federation.EdDSA)
	eng.arm(nil, func(store.Key) error { return errors.New("down") })
	for range 3 {
		if _, err := nodes[0].Sign(t.Context(), placed("acme"), federation.EdDSA, "JWT", 1); err == nil {
			t.Fatal("signed without a key")
		}
	}
	if _, gets := eng.counts(); gets > 1 {
		t.Errorf("the store was asked %d times at once", gets)
	}
	eng.arm(nil, nil)
	c.advance(maxSearch)
	made := make([]string, 12)
	var group sync.WaitGroup
	for i := range made {
		group.Go(func() { _, made[i] = mustSign(t, nodes[i%3], federation.EdDSA) })
	}
	group.Wait()
	if slices.Sort(made); made[0] != made[len(made)-1] {
		t.Errorf("several keys sign: %v", slices.Compact(made))
	}
}

// TestKeysOfANewerVersion: an older node leaves them alone, and goes on.
func TestKeysOfANewerVersion(t *testing.T) {
	t.Parallel()
	c := newClock()
	k := node(t, openEngine(t, c.now), c.now)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(k.Ensure(t.Context()))
	future := keyRecord{ID: "future", Use: "ML-DSA-44", Made: c.now(), From: c.now(), Material: material("?")}
	_, err := store.Update(t.Context(), k.o.Engine, func(ctx context.Context) ([]store.Op, error) {
		row, err := k.table.Get(ctx, tenantOf("acme").Place, ringID)
		row.Value.Keys = append(row.Value.Keys, future)
		return []store.Op{k.table.Replace(row.Place, ringID, row.Value, row.Version, time.Time{})}, err
	})
	must(err)
	c.advance(30 * time.Hour)
	if got := kids(t, k, "ES256"); len(got) != 2 {
		t.Errorf("published are %v", got)
	}
	row, err := k.table.Get(t.Context(), tenantOf("acme").Place, ringID)
	must(err)
	if !slices.ContainsFunc(row.Value.Keys, func(r keyRecord) bool { return r.ID == "future" }) {
		t.Error("the newer version's key is gone")
	}
}

// TestIDTokensOfOtherAlgorithms: relying parties believe them, and the hash of
// the access token in them.
func TestIDTokensOfOtherAlgorithms(t *testing.T) {
	h := newHouse(t)
	h.keys.o.Algs = func(federation.Tenant) []federation.SigningAlg {
		return []federation.SigningAlg{federation.PS256, federation.EdDSA}
	}
	for _, alg := range []string{oidc.PS256, oidc.EdDSA} {
		client := shop()
		client.IDTokenAlg = federation.SigningAlg(alg)
		code, _ := h.signIn(h.grant(), pkce())
		out, err := h.issuer.Redeem(t.Context(), h.tenant, h.verified(client), redemption(code))
		if err != nil {
			t.Fatal(err)
		}
		token, err := h.relyingParty("shop", alg).Verify(t.Context(), out.IDToken)
		if err != nil {
			t.Fatalf("%s: %v", alg, err)
		}
		if err := token.VerifyAccessToken(out.AccessToken); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
		if _, err := h.keys.Verify(t.Context(), h.tenant, out.IDToken); err != nil {
			t.Errorf("%s as a hint: %v", alg, err)
		}
		if _, err := h.keys.Verify(t.Context(), h.tenant, out.IDToken, federation.RS256); !errors.Is(err, ErrNotOurs) {
			t.Errorf("%s passes for another: %v", alg, err)
		}
	}
}
