package redistest

import (
	"testing"
	"time"
)

// handover is how long Redis tries CLUSTER FAILOVER before it gives up without
// a word, and a little more. Asking again earlier begins it anew.
const handover = 6 * time.Second

// MoveSlot moves a slot with its keys to another master, in the steps of
// redis-cli while clients go on, and says how many keys it has moved.
func (c *Cluster) MoveSlot(t testing.TB, slot, to int) int {
	t.Helper()
	from := c.Owner(t, slot)
	if from == to {
		return 0
	}
	source, target := c.nodes[from], c.nodes[to]
	target.Do(t, "CLUSTER", "SETSLOT", slot, "IMPORTING", c.ids[from])
	source.Do(t, "CLUSTER", "SETSLOT", slot, "MIGRATING", c.ids[to])
	moved := c.migrate(t, slot, source, target)
	// The target first: nobody may be sent there before it knows.
	target.Do(t, "CLUSTER", "SETSLOT", slot, "NODE", c.ids[to])
	source.Do(t, "CLUSTER", "SETSLOT", slot, "NODE", c.ids[to])
	for i, s := range c.nodes {
		if i != from && i != to && s.Running() && isMaster(t, s) {
			s.Do(t, "CLUSTER", "SETSLOT", slot, "NODE", c.ids[to])
		}
	}
	c.WaitOK(t)
	return moved
}

// migrate hands over the keys of a slot, some at a time.
func (c *Cluster) migrate(t testing.TB, slot int, source, target *Server) int {
	t.Helper()
	moved := 0
	for {
		keys, _ := source.Do(t, "CLUSTER", "GETKEYSINSLOT", slot, 64).([]any)
		if len(keys) == 0 {
			return moved
		}
		args := []any{"MIGRATE", "127.0.0.1", target.Port(), "", 0, 10_000}
		if password := pairs(source.Do(t, "CONFIG", "GET", "requirepass"))["requirepass"]; password != "" {
			args = append(args, "AUTH", password)
		}
		source.Do(t, append(append(args, "KEYS"), keys...)...)
		moved += len(keys)
	}
}

// Failover makes a replica of a node the master in its place, and says which.
// A node that runs hands over (CLUSTER FAILOVER) and becomes a replica; from
// one that is dead or paused the replica takes over without asking anybody
// (TAKEOVER).
func (c *Cluster) Failover(t testing.TB, node int) int {
	t.Helper()
	next := c.replicaOf(t, node)
	how := []any{"CLUSTER", "FAILOVER"}
	if !c.nodes[node].Running() {
		how = append(how, "TAKEOVER")
	}
	var asked time.Time
	wait(t, func() string {
		if isMaster(t, c.nodes[next]) {
			return ""
		}
		if time.Since(asked) > handover {
			asked = time.Now()
			if _, err := c.nodes[next].Try(t.Context(), how...); err != nil {
				return err.Error()
			}
		}
		return c.nodes[next].Addr() + " is not the master yet"
	})
	c.WaitOK(t)
	return next
}

// replicaOf is a replica of a node that runs, as the replica itself sees it.
func (c *Cluster) replicaOf(t testing.TB, node int) int {
	t.Helper()
	for i, s := range c.nodes {
		if s.Running() && c.view(t, s)[c.ids[i]].master == c.ids[node] {
			return i
		}
	}
	t.Fatalf("redistest: node %d has no replica that runs", node)
	return -1
}
