package sessionhooks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// Log is the event log of a store: one order per partition, and so of a tenant,
// or, where that is spread, of each of its persons: events about one are all
// appended at the person's place, those about nobody at the tenant's home. An
// entry holds the event without its Data; that is a record of its own, filed
// under the aggregate, so that erasing a person's data leaves the order as it
// was.
type Log struct {
	eng    store.Engine
	data   *store.Table[json.RawMessage]
	retain time.Duration
}

// NewLog makes the log's view of an engine. Data is kept for the time given,
// counted from when the event was detected, and sealed at rest where a sealer
// is given.
func NewLog(eng store.Engine, sealer *store.Sealer, retain time.Duration) *Log {
	return &Log{eng: eng, retain: retain,
		data: store.NewTable[json.RawMessage](eng, store.TableOptions{Kind: "event_data", Schema: 1, Sealer: sealer}),
	}
}

// Append is the operations that put an event into the log, for the commit of
// the change that it tells of, at the place of what it is about. The commit fails where the event has no ID, or
// an Aggregate with a slash.
func (l *Log) Append(at store.Place, e Event) []store.Op {
	if e.ID == "" || strings.Contains(e.Aggregate, "/") {
		return []store.Op{store.Bad(fmt.Errorf("append event %q about %q: not a name", e.ID, e.Aggregate))}
	}
	entry, err := json.Marshal(e)
	if err != nil {
		return []store.Op{store.Bad(fmt.Errorf("encode event: %w", err))}
	}
	ops := []store.Op{store.Append(at.Partition, entry)}
	if len(e.Data) == 0 {
		return ops
	}
	return append(ops, l.data.Create(at, filed(e.Aggregate, e.ID), e.Data, e.Detected.Add(l.retain)))
}

// filed is the id of an event's data: an aggregate's are one range.
func filed(aggregate, event string) string { return aggregate + "/" + event }

// Stored is an event with its place in the log.
type Stored struct {
	Position store.Position
	// At is the engine's time of the commit.
	At    time.Time
	Event Event
}

// Read reads up to n events of all tenants of a partition after a position,
// waiting for one if there are none. Their Data is left out. The error is
// store.ErrTrimmed where events after the position are gone.
func (l *Log) Read(ctx context.Context, p store.Partition, after store.Position, n int, wait time.Duration) ([]Stored, error) {
	entries, err := l.eng.ReadLog(ctx, p, after, n, wait)
	if err != nil {
		return nil, err
	}
	all := make([]Stored, 0, len(entries))
	for _, entry := range entries {
		s := Stored{Position: entry.Position, At: entry.At}
		if err := json.Unmarshal(entry.Value, &s.Event); err != nil {
			return nil, fmt.Errorf("decode event at %s: %w", entry.Position, err)
		}
		all = append(all, s)
	}
	return all, nil
}

// Data is the own properties of an event about an aggregate, nil when there
// were none, when they were erased, or when they are past their retention.
func (l *Log) Data(ctx context.Context, at store.Place, aggregate, event string) (json.RawMessage, error) {
	row, err := l.data.Get(ctx, at, filed(aggregate, event))
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return row.Value, err
}

// Erase removes the data of every event about an aggregate, at the place where
// its events are appended. The events stay, with what names them.
func (l *Log) Erase(ctx context.Context, at store.Place, aggregate string) error {
	for {
		rows, err := l.data.Scan(ctx, at, filed(aggregate, ""), "", 200)
		if err != nil || len(rows) == 0 {
			return err
		}
		ops := make([]store.Op, 0, len(rows))
		for _, row := range rows {
			ops = append(ops, l.data.Drop(at, row.ID))
		}
		if _, err := l.eng.Commit(ctx, ops...); err != nil {
			return fmt.Errorf("erase data of %s: %w", aggregate, err)
		}
	}
}

// Trim removes the entries that were appended before a time. A reader that has
// not come so far is told by store.ErrTrimmed.
func (l *Log) Trim(ctx context.Context, p store.Partition, before time.Time) error {
	var last store.Position
	for {
		entries, err := l.eng.ReadLog(ctx, p, last, 1000, 0)
		if trimmed, ok := errors.AsType[store.TrimmedError](err); ok {
			last = trimmed.UpTo
			continue
		}
		if err != nil {
			return err
		}
		kept := len(entries) == 0
		for _, entry := range entries {
			if kept = !entry.At.Before(before); kept {
				break
			}
			last = entry.Position
		}
		if err := l.eng.TrimLog(ctx, p, last); err != nil || kept {
			return err
		}
	}
}
