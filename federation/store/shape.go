package store

import (
	"encoding/json"
	"fmt"
)

// Migrations makes a TableOptions.Migrate of one step for each older schema,
// in order: the first leads from schema 1 to 2. A shape that has reached schema
// n needs all n-1 of them for as long as records of schema 1 may be about.
func Migrations(steps ...func(old []byte) ([]byte, error)) func(from int, old []byte) ([]byte, error) {
	return func(from int, old []byte) ([]byte, error) {
		if from < 1 || from > len(steps) {
			return nil, fmt.Errorf("store: there is no way from schema %d", from)
		}
		return steps[from-1](old)
	}
}

// Step is one of Migrations: from the shape that a schema had to the one that
// the next has. Old is a copy of the former type, kept for this alone.
func Step[Old, New any](change func(Old) (New, error)) func([]byte) ([]byte, error) {
	return func(old []byte) ([]byte, error) {
		var was Old
		if err := json.Unmarshal(old, &was); err != nil {
			return nil, err
		}
		is, err := change(was)
		if err != nil {
			return nil, err
		}
		return json.Marshal(is)
	}
}

// Shape keeps values that are no records, such as log entries, under a schema
// as a Table does. A value without one, plain JSON, is of schema 1: so began
// the log.
type Shape[T any] struct {
	// Name is what errors call the value.
	Name string
	// Schema and Migrate are as in TableOptions.
	Schema  int
	Migrate func(from int, old []byte) ([]byte, error)
}

// Encode writes a value of the present schema.
func (s Shape[T]) Encode(v T) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("store: encode %s: %w", s.Name, err)
	}
	if s.Schema <= 1 {
		return body, nil
	}
	return seal(nil, Key{}, s.Schema, body), nil
}

// Decode reads a value of this schema or an older one; ErrNewer for one of a
// schema that this binary does not know.
func (s Shape[T]) Decode(value []byte) (v T, err error) {
	schema, body := 1, value
	if len(value) == 0 || value[0] != '{' {
		if schema, body, err = unseal(nil, Key{}, value); err != nil {
			return v, fmt.Errorf("read %s: %w", s.Name, err)
		}
	}
	if body, err = migrateTo(s.Name, schema, max(s.Schema, 1), s.Migrate, body); err != nil {
		return v, err
	}
	if err := json.Unmarshal(body, &v); err != nil {
		return v, fmt.Errorf("decode %s: %w", s.Name, err)
	}
	return v, nil
}

// migrateTo brings a stored body from the schema it has to the one wanted.
func migrateTo(name string, schema, want int, migrate func(int, []byte) ([]byte, error), body []byte) ([]byte, error) {
	if schema > want {
		return nil, fmt.Errorf("read %s of schema %d with a binary of schema %d: %w", name, schema, want, ErrNewer)
	}
	for ; schema < want; schema++ {
		if migrate == nil {
			return nil, fmt.Errorf("store: %s of schema %d cannot be migrated", name, schema)
		}
		var err error
		if body, err = migrate(schema, body); err != nil {
			return nil, fmt.Errorf("migrate %s from schema %d: %w", name, schema, err)
		}
	}
	return body, nil
}
