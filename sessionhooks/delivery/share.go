package delivery

import (
	"cmp"
	"hash/fnv"
	"slices"
	"strconv"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// share is which partitions are one node's. Every node that knows of the same
// nodes comes to the same answer, so nobody has to be asked: each partition
// belongs to exactly one of them, none has more than one more than another, and
// when a node comes or goes, most partitions stay where they are. Nodes that do
// not know the same do no harm, for the lease decides.
func share(nodes []string, self string, partitions int) map[store.Partition]bool {
	mine := map[store.Partition]bool{}
	if len(nodes) == 0 {
		return mine
	}
	least, extra := partitions/len(nodes), partitions%len(nodes)
	has := make(map[string]int, len(nodes))
	for p := range partitions {
		for _, node := range preference(nodes, p) {
			if has[node] > least || has[node] == least && extra == 0 {
				continue
			}
			if has[node] == least {
				extra--
			}
			has[node]++
			mine[store.Partition(p)] = node == self
			break
		}
	}
	for p, ours := range mine {
		if !ours {
			delete(mine, p)
		}
	}
	return mine
}

// preference is the nodes in the order in which a partition would have them.
func preference(nodes []string, p int) []string {
	weights := make(map[string]uint64, len(nodes))
	for _, node := range nodes {
		h := fnv.New64a()
		h.Write([]byte(strconv.Itoa(p) + "/" + node))
		weights[node] = scatter(h.Sum64())
	}
	order := slices.Clone(nodes)
	slices.SortFunc(order, func(a, b string) int {
		return cmp.Or(cmp.Compare(weights[b], weights[a]), cmp.Compare(a, b))
	})
	return order
}

// scatter spreads what differs in few bits over all of them.
func scatter(x uint64) uint64 {
	x = (x ^ x>>33) * 0xff51afd7ed558ccd
	x = (x ^ x>>33) * 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}
