package redisstore

import (
	"strconv"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// names are the keys of one partition. Braces make their common beginning a
// hash tag, so that a cluster keeps them on one server. Keys are short, because
// a store has many, and apart by what follows the tag: one letter, or the length
// of a kind, which is not zero, or zero.
type names struct {
	tag                         string
	meta, version, log, trimmed string
	kinds, wait                 string
}

func namesOf(prefix string, p store.Partition) names {
	tag := "{" + prefix + ":" + strconv.FormatUint(uint64(p), 36) + "}"
	return names{
		tag:  tag,
		meta: tag + "m", version: tag + "v", log: tag + "l", trimmed: tag + "t",
		kinds: tag + "k", wait: tag + "w",
	}
}

// records is what the keys of a kind's records begin with. The kind's length in
// front of it keeps kinds apart of which one begins with the other.
func (n names) records(kind string) string {
	return n.tag + string([]byte{byte(len(kind))}) + kind
}

// index is the sorted set of the ids of a kind's records.
func (n names) index(kind string) string { return n.tag + "\x00i" + kind }

// mark remembers the last batch of one slot of one engine.
func (n names) mark(owner string, slot uint64) string {
	return n.tag + "\x00c" + owner + strconv.FormatUint(slot, 36)
}

// marker is the key that says that there is a store, and of what shape.
func marker(prefix string) string { return prefix + ":store" }
