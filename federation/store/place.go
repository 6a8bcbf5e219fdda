package store

import (
	"crypto/sha256"
	"encoding/binary"
	"hash/fnv"
	"strings"
)

// Partition is one of the store's fixed number of virtual partitions. All keys
// of one partition can be changed in one commit, and share one log.
type Partition uint16

// Place is where records of a tenant live: all of them, or, of a tenant that is
// spread, those of some persons. The Place with an empty Tenant is the
// partition's own, for records that belong to no tenant.
type Place struct {
	Tenant    string
	Partition Partition
}

// Layout is the fixed number of partitions that a store was created with.
type Layout struct{ Partitions int }

// Place says where the tenant lives, the home of one that is spread. The answer depends on nothing but the
// tenant's name and the number of partitions.
func (l Layout) Place(tenant string) Place {
	if l.Partitions <= 1 {
		return Place{Tenant: tenant}
	}
	h := fnv.New32a()
	h.Write([]byte(tenant))
	return Place{Tenant: tenant, Partition: Partition(h.Sum32() % uint32(l.Partitions))}
}

// PlaceOf says where an id of a spread tenant lives. The answer depends on
// nothing but the tenant's name, the id and the number of partitions. The hash
// is one that nobody can aim at, since ids may be what an upstream or a stranger
// wrote.
func (l Layout) PlaceOf(tenant, id string) Place {
	if l.Partitions <= 1 {
		return Place{Tenant: tenant}
	}
	sum := sha256.Sum256([]byte(tenant + "/" + id)) // a tenant's name has no slash
	return Place{Tenant: tenant, Partition: Partition(binary.BigEndian.Uint64(sum[:8]) % uint64(l.Partitions))}
}

// Own is the partition's own place, for records of no tenant.
func (p Place) Own() Place { return Place{Partition: p.Partition} }

// Key names a record of this place.
func (p Place) Key(kind, id string) Key {
	return Key{Partition: p.Partition, Kind: kind, ID: p.Tenant + "/" + id}
}

// Key is the full name of a record. ID begins with the tenant and a slash.
type Key struct {
	Partition Partition
	Kind      string
	ID        string
}

// Local is the record's id within its place: ID without the tenant.
func (k Key) Local() string {
	_, local, _ := strings.Cut(k.ID, "/")
	return local
}

// Place is the place that the key belongs to.
func (k Key) Place() Place {
	tenant, _, _ := strings.Cut(k.ID, "/")
	return Place{Tenant: tenant, Partition: k.Partition}
}
