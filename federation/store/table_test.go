package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

type name1 struct {
	Name string `json:"name"`
}

type name3 struct {
	Given  string `json:"given"`
	Family string `json:"family"`
	Steps  int    `json:"steps"`
}

// migrate takes a name apart on the way to schema 2 and counts on that to 3.
func migrate(from int, old []byte) ([]byte, error) {
	switch from {
	case 1:
		var n name1
		if err := json.Unmarshal(old, &n); err != nil {
			return nil, err
		}
		given, family, ok := strings.Cut(n.Name, " ")
		if !ok {
			return nil, errors.New("a name without family")
		}
		return json.Marshal(name3{Given: given, Family: family, Steps: 1})
	case 2:
		var n name3
		if err := json.Unmarshal(old, &n); err != nil {
			return nil, err
		}
		n.Steps++
		return json.Marshal(n)
	default:
		return nil, fmt.Errorf("no way from schema %d", from)
	}
}

func TestTableMigrates(t *testing.T) {
	eng, at := newMemory(), Place{Tenant: "acme"}
	for _, s := range []*Sealer{nil, sealer(t, "k1")} {
		old := NewTable[name1](eng, TableOptions{Kind: "name", Schema: 1, Sealer: s})
		young := NewTable[name3](eng, TableOptions{Kind: "name", Schema: 3, Migrate: migrate, Sealer: s})
		if _, err := eng.Commit(t.Context(), old.Put(at, "a", name1{"Ada Lovelace"}, time.Time{}), old.Put(at, "b", name1{"Plato"}, time.Time{})); err != nil {
			t.Fatal(err)
		}
		row, err := young.Get(t.Context(), at, "a")
		if err != nil || row.Value != (name3{"Ada", "Lovelace", 2}) {
			t.Errorf("migrated: %+v, %v", row, err)
		}
		if _, err := young.Get(t.Context(), at, "b"); err == nil || !strings.Contains(err.Error(), "without family") {
			t.Errorf("what cannot be migrated answers %v", err)
		}
		if _, err := eng.Commit(t.Context(), young.Replace(at, "a", row.Value, row.Version, row.Expires)); err != nil {
			t.Fatal(err)
		}
		if _, err := old.Get(t.Context(), at, "a"); !errors.Is(err, ErrNewer) {
			t.Errorf("an older binary answers %v", err)
		}
		if _, err := old.Scan(t.Context(), at, "", "", 10); !errors.Is(err, ErrNewer) {
			t.Errorf("an older binary's scan answers %v", err)
		}
		if again, err := young.Get(t.Context(), at, "a"); err != nil || again.Value != row.Value {
			t.Errorf("read again: %+v, %v", again, err)
		}
		lost := NewTable[name3](eng, TableOptions{Kind: "name", Schema: 4, Sealer: s})
		if _, err := lost.Get(t.Context(), at, "a"); err == nil || !strings.Contains(err.Error(), "cannot be migrated") {
			t.Errorf("without a way to migrate: %v", err)
		}
	}
}

func TestTableRefusesWhatItCannotRead(t *testing.T) {
	eng, at := newMemory(), Place{Tenant: "acme"}
	things := NewTable[name1](eng, TableOptions{Kind: "name", Schema: 1})
	for id, value := range map[string]string{
		"empty": "", "short": "\x01", "no schema": "\x01\xff", "no JSON": "\x01\x01{", "other shape": "\x01\x01[]",
		"no schema at all": "\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
	} {
		if _, err := eng.Commit(t.Context(), Put(at.Key("name", id), []byte(value), time.Time{})); err != nil {
			t.Fatal(err)
		}
		if row, err := things.Get(t.Context(), at, id); err == nil {
			t.Errorf("%s is read as %+v", id, row)
		}
	}
	if _, err := eng.Commit(t.Context(), Put(at.Key("name", "form"), []byte("\x03\x01{}"), time.Time{})); err != nil {
		t.Fatal(err)
	}
	if _, err := things.Get(t.Context(), at, "form"); !errors.Is(err, ErrNewer) {
		t.Errorf("an unknown form answers %v", err)
	}
	if _, err := things.Get(t.Context(), at, "none"); !errors.Is(err, ErrNotFound) {
		t.Errorf("what is not there answers %v", err)
	}
}

func TestTableRefusesWhatItCannotWrite(t *testing.T) {
	eng, at := newMemory(), Place{Tenant: "acme"}
	numbers := NewTable[float64](eng, TableOptions{Kind: "number", Schema: 1})
	for _, op := range []Op{
		numbers.Create(at, "a", math.NaN(), time.Time{}),
		numbers.Replace(at, "a", math.NaN(), 1, time.Time{}),
		numbers.Put(at, "a", math.NaN(), time.Time{}),
	} {
		_, err := eng.Commit(t.Context(), Put(at.Key("other", "b"), nil, time.Time{}), op)
		if _, ok := errors.AsType[*json.UnsupportedValueError](err); !ok {
			t.Errorf("a value that cannot be encoded answers %v", err)
		}
	}
	if len(eng.records) != 0 {
		t.Errorf("the engine holds %v", eng.records)
	}
}

func TestTableScans(t *testing.T) {
	eng, l := newMemory(), Layout{Partitions: 1}
	things := NewTable[int](eng, TableOptions{Kind: "thing", Schema: 1})
	for i, id := range []string{"a/1", "a/2", "a/3", "b/1"} {
		for j, tenant := range []string{"acme", "acme2", ""} {
			if _, err := eng.Commit(t.Context(), things.Create(l.Place(tenant), id, 10*j+i, time.Time{})); err != nil {
				t.Fatal(err)
			}
		}
	}
	at := l.Place("acme")
	for _, c := range []struct {
		prefix, after string
		n             int
		want          []int
	}{
		{"", "", 10, []int{0, 1, 2, 3}},
		{"", "", 2, []int{0, 1}},
		{"a/", "", 10, []int{0, 1, 2}},
		{"a/", "a/1", 1, []int{1}},
		{"", "a/3", 10, []int{3}},
		{"c", "", 10, nil},
	} {
		rows, err := things.Scan(t.Context(), at, c.prefix, c.after, c.n)
		var got []int
		for _, row := range rows {
			got = append(got, row.Value)
			if row.Place != at || row.Version == 0 {
				t.Errorf("row %+v", row)
			}
		}
		if err != nil || fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("scan %q after %q: %v, %v", c.prefix, c.after, got, err)
		}
	}
	row, err := things.Get(t.Context(), at, "a/1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := eng.Commit(t.Context(), things.Check(at, "a/1", row.Version), things.Drop(at, "b/1"), things.Take(at, "a/2", row.Version+100)); !errors.Is(err, ErrConflict) {
		t.Errorf("taking at another version: %v", err)
	}
	if _, err := eng.Commit(t.Context(), things.Check(at, "none", 0), things.Drop(at, "b/1"), things.Take(at, "a/1", row.Version)); err != nil {
		t.Error(err)
	}
	if rows, err := things.Scan(context.Background(), at, "", "", 10); err != nil || len(rows) != 2 {
		t.Errorf("left are %+v, %v", rows, err)
	}
}
