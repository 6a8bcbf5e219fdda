package redistest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"
)

func TestClusterMovesSlotsUnderLoad(t *testing.T) {
	t.Parallel()
	c := StartCluster(t, 3, 0, "requirepass secret")
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: c.Addrs(), Password: "secret"})
	defer client.Close()
	const keys = 200
	for i := range keys {
		if err := client.Set(t.Context(), fmt.Sprintf("{a}%d", i), "0", 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	slot := c.KeySlot(t, "{a}")
	from := c.Owner(t, slot)
	to := (from + 1) % 3

	ctx, cancel := context.WithCancel(t.Context())
	var load sync.WaitGroup
	var added atomic.Int64
	began := make(chan struct{})
	load.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			if err := client.Incr(t.Context(), fmt.Sprintf("{a}%d", i%keys)).Err(); err != nil {
				t.Errorf("under load: %v", err)
				return
			}
			if added.Add(1) == 1 {
				close(began)
			}
		}
	})
	<-began
	if moved := c.MoveSlot(t, slot, to); moved != keys {
		t.Errorf("%d keys of %d moved", moved, keys)
	}
	cancel()
	load.Wait()
	if now := c.Owner(t, slot); now != to {
		t.Errorf("the slot is at %d, not at %d", now, to)
	}
	if n := c.Nodes()[from].Do(t, "DBSIZE"); n != int64(0) {
		t.Errorf("%v keys were left behind", n)
	}
	sum := int64(0)
	for i := range keys {
		n, err := client.Get(t.Context(), fmt.Sprintf("{a}%d", i)).Int64()
		if err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	if sum != added.Load() {
		t.Errorf("%d of %d increments are there", sum, added.Load())
	}
	if moved := c.MoveSlot(t, slot, to); moved != 0 {
		t.Errorf("%d keys moved to where they were", moved)
	}
}

func TestClusterFailsOver(t *testing.T) {
	t.Parallel()
	c := StartCluster(t, 3, 1, "requirepass secret", "masterauth secret")
	slot := c.KeySlot(t, "a")
	first := c.Owner(t, slot)
	c.Nodes()[first].Do(t, "SET", "a", "1")
	if n := c.Nodes()[first].Do(t, "WAIT", 1, 0); n != int64(1) {
		t.Fatalf("%v replicas have it", n)
	}
	second := c.Failover(t, first)
	if owner := c.Owner(t, slot); owner != second || second == first || c.Nodes()[second].Do(t, "GET", "a") != "1" {
		t.Fatalf("after the handover from %d to %d, %d owns the slot", first, second, owner)
	}
	c.Nodes()[second].Kill()
	if third := c.Failover(t, second); third != first || c.Nodes()[first].Do(t, "GET", "a") != "1" {
		t.Fatalf("%d took over from %d", third, second)
	}
	c.Nodes()[second].Restart(t)
	c.WaitOK(t)
	if isMaster(t, c.Nodes()[second]) {
		t.Error("the node that came back thinks that it is a master")
	}
}
