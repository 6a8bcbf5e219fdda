package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/boltstore"
)

// revisionsKit is nodes over one engine with several partitions.
type revisionsKit struct {
	t       *testing.T
	eng     store.Engine
	now     atomic.Int64
	log     bytes.Buffer
	nodes   int
	differs time.Duration
}

func newRevisionsKit(t *testing.T) *revisionsKit {
	t.Helper()
	k := &revisionsKit{t: t}
	k.now.Store(time.Date(2031, 5, 4, 10, 0, 0, 0, time.UTC).UnixNano())
	eng, err := boltstore.Open(boltstore.Options{Path: filepath.Join(t.TempDir(), "d.db"), Partitions: 8,
		Now: func() time.Time { return time.Unix(0, k.now.Load()) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = eng.Close() })
	k.eng = eng
	return k
}

func (k *revisionsKit) node(name string, digest *byte) *revisions {
	return newRevisions(revisionsOptions{
		Engine: k.eng, Node: name, Version: "v1", Log: slog.New(slog.NewTextHandler(&k.log, nil)),
		Config:  func() [sha256.Size]byte { return [sha256.Size]byte{*digest} },
		Observe: func(nodes int, differed time.Duration) { k.nodes, k.differs = nodes, differed },
	})
}

func (k *revisionsKit) round(nodes ...*revisions) {
	k.t.Helper()
	for _, r := range nodes {
		if err := r.round(k.t.Context()); err != nil {
			k.t.Fatal(err)
		}
	}
}

func (k *revisionsKit) list(r *revisions) nodeList {
	k.t.Helper()
	all, err := r.Nodes(k.t.Context())
	if err != nil {
		k.t.Fatal(err)
	}
	return all
}

// Nodes see each other and whether they agree; a difference is told once, when
// it has lasted too long, and once when it is over.
func TestNodesThatDifferAreTold(t *testing.T) {
	t.Parallel()
	k := newRevisionsKit(t)
	old, fresh := byte(1), byte(1)
	a, b := k.node("a", &old), k.node("b", &fresh)
	k.round(a, b)
	if all := k.list(a); !all.Agree || len(all.Nodes) != 2 || all.Nodes[0].Node != "a" || all.Nodes[1].Version != "v1" || all.Nodes[0].Started.IsZero() {
		t.Fatalf("%+v", all)
	}
	fresh = 2
	for lasted := time.Duration(0); lasted < differPatience; lasted += announceEvery {
		k.round(b, a)
		if k.differs != lasted || strings.Contains(k.log.String(), "different") {
			t.Fatalf("after %v: differed %v, log %s", lasted, k.differs, &k.log)
		}
		k.now.Add(int64(announceEvery))
	}
	k.round(a)
	if k.list(b).Agree || k.differs != differPatience || strings.Count(k.log.String(), "nodes run different") != 1 {
		t.Errorf("after %v: differed %v, log %s", differPatience, k.differs, &k.log)
	}
	old = 2
	k.round(a, a)
	if !k.list(b).Agree || k.differs != 0 || strings.Count(k.log.String(), "again") != 1 || strings.Count(k.log.String(), "nodes run different") != 1 {
		t.Errorf("when they agree again: differed %v, log %s", k.differs, &k.log)
	}
	if k.nodes != 2 {
		t.Errorf("%d nodes", k.nodes)
	}
}

// A node that died is there until its announcement expires, by the engine's
// clock; one that restarted is another instance.
func TestNodesThatDied(t *testing.T) {
	t.Parallel()
	k := newRevisionsKit(t)
	digest := byte(1)
	a, b := k.node("a", &digest), k.node("b", &digest)
	k.round(a, b)
	k.now.Add(int64(announceLife) - 1)
	k.round(a, k.node("b", &digest))
	if all := k.list(a); len(all.Nodes) != 3 || all.Nodes[1].Instance == all.Nodes[2].Instance {
		t.Errorf("%+v", all)
	}
	k.now.Add(1)
	if all := k.list(a); len(all.Nodes) != 2 {
		t.Errorf("%+v", all)
	}
}

// A clean stop takes the announcement back, and a store that fails stops nothing.
func TestRevisionsRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newRevisionsKit(t)
		digest := byte(1)
		r := k.node("a", &digest)
		broken := &brokenCommits{Engine: k.eng}
		r.o.Engine = broken
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		broken.fail.Store(true)
		go func() { ended <- r.Run(ctx) }()
		time.Sleep(3 * announceEvery)
		synctest.Wait()
		if n := strings.Count(k.log.String(), "could not be announced"); n != 1 {
			t.Errorf("an outage is told %d times", n)
		}
		broken.fail.Store(false)
		time.Sleep(announceEvery)
		synctest.Wait()
		if all := k.list(r); len(all.Nodes) != 1 {
			t.Errorf("%+v", all)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if all := k.list(r); len(all.Nodes) != 0 {
			t.Errorf("after a clean stop: %+v", all)
		}
	})
}

type brokenCommits struct {
	store.Engine
	fail atomic.Bool
}

func (b *brokenCommits) Commit(ctx context.Context, ops ...store.Op) (store.Version, error) {
	if b.fail.Load() {
		return 0, errors.New("down")
	}
	return b.Engine.Commit(ctx, ops...)
}

// Marks are the same within one store, and of no use outside it.
func TestMarksAreOfOneStore(t *testing.T) {
	t.Parallel()
	digest := byte(1)
	marks := map[string]bool{}
	for range 2 {
		k := newRevisionsKit(t)
		a, b := k.node("a", &digest), k.node("b", &digest)
		k.round(a, b)
		for _, n := range k.list(a).Nodes {
			marks[n.Config] = true
		}
	}
	if len(marks) != 2 {
		t.Errorf("%d marks of two stores", len(marks))
	}
}

// What nodes must have in common changes the digest, also a secret; what is a
// node's own does not.
func TestConfigDigest(t *testing.T) {
	t.Parallel()
	of := func(change func(*config.Config)) [sha256.Size]byte {
		cfg := config.Config{
			Issuer: "https://id.example", NodeName: "a", TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
			Clients: []config.Client{{ClientID: "shop", ClientSecret: config.NewSecret("one")}},
		}
		cfg.Clients[0].Claims.Examples = []config.Example{{Claims: map[string]any{"a": 1, "b": []any{"x", nil}}}}
		if change != nil {
			change(&cfg)
		}
		return configDigest(cfg)
	}
	for name, c := range map[string]struct {
		change func(*config.Config)
		same   bool
	}{
		"nothing":          {nil, true},
		"node name":        {func(c *config.Config) { c.NodeName = "b" }, true},
		"addresses":        {func(c *config.Config) { c.Listen, c.Management.Listen = ":1", ":2" }, true},
		"TLS":              {func(c *config.Config) { c.TLS = &config.TLS{CertFile: "x"} }, true},
		"log":              {func(c *config.Config) { c.Log.Level = "debug" }, true},
		"issuer":           {func(c *config.Config) { c.Issuer += "/" }, false},
		"a secret":         {func(c *config.Config) { c.Clients[0].ClientSecret = config.NewSecret("two") }, false},
		"no secret":        {func(c *config.Config) { c.Clients[0].ClientSecret = config.Secret{} }, false},
		"proxies":          {func(c *config.Config) { c.TrustedProxies[0] = netip.MustParsePrefix("10.0.0.0/9") }, false},
		"a moved boundary": {func(c *config.Config) { c.Clients[0].RedirectURIs = []string{"https://a", "https://b"} }, false},
		"duration":         {func(c *config.Config) { c.Session.IdleTimeout = time.Minute }, false},
		"SMTP":             {func(c *config.Config) { c.SMTP = &config.SMTP{} }, false},
		"deep in a claim":  {func(c *config.Config) { c.Clients[0].Claims.Examples[0].Claims["b"] = []any{"x", ""} }, false},
	} {
		if got := of(c.change) == of(nil); got != c.same {
			t.Errorf("%s: the same is %v", name, got)
		}
	}
}
