package store

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"
)

// memory is as much of an engine as tables, leases and Update need. What is
// not there of the contract would panic. Engines proper are tested by storetest.
type memory struct {
	Engine
	mu      sync.Mutex
	now     time.Time
	version Version
	records map[Key]Record
	// fail, when set, answers a commit before it is judged.
	fail    func(ops []Op) error
	commits int
}

func newMemory() *memory {
	return &memory{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), records: map[Key]Record{}}
}

func (m *memory) Now(context.Context) (time.Time, error) { return m.now, nil }

func (m *memory) live(k Key) (Record, bool) {
	rec, ok := m.records[k]
	return rec, ok && (rec.Expires.IsZero() || rec.Expires.After(m.now))
}

func (m *memory) Get(_ context.Context, k Key) (Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	rec, ok := m.live(k)
	if !ok {
		return Record{}, ErrNotFound
	}
	return rec, nil
}

func (m *memory) Scan(_ context.Context, r Range) ([]Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var recs []Record
	for k := range m.records {
		rec, ok := m.live(k)
		if ok && k.Partition == r.Partition && k.Kind == r.Kind && strings.HasPrefix(k.ID, r.Prefix) && k.ID > r.After {
			recs = append(recs, rec)
		}
	}
	slices.SortFunc(recs, func(a, b Record) int { return cmp.Compare(a.Key.ID, b.Key.ID) })
	return recs[:min(len(recs), r.Limit)], nil
}

func (m *memory) Commit(ctx context.Context, ops ...Op) (Version, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.commits++
	if _, err := Plan(ops); err != nil {
		return 0, err
	}
	if m.fail != nil {
		if err := m.fail(ops); err != nil {
			return 0, err
		}
	}
	for _, op := range ops {
		rec, ok := m.live(op.Key)
		if !ok {
			rec.Version = 0
		}
		guarded := op.Verb != VerbPut && op.Verb != VerbDrop && op.Verb != VerbAppend
		if guarded && rec.Version != op.At {
			return 0, ErrConflict
		}
	}
	m.version++
	for _, op := range ops {
		switch op.Verb {
		case VerbCreate, VerbReplace, VerbPut:
			m.records[op.Key] = Record{Key: op.Key, Version: m.version, Value: op.Value, Expires: op.Expires}
		case VerbTake, VerbDrop:
			delete(m.records, op.Key)
		}
	}
	return m.version, ctx.Err()
}
