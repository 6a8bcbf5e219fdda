package storetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// scan reads the ids that a range of things selects.
func (f *fixture) scan(r store.Range) []string {
	f.Helper()
	r.Partition = f.at.Partition
	if r.Kind == "" {
		r.Kind = "thing"
	}
	recs, err := f.Engine.Scan(f.Context(), r)
	if err != nil {
		f.Fatalf("scan %+v: %v", r, err)
	}
	ids := []string{}
	for _, rec := range recs {
		if rec.Key.Kind != r.Kind || rec.Key.Partition != r.Partition || rec.Version == 0 || string(rec.Value) != rec.Key.ID {
			f.Fatalf("scan %+v finds %+v", r, rec)
		}
		ids = append(ids, rec.Key.ID)
	}
	return ids
}

// put writes records that hold their own id, some with an expiry.
func (f *fixture) put(kind string, ids ...string) {
	f.Helper()
	for _, id := range ids {
		k := store.Key{Partition: f.at.Partition, Kind: kind, ID: id}
		f.commit(store.Put(k, []byte(id), time.Time{}))
	}
}

func scansAreInOrder(f *fixture) {
	f.put("thing", "acme/b", "acme/a\x00", "acme/a", "acme/c/2", "acme/c/10", "acme/c", "acme/é", "acme/\xff", "acme/\xff\xff", "acme/a\xff")
	all := []string{"acme/a", "acme/a\x00", "acme/a\xff", "acme/b", "acme/c", "acme/c/10", "acme/c/2", "acme/é", "acme/\xff", "acme/\xff\xff"}
	for _, c := range []struct {
		name string
		r    store.Range
		want []string
	}{
		{"all", store.Range{Prefix: "acme/", Limit: 100}, all},
		{"exactly all", store.Range{Prefix: "acme/", Limit: len(all)}, all},
		{"first", store.Range{Prefix: "acme/", Limit: 1}, all[:1]},
		{"prefix", store.Range{Prefix: "acme/c/", Limit: 100}, []string{"acme/c/10", "acme/c/2"}},
		{"prefix that is an id", store.Range{Prefix: "acme/a", Limit: 100}, all[:3]},
		{"last prefix", store.Range{Prefix: "acme/\xff", Limit: 100}, all[8:]},
		{"no prefix", store.Range{Limit: 100}, all},
		{"no match", store.Range{Prefix: "acme/d", Limit: 100}, nil},
		{"after an id", store.Range{Prefix: "acme/", After: "acme/a", Limit: 100}, all[1:]},
		{"after no id", store.Range{Prefix: "acme/", After: "acme/bb", Limit: 2}, all[4:6]},
		{"after the last", store.Range{Prefix: "acme/", After: "acme/\xff\xff", Limit: 100}, nil},
		{"after what lies before the prefix", store.Range{Prefix: "acme/c/", After: "acme/a", Limit: 100}, []string{"acme/c/10", "acme/c/2"}},
		{"after what lies behind the prefix", store.Range{Prefix: "acme/c/", After: "acme/d", Limit: 100}, nil},
	} {
		if got := f.scan(c.r); !slices.Equal(got, c.want) {
			f.Fatalf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	for _, limit := range []int{1, 3, 4} {
		var got []string
		for page := f.scan(store.Range{Limit: limit}); len(page) > 0; page = f.scan(store.Range{Limit: limit, After: got[len(got)-1]}) {
			got = append(got, page...)
		}
		if !slices.Equal(got, all) {
			f.Fatalf("pages of %d read %q", limit, got)
		}
	}
	for _, limit := range []int{0, -1} {
		if _, err := f.Engine.Scan(f.Context(), store.Range{Partition: f.at.Partition, Kind: "thing", Limit: limit}); err == nil {
			f.Fatalf("a scan for %d records is not refused", limit)
		}
	}

	// Removed and expired records do not count against the limit.
	for i := range 20 {
		k := store.Key{Partition: f.at.Partition, Kind: "passing", ID: fmt.Sprintf("acme/%02d", i)}
		end := f.now().Add(unit)
		if i%4 == 3 {
			end = time.Time{}
		}
		f.commit(store.Create(k, []byte(k.ID), end))
	}
	f.Advance(unit)
	f.commit(store.Drop(store.Key{Partition: f.at.Partition, Kind: "passing", ID: "acme/07"}))
	if got := f.scan(store.Range{Kind: "passing", Prefix: "acme/", Limit: 3}); !slices.Equal(got, []string{"acme/03", "acme/11", "acme/15"}) {
		f.Fatalf("a scan among the expired finds %q", got)
	}
}

func scansStayInTheirPlace(f *fixture) {
	f.put("thing", "acme/1", "acme-2/1", "acm/1", "acmee/1", "/1")
	f.put("thin", "acme/2", "g/acme/2")
	f.put("things", "acme/3")
	f.put("thing\x00", "acme/4")
	for prefix, want := range map[string][]string{
		"acme/":   {"acme/1"},
		"acm/":    {"acm/1"},
		"acme-2/": {"acme-2/1"},
		"/":       {"/1"},
		"nobody/": nil,
	} {
		if got := f.scan(store.Range{Prefix: prefix, Limit: 10}); !slices.Equal(got, want) {
			f.Fatalf("the place of %q holds %q", prefix, got)
		}
	}
	if got := f.scan(store.Range{Kind: "thin", Limit: 10}); !slices.Equal(got, []string{"acme/2", "g/acme/2"}) {
		f.Fatalf("kind thin holds %q", got)
	}
	if got := f.scan(store.Range{Limit: 10}); len(got) != 5 {
		f.Fatalf("kind thing holds %q", got)
	}
}
