package redisstore_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/redisstore/redistest"
)

// TestClusterMovesAndFailsOver: slots move and masters change under load.
func TestClusterMovesAndFailsOver(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 2, 1)
	o := hasty(c.Addrs()...)
	o.Partitions = 4
	e := openRunning(t, o)
	l := newLedger()
	stop := l.load(t, e, "a", 8)
	l.atLeast(t, 50)
	for p := range o.Partitions {
		slot := c.KeySlot(t, e.NameOfMeta(store.Partition(p)))
		c.MoveSlot(t, slot, 1-c.Owner(t, slot))
		l.atLeast(t, 20)
	}
	c.Failover(t, 0)
	l.atLeast(t, 50)
	waited := make(chan error, 1)
	after := lastPosition(t, e, 0)
	go func() {
		_, err := e.ReadLog(t.Context(), 0, after, 1, time.Hour)
		waited <- err
	}()
	if err := <-waited; err != nil {
		t.Error(err)
	}
	stop()
	l.verify(t, e)
	if e.Stats().Epochs == 0 {
		t.Error("no epoch was begun")
	}
}

// TestHalfMovedSlot looks at a partition whose slot is just being moved.
func TestHalfMovedSlot(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 2, 0)
	o := hasty(c.Addrs()...)
	o.Partitions, o.Patience = 1, 200*time.Millisecond
	e := open(t, o)
	at := e.Layout().Place("acme")
	l := newLedger()
	if err := l.commit(t.Context(), e, at, "before"); err != nil || len(l.made) != 1 {
		t.Fatal(err, l)
	}
	slot := c.KeySlot(t, e.NameOfMeta(0))
	owner := c.Owner(t, slot)
	from, to := c.Nodes()[owner], c.Nodes()[1-owner]
	to.Do(t, "CLUSTER", "SETSLOT", slot, "IMPORTING", from.Do(t, "CLUSTER", "MYID"))
	from.Do(t, "CLUSTER", "SETSLOT", slot, "MIGRATING", to.Do(t, "CLUSTER", "MYID"))
	// What is there is found, what is not there is not, and nothing is written.
	if rec, err := e.Get(t.Context(), at.Key("thing", "before")); err != nil || string(rec.Value) != "before" {
		t.Errorf("what is there answers %q, %v", rec.Value, err)
	}
	if _, err := e.Get(t.Context(), at.Key("thing", "none")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("what is not there answers %v", err)
	}
	if err := l.commit(t.Context(), e, at, "moving"); err != nil || !l.refused["moving"] {
		t.Errorf("a commit answers %v, %+v", err, l)
	}
	// A record that has gone ahead is no stale id.
	said := from.Do(t, "MIGRATE", "127.0.0.1", fmt.Sprint(to.Port()), "{db:0}\x05thingacme/before", 0, 5000)
	if _, err := e.Scan(t.Context(), store.Range{Kind: "thing", Limit: 10}); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("after a move that answers %v a scan answers %v", said, err)
	}
	e.Upkeep(2)
	if rec, err := e.Get(t.Context(), at.Key("thing", "before")); err != nil || string(rec.Value) != "before" {
		t.Errorf("what has moved answers %q, %v", rec.Value, err)
	}
	c.MoveSlot(t, slot, 1-owner)
	tries := 0
	eventually(t, "a commit after the move", func() bool {
		tries++
		return l.commit(t.Context(), e, at, fmt.Sprint("after-", tries)) == nil && len(l.made) == 2
	})
	l.verify(t, e)
}
