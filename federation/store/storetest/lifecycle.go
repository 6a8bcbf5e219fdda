package storetest

import (
	"errors"
	"fmt"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

func everythingSurvivesReopening(f *fixture) {
	end := f.now().Add(2 * unit)
	v := f.commit(
		store.Create(f.key("a"), []byte("1"), time.Time{}),
		store.Create(f.key("b"), []byte("2"), end),
		store.Create(f.key("c"), []byte("3"), f.now().Add(unit)),
		f.event("1"))
	f.reopen()
	f.holds("a", "1", v)
	f.holds("b", "2", v)
	if rec := f.get(f.key("b")); !rec.Expires.Equal(end) {
		f.Fatalf("the record expires at %v, want %v", rec.Expires, end)
	}
	f.Advance(unit)
	f.absent("c")
	f.conflict(store.Create(f.key("a"), nil, time.Time{}))
	w := f.commit(store.Replace(f.key("a"), v, []byte("4"), time.Time{}), f.event("2"))
	if w <= v {
		f.Fatalf("after reopening a commit has version %d, before it %d", w, v)
	}
	f.reopen()
	f.holds("a", "4", w)
	f.said("1", "2")
}

// partitionsAreApart writes the same names everywhere.
func partitionsAreApart(f *fixture) {
	const tenants = 32
	for i := range tenants {
		at := f.Layout.Place(fmt.Sprint("tenant-", i))
		if at != f.Layout.Place(at.Tenant) || int(at.Partition) >= max(f.Layout.Partitions, 1) {
			f.Fatalf("tenant %s lives in %v", at.Tenant, at)
		}
		f.commit(store.Create(at.Key("thing", "a"), []byte(at.Tenant), time.Time{}), store.Append(at.Partition, []byte(at.Tenant)))
	}
	found := 0
	for p := range max(f.Layout.Partitions, 1) {
		p := store.Partition(p)
		recs, err := f.Engine.Scan(f.Context(), store.Range{Partition: p, Kind: "thing", Limit: 100})
		if err != nil {
			f.Fatal(err)
		}
		entries, err := readAll(f.Context(), f.Engine, p, store.Position{}, 100)
		if err != nil || len(entries) != len(recs) {
			f.Fatalf("partition %d has %d records and %d entries, %v", p, len(recs), len(entries), err)
		}
		for _, rec := range recs {
			if at := f.Layout.Place(string(rec.Value)); at.Partition != p || rec.Key != at.Key("thing", "a") {
				f.Fatalf("partition %d holds %v", p, rec.Key)
			}
			found++
		}
	}
	if found != tenants {
		f.Fatalf("%d of %d tenants were found", found, tenants)
	}
	outside := store.Partition(max(f.Layout.Partitions, 1))
	_, err1 := f.Engine.Get(f.Context(), store.Key{Partition: outside, Kind: "thing", ID: "acme/a"})
	_, err2 := f.Engine.Scan(f.Context(), store.Range{Partition: outside, Kind: "thing", Limit: 1})
	_, err3 := f.Engine.ReadLog(f.Context(), outside, store.Position{}, 1, time.Hour)
	err4 := f.Engine.TrimLog(f.Context(), outside, store.Position{})
	for i, err := range []error{err1, err2, err3, err4} {
		if err == nil || errors.Is(err, store.ErrNotFound) {
			f.Fatalf("call %d to a partition that is not there answers %v", i+1, err)
		}
	}
}

func closedEngineSaysSo(f *fixture) {
	v := f.create("a", "1")
	f.inParallel(8, func(int) error { return f.Engine.Close() })
	if err := f.Engine.Close(); err != nil {
		f.Fatalf("closing again: %v", err)
	}
	_, err1 := f.Engine.Get(f.Context(), f.key("a"))
	_, err2 := f.Engine.Scan(f.Context(), store.Range{Partition: f.at.Partition, Kind: "thing", Limit: 1})
	_, err3 := f.Engine.Commit(f.Context(), f.event("e"))
	_, err4 := f.Engine.ReadLog(f.Context(), f.at.Partition, store.Position{}, 1, time.Hour)
	err5 := f.Engine.TrimLog(f.Context(), f.at.Partition, store.Position{})
	_, err6 := f.Engine.Now(f.Context())
	for i, err := range []error{err1, err2, err3, err4, err5, err6} {
		if !errors.Is(err, store.ErrClosed) {
			f.Fatalf("call %d to a closed engine answers %v", i+1, err)
		}
	}
	f.reopen()
	f.holds("a", "1", v)
}

// closingWaitsForCommits closes under load: what was acknowledged is there,
// what was not is refused as closed, and there is nothing in between.
func closingWaitsForCommits(f *fixture) {
	const writers = 16
	acknowledged := make([]int, writers)
	started := make(chan struct{}, writers)
	f.inParallel(writers+2, func(w int) error {
		if w >= writers {
			for range writers / 2 {
				<-started
			}
			return f.Engine.Close()
		}
		for i := 0; ; i++ {
			id := fmt.Sprintf("%d-%d", w, i)
			_, err := f.Engine.Commit(f.Context(), store.Create(f.key(id), nil, time.Time{}), f.event(id))
			if i == 0 {
				started <- struct{}{}
			}
			if errors.Is(err, store.ErrClosed) {
				acknowledged[w] = i
				return nil
			}
			if err != nil {
				return err
			}
		}
	})
	f.reopen()
	total := 0
	for w, n := range acknowledged {
		for i := range n {
			f.get(f.key(fmt.Sprintf("%d-%d", w, i)))
		}
		f.absent(fmt.Sprintf("%d-%d", w, n))
		total += n
	}
	if entries := f.log(store.Position{}); len(entries) != total {
		f.Fatalf("%d entries of %d acknowledged commits", len(entries), total)
	}
}
