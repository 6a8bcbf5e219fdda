package store

import (
	"hash/fnv"
	"strings"
)

// Partition is one of the store's fixed number of virtual partitions. All keys
// of one partition can be changed in one commit, and share one log.
type Partition uint16

// Place is where a tenant's records live. The Place with an empty Tenant is
// the partition's own, for records that belong to no tenant.
type Place struct {
	Tenant    string
	Partition Partition
}

// Layout is the fixed number of partitions that a store was created with.
type Layout struct{ Partitions int }

// Place says where the tenant lives. The answer depends on nothing but the
// tenant's name and the number of partitions.
func (l Layout) Place(tenant string) Place {
	if l.Partitions <= 1 {
		return Place{Tenant: tenant}
	}
	h := fnv.New32a()
	h.Write([]byte(tenant))
	return Place{Tenant: tenant, Partition: Partition(h.Sum32() % uint32(l.Partitions))}
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
