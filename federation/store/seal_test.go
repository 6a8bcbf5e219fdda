package store

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
)

func sealer(t testing.TB, ids ...string) *Sealer {
	t.Helper()
	var keys []SealingKey
	for _, id := range ids {
		keys = append(keys, SealingKey{ID: id, Key: bytes.Repeat([]byte(id[:1]), 32)})
	}
	s, err := NewSealer(keys)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestNewSealerRefuses(t *testing.T) {
	good := make([]byte, 32)
	for name, keys := range map[string][]SealingKey{
		"no id":        {{Key: good}},
		"a long id":    {{ID: strings.Repeat("x", 65), Key: good}},
		"an id twice":  {{ID: "a", Key: good}, {ID: "b", Key: good}, {ID: "a", Key: good}},
		"a short key":  {{ID: "a", Key: good[:16]}},
		"a long key":   {{ID: "a", Key: append(good, 0)}},
		"no key":       {{ID: "a"}},
		"a bad second": {{ID: "a", Key: good}, {ID: "b"}},
	} {
		if s, err := NewSealer(keys); err == nil || s != nil {
			t.Errorf("%s: %v, %v", name, s, err)
		}
	}
	if s, err := NewSealer(nil); s != nil || err != nil {
		t.Errorf("no keys: %v, %v", s, err)
	}
}

func TestSealedValuesStayWhereTheyAre(t *testing.T) {
	s := sealer(t, "k1")
	k := Place{Tenant: "acme"}.Key("key", "a")
	body := []byte(`{"secret":"drawbridge"}`)
	value := seal(s, k, 1, body)
	if bytes.Contains(value, []byte("drawbridge")) {
		t.Fatal("a sealed value can be read")
	}
	if again := seal(s, k, 1, body); bytes.Equal(again, value) {
		t.Error("sealing twice gives the same bytes")
	}
	if schema, got, err := unseal(s, k, value); schema != 1 || !bytes.Equal(got, body) || err != nil {
		t.Errorf("unsealed: %d, %q, %v", schema, got, err)
	}
	for name, other := range map[string]Key{
		"record": Place{Tenant: "acme"}.Key("key", "b"),
		"tenant": Place{Tenant: "evil"}.Key("key", "a"),
		"table":  Place{Tenant: "acme"}.Key("session", "a"),
		"split":  {Kind: "keyac", ID: "me/a"},
	} {
		if _, got, err := unseal(s, other, value); !errors.Is(err, ErrSealed) {
			t.Errorf("moved to another %s: %q, %v", name, got, err)
		}
	}
	forged := slices.Clone(value)
	forged[1] = 2 // the schema
	if _, _, err := unseal(s, k, forged); !errors.Is(err, ErrSealed) {
		t.Errorf("with another schema: %v", err)
	}
}

func TestSealingKeysRotate(t *testing.T) {
	k := Place{Tenant: "acme"}.Key("key", "a")
	old, rotated, without := sealer(t, "1"), sealer(t, "2", "1"), sealer(t, "2")
	before, after := seal(old, k, 1, []byte("before")), seal(rotated, k, 1, []byte("after"))
	for _, c := range []struct {
		name  string
		s     *Sealer
		value []byte
		want  string // empty: ErrSealed
	}{
		{"old value, both keys", rotated, before, "before"},
		{"new value, both keys", rotated, after, "after"},
		{"new value, new key", without, after, "after"},
		{"old value, new key", without, before, ""},
		{"new value, old key", old, after, ""},
		{"sealed value, no key", nil, before, ""},
		{"plain value, keys", rotated, seal(nil, k, 1, []byte("plain")), "plain"},
	} {
		_, got, err := unseal(c.s, k, c.value)
		if c.want == "" && !errors.Is(err, ErrSealed) || c.want != "" && (err != nil || string(got) != c.want) {
			t.Errorf("%s: %q, %v", c.name, got, err)
		}
	}
	// The same id over another key is a wrong key, said as such.
	impostor, err := NewSealer([]SealingKey{{ID: "1", Key: make([]byte, 32)}})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := unseal(impostor, k, before); !errors.Is(err, ErrSealed) {
		t.Errorf("another key under the id: %v", err)
	}
}

// FuzzUnseal: whatever was changed in a sealed value, it does not open, and
// nothing that is no value at all is taken for one.
func FuzzUnseal(f *testing.F) {
	f.Add([]byte{}, uint16(0), byte(0))
	f.Add([]byte{formPlain, 1}, uint16(1), byte(1))
	f.Add([]byte{formSealed, 1, 200, 'k'}, uint16(2), byte(0x80))
	f.Add([]byte{formSealed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, uint16(3), byte(4))
	f.Add([]byte{formPlain, 0xff, 0xff, 0xff, 0xff, 0x0f}, uint16(9), byte(0xff))
	s := sealer(f, "k1")
	k := Place{Tenant: "acme"}.Key("key", "a")
	f.Fuzz(func(t *testing.T, raw []byte, at uint16, flip byte) {
		schema, _, err := unseal(s, k, raw)
		if err == nil && (len(raw) < 2 || raw[0] != formPlain || schema < 0) {
			t.Errorf("%x is taken for a value of schema %d", raw, schema)
		}
		value := seal(s, k, 1, []byte("body"))
		value[int(at)%len(value)] ^= flip
		if _, got, err := unseal(s, k, value); flip != 0 && err == nil && value[0] != formPlain {
			t.Errorf("a forged value opens as %q", got)
		}
	})
}
