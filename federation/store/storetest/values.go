package storetest

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

func valuesAreBytes(f *fixture) {
	random := rand.NewChaCha8([32]byte{1})
	large := make([]byte, 256<<10)
	_, _ = random.Read(large)
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	values := [][]byte{nil, {}, {0}, {0xff}, every, []byte("\r\n\x00$5\r\n"), bytes.Repeat([]byte{0}, 5000), large, large[:70001]}
	ids := []string{"a", " ", "\x00", "\xff\xfe", string(every), "a/b/c", "{x}:y", strings.Repeat("long", 1024), "é"}
	check := func() {
		f.Helper()
		entries := f.log(store.Position{})
		for i, want := range values {
			rec := f.get(f.key(ids[i]))
			if !bytes.Equal(rec.Value, want) || rec.Key != f.key(ids[i]) {
				f.Fatalf("record %d is not what was written", i)
			}
			if !bytes.Equal(entries[i].Value, want) {
				f.Fatalf("entry %d is not what was written", i)
			}
		}
		recs, err := f.Engine.Scan(f.Context(), store.Range{Partition: f.at.Partition, Kind: "thing", Prefix: "acme/", Limit: 100})
		if err != nil || len(recs) != len(ids) {
			f.Fatalf("a scan finds %d of %d records, %v", len(recs), len(ids), err)
		}
	}
	for i, value := range values {
		f.commit(store.Create(f.key(ids[i]), value, time.Time{}), f.event(string(value)))
	}
	check()
	f.reopen()
	check()
	// One commit may be as large as many records.
	var ops []store.Op
	for i := range 200 {
		ops = append(ops, store.Create(f.key(strings.Repeat("n", i+1)), large[:20<<10], time.Time{}))
	}
	f.commit(ops...)
	if rec := f.get(f.key(strings.Repeat("n", 200))); !bytes.Equal(rec.Value, large[:20<<10]) {
		f.Fatal("a record of a large commit is not what was written")
	}
}

// valuesAreCopies overwrites everything that went in and came out. The values
// are large, because small ones may be copied by accident.
func valuesAreCopies(f *fixture) {
	want := strings.Repeat("value", 1000)
	in := []byte(want)
	v := f.commit(store.Create(f.key("a"), in, time.Time{}), store.Append(f.at.Partition, in))
	clear(in)
	for range 2 {
		for _, got := range [][]byte{f.get(f.key("a")).Value, f.log(store.Position{})[0].Value, f.scanOne().Value} {
			if string(got) != want {
				f.Fatalf("a value of %d bytes is not what was written", len(got))
			}
			clear(got)
		}
	}
	kept := f.get(f.key("a"))
	for range 20 {
		v = f.commit(store.Replace(f.key("a"), v, []byte("other"), time.Time{}), f.event("other"))
	}
	f.reopen()
	if string(kept.Value) != want {
		f.Fatal("what was read has changed since")
	}
	f.holds("a", "other", v)
	if first := f.log(store.Position{})[0]; string(first.Value) != want {
		f.Fatal("the first entry has changed since")
	}
}

func (f *fixture) scanOne() store.Record {
	f.Helper()
	recs, err := f.Engine.Scan(f.Context(), store.Range{Partition: f.at.Partition, Kind: "thing", Limit: 1})
	if err != nil || len(recs) != 1 {
		f.Fatalf("a scan finds %d records, %v", len(recs), err)
	}
	return recs[0]
}

func severalAreReadAtOnce(f *fixture) {
	ctx := f.Context()
	now, err := f.Engine.Now(ctx)
	if err != nil {
		f.Fatal(err)
	}
	version := f.commit(
		store.Create(f.key("a"), []byte("first"), time.Time{}),
		store.Create(f.key("b"), []byte("short"), now.Add(time.Minute)),
		store.Create(f.at.Key("other", "a"), []byte("another kind"), time.Time{}))
	keys := []store.Key{f.at.Key("other", "a"), f.key("none"), f.key("a"), f.key("b"), f.key("a")}
	read := func(want ...string) {
		f.Helper()
		recs, err := f.Engine.GetAll(ctx, keys...)
		if err != nil || len(recs) != len(keys) {
			f.Fatalf("%d records, %v", len(recs), err)
		}
		for i, rec := range recs {
			there := want[i] != ""
			if rec.Key != keys[i] || string(rec.Value) != want[i] || there != (rec.Version == version) || !there && rec.Version != 0 {
				f.Errorf("record %d is %+v, want %q", i, rec, want[i])
			}
		}
	}
	read("another kind", "", "first", "short", "first")
	f.Advance(time.Minute)
	read("another kind", "", "first", "", "first")
	if _, err := f.Engine.GetAll(ctx); err == nil {
		f.Error("nothing was read without an error")
	}
	if f.Layout.Partitions > 1 {
		away := f.key("a")
		away.Partition = (away.Partition + 1) % store.Partition(f.Layout.Partitions)
		if _, err := f.Engine.GetAll(ctx, f.key("a"), away); err == nil {
			f.Error("two partitions were read at once")
		}
	}
}
