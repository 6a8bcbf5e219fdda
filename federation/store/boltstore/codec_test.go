package boltstore

import (
	"bytes"
	"cmp"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// FuzzStamp: stamps order as times do, and lose nothing.
func FuzzStamp(f *testing.F) {
	f.Add(int64(0), int64(0), int64(0), int64(1))
	f.Add(int64(-1), int64(999999999), int64(1), int64(0))
	f.Add(int64(-62135596800), int64(1), int64(253402300799), int64(5))
	f.Fuzz(func(t *testing.T, s1, n1, s2, n2 int64) {
		// The years that time.Time can compare.
		const most = 1 << 55
		a, b := time.Unix(s1%most, n1%1e9).UTC(), time.Unix(s2%most, n2%1e9).UTC()
		x, y := stampOf(a), stampOf(b)
		if got := x.time(); !got.Equal(a) {
			t.Errorf("%v comes back as %v", a, got)
		}
		if a.IsZero() || b.IsZero() {
			return
		}
		if bytes.Compare(x[:], y[:]) != a.Compare(b) {
			t.Errorf("%v and %v do not order as their stamps", a, b)
		}
		if x.reached(y) != !a.After(b) {
			t.Errorf("%v reached at %v: %v", a, b, x.reached(y))
		}
	})
}

// FuzzRecordKey: keys of one kind order as ids, and kinds never meet.
func FuzzRecordKey(f *testing.F) {
	f.Add("a", "b", "a", "c")
	f.Add("a", "bc", "ab", "c")
	f.Add("", "\x01a", "a", "")
	f.Fuzz(func(t *testing.T, kind1, id1, kind2, id2 string) {
		if len(kind1) > maxKind || len(kind2) > maxKind {
			return
		}
		x, y := recordKey(kind1, id1), recordKey(kind2, id2)
		if x == y != (kind1 == kind2 && id1 == id2) {
			t.Errorf("%q %q and %q %q have keys %q and %q", kind1, id1, kind2, id2, x, y)
		}
		if kind1 == kind2 && strings.Compare(x, y) != cmp.Compare(id1, id2) {
			t.Errorf("ids %q and %q do not order as their keys", id1, id2)
		}
		if kind1 != kind2 && strings.HasPrefix(x, recordKey(kind2, "")) {
			t.Errorf("kind %q holds a record of %q", kind2, kind1)
		}
	})
}

func TestDamageIsFound(t *testing.T) {
	_, _, err1 := parseRecord(make([]byte, recordHead-1))
	_, err2 := parseLogKey(make([]byte, 15))
	_, err3 := parseEntry(make([]byte, 16), make([]byte, 11))
	_, err4 := parseEntry(make([]byte, 17), make([]byte, 12))
	_, err5 := parseCounters(make([]byte, 39))
	for i, err := range []error{err1, err2, err3, err4, err5} {
		if err == nil {
			t.Errorf("damage %d is not found", i+1)
		}
	}
}

func TestLimitsAreSaid(t *testing.T) {
	e := openEngine(t, nil)
	long := strings.Repeat("x", maxID+1)
	for name, op := range map[string]store.Op{
		"kind":  store.Create(store.Key{Kind: long[:maxKind+1], ID: "a"}, nil, time.Time{}),
		"id":    store.Create(store.Key{Kind: "thing", ID: long}, nil, time.Time{}),
		"value": store.Create(key("a"), make([]byte, maxValue+1), time.Time{}),
		"entry": store.Append(0, make([]byte, maxValue+1)),
	} {
		if _, err := e.Commit(t.Context(), op); err == nil || !strings.Contains(err.Error(), "longer than") {
			t.Errorf("a %s that is too long answers %v", name, err)
		}
	}
	if _, err := e.Get(t.Context(), store.Key{Kind: "thing", ID: long}); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("reading an id that is too long answers %v", err)
	}
	for _, r := range []store.Range{{Kind: long, Limit: 1}, {Kind: "thing", Prefix: long, Limit: 1}, {Kind: "thing", After: long, Limit: 1}} {
		if _, err := e.Scan(t.Context(), r); err == nil {
			t.Error("a scan of a range that is too long is not refused")
		}
	}
	if _, err := e.Commit(t.Context(), store.Create(store.Key{Kind: long[:maxKind], ID: long[:maxID]}, nil, time.Now().Add(time.Hour)),
		store.Create(key("large"), make([]byte, maxValue), time.Time{})); err != nil {
		t.Errorf("the longest there may be: %v", err)
	}
	check(t, e)
}
