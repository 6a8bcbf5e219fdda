package redisstore

import "github.com/drawbridge-id/drawbridge/federation/store"

// NameOfMeta is a key of a partition.
func (e *Engine) NameOfMeta(p store.Partition) string { return e.parts[p].names.meta }

// Upkeep does several times what Run does each second.
func (e *Engine) Upkeep(times int) {
	w := walker{}
	for range times {
		e.upkeep(&w)
	}
}
