package redisstore

import (
	"context"
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
	server.Do(t, "SET", p.names.meta, "7 abc "+e.store)
	other.meta = &meta{raw: "7 abc " + e.store, epoch: 7, history: "abc", store: e.store}
	if o := send(other); o.status != statusHistory {
		t.Errorf("a batch on another history answers %+v", o)
	}
}
