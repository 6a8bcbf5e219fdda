package token

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/boltstore"
)

// spreadEngine has several partitions, as a store of several nodes has.
func spreadEngine(t testing.TB, now func() time.Time) *faulty {
	t.Helper()
	eng, err := boltstore.Open(boltstore.Options{Path: filepath.Join(t.TempDir(), "drawbridge.db"), Now: now, Partitions: 16})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := eng.Close(); err != nil {
			t.Error(err)
		}
	})
	return &faulty{Engine: eng}
}

// placed is a tenant in the partition that a store of 16 gives it.
func placed(id string) federation.Tenant {
	t := tenantOf(id)
	t.Place = store.Layout{Partitions: 16}.Place(id)
	return t
}

// cluster is nodes over one engine, each with its own idea of the time.
func cluster(t testing.TB, n int, change ...func(*KeyringOptions)) (*clock, *faulty, []*Keyring) {
	t.Helper()
	c := newClock()
	eng := spreadEngine(t, c.now)
	skews := []time.Duration{0, time.Hour, -time.Hour}
	var nodes []*Keyring
	for i := range n {
		local := func() time.Time { return c.now().Add(skews[i%len(skews)]) }
		nodes = append(nodes, node(t, eng, local, append([]func(*KeyringOptions){func(o *KeyringOptions) {
			o.Tenants = func() []federation.Tenant { return []federation.Tenant{placed("acme")} }
		}}, change...)...))
	}
	return c, eng, nodes
}

// everywhere demands the same published keys and the same signing key of all nodes.
func everywhere(t testing.TB, when string, nodes []*Keyring, want []string, signs string) {
	t.Helper()
	for i, k := range nodes {
		if got := kids(t, k, "ES256"); !slices.Equal(got, want) {
			t.Errorf("%s: node %d publishes %v, want %v", when, i, got, want)
		}
		if _, kid := mustSign(t, k, federation.ES256); kid != signs {
			t.Errorf("%s: node %d signs with %s, want %s", when, i, kid, signs)
		}
	}
}

// TestNodesStartAtOnce: one key set, and every token that any node signs while
// they start is believed by all.
func TestNodesStartAtOnce(t *testing.T) {
	t.Parallel()
	_, eng, nodes := cluster(t, 3)
	tokens := make([]string, 12)
	var group sync.WaitGroup
	for i := range tokens {
		group.Go(func() {
			if i%2 == 0 {
				_ = nodes[i%3].Ensure(t.Context())
			}
			tokens[i], _ = mustSign(t, nodes[i%3], federation.ES256)
		})
	}
	group.Wait()
	for i, jwt := range tokens {
		for j, k := range nodes {
			if _, err := k.Verify(t.Context(), placed("acme"), jwt); err != nil {
				t.Errorf("token %d at node %d: %v", i, j, err)
			}
		}
	}
	rows, err := nodes[0].table.Scan(t.Context(), placed("acme").Place, "", "", 10)
	if err != nil || len(rows) != 1 || len(rows[0].Value.Keys) != len(uses()) {
		t.Errorf("%d rings, %v", len(rows), err)
	}
	if commits, _ := eng.counts(); commits > len(nodes) {
		t.Errorf("%d commits for one key set of %d nodes", commits, len(nodes))
	}
}

// TestRotationOverNodes: nodes whose clocks are hours apart rotate once, publish
// the next key before anybody signs with it, and change over in the same
// instant, without a commit.
func TestRotationOverNodes(t *testing.T) {
	t.Parallel()
	c, eng, nodes := cluster(t, 3)
	begin := c.now()
	_, first := mustSign(t, nodes[0], federation.ES256)
	everywhere(t, "first", nodes, []string{first}, first)
	c.setTo(begin.Add(30*time.Hour - MaxRefresh))
	everywhere(t, "not due", nodes, []string{first}, first)

	c.setTo(begin.Add(30 * time.Hour))
	eng.arm(nil, nil)
	var group sync.WaitGroup
	for _, k := range nodes {
		group.Go(func() { published(t, k) }) // being used is enough to rotate
	}
	group.Wait()
	second := kids(t, nodes[0], "ES256")[1]
	everywhere(t, "next is published", nodes, []string{first, second}, first)

	eng.arm(func(int) (bool, error) { t.Error("a node commits"); return true, nil }, nil)
	for at, want := range map[time.Duration]string{40*time.Hour - time.Microsecond: first, 40 * time.Hour: second, 64*time.Hour - time.Microsecond: second} {
		c.setTo(begin.Add(at))
		everywhere(t, at.String(), nodes, []string{first, second}, want)
	}
	eng.arm(nil, nil)
	c.setTo(begin.Add(64 * time.Hour))
	everywhere(t, "gone", nodes, []string{second}, second)
}

// TestNobodySignsWithWhatANodeDoesNotPublish: whatever a node last read, when a
// key signs anywhere every node that still answers publishes it, and so does
// every copy that max-age allows.
func TestNobodySignsWithWhatANodeDoesNotPublish(t *testing.T) {
	t.Parallel()
	for _, every := range []time.Duration{time.Minute, time.Hour, 40 * time.Hour, 90 * 24 * time.Hour} {
		s := newSchedule(every, time.Hour)
		if s.settle() > s.lead || s.refresh > s.trust || s.refresh <= 0 {
			t.Errorf("%v: refresh %v, trust %v, copied %v, lead %v", every, s.refresh, s.trust, s.copied, s.lead)
		}
	}
	c, _, nodes := cluster(t, 2)
	a, cut := nodes[0], nodes[1]
	published(t, a)
	eng := &faulty{Engine: a.o.Engine}
	cut.table = store.NewTable[ringRecord](eng, store.TableOptions{Kind: ringKind, Schema: 1})
	published(t, cut)
	eng.arm(nil, func(store.Key) error { return store.ErrClosed })
	if err := a.Rotate(t.Context(), placed("acme")); err != nil {
		t.Fatal(err)
	}
	_, old := mustSign(t, a, federation.ES256)
	c.advance(MaxTrust - time.Second)
	if _, kid := mustSign(t, cut, federation.ES256); kid != old {
		t.Error("the node that is cut off signs with another key")
	}
	c.advance(time.Second)
	if _, kid := mustSign(t, a, federation.ES256); kid != old {
		t.Error("the new key signs while copies of the set without it are about")
	}
	for name, err := range map[string]error{
		"sign": second(cut.Sign(t.Context(), placed("acme"), federation.ES256, "JWT", nil)),
		"jwks": second(cut.JWKS(t.Context(), placed("acme"))),
		"open": second(cut.Open(t.Context(), placed("acme"), "p", "x.AAAA")),
	} {
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("cut off for too long, %s: %v", name, err)
		}
	}
	eng.arm(nil, nil)
	c.advance(cut.CopyFor())
	_, fresh := mustSign(t, a, federation.ES256)
	if fresh == old {
		t.Error("the new key does not sign when all know it")
	}
	everywhere(t, "rotated", nodes, []string{old, fresh}, fresh)
}

func second[T any](_ T, err error) error { return err }

// TestRotateTwice: operators of two nodes who say the same thing get one new key.
func TestRotateTwice(t *testing.T) {
	t.Parallel()
	c, _, nodes := cluster(t, 3)
	_, first := mustSign(t, nodes[0], federation.ES256)
	var group sync.WaitGroup
	for range 2 {
		for _, k := range nodes {
			group.Go(func() {
				if err := k.Rotate(t.Context(), placed("acme")); err != nil {
					t.Error(err)
				}
			})
		}
	}
	group.Wait()
	c.advance(MaxRefresh)
	both := kids(t, nodes[0], "ES256")
	if len(both) != 2 {
		t.Fatalf("published are %v", both)
	}
	everywhere(t, "published", nodes, both, first)
	c.advance(nodes[0].plan.settle())
	everywhere(t, "in force", nodes, both, both[1])
	infos, err := nodes[1].Keys(t.Context(), placed("acme"))
	if err != nil || len(infos) != 6 {
		t.Fatalf("%+v, %v", infos, err)
	}
	old, now := infos[2], infos[3] // RS256 comes first
	if old.ID != first || old.Standing != "retired" || !old.Gone.Equal(now.From.Add(24*time.Hour)) || now.ID != both[1] || now.Standing != "working" || !now.Gone.IsZero() {
		t.Errorf("%+v, %+v", old, now)
	}
}

// TestRevocation: what was revoked works nowhere after MaxRefresh, neither to
// sign nor to be believed, and somebody else signs.
func TestRevocation(t *testing.T) {
	t.Parallel()
	c, eng, nodes := cluster(t, 3)
	tenant := placed("acme")
	jwt, first := mustSign(t, nodes[0], federation.ES256)
	sealed, err := nodes[0].Seal(t.Context(), tenant, "p", []byte("plain"))
	if err != nil {
		t.Fatal(err)
	}
	sealKey, _, _ := strings.Cut(sealed, ".")
	everywhere(t, "before", nodes, []string{first}, first)
	if err := nodes[1].Revoke(t.Context(), tenant, "made-up"); !errors.Is(err, ErrNoKey) {
		t.Errorf("a key that is not there: %v", err)
	}
	for range 2 { // the second time by another node, and no error
		for _, id := range []string{first, sealKey} {
			if err := nodes[1].Revoke(t.Context(), tenant, id); err != nil {
				t.Fatal(err)
			}
		}
	}
	// A node that met the new key first looks for it at once.
	c.advance(maxSearch)
	next, successor := mustSign(t, nodes[1], federation.ES256)
	if successor == first {
		t.Fatal("the revoked key signs at the node that revoked it")
	}
	if _, err := nodes[2].Verify(t.Context(), tenant, next); err != nil {
		t.Errorf("the new key at a node that had not heard of it: %v", err)
	}
	c.advance(MaxRefresh)
	everywhere(t, "revoked", nodes, []string{successor}, successor)
	for i, k := range nodes {
		if _, err := k.Verify(t.Context(), tenant, jwt); !errors.Is(err, ErrNotOurs) {
			t.Errorf("node %d believes the revoked key: %v", i, err)
		}
		if _, err := k.Open(t.Context(), tenant, "p", sealed); !errors.Is(err, ErrNotOurs) {
			t.Errorf("node %d opens with the revoked key: %v", i, err)
		}
	}
	rec, err := eng.Get(t.Context(), tenant.Place.Key(ringKind, ringID))
	if err != nil || strings.Count(string(rec.Value), first) != 1 {
		t.Errorf("the store names the revoked key %d times, want once: as revoked", strings.Count(string(rec.Value), first))
	}
	// It is remembered until it would have been gone, and then forgotten.
	c.advance(300 * time.Hour)
	published(t, nodes[0])
	if known := nodes[0].ring(tenant).known.Revoked; len(known) != 0 {
		t.Errorf("still remembered: %v", known)
	}
}

// TestRevocationKeepsToWhatIsKnown: a key that waits, or a retired one, takes
// the place of a revoked one before one that nobody has seen.
func TestRevocationKeepsToWhatIsKnown(t *testing.T) {
	t.Parallel()
	c, _, nodes := cluster(t, 2)
	tenant := placed("acme")
	_, first := mustSign(t, nodes[0], federation.ES256)
	c.advance(30 * time.Hour)
	waiting := kids(t, nodes[0], "ES256")[1]
	if err := nodes[0].Revoke(t.Context(), tenant, first); err != nil {
		t.Fatal(err)
	}
	c.advance(MaxRefresh)
	everywhere(t, "the next one", nodes, []string{waiting}, waiting)

	if err := nodes[1].Rotate(t.Context(), tenant); err != nil {
		t.Fatal(err)
	}
	c.advance(nodes[1].plan.settle())
	_, third := mustSign(t, nodes[1], federation.ES256)
	if err := nodes[0].Revoke(t.Context(), tenant, third); err != nil {
		t.Fatal(err)
	}
	c.advance(MaxRefresh)
	both := kids(t, nodes[0], "ES256")
	if len(both) != 2 || both[0] != waiting {
		t.Fatalf("published are %v", both)
	}
	everywhere(t, "the retired one", nodes, both, waiting)
	c.advance(nodes[1].plan.settle())
	everywhere(t, "the new one", nodes, both, both[1])
}
