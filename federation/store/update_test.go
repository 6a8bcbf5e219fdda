package store

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestUpdateTriesAgainOnConflict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		eng, k := newMemory(), Place{}.Key("n", "a")
		plans := 0
		v, err := Update(t.Context(), eng, func(ctx context.Context) ([]Op, error) {
			plans++
			rec, err := eng.Get(ctx, k)
			if err != nil && !errors.Is(err, ErrNotFound) {
				return nil, err
			}
			if plans <= 20 {
				// A rival is quicker.
				if _, err := eng.Commit(ctx, Put(k, nil, time.Time{})); err != nil {
					return nil, err
				}
			}
			if rec.Version == 0 {
				return []Op{Create(k, nil, time.Time{})}, nil
			}
			return []Op{Replace(k, rec.Version, []byte("mine"), time.Time{})}, nil
		})
		if err != nil || plans != 21 || string(eng.records[k].Value) != "mine" || eng.records[k].Version != v {
			t.Errorf("after %d plans: version %d, %v, %+v", plans, v, err, eng.records[k])
		}
	})
}

func TestUpdateGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		eng, at := newMemory(), Place{}
		start := time.Now()
		_, err := Update(t.Context(), eng, func(context.Context) ([]Op, error) {
			return []Op{Check(at.Key("n", "none"), 1)}, nil
		})
		if !errors.Is(err, ErrConflict) || eng.commits != attempts+1 {
			t.Errorf("after %d commits: %v", eng.commits, err)
		}
		if d := time.Since(start); d == 0 || d > attempts*5*time.Millisecond {
			t.Errorf("gave up after %v", d)
		}
	})
}

func TestUpdateEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		boom := errors.New("boom")
		op := Put(Place{}.Key("n", "a"), nil, time.Time{})
		for _, c := range []struct {
			name    string
			plan    func(ctx context.Context) ([]Op, error)
			fail    error
			want    error
			commits int
		}{
			{"nothing to do", func(context.Context) ([]Op, error) { return nil, nil }, nil, nil, 0},
			{"a plan that fails", func(context.Context) ([]Op, error) { return []Op{op}, boom }, nil, boom, 0},
			{"an engine that fails", func(context.Context) ([]Op, error) { return []Op{op}, nil }, boom, boom, 1},
			{"an unknown outcome", func(context.Context) ([]Op, error) { return []Op{op}, nil }, ErrUnknown, ErrUnknown, 1},
			{"a bad operation", func(context.Context) ([]Op, error) { return []Op{Bad(boom)}, nil }, nil, boom, 1},
		} {
			eng := newMemory()
			eng.fail = func([]Op) error { return c.fail }
			v, err := Update(t.Context(), eng, c.plan)
			if !errors.Is(err, c.want) || eng.commits != c.commits || v != 0 {
				t.Errorf("%s: version %d, %v after %d commits", c.name, v, err, eng.commits)
			}
		}
		for _, after := range []int{1, 5} {
			eng := newMemory()
			ctx, cancel := context.WithCancel(t.Context())
			_, err := Update(ctx, eng, func(context.Context) ([]Op, error) {
				if eng.commits == after-1 {
					cancel()
				}
				return []Op{Check(Place{}.Key("n", "none"), 1)}, nil
			})
			if !errors.Is(err, context.Canceled) || eng.commits != after {
				t.Errorf("cancelled at commit %d: %v after %d", after, err, eng.commits)
			}
		}
	})
}

func TestMark(t *testing.T) {
	eng, at := newMemory(), Place{Tenant: "acme"}
	end := eng.now.Add(time.Minute)
	if ok, err := Marked(t.Context(), eng, at, "1"); ok || err != nil {
		t.Errorf("before the commit: %v, %v", ok, err)
	}
	if _, err := eng.Commit(t.Context(), Mark(at, "1", end)); err != nil {
		t.Fatal(err)
	}
	if ok, err := Marked(t.Context(), eng, at, "1"); !ok || err != nil {
		t.Errorf("after the commit: %v, %v", ok, err)
	}
	if _, err := eng.Commit(t.Context(), Mark(at, "1", end)); !errors.Is(err, ErrConflict) {
		t.Errorf("committed again: %v", err)
	}
	if ok, err := Marked(t.Context(), eng, Place{Tenant: "other"}, "1"); ok || err != nil {
		t.Errorf("of another tenant: %v, %v", ok, err)
	}
	eng.now = end
	if ok, err := Marked(t.Context(), eng, at, "1"); ok || err != nil {
		t.Errorf("after its time: %v, %v", ok, err)
	}
}

func TestTrimmedError(t *testing.T) {
	var err error = TrimmedError{UpTo: Position{1, 5}}
	if !errors.Is(err, ErrTrimmed) || errors.Is(err, ErrNotFound) || err.Error() != ErrTrimmed.Error()+": up to 1-5" {
		t.Errorf("the error is %q", err)
	}
}
