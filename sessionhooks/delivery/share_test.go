package delivery

import (
	"fmt"
	"testing"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// holders is who has which partition, and holds share to its promises.
func holders(t *testing.T, nodes []string, partitions int) map[store.Partition]string {
	t.Helper()
	all := map[store.Partition]string{}
	for _, node := range nodes {
		mine := share(nodes, node, partitions)
		if n := len(mine); n < partitions/len(nodes) || n > (partitions+len(nodes)-1)/len(nodes) {
			t.Errorf("%d of %d partitions for one of %d nodes", n, partitions, len(nodes))
		}
		for p := range mine {
			if other, twice := all[p]; twice {
				t.Errorf("partition %d is %s's and %s's", p, other, node)
			}
			all[p] = node
		}
	}
	if len(all) != partitions {
		t.Errorf("%d of %d partitions have a node", len(all), partitions)
	}
	return all
}

func TestShares(t *testing.T) {
	for _, partitions := range []int{1, 2, 4, 16, 64} {
		var nodes []string
		var before map[store.Partition]string
		for i := range 7 {
			nodes = append(nodes, fmt.Sprintf("node-%d", i*i))
			now := holders(t, nodes, partitions)
			moved := 0
			for p, was := range before {
				if now[p] != was {
					moved++
				}
			}
			// What the new node gets must move, and a little more may.
			if fair := partitions/len(nodes) + 1; before != nil && moved > 2*fair+partitions/8 {
				t.Errorf("%d of %d partitions move when there are %d nodes", moved, partitions, len(nodes))
			}
			before = now
		}
	}
	if len(share(nil, "a", 4)) != 0 || len(share([]string{"a"}, "b", 4)) != 0 {
		t.Error("who is not a node has no share")
	}
}
