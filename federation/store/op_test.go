package store

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestPlan(t *testing.T) {
	var never time.Time
	at := Place{Tenant: "acme", Partition: 3}
	a, b := at.Key("thing", "a"), at.Key("thing", "b")
	boom := errors.New("boom")
	for _, c := range []struct {
		name string
		ops  []Op
		want string // part of the error; empty: fine
	}{
		{"every verb", []Op{
			Create(a, nil, never), Replace(b, 1, nil, never), Take(at.Key("x", "a"), 1), Check(at.Key("x", "b"), 0),
			Put(at.Own().Key("x", "a"), nil, never), Drop(at.Key("y", "a")), Append(3, nil), Append(3, nil),
		}, ""},
		{"only a check", []Op{Check(a, 0)}, ""},
		{"only an entry", []Op{Append(3, nil)}, ""},
		{"same id, other kind", []Op{Create(a, nil, never), Create(at.Key("other", "a"), nil, never)}, ""},
		{"nothing", nil, "without operations"},
		{"twice", []Op{Create(a, nil, never), Create(a, nil, never)}, "twice"},
		{"taken and put", []Op{Take(a, 1), Put(a, nil, never)}, "twice"},
		{"checked and replaced", []Op{Check(a, 1), Append(3, nil), Replace(a, 1, nil, never)}, "twice"},
		{"two partitions", []Op{Create(a, nil, never), Create(Key{4, "thing", "acme/b"}, nil, never)}, "partitions 3 and 4"},
		{"another log", []Op{Create(a, nil, never), Append(0, nil)}, "partitions 3 and 0"},
		{"no kind", []Op{Create(Key{3, "", "a"}, nil, never)}, "without kind"},
		{"no id", []Op{Drop(Key{3, "thing", ""})}, "without kind or id"},
		{"replace at 0", []Op{Replace(a, 0, nil, never)}, "no version"},
		{"take at 0", []Op{Take(a, 0)}, "no version"},
		{"no verb", []Op{{Key: a}}, "unknown verb 0"},
		{"unknown verb", []Op{{Verb: 99, Key: a}}, "unknown verb 99"},
		{"bad first", []Op{Bad(boom), Create(a, nil, never)}, "boom"},
		{"bad last", []Op{Create(a, nil, never), Bad(boom)}, "boom"},
	} {
		p, err := Plan(c.ops)
		if c.want == "" {
			if err != nil || p != 3 {
				t.Errorf("%s: partition %d, %v", c.name, p, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an error about %q", c.name, err, c.want)
		}
	}
	if _, err := Plan([]Op{Bad(boom)}); !errors.Is(err, boom) {
		t.Errorf("a bad operation answers %v", err)
	}
}

func TestPlace(t *testing.T) {
	for _, l := range []Layout{{}, {Partitions: 1}, {Partitions: 16}, {Partitions: 1 << 16}} {
		used := map[Partition]bool{}
		for _, tenant := range []string{"default", "acme", "a", "", "tenant-17"} {
			at := l.Place(tenant)
			if at != l.Place(tenant) || at.Tenant != tenant || int(at.Partition) >= max(l.Partitions, 1) {
				t.Errorf("of %d partitions %q lives in %v", l.Partitions, tenant, at)
			}
			used[at.Partition] = true
			k := at.Key("thing", "a/b")
			if k.Place() != at || k.Local() != "a/b" || k.Kind != "thing" {
				t.Errorf("key %v is of %v and %q", k, k.Place(), k.Local())
			}
			own := at.Own().Key("due", "x")
			if own.Place() != at.Own() || own.Local() != "x" || own.Partition != at.Partition {
				t.Errorf("own key %v", own)
			}
		}
		if l.Partitions > 1 && len(used) < 2 {
			t.Errorf("all tenants live in one of %d partitions", l.Partitions)
		}
	}
	// A place is part of every stored key: it must never come out different.
	if at := (Layout{Partitions: 16}).Place("acme"); at.Partition != 15 {
		t.Errorf("acme has moved to partition %d", at.Partition)
	}
}
