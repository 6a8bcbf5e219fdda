package redisstore

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/redisstore/redistest"
)

// TestLateBatchesAreNotMade sends batches as they would arrive that have long
// been on their way: after a later one of their slot, after their time, in
// another epoch, and a second time.
func TestLateBatchesAreNotMade(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	e, err := Open(t.Context(), Options{Addresses: []string{server.Addr()}, Now: time.Now, Partitions: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	p := e.parts[0]
	events := 0
	send := func(a attempt) outcome {
		t.Helper()
		changes, _ := newChanges(p.names, []store.Op{store.Append(0, nil), store.Check(store.Key{Kind: "a", ID: "b"}, 0)}, 0)
		d := &delivery{e: e, p: p, slot: &slot{}, whole: true, batch: newBatch(p.names, [][]change{changes}, false)}
		o, err := d.transmit(context.WithoutCancel(t.Context()), a)
		if err != nil {
			t.Fatal(err)
		}
		entries, err := e.ReadLog(t.Context(), 0, store.Position{}, 100, 0)
		if err != nil {
			t.Fatal(err)
		}
		if made := len(entries) > events; made && o.status != statusDone {
			t.Errorf("a batch of status %d was made", o.status)
		}
		events = len(entries)
		return o
	}
	soon := time.Now().Add(time.Minute)
	a := attempt{meta: p.meta.Load(), mark: p.names.mark("me", 1), number: 5, until: soon}
	first := send(a)
	if again := send(a); first.status != statusDone || again.status != statusDone || again.base != first.base || again.made != "1" || events != 1 {
		t.Errorf("a batch that is sent twice answers %+v and %+v, with %d events", first, again, events)
	}
	before := a
	before.number = 4
	if o := send(before); o.status != statusLate {
		t.Errorf("a batch before the last one answers %+v", o)
	}
	expired := a
	expired.number, expired.until = 6, time.Now().Add(-time.Minute)
	if o := send(expired); o.status != statusLate || o.micros == 0 {
		t.Errorf("a batch after its time answers %+v", o)
	}
	other := a
	other.number, other.meta = 6, &meta{raw: "1 abc def", epoch: 1, history: "abc", store: "def"}
	if o := send(other); o.status != statusMeta || o.meta != a.meta.raw {
		t.Errorf("a batch of another epoch answers %+v", o)
	}
	next := a.meta.epoch + 1
	raw := fmt.Sprintf("%d abc %s", next, e.store)
	server.Do(t, "SET", p.names.meta, raw)
	other.meta = &meta{raw: raw, epoch: next, history: "abc", store: e.store}
	if o := send(other); o.status != statusHistory {
		t.Errorf("a batch on another history answers %+v", o)
	}
}

// TestCommitsOfABatchSeeEachOther: each is judged by what those before it in
// the batch have written.
func TestCommitsOfABatchSeeEachOther(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	e, err := Open(t.Context(), Options{Addresses: []string{server.Addr()}, Now: time.Now, Partitions: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	p := e.parts[0]
	key := func(id string) store.Key { return store.Key{Kind: "thing", ID: "acme/" + id} }
	var never time.Time
	v, err := e.Commit(t.Context(), store.Create(key("old"), []byte("0"), never))
	if err != nil {
		t.Fatal(err)
	}
	past := time.Now().Add(-time.Hour)
	var commits [][]change
	want := ""
	for _, c := range []struct {
		made string
		ops  []store.Op
	}{
		{"1", []store.Op{store.Create(key("a"), []byte("1"), never)}},
		{"0", []store.Op{store.Create(key("a"), []byte("2"), never), store.Append(0, nil)}},
		{"1", []store.Op{store.Replace(key("old"), v, []byte("3"), never)}},
		{"0", []store.Op{store.Take(key("old"), v)}},
		{"1", []store.Op{store.Check(key("old"), v+2), store.Drop(key("a"))}},
		{"1", []store.Op{store.Check(key("a"), 0), store.Put(key("b"), []byte("5"), past)}},
		{"1", []store.Op{store.Create(key("b"), []byte("6"), past)}},
		{"1", []store.Op{store.Create(key("b"), []byte("7"), never), store.Append(0, nil)}},
		{"1", []store.Op{store.Take(key("old"), v+2), store.Create(key("a"), []byte("8"), never)}},
		{"0", []store.Op{store.Check(key("old"), v+2)}},
	} {
		changes, _ := newChanges(p.names, c.ops, 0)
		commits, want = append(commits, changes), want+c.made
	}
	d := &delivery{e: e, p: p, slot: &slot{}, batch: newBatch(p.names, commits, false)}
	o, err := d.transmit(t.Context(), attempt{meta: p.meta.Load(), mark: "{db:0}mark", number: 1, until: time.Now().Add(time.Hour)})
	if err != nil || o.made != want || o.base != v {
		t.Fatalf("the batch answers %+v, %v, want %s", o, err, want)
	}
	recs, err := e.Scan(t.Context(), store.Range{Kind: "thing", Limit: 10})
	if err != nil || len(recs) != 2 || string(recs[0].Value) != "8" || recs[0].Version != v+7 || string(recs[1].Value) != "7" || recs[1].Version != v+6 {
		t.Errorf("there are %+v, %v", recs, err)
	}
	if n := server.Do(t, "ZCARD", p.names.index("thing")); n != int64(2) {
		t.Errorf("the index has %v ids", n)
	}
}
