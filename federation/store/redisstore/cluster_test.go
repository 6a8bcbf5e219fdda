package redisstore_test

import (
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
