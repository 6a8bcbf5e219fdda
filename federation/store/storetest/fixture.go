package storetest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// unit is the step of all deadlines here: so large that how long a case runs
// makes no difference.
const unit = time.Hour

// fixture is a harness with the tools that cases are written in. Its methods
// end the test when something is not as it must be.
type fixture struct {
	Harness
	*testing.T
	at store.Place
}

func newFixture(t *testing.T, h Harness) *fixture {
	return &fixture{Harness: h, T: t, at: h.Layout.Place("acme")}
}

func (f *fixture) key(id string) store.Key { return f.at.Key("thing", id) }

func (f *fixture) event(value string) store.Op {
	return store.Append(f.at.Partition, []byte(value))
}

func (f *fixture) now() time.Time {
	f.Helper()
	now, err := f.Engine.Now(f.Context())
	if err != nil {
		f.Fatalf("now: %v", err)
	}
	return now
}

func (f *fixture) commit(ops ...store.Op) store.Version {
	f.Helper()
	v, err := f.Engine.Commit(f.Context(), ops...)
	if err != nil {
		f.Fatalf("commit: %v", err)
	}
	return v
}

func (f *fixture) create(id, value string) store.Version {
	f.Helper()
	return f.commit(store.Create(f.key(id), []byte(value), time.Time{}))
}

func (f *fixture) conflict(ops ...store.Op) {
	f.Helper()
	if v, err := f.Engine.Commit(f.Context(), ops...); !errors.Is(err, store.ErrConflict) {
		f.Fatalf("commit answers %d and %v, want a conflict", v, err)
	}
}

func (f *fixture) get(k store.Key) store.Record {
	f.Helper()
	rec, err := f.Engine.Get(f.Context(), k)
	if err != nil {
		f.Fatalf("get %v: %v", k, err)
	}
	return rec
}

// holds demands a record with this value and version.
func (f *fixture) holds(id, value string, v store.Version) {
	f.Helper()
	rec := f.get(f.key(id))
	if string(rec.Value) != value || rec.Version != v || rec.Key != f.key(id) {
		f.Fatalf("%s is %q at %d under %v, want %q at %d", id, rec.Value, rec.Version, rec.Key, value, v)
	}
}

func (f *fixture) absent(ids ...string) {
	f.Helper()
	for _, id := range ids {
		if rec, err := f.Engine.Get(f.Context(), f.key(id)); !errors.Is(err, store.ErrNotFound) {
			f.Fatalf("%s is %q, %v, want not to be found", id, rec.Value, err)
		}
	}
}

// log reads the whole log after a position, in small steps.
func (f *fixture) log(after store.Position) []store.Entry {
	f.Helper()
	entries, err := readAll(f.Context(), f.Engine, f.at.Partition, after, 7)
	if err != nil {
		f.Fatalf("read log after %v: %v", after, err)
	}
	return entries
}

// said demands that the log holds just these values, and gives it back.
func (f *fixture) said(values ...string) []store.Entry {
	f.Helper()
	entries := f.log(store.Position{})
	var got []string
	for _, e := range entries {
		got = append(got, string(e.Value))
	}
	if !slices.Equal(got, values) {
		f.Fatalf("log is %q, want %q", got, values)
	}
	return entries
}

func (f *fixture) reopen() {
	f.Helper()
	f.Engine = f.Reopen(f.T)
}

func readAll(ctx context.Context, eng store.Engine, p store.Partition, after store.Position, step int) ([]store.Entry, error) {
	var all []store.Entry
	for {
		entries, err := eng.ReadLog(ctx, p, after, step, 0)
		if err != nil || len(entries) == 0 {
			return all, err
		}
		all = append(all, entries...)
		after = entries[len(entries)-1].Position
	}
}
