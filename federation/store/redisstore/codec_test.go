package redisstore

import (
	"errors"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

func TestExpiry(t *testing.T) {
	t.Parallel()
	for _, at := range []time.Time{
		{}, time.Unix(0, 1), time.Unix(1, 0), time.Unix(1<<32, 999_999_999), time.Unix(maxSeconds, 5),
		time.Date(2026, 1, 2, 3, 4, 5, 678_901_234, time.FixedZone("", 3600)),
	} {
		b := appendExpiry(nil, at)
		if len(b) != expirySize || !parseExpiry(string(b)).Equal(at) {
			t.Errorf("%v is read back as %v", at, parseExpiry(string(b)))
		}
	}
	for _, at := range []time.Time{time.Unix(0, 0), time.Unix(-1, 5), time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC)} {
		if back := parseExpiry(string(appendExpiry(nil, at))); !expired(back, time.Unix(0, 1)) {
			t.Errorf("%v is read back as %v", at, back)
		}
	}
}

func TestRemoveAt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		at   time.Time
		skew time.Duration
		want uint64
	}{
		{time.Time{}, time.Hour, 0},
		{time.UnixMilli(5), 0, 5},
		{time.UnixMilli(5).Add(1), 0, 6},
		{time.UnixMilli(5).Add(999_999), 0, 6},
		{time.UnixMilli(5000), 2 * time.Second, 3000},
		{time.UnixMilli(5000), time.Hour, 1},
		{time.Unix(-5, 0), 0, 1},
		{time.Unix(maxSeconds, 0), 0, maxMillis},
	} {
		if got := removeAt(c.at, c.skew); got != c.want {
			t.Errorf("%v under %v is removed at %d, want %d", c.at, c.skew, got, c.want)
		}
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	long := string(make([]byte, 1<<20))
	for name, op := range map[string]store.Op{
		"kind":   store.Drop(store.Key{Kind: long[:256], ID: "a"}),
		"id":     store.Drop(store.Key{Kind: "a", ID: long[:8193]}),
		"value":  store.Put(store.Key{Kind: "a", ID: "a"}, make([]byte, maxValue+1), time.Time{}),
		"expiry": store.Put(store.Key{Kind: "a", ID: "a"}, nil, time.Unix(maxSeconds+1, 0)),
	} {
		if checkOp(op) == nil {
			t.Errorf("%s: is not refused", name)
		}
	}
	if err := checkOp(store.Put(store.Key{Kind: long[:255], ID: long[:8192]}, make([]byte, maxValue), time.Unix(maxSeconds, 0))); err != nil {
		t.Error(err)
	}
}

func TestDamageIsRefused(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{"", "1", "1 a", "x a b", "-1 a b", "1  b", "1 a ", "1 a b c", "99999999999999999999 a b"} {
		if m, err := parseMeta(raw); !errors.Is(err, errDamaged) {
			t.Errorf("meta %q is read as %+v, %v", raw, m, err)
		}
	}
	if _, err := parseRecord(store.Key{}, "0123456789abcde"); !errors.Is(err, errDamaged) {
		t.Error(err)
	}
	if _, _, err := parseMark("0123456789abc"); !errors.Is(err, errDamaged) {
		t.Error(err)
	}
	for id, value := range map[string]any{"1-2": "short", "1": "0000000x", "1-3": nil, "1-4": 7} {
		if _, err := parseEntry(id, value); !errors.Is(err, errDamaged) {
			t.Errorf("entry %s, %v answers %v", id, value, err)
		}
	}
	for _, reply := range []any{
		nil, "OK", []any{}, []any{int64(0)}, []any{int64(9), int64(1)}, []any{int64(-1), int64(1)}, []any{"0", int64(1)}, []any{int64(0), "1"},
		[]any{int64(0), int64(1)}, []any{int64(0), int64(1), int64(1), "1"}, []any{int64(0), int64(1), int64(1), "1x"},
		[]any{int64(0), int64(1), "1", "11"}, []any{int64(1), int64(1)},
	} {
		if o, err := parseOutcome(reply, 2); !errors.Is(err, errDamaged) {
			t.Errorf("%v is read as %+v, %v", reply, o, err)
		}
	}
	for _, reply := range [][]any{
		{"m", int64(1), "", nil, nil}, {"m", int64(1), "", []any{"a"}, []any{}}, {"m", int64(1), "", []any{"a", "short"}, []any{}},
	} {
		if p, err := parsePage(0, "thing", reply); !errors.Is(err, errDamaged) {
			t.Errorf("%v is read as %+v, %v", reply, p, err)
		}
	}
}

func TestClock(t *testing.T) {
	t.Parallel()
	local := time.Unix(1000, 0)
	c := clock{now: func() time.Time { return local }}
	if at, ok := c.tell(); ok || !at.IsZero() {
		t.Errorf("a clock that was never set tells %v", at)
	}
	server := time.Unix(5000, 0)
	tell := func(want time.Time, fresh bool) {
		t.Helper()
		if at, ok := c.tell(); !at.Equal(want) || ok != fresh {
			t.Errorf("the clock tells %v, %v, want %v, %v", at.UTC(), ok, want.UTC(), fresh)
		}
	}
	c.learn(server.UnixMicro())
	tell(server, true)
	local = local.Add(300 * time.Millisecond)
	tell(server.Add(300*time.Millisecond), true)
	// An answer that was long on its way does not set the clock back.
	c.learn(server.Add(100 * time.Millisecond).UnixMicro())
	tell(server.Add(300*time.Millisecond), true)
	// One that was quicker sets it forward.
	c.learn(server.Add(400 * time.Millisecond).UnixMicro())
	tell(server.Add(400*time.Millisecond), true)
	local = local.Add(time.Second)
	tell(server.Add(1400*time.Millisecond), false)
	// An old sample is given up, but what was told stands.
	c.learn(server.Add(1350 * time.Millisecond).UnixMicro())
	tell(server.Add(1400*time.Millisecond), true)
	local = local.Add(100 * time.Millisecond)
	tell(server.Add(1450*time.Millisecond), true)
	// A server whose clock was set back is believed, once the sample is old.
	local = local.Add(2 * time.Second)
	c.learn(server.Add(-time.Hour).UnixMicro())
	tell(server.Add(-time.Hour), true)
	c.forget()
	tell(time.Time{}, false)
}

func TestLexRange(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ prefix, after, from, to string }{
		{"", "", "[", "+"}, {"a/", "", "[a/", "(a0"}, {"a\xff", "", "[a\xff", "(b"}, {"\xff\xff", "", "[\xff\xff", "+"},
		{"é\xff", "", "[é\xff", "(\xc3\xaa"}, {"b\xfe", "", "[b\xfe", "(b\xff"},
		{"b/", "a", "[b/", "(b0"}, {"b/", "b/7", "(b/7", "(b0"}, {"b/", "c", "(c", "(b0"}, {"", "x", "(x", "+"},
	} {
		if from, to := lexRange(store.Range{Prefix: c.prefix, After: c.after}); from != c.from || to != c.to {
			t.Errorf("%q after %q is %q to %q", c.prefix, c.after, from, to)
		}
	}
}

func TestBackoffIsBounded(t *testing.T) {
	t.Parallel()
	for n := range 100 {
		if d := backoff(n); d < 10*time.Millisecond || d > 500*time.Millisecond {
			t.Errorf("pause %d is %v", n, d)
		}
	}
}
