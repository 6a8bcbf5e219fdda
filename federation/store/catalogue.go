package store

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
)

// Catalogue stands for an engine where a program's tables are made only to
// learn what they are: it remembers every table that NewTable makes over it,
// so that records can be read by those who do not know the types. Its engine
// is nil unless set; a Catalogue never uses it.
type Catalogue struct {
	Engine
	mu     sync.Mutex
	tables map[string]catalogued
}

type catalogued struct {
	schema int
	read   func(Record) (any, error)
}

// Reading is what a Catalogue knows of a record.
type Reading struct {
	// Schema is that of the record, Current that of the table: a record of an
	// older schema is migrated as it is read.
	Schema, Current int
	// Value is of the table's type.
	Value any
}

// Kinds are the names of the tables, sorted.
func (c *Catalogue) Kinds() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	kinds := make([]string, 0, len(c.tables))
	for kind := range c.tables {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	return kinds
}

// Read unseals, migrates and decodes a record as its table does. What package
// store keeps for itself, such as leases, has no Value. Any other kind that no
// table was made for is an error, and so is whatever the table would not read.
func (c *Catalogue) Read(rec Record) (Reading, error) {
	if k := rec.Key.Kind; k == leaseKind || k == markKind || k == upgradeKind {
		return Reading{}, nil
	}
	c.mu.Lock()
	t, ok := c.tables[rec.Key.Kind]
	c.mu.Unlock()
	if !ok {
		return Reading{}, fmt.Errorf("store: nothing is known of records of the kind %q", rec.Key.Kind)
	}
	r := Reading{Current: t.schema, Schema: schemaOf(rec.Value)}
	var err error
	r.Value, err = t.read(rec)
	return r, err
}

// add remembers a table. Tables that are made anew for each use are the same.
func (c *Catalogue) add(o TableOptions, read func(Record) (any, error)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tables == nil {
		c.tables = map[string]catalogued{}
	}
	c.tables[o.Kind] = catalogued{schema: o.Schema, read: read}
}

// schemaOf is the schema that a stored value says it has, 0 if it says none.
func schemaOf(value []byte) int {
	if len(value) < 2 {
		return 0
	}
	n, used := binary.Uvarint(value[1:])
	if used <= 0 || n > 1<<20 {
		return 0
	}
	return int(n)
}
