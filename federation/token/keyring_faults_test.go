package token

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

// TestLostByTheStore: a store that forgot what it had said (a failover, a backup)
// is told again: no token was signed with a key that is lost, and nothing
// revoked comes back.
func TestLostByTheStore(t *testing.T) {
	t.Parallel()
	c, eng, nodes := cluster(t, 3)
	tenant := placed("acme")
	_, first := mustSign(t, nodes[0], federation.ES256)
	everywhere(t, "before", nodes, []string{first}, first)
	old, err := eng.Get(t.Context(), tenant.Place.Key(ringKind, ringID))
	if err != nil {
		t.Fatal(err)
	}
	if err := nodes[0].Revoke(t.Context(), tenant, first); err != nil {
		t.Fatal(err)
	}
	jwt, successor := mustSign(t, nodes[0], federation.ES256)
	back := store.Put(old.Key, old.Value, time.Time{})
	for name, op := range map[string]store.Op{"an older ring": back, "no ring": store.Drop(old.Key)} {
		if _, err := eng.Engine.Commit(t.Context(), op); err != nil {
			t.Fatal(err)
		}
		c.advance(MaxRefresh)
		published(t, nodes[0])
		c.advance(MaxRefresh)
		everywhere(t, name, nodes, []string{successor}, successor)
		for i, k := range nodes {
			if _, err := k.Verify(t.Context(), tenant, jwt); err != nil {
				t.Errorf("%s: node %d: %v", name, i, err)
			}
		}
	}
	// Two nodes that made different rings for lack of each other's keep both.
	here := func(o *KeyringOptions) { o.Tenants = nodes[0].o.Tenants }
	x, y := node(t, spreadEngine(t, c.now), c.now, here), node(t, spreadEngine(t, c.now), c.now, here)
	tx, _ := mustSign(t, x, federation.ES256)
	ty, _ := mustSign(t, y, federation.ES256)
	x.table, y.table = nodes[0].table, nodes[0].table
	x.o.Engine, y.o.Engine = eng, eng
	c.advance(MaxRefresh)
	for range 2 {
		for _, k := range []*Keyring{x, y} {
			published(t, k)
			c.advance(MaxRefresh)
		}
	}
	for _, jwt := range []string{tx, ty} {
		for _, k := range []*Keyring{x, y, nodes[0]} {
			if _, err := k.Verify(t.Context(), placed("acme"), jwt); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestOverlapsDiffer: during a rolling restart nodes with two configurations do
// not take turns at removing and restoring.
func TestOverlapsDiffer(t *testing.T) {
	t.Parallel()
	c := newClock()
	eng := spreadEngine(t, c.now)
	here := func(o *KeyringOptions) {
		o.Tenants = func() []federation.Tenant { return []federation.Tenant{placed("acme")} }
	}
	short := node(t, eng, c.now, here, func(o *KeyringOptions) { o.Overlap = time.Hour })
	long := node(t, eng, c.now, here)
	_, first := mustSign(t, short, federation.ES256)
	if err := short.Rotate(t.Context(), placed("acme")); err != nil {
		t.Fatal(err)
	}
	c.advance(short.plan.settle())
	mustSign(t, long, federation.ES256) // it reads, and asks for its own overlap
	c.advance(2 * time.Hour)
	eng.arm(nil, nil)
	for range 5 {
		for _, k := range []*Keyring{short, long} {
			if got := kids(t, k, "ES256"); len(got) != 2 || got[0] != first {
				t.Fatalf("published are %v", got)
			}
		}
		c.advance(MaxRefresh)
	}
	if commits, _ := eng.counts(); commits != 0 {
		t.Errorf("%d commits", commits)
	}
}

// TestALostAnswer: whether the commit stood or not, what signs is in the store.
func TestALostAnswer(t *testing.T) {
	t.Parallel()
	for _, stood := range []bool{true, false} {
		_, eng, nodes := cluster(t, 2)
		eng.arm(func(n int) (bool, error) {
			if n == 1 {
				return stood, store.ErrUnknown
			}
			return true, nil
		}, nil)
		jwt, _ := mustSign(t, nodes[0], federation.ES256)
		if _, err := nodes[1].Verify(t.Context(), placed("acme"), jwt); err != nil {
			t.Errorf("stood %v: %v", stood, err)
		}
	}
	// Not yet safe is not safe.
	_, eng, nodes := cluster(t, 1)
	eng.arm(func(int) (bool, error) { return true, store.ErrUnsafe }, nil)
	if _, err := nodes[0].Sign(t.Context(), placed("acme"), federation.ES256, "JWT", nil); !errors.Is(err, store.ErrUnsafe) {
		t.Errorf("signed with keys that may be lost: %v", err)
	}
}

// TestReads: what a tenant in use, one that nobody uses, and a flood of made-up
// keys cost.
func TestReads(t *testing.T) {
	t.Parallel()
	c, eng, nodes := cluster(t, 1)
	k := nodes[0]
	jwt, _ := mustSign(t, k, federation.ES256)
	eng.arm(nil, nil)
	for range 60 { // a minute of many uses
		for range 20 {
			mustSign(t, k, federation.ES256)
		}
		c.advance(time.Second)
	}
	if commits, gets := eng.counts(); commits != 0 || gets < 5 || gets > 6 {
		t.Errorf("%d commits, %d reads in a minute of use, want one every %v", commits, gets, MaxRefresh)
	}
	forged := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256","kid":"made-up"}`)) + jwt[strings.IndexByte(jwt, '.'):]
	c.advance(MaxRefresh)
	eng.arm(nil, nil)
	for range 10 {
		for range 50 {
			if _, err := k.Verify(t.Context(), placed("acme"), forged); !errors.Is(err, ErrNotOurs) {
				t.Fatal(err)
			}
		}
		c.advance(maxSearch)
	}
	if _, gets := eng.counts(); gets != 10 {
		t.Errorf("%d reads for made-up keys in ten seconds, want 10", gets)
	}
	var group, begun sync.WaitGroup
	begun.Add(50)
	eng.arm(nil, func(store.Key) error { begun.Wait(); return nil }) // the first read holds until all are there
	for range 50 {
		group.Go(func() {
			begun.Done()
			_, _ = k.Verify(t.Context(), placed("acme"), forged)
		})
	}
	group.Wait()
	if _, gets := eng.counts(); gets != 1 {
		t.Errorf("%d reads for 50 at once, want 1", gets)
	}
}

// TestOutage: while the store is down for a short time everything goes on, one
// look in a while asks for it, and it is back by itself.
func TestOutage(t *testing.T) {
	t.Parallel()
	c, eng, nodes := cluster(t, 1)
	k := nodes[0]
	mustSign(t, k, federation.ES256)
	eng.arm(nil, func(store.Key) error { return store.ErrClosed })
	for range int(MaxTrust/time.Second) - 1 {
		c.advance(time.Second)
		mustSign(t, k, federation.ES256)
		mustSign(t, k, federation.ES256)
	}
	if _, gets := eng.counts(); gets > int(MaxTrust/time.Second) {
		t.Errorf("%d reads of a store that is down", gets)
	}
	c.advance(time.Second)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if _, err := k.Sign(t.Context(), placed("acme"), federation.ES256, "JWT", nil); !errors.Is(err, store.ErrClosed) {
				t.Errorf("after %v: %v", MaxTrust, err)
			}
		})
	}
	group.Wait()
	eng.arm(nil, nil)
	mustSign(t, k, federation.ES256)
}

// TestClockSteps: a node whose clock is set, while it runs, goes on as the
// engine's clock says.
func TestClockSteps(t *testing.T) {
	t.Parallel()
	c := newClock()
	eng := spreadEngine(t, c.now)
	var skew time.Duration
	stepped := node(t, eng, func() time.Time { return c.now().Add(skew) })
	_, first := mustSign(t, stepped, federation.ES256)
	c.advance(39*time.Hour + 30*time.Minute) // the turn is in 10 hours from now: published late
	published(t, stepped)
	c.advance(9*time.Hour + 30*time.Minute)
	for _, skew = range []time.Duration{time.Hour, -time.Hour, 30 * 24 * time.Hour, 0} {
		if _, kid := mustSign(t, stepped, federation.ES256); kid != first {
			t.Errorf("with its clock off by %v it signs with the next key", skew)
		}
		if got := kids(t, stepped, "ES256"); len(got) != 2 {
			t.Errorf("with its clock off by %v it publishes %v", skew, got)
		}
	}
}

// TestManyIdleTenants: a start does not wait for all of them, and Run looks at
// few at a time, without keeping them.
func TestManyIdleTenants(t *testing.T) {
	t.Parallel()
	var all []federation.Tenant
	for i := range 10_000 {
		all = append(all, placed(fmt.Sprintf("t%05d", i)))
	}
	k := node(t, spreadEngine(t, newClock().now), newClock().now, func(o *KeyringOptions) {
		o.Tenants = func() []federation.Tenant { return all }
		o.RotateEvery = 90 * 24 * time.Hour
	})
	rounds := k.rounds()
	most, seen := 0, 0
	for i := range rounds {
		part := len(k.share(i))
		most, seen = max(most, part), seen+part
	}
	if most > 5 || seen != len(all) {
		t.Errorf("%d tenants in %d rounds, up to %d at once every %v", seen, rounds, most, k.plan.refresh)
	}
	if err := k.visitAll(t.Context(), k.share(rounds-1), false); err != nil {
		t.Fatal(err)
	}
	k.rings.Range(func(id, _ any) bool { t.Errorf("%v is kept in memory", id); return true })
}
