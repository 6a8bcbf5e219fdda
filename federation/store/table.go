package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// TableOptions say what a table's records are.
type TableOptions struct {
	// Kind is the name of the table, part of every key.
	Kind string
	// Schema is the version of T's stored shape, from 1. It grows whenever an
	// older binary would misread what this one writes.
	Schema int
	// Migrate turns the JSON of an older schema into that of the next one; see
	// Migrations. It must be set when Schema is above 1. Records are migrated as
	// they are read, and written in the new shape when next they are written.
	Migrate func(from int, old []byte) ([]byte, error)
	// Sealer, when not nil, seals every record at rest.
	Sealer *Sealer
	// Remember is how many rows, those written or read last, are kept decoded.
	// It is for rows that are read several times within moments. The values of
	// such a table are shared: neither who reads one nor who has written one
	// may change what it refers to (slices, maps, pointers). 0 keeps none.
	Remember int
}

// Table is a typed view of one kind of records.
type Table[T any] struct {
	eng  Engine
	o    TableOptions
	memo *memo[T]
}

// Row is a record with its value decoded.
type Row[T any] struct {
	// ID is the record's id within its place.
	ID      string
	Place   Place
	Version Version
	Expires time.Time
	Value   T
}

// NewTable makes a view of the records of o.Kind in the engine.
func NewTable[T any](eng Engine, o TableOptions) *Table[T] {
	t := &Table[T]{eng: eng, o: o, memo: newMemo[T](o.Remember)}
	if c, ok := eng.(*Catalogue); ok {
		c.add(o, func(rec Record) (any, error) {
			row, err := t.decode(rec)
			return row.Value, err
		})
	}
	return t
}

// Get reads one row: ErrNotFound, ErrNewer and ErrSealed as their docs say.
func (t *Table[T]) Get(ctx context.Context, at Place, id string) (Row[T], error) {
	rec, err := t.eng.Get(ctx, at.Key(t.o.Kind, id))
	if err != nil {
		return Row[T]{}, err
	}
	return t.decode(rec)
}

// Key is the name of a row, to be read by Engine.GetAll beside others.
func (t *Table[T]) Key(at Place, id string) Key { return at.Key(t.o.Kind, id) }

// Row is a record of the table that GetAll has read; ErrNotFound where there
// was none, otherwise as Get.
func (t *Table[T]) Row(rec Record) (Row[T], error) {
	if rec.Version == 0 {
		return Row[T]{}, ErrNotFound
	}
	return t.decode(rec)
}

// Scan reads up to n rows of a place whose ids begin with prefix, in order,
// after the id given (empty: from the first).
func (t *Table[T]) Scan(ctx context.Context, at Place, prefix, after string, n int) ([]Row[T], error) {
	r := Range{Partition: at.Partition, Kind: t.o.Kind, Prefix: at.Tenant + "/" + prefix, Limit: n}
	if after != "" {
		r.After = at.Tenant + "/" + after
	}
	recs, err := t.eng.Scan(ctx, r)
	if err != nil {
		return nil, err
	}
	rows := make([]Row[T], 0, len(recs))
	for _, rec := range recs {
		row, err := t.decode(rec)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// Create writes a row that must not exist. A zero expires is never.
func (t *Table[T]) Create(at Place, id string, v T, expires time.Time) Op {
	k := at.Key(t.o.Kind, id)
	return t.write(k, v, func(b []byte) Op { return Create(k, b, expires) })
}

// Replace writes a row that must be at the given version.
func (t *Table[T]) Replace(at Place, id string, v T, was Version, expires time.Time) Op {
	k := at.Key(t.o.Kind, id)
	return t.write(k, v, func(b []byte) Op { return Replace(k, was, b, expires) })
}

// Put writes a row whatever was there; see the package doc for when.
func (t *Table[T]) Put(at Place, id string, v T, expires time.Time) Op {
	k := at.Key(t.o.Kind, id)
	return t.write(k, v, func(b []byte) Op { return Put(k, b, expires) })
}

// Take removes a row that must be at the given version.
func (t *Table[T]) Take(at Place, id string, was Version) Op {
	return Take(at.Key(t.o.Kind, id), was)
}

// Drop removes a row if there is one; see the package doc for when.
func (t *Table[T]) Drop(at Place, id string) Op { return Drop(at.Key(t.o.Kind, id)) }

// Check demands a version of a row without writing; 0: must not exist.
func (t *Table[T]) Check(at Place, id string, was Version) Op {
	return Check(at.Key(t.o.Kind, id), was)
}

func (t *Table[T]) write(k Key, v T, op func([]byte) Op) Op {
	body, err := json.Marshal(v)
	if err != nil {
		return Bad(fmt.Errorf("store: encode %s: %w", t.o.Kind, err))
	}
	value := seal(t.o.Sealer, k, t.o.Schema, body)
	t.memo.put(k, value, v)
	return op(value)
}

func (t *Table[T]) decode(rec Record) (Row[T], error) {
	row := Row[T]{ID: rec.Key.Local(), Place: rec.Key.Place(), Version: rec.Version, Expires: rec.Expires}
	var known bool
	if row.Value, known = t.memo.get(rec.Key, rec.Value); known {
		return row, nil
	}
	schema, body, err := unseal(t.o.Sealer, rec.Key, rec.Value)
	if err != nil {
		return row, fmt.Errorf("read %s: %w", t.o.Kind, err)
	}
	if body, err = migrateTo(t.o.Kind, schema, t.o.Schema, t.o.Migrate, body); err != nil {
		return row, err
	}
	if err := json.Unmarshal(body, &row.Value); err != nil {
		return row, fmt.Errorf("decode %s: %w", t.o.Kind, err)
	}
	t.memo.put(rec.Key, rec.Value, row.Value)
	return row, nil
}
