package storetest

import (
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

func expiryHoldsOnRead(f *fixture) {
	end := f.now().Add(unit)
	v := f.commit(
		store.Create(f.key("a"), []byte("1"), end),
		store.Put(f.key("b"), []byte("2"), end),
		store.Create(f.key("c"), []byte(f.key("c").ID), time.Time{}))
	if rec := f.get(f.key("a")); !rec.Expires.Equal(end) {
		f.Fatalf("the record expires at %v, want %v", rec.Expires, end)
	}
	if rec := f.get(f.key("c")); !rec.Expires.IsZero() {
		f.Fatalf("a record without expiry has %v", rec.Expires)
	}
	f.Advance(unit / 2)
	f.holds("a", "1", v)
	f.holds("b", "2", v)
	f.Advance(unit / 2)
	f.absent("a", "b")
	f.holds("c", f.key("c").ID, v)
	if ids := f.scan(store.Range{Prefix: "acme/", Limit: 10}); len(ids) != 1 {
		f.Fatalf("a scan finds %q", ids)
	}

	// What has expired does not exist for any operation either.
	f.conflict(store.Replace(f.key("a"), v, []byte("x"), time.Time{}))
	f.conflict(store.Take(f.key("a"), v))
	f.conflict(store.Check(f.key("a"), v))
	f.commit(store.Check(f.key("a"), 0), store.Drop(f.key("b")))
	f.absent("a", "b")

	// A record may be born dead.
	f.commit(store.Create(f.key("d"), nil, f.now()), store.Put(f.key("e"), nil, f.now().Add(-unit)))
	f.absent("d", "e")
	f.commit(store.Create(f.key("d"), []byte("4"), time.Time{}))
	f.get(f.key("d"))
}

func expiredRecordsCanBeCreatedAgain(f *fixture) {
	end := f.now().Add(unit)
	old := f.commit(store.Create(f.key("a"), []byte("1"), end))
	f.conflict(store.Create(f.key("a"), []byte("2"), end))
	f.Advance(unit)
	v := f.commit(store.Create(f.key("a"), []byte("2"), time.Time{}))
	if v <= old {
		f.Fatalf("created again at %d, which is not above %d", v, old)
	}
	f.conflict(store.Replace(f.key("a"), old, []byte("3"), time.Time{}))
	f.conflict(store.Take(f.key("a"), old))
	f.conflict(store.Check(f.key("a"), old), f.event("late"))
	f.Advance(100 * unit)
	f.holds("a", "2", v)
	f.said()
}

func expiryCanBeMoved(f *fixture) {
	start := f.now()
	v := f.commit(store.Create(f.key("longer"), nil, start.Add(unit)), store.Create(f.key("shorter"), nil, start.Add(8*unit)),
		store.Create(f.key("never"), nil, start.Add(unit)), store.Create(f.key("same"), nil, start.Add(2*unit)),
		store.Create(f.key("at last"), nil, time.Time{}))
	f.commit(
		store.Replace(f.key("longer"), v, nil, start.Add(4*unit)),
		store.Replace(f.key("shorter"), v, nil, start.Add(2*unit)),
		store.Replace(f.key("never"), v, nil, time.Time{}),
		store.Put(f.key("same"), nil, start.Add(2*unit)),
		store.Put(f.key("at last"), nil, start.Add(4*unit)))
	f.Advance(unit)
	for _, id := range []string{"longer", "shorter", "never", "same", "at last"} {
		f.get(f.key(id))
	}
	f.Advance(2 * unit)
	f.absent("shorter", "same")
	for _, id := range []string{"longer", "never", "at last"} {
		f.get(f.key(id))
	}
	f.Advance(unit)
	f.absent("longer", "at last")
	f.Advance(unit)
	f.get(f.key("never"))
}
