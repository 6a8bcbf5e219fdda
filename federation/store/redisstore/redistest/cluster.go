package redistest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const slots = 16384

// Cluster is a Redis Cluster: masters that share the slots evenly, in the
// order of Nodes, and replicas of these.
type Cluster struct {
	nodes []*Server
	ids   []string // of the nodes
	buses []int    // ports on which they talk to each other
}

// StartCluster runs a cluster and waits until every node finds it complete and
// every replica has a link to its master. That takes two seconds at least: Redis lets no
// new master write earlier. Nodes() are first the masters, then the replicas
// of the first master, then those of the second. A node that is silent for two
// seconds is taken for dead; "cluster-node-timeout 500" (ms) makes that faster.
func StartCluster(t testing.TB, masters, replicasEach int, conf ...string) *Cluster {
	t.Helper()
	c := &Cluster{}
	for range masters * (1 + replicasEach) {
		bus := 0
		s := start(t, plan{lines: func(port int) []string {
			for bus = freePort(); bus == port; {
				bus = freePort()
			}
			return append(common(port), append([]string{
				"cluster-enabled yes", "cluster-port " + strconv.Itoa(bus), "cluster-node-timeout 2000",
				"cluster-replica-validity-factor 0", "cluster-allow-replica-migration no",
			}, conf...)...)
		}})
		c.nodes, c.buses = append(c.nodes, s), append(c.buses, bus)
		c.ids = append(c.ids, fmt.Sprint(s.Do(t, "CLUSTER", "MYID")))
	}
	for i, s := range c.nodes {
		s.Do(t, "CLUSTER", "SET-CONFIG-EPOCH", i+1)
		if i < masters {
			s.Do(t, "CLUSTER", "ADDSLOTSRANGE", i*slots/masters, (i+1)*slots/masters-1)
		}
		// Everybody meets everybody: waiting for gossip takes seconds.
		for j := range i {
			s.Do(t, "CLUSTER", "MEET", "127.0.0.1", c.nodes[j].Port(), c.buses[j])
		}
	}
	for i := masters; i < len(c.nodes); i++ {
		master := c.ids[(i-masters)/replicasEach]
		wait(t, func() string { // until the replica has met its master
			if _, err := c.nodes[i].Try(t.Context(), "CLUSTER", "REPLICATE", master); err != nil {
				return err.Error()
			}
			return ""
		})
	}
	c.WaitOK(t)
	return c
}

// Nodes are all servers of the cluster. The numbers of nodes elsewhere are
// positions in it; they stay when roles change.
func (c *Cluster) Nodes() []*Server { return slices.Clone(c.nodes) }

// Addrs are the addresses of the nodes.
func (c *Cluster) Addrs() []string {
	addrs := make([]string, len(c.nodes))
	for i, s := range c.nodes {
		addrs[i] = s.Addr()
	}
	return addrs
}

// Owner is the node that serves a slot.
func (c *Cluster) Owner(t testing.TB, slot int) int {
	t.Helper()
	owner := -1
	wait(t, func() string {
		for i, s := range c.nodes {
			if s.Running() && c.view(t, s)[c.ids[i]].owns(slot) {
				owner = i
				return ""
			}
		}
		return fmt.Sprintf("no node that runs owns slot %d", slot)
	})
	return owner
}

// KeySlot is the slot of a key.
func (c *Cluster) KeySlot(t testing.TB, key string) int {
	t.Helper()
	for _, s := range c.nodes {
		if s.Running() {
			slot, _ := s.Do(t, "CLUSTER", "KEYSLOT", key).(int64)
			return int(slot)
		}
	}
	t.Fatal("redistest: no node runs")
	return -1
}

// WaitOK waits until all nodes that run find the cluster complete and agree
// about who owns what, and those of them that are replicas have caught up.
func (c *Cluster) WaitOK(t testing.TB) {
	t.Helper()
	wait(t, func() string {
		agreed := ""
		for i, s := range c.nodes {
			if !s.Running() {
				continue
			}
			if state := s.info(t, "replication"); state["role"] == "slave" && state["master_link_status"] != "up" {
				return s.Addr() + " has no link to its master"
			}
			said, err := s.Try(t.Context(), "CLUSTER", "INFO")
			if err != nil || !strings.Contains(fmt.Sprint(said), "cluster_state:ok") {
				return fmt.Sprintf("%s says %v %v", s.Addr(), said, err)
			}
			view := c.view(t, s)
			if len(view) != len(c.nodes) {
				return fmt.Sprintf("%s knows %d nodes of %d", s.Addr(), len(view), len(c.nodes))
			}
			ownership := c.ownership(view)
			if agreed == "" {
				agreed = ownership
			}
			if ownership != agreed {
				return fmt.Sprintf("node %d disagrees:\n%sothers say:\n%s", i, ownership, agreed)
			}
		}
		return ""
	})
}

// member is a node as another one sees it.
type member struct {
	master string // that it replicates from; "-" for a master
	slots  []string
}

func (m member) owns(slot int) bool {
	return slices.ContainsFunc(m.slots, func(r string) bool {
		from, to, several := strings.Cut(r, "-")
		first, err := strconv.Atoi(from) // fails for slots that are on the move
		last := first
		if several {
			last, _ = strconv.Atoi(to)
		}
		return err == nil && first <= slot && slot <= last
	})
}

// ownership is who owns what among the nodes that run, in words.
func (c *Cluster) ownership(view map[string]member) string {
	var said strings.Builder
	for i, id := range c.ids {
		if c.nodes[i].Running() {
			fmt.Fprintln(&said, i, view[id].master, view[id].slots)
		}
	}
	return said.String()
}

// view is CLUSTER NODES of one node, by the id of the members.
func (c *Cluster) view(t testing.TB, s *Server) map[string]member {
	said, err := s.Try(t.Context(), "CLUSTER", "NODES")
	text, ok := said.(string)
	if err != nil || !ok {
		return nil
	}
	members := map[string]member{}
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) >= 8 {
			owned := slices.DeleteFunc(f[8:], func(r string) bool { return strings.HasPrefix(r, "[") })
			members[f[0]] = member{master: f[3], slots: owned}
		}
	}
	return members
}
