package store

import (
	"errors"
	"testing"
	"time"
)

type note1 struct {
	Text string `json:"text"`
}

type note2 struct {
	Lines []string `json:"lines"`
}

func noteSteps() func(int, []byte) ([]byte, error) {
	return Migrations(
		Step(func(n note1) (note2, error) {
			if n.Text == "bad" {
				return note2{}, errors.New("a bad note")
			}
			return note2{Lines: []string{n.Text}}, nil
		}),
		Step(func(n note2) (note2, error) { return note2{Lines: append(n.Lines, "3")}, nil }))
}

func TestMigrationsInATable(t *testing.T) {
	eng, at := newMemory(), Place{Tenant: "acme"}
	one := NewTable[note1](eng, TableOptions{Kind: "note", Schema: 1})
	three := NewTable[note2](eng, TableOptions{Kind: "note", Schema: 3, Migrate: noteSteps()})
	if _, err := eng.Commit(t.Context(), one.Put(at, "a", note1{"x"}, time.Time{}), one.Put(at, "b", note1{"bad"}, time.Time{}),
		Put(at.Key("note", "c"), []byte("\x01\x01[]"), time.Time{}), Put(at.Key("note", "d"), []byte("\x01\x00{}"), time.Time{})); err != nil {
		t.Fatal(err)
	}
	row, err := three.Get(t.Context(), at, "a")
	if err != nil || len(row.Value.Lines) != 2 {
		t.Errorf("migrated: %+v, %v", row.Value, err)
	}
	for _, id := range []string{"b", "c", "d"} {
		if row, err := three.Get(t.Context(), at, id); err == nil {
			t.Errorf("%s is migrated to %+v", id, row.Value)
		}
	}
}

func TestShape(t *testing.T) {
	one := Shape[note1]{Name: "note", Schema: 1}
	three := Shape[note2]{Name: "note", Schema: 3, Migrate: noteSteps()}
	old, err := one.Encode(note1{"x"})
	if err != nil || string(old) != `{"text":"x"}` {
		t.Fatalf("of schema 1: %q, %v", old, err)
	}
	if n, err := one.Decode(old); err != nil || n.Text != "x" {
		t.Errorf("read: %+v, %v", n, err)
	}
	if n, err := three.Decode(old); err != nil || len(n.Lines) != 2 {
		t.Errorf("migrated: %+v, %v", n, err)
	}
	young, err := three.Encode(note2{Lines: []string{"y"}})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := three.Decode(young); err != nil || len(n.Lines) != 1 {
		t.Errorf("read again: %+v, %v", n, err)
	}
	if _, err := one.Decode(young); !errors.Is(err, ErrNewer) {
		t.Errorf("an older binary answers %v", err)
	}
	for _, bad := range []string{"", "\x01", "{", "[]", "\x01\x03{"} {
		if n, err := three.Decode([]byte(bad)); err == nil {
			t.Errorf("%q is read as %+v", bad, n)
		}
	}
	if _, err := (Shape[chan int]{}).Encode(nil); err == nil {
		t.Error("a channel was encoded")
	}
}

func TestCatalogue(t *testing.T) {
	eng, at, c := newMemory(), Place{Tenant: "acme"}, &Catalogue{}
	s, other := sealer(t, "k1"), sealer(t, "k2")
	NewTable[note2](c, TableOptions{Kind: "note", Schema: 3, Migrate: noteSteps(), Sealer: s})
	NewTable[note2](c, TableOptions{Kind: "note", Schema: 3, Migrate: noteSteps(), Sealer: s})
	NewTable[struct{}](c, TableOptions{Kind: "index", Schema: 1})
	if kinds := c.Kinds(); len(kinds) != 2 || kinds[0] != "index" || kinds[1] != "note" {
		t.Errorf("it knows %v", kinds)
	}
	read := func(op Op) (Reading, error) {
		t.Helper()
		if _, err := eng.Commit(t.Context(), op); err != nil {
			t.Fatal(err)
		}
		rec, err := eng.Get(t.Context(), op.Key)
		if err != nil {
			t.Fatal(err)
		}
		return c.Read(rec)
	}
	table := func(schema int, s *Sealer) *Table[note1] {
		return NewTable[note1](eng, TableOptions{Kind: "note", Schema: schema, Sealer: s})
	}
	got, err := read(table(1, s).Put(at, "a", note1{"x"}, time.Time{}))
	if n, ok := got.Value.(note2); err != nil || !ok || len(n.Lines) != 2 || got.Schema != 1 || got.Current != 3 {
		t.Errorf("a note is %+v, %v", got, err)
	}
	if _, err := read(table(4, s).Put(at, "a", note1{"x"}, time.Time{})); !errors.Is(err, ErrNewer) {
		t.Errorf("a newer note answers %v", err)
	}
	if _, err := read(table(1, other).Put(at, "a", note1{"x"}, time.Time{})); !errors.Is(err, ErrSealed) {
		t.Errorf("a note sealed with another key answers %v", err)
	}
	if _, err := read(Put(at.Key("unheard", "a"), nil, time.Time{})); err == nil {
		t.Error("a kind that nobody knows is read")
	}
	for _, short := range []string{"", "\x01\xff"} {
		if got, err := read(Put(at.Key("note", "a"), []byte(short), time.Time{})); err == nil || got.Schema != 0 {
			t.Errorf("%q is read as %+v", short, got)
		}
	}
	if got, err := read(Mark(at, "1", time.Time{})); err != nil || got != (Reading{}) {
		t.Errorf("a mark is %+v, %v", got, err)
	}
	l, err := Acquire(t.Context(), eng, at, "deliver", "me", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	rec, err := eng.Get(t.Context(), l.key)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.Read(rec); err != nil || got != (Reading{}) {
		t.Errorf("a lease is %+v, %v", got, err)
	}
}
