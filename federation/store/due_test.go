package store

import (
	"cmp"
	"math"
	"testing"
	"time"
)

func TestDueID(t *testing.T) {
	at := time.Date(2026, 11, 20, 22, 30, 0, 123456789, time.UTC)
	id := DueID(at, "session/a")
	if back, name, err := ParseDueID(id); err != nil || !back.Equal(at.Truncate(time.Microsecond)) || name != "session/a" {
		t.Errorf("%q is %v, %q, %v", id, back, name, err)
	}
	if id := DueID(time.Time{}, "x"); id != "0000000000000000/x" {
		t.Errorf("before 1970: %q", id)
	}
	for _, s := range []string{
		"", "/", "0000000000000000", "000000000000000/x", "00000000000000000/x", "g000000000000000/x",
		"-000000000000001/x", "+000000000000001/x", "0x00000000000001/x", "ffffffffffffffff/x",
	} {
		if at, name, err := ParseDueID(s); err == nil {
			t.Errorf("%q is read as %v, %q", s, at, name)
		}
	}
}

// FuzzDueID: ids order as their times do, whatever the names are.
func FuzzDueID(f *testing.F) {
	f.Add(int64(0), "b", int64(1), "a")
	f.Add(int64(1), "", int64(1), "/")
	f.Add(int64(255), "x", int64(256), "x")
	f.Fuzz(func(t *testing.T, a int64, first string, b int64, second string) {
		a, b = a&math.MaxInt64, b&math.MaxInt64
		x, y := DueID(time.UnixMicro(a), first), DueID(time.UnixMicro(b), second)
		if want := cmp.Or(cmp.Compare(a, b), cmp.Compare(first, second)); cmp.Compare(x, y) != want {
			t.Errorf("%q and %q do not order as their times", x, y)
		}
		if at, name, err := ParseDueID(x); err != nil || at.UnixMicro() != a || name != first {
			t.Errorf("%q is %v, %q, %v", x, at, name, err)
		}
	})
}
