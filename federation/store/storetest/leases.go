package storetest

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

func leasesExcludeAndFence(f *fixture) {
	acquire := func(owner string) (store.Lease, error) {
		return store.Acquire(f.Context(), f.Engine, f.at.Own(), "deliver", owner, 2*unit)
	}
	first, err := acquire("one")
	if err != nil {
		f.Fatalf("acquire: %v", err)
	}
	if want := f.now().Add(2 * unit); first.Expires.Sub(want).Abs() > unit/2 {
		f.Fatalf("the lease ends at %v, want %v", first.Expires, want)
	}
	if _, err := acquire("two"); !errors.Is(err, store.ErrHeld) {
		f.Fatalf("a second holder gets %v", err)
	}
	f.commit(first.Fence(), f.event("one"))

	f.Advance(unit)
	renewed, err := first.Renew(f.Context(), f.Engine, 2*unit)
	if err != nil {
		f.Fatalf("renew: %v", err)
	}
	f.conflict(first.Fence(), f.event("old fence"))
	f.Advance(unit)
	f.commit(renewed.Fence(), f.event("renewed"))

	// Late: the lease has expired, at first without an heir, then with one.
	f.Advance(unit)
	f.conflict(renewed.Fence(), f.event("late"))
	if _, err := renewed.Renew(f.Context(), f.Engine, unit); !errors.Is(err, store.ErrHeld) {
		f.Fatalf("renewing an expired lease answers %v", err)
	}
	heir, err := acquire("two")
	if err != nil {
		f.Fatalf("taking over: %v", err)
	}
	f.conflict(renewed.Fence(), f.event("later"))
	if err := renewed.Release(f.Context(), f.Engine); err != nil {
		f.Fatalf("releasing a lost lease: %v", err)
	}
	f.reopen()
	f.commit(heir.Fence(), f.event("heir"))

	if err := heir.Release(f.Context(), f.Engine); err != nil {
		f.Fatalf("release: %v", err)
	}
	f.conflict(heir.Fence(), f.event("released"))
	var holders atomic.Int32
	f.inParallel(20, func(int) error {
		_, err := acquire("crowd")
		if errors.Is(err, store.ErrHeld) {
			return nil
		}
		holders.Add(1)
		return err
	})
	if holders.Load() != 1 {
		f.Fatalf("%d hold the lease", holders.Load())
	}
	f.said("one", "renewed", "heir")
}

func marksAreRemembered(f *fixture) {
	marked := func(id string) bool {
		f.Helper()
		ok, err := store.Marked(f.Context(), f.Engine, f.at, id)
		if err != nil {
			f.Fatalf("marked: %v", err)
		}
		return ok
	}
	end := f.now().Add(unit)
	f.commit(store.Mark(f.at, "1", end), f.event("1"))
	f.conflict(store.Mark(f.at, "2", end), store.Check(f.key("a"), 1))
	// The same commit again, by somebody who has not heard the answer.
	f.conflict(store.Mark(f.at, "1", end), f.event("1"))
	if !marked("1") || marked("2") {
		f.Fatalf("marked: 1 %v, 2 %v", marked("1"), marked("2"))
	}
	f.reopen()
	if !marked("1") {
		f.Fatal("the mark is gone after reopening")
	}
	f.Advance(unit)
	if marked("1") {
		f.Fatal("the mark has not expired")
	}
	f.said("1")
}

type secretThing struct {
	Name string    `json:"name"`
	At   time.Time `json:"at"`
}

// tablesKeepTypes walks sealed typed rows through the engine: what the codec
// does is package store's own to test.
func tablesKeepTypes(f *fixture) {
	key := make([]byte, 32)
	sealer, err := store.NewSealer([]store.SealingKey{{ID: "k1", Key: key}})
	if err != nil {
		f.Fatal(err)
	}
	things := store.NewTable[secretThing](f.Engine, store.TableOptions{Kind: "secret", Schema: 1, Sealer: sealer})
	want := secretThing{Name: "drawbridge", At: f.now().UTC().Round(time.Second)}
	v := f.commit(things.Create(f.at, "a/1", want, f.now().Add(unit)), things.Put(f.at, "a/2", want, time.Time{}), things.Put(f.at, "b", want, time.Time{}))
	row, err := things.Get(f.Context(), f.at, "a/1")
	if err != nil || !row.Value.At.Equal(want.At) || row.Value.Name != want.Name || row.ID != "a/1" || row.Place != f.at || row.Version != v || row.Expires.IsZero() {
		f.Fatalf("the row is %+v, %v", row, err)
	}
	rows, err := things.Scan(f.Context(), f.at, "a/", "a/1", 10)
	if err != nil || len(rows) != 1 || rows[0].ID != "a/2" || rows[0].Value.Name != want.Name {
		f.Fatalf("the rows are %+v, %v", rows, err)
	}
	_, err = store.Update(f.Context(), f.Engine, func(ctx context.Context) ([]store.Op, error) {
		row, err := things.Get(ctx, f.at, "b")
		row.Value.Name = "changed"
		return []store.Op{things.Replace(f.at, row.ID, row.Value, row.Version, row.Expires), things.Drop(f.at, "a/2")}, err
	})
	if err != nil {
		f.Fatalf("update: %v", err)
	}
	f.conflict(things.Check(f.at, "b", v))
	f.conflict(things.Take(f.at, "b", v))
	if row, err = things.Get(f.Context(), f.at, "b"); err != nil || row.Value.Name != "changed" {
		f.Fatalf("the changed row is %+v, %v", row, err)
	}
	if _, err = things.Get(f.Context(), f.at, "a/2"); !errors.Is(err, store.ErrNotFound) {
		f.Fatalf("the dropped row answers %v", err)
	}
}
