package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/boltstore"
	"github.com/drawbridge-id/drawbridge/sessionhooks"
	"github.com/drawbridge-id/drawbridge/sessionhooks/delivery"
)

// before is a store as the version before wrote it (testdata/store-before.dump:
// one person, a session that was ended and one that lives, tokens, and a
// delivery that waits), at the time at which it did.
func before(t *testing.T) (*boltstore.Engine, *store.Sealer) {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", "store-before.dump"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	dump, err := store.ReadDump(f)
	if err != nil {
		t.Fatal(err)
	}
	made := dump.Info().Created
	eng, err := boltstore.Open(boltstore.Options{
		Path: filepath.Join(t.TempDir(), "drawbridge.db"), Partitions: dump.Info().Partitions, Now: func() time.Time { return made },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := eng.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := eng.Load(t.Context(), dump.Items()); err != nil {
		t.Fatal(err)
	}
	sealer, err := store.NewSealer(sealingKeys(load(t, storeFile(t))))
	if err != nil {
		t.Fatal(err)
	}
	return eng, sealer
}

// TestTheVersionBeforeIsUpgraded: everything that it wrote is read, and found
// where this version looks for it.
func TestTheVersionBeforeIsUpgraded(t *testing.T) {
	t.Parallel()
	eng, sealer := before(t)
	for range 2 { // the second time there is nothing to do
		if err := upgradeStore(t.Context(), eng, eng.Layout(), sealer); err != nil {
			t.Fatal(err)
		}
		upgradedWell(t, eng, sealer)
	}
	if err := store.Upgrade(t.Context(), eng, 0); !errors.Is(err, store.ErrNewer) {
		t.Errorf("the version before would answer %v", err)
	}
}

func upgradedWell(t *testing.T, eng *boltstore.Engine, sealer *store.Sealer) {
	t.Helper()
	x, err := examine(t.Context(), load(t, storeFile(t)), eng)
	if err != nil {
		t.Fatal(err)
	}
	for what, f := range x.found {
		t.Errorf("%s: %v", what, f.examples)
	}
	if x.kinds["event_data"].records != 6 || x.kinds["event_about"] != nil || x.kinds["session"].records != 1 || x.kinds["token.family"].records != 1 {
		t.Errorf("it holds %v", x.kinds)
	}
	log, at := sessionhooks.NewLog(eng, sealer, keepEvents), eng.Layout().Place("default")
	events, err := log.Read(t.Context(), 0, store.Position{}, 100, 0)
	if err != nil || len(events) != 6 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	for _, e := range events {
		if data, err := log.Data(t.Context(), at, e.Event.Aggregate, e.Event.ID); err != nil || len(data) == 0 {
			t.Errorf("what %s tells is %q, %v", e.Event.Type, data, err)
		}
	}
	jobs, err := store.NewTable[delivery.Job](eng, store.TableOptions{Kind: "job", Schema: 1, Sealer: sealer}).Scan(t.Context(), at, "", "", 10)
	if err != nil || len(jobs) != 1 || jobs[0].Value.Aggregate != events[3].Event.Aggregate || jobs[0].Value.Event != events[3].Event.ID {
		t.Errorf("the delivery that waits is %+v, %v", jobs, err)
	}
	if err := log.Erase(t.Context(), store.Place{Tenant: "nobody"}, events[0].Event.Aggregate); err != nil {
		t.Error(err)
	}
}

// TestAnUpgradeThatIsCutShortGoesOn ends it after each of its commits.
func TestAnUpgradeThatIsCutShortGoesOn(t *testing.T) {
	t.Parallel()
	eng, sealer := before(t)
	at := eng.Layout().Place("default")
	data := store.NewTable[map[string]string](eng, store.TableOptions{Kind: "event_data", Schema: 1, Sealer: sealer})
	if _, err := eng.Commit(t.Context(), data.Create(at, "loose", map[string]string{"a": "b"}, time.Time{})); err != nil {
		t.Fatal(err)
	}
	boom, cut := errors.New("boom"), 0
	for ; ; cut++ {
		err := upgradeStore(t.Context(), &failing{Engine: eng, err: boom, left: 2}, eng.Layout(), sealer)
		if err == nil {
			break
		}
		if !errors.Is(err, boom) || cut > 50 {
			t.Fatal(err)
		}
		if err := store.FreeLeases(t.Context(), eng, 0); err != nil {
			t.Fatal(err)
		}
	}
	if cut < 3 {
		t.Errorf("it was cut %d times", cut)
	}
	if row, err := data.Get(t.Context(), at, "/loose"); err != nil || row.Value["a"] != "b" {
		t.Errorf("what is about nobody is %v, %v", row.Value, err)
	}
	if _, err := eng.Commit(t.Context(), data.Drop(at, "/loose")); err != nil {
		t.Fatal(err)
	}
	upgradedWell(t, eng, sealer)
}

// failing makes so many commits, and then no more.
type failing struct {
	store.Engine
	err  error
	left int
}

func (f *failing) Commit(ctx context.Context, ops ...store.Op) (store.Version, error) {
	if f.left--; f.left < 0 {
		return 0, f.err
	}
	return f.Engine.Commit(ctx, ops...)
}
