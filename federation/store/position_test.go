package store

import (
	"encoding/json"
	"math"
	"slices"
	"testing"
)

func TestPositionOrder(t *testing.T) {
	sorted := []Position{{}, {0, 1}, {1, 0}, {1, 1}, {1, math.MaxUint64}, {2, 0}, {math.MaxUint64, math.MaxUint64}}
	for i, p := range sorted {
		for j, q := range sorted {
			if got, want := p.Compare(q), i-j; (got < 0) != (want < 0) || (got == 0) != (want == 0) {
				t.Errorf("%v compared with %v is %d", p, q, got)
			}
		}
	}
	if !slices.IsSortedFunc(sorted, Position.Compare) {
		t.Error("positions are not in order")
	}
}

func TestPositionText(t *testing.T) {
	for p, want := range map[Position]string{{}: "0-0", {1, 42}: "1-42", {math.MaxUint64, 7}: "18446744073709551615-7"} {
		if p.String() != want {
			t.Errorf("%#v is %q", p, p)
		}
		if back, err := ParsePosition(want); err != nil || back != p {
			t.Errorf("%q is read as %v, %v", want, back, err)
		}
	}
	for _, s := range []string{"", "-", "1", "1-", "-1", "1-2-3", "+1-2", "1- 2", "1-18446744073709551616", "a-b", "1_0-2", "１-2"} {
		if p, err := ParsePosition(s); err == nil {
			t.Errorf("%q is read as %v", s, p)
		}
	}
	var holder struct{ At Position }
	raw, err := json.Marshal(struct{ At Position }{Position{3, 4}})
	if err != nil || string(raw) != `{"At":"3-4"}` {
		t.Fatalf("as JSON: %s, %v", raw, err)
	}
	if err := json.Unmarshal(raw, &holder); err != nil || holder.At != (Position{3, 4}) {
		t.Errorf("from JSON: %v, %v", holder, err)
	}
	if err := json.Unmarshal([]byte(`{"At":"x"}`), &holder); err == nil || holder.At != (Position{3, 4}) {
		t.Errorf("from bad JSON: %v, %v", holder, err)
	}
}

func FuzzPosition(f *testing.F) {
	f.Add("1-2")
	f.Add("01-2")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePosition(s)
		if err != nil {
			return
		}
		if back, err := ParsePosition(p.String()); err != nil || back != p {
			t.Errorf("%q is %v, and then %v, %v", s, p, back, err)
		}
	})
}
