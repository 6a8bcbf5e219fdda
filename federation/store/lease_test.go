package store

import (
	"errors"
	"testing"
	"time"
)

func TestLease(t *testing.T) {
	eng, at := newMemory(), Place{Partition: 2}
	const ttl = 30 * time.Second
	first, err := Acquire(t.Context(), eng, at, "deliver", "one", ttl)
	if err != nil || !first.Expires.Equal(eng.now.Add(ttl)) {
		t.Fatalf("acquire: %+v, %v", first, err)
	}
	if _, err := Acquire(t.Context(), eng, at, "deliver", "two", ttl); !errors.Is(err, ErrHeld) {
		t.Errorf("acquiring what is held: %v", err)
	}
	if _, err := Acquire(t.Context(), eng, at, "sweep", "two", ttl); err != nil {
		t.Errorf("acquiring another name: %v", err)
	}
	write := func(l Lease) error {
		_, err := eng.Commit(t.Context(), l.Fence(), Put(at.Key("cursor", "a"), nil, time.Time{}))
		return err
	}
	if err := write(first); err != nil {
		t.Errorf("the holder's write: %v", err)
	}

	eng.now = eng.now.Add(ttl - 1)
	renewed, err := first.Renew(t.Context(), eng, ttl)
	if err != nil || !renewed.Expires.Equal(eng.now.Add(ttl)) {
		t.Fatalf("renew: %+v, %v", renewed, err)
	}
	if err := write(first); !errors.Is(err, ErrConflict) {
		t.Errorf("a write under the old value: %v", err)
	}
	if _, err := first.Renew(t.Context(), eng, ttl); !errors.Is(err, ErrHeld) {
		t.Errorf("renewing the old value: %v", err)
	}
	if err := write(renewed); err != nil {
		t.Errorf("a write under the new value: %v", err)
	}

	eng.now = eng.now.Add(ttl)
	if err := write(renewed); !errors.Is(err, ErrConflict) {
		t.Errorf("a late write: %v", err)
	}
	heir, err := Acquire(t.Context(), eng, at, "deliver", "two", ttl)
	if err != nil {
		t.Fatalf("taking over: %v", err)
	}
	if err := write(renewed); !errors.Is(err, ErrConflict) {
		t.Errorf("a write after the takeover: %v", err)
	}
	if err := renewed.Release(t.Context(), eng); err != nil {
		t.Errorf("releasing what was lost: %v", err)
	}
	if err := write(heir); err != nil {
		t.Errorf("the heir's write: %v", err)
	}
	if err := heir.Release(t.Context(), eng); err != nil {
		t.Errorf("release: %v", err)
	}
	if err := write(heir); !errors.Is(err, ErrConflict) {
		t.Errorf("a write after the release: %v", err)
	}
	if _, err := Acquire(t.Context(), eng, at, "deliver", "three", ttl); err != nil {
		t.Errorf("acquiring what was released: %v", err)
	}
}

func TestLeaseKeepsErrors(t *testing.T) {
	eng, at := newMemory(), Place{}
	l, err := Acquire(t.Context(), eng, at, "deliver", "one", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	eng.fail = func([]Op) error { return ErrUnknown }
	_, err1 := Acquire(t.Context(), eng, at, "other", "one", time.Minute)
	kept, err2 := l.Renew(t.Context(), eng, time.Hour)
	err3 := l.Release(t.Context(), eng)
	for i, err := range []error{err1, err2, err3} {
		if !errors.Is(err, ErrUnknown) {
			t.Errorf("call %d answers %v", i+1, err)
		}
	}
	if kept != l {
		t.Errorf("a renewal that failed answers %+v, want the old lease", kept)
	}
}

func TestFreeLeasesLetsTheNextOneIn(t *testing.T) {
	eng, at := newMemory(), Place{Partition: 2}
	dead, err := Acquire(t.Context(), eng, at, "deliver", "dead", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	other, err := Acquire(t.Context(), eng, Place{Partition: 1}, "deliver", "other", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if err := FreeLeases(t.Context(), eng, at.Partition); err != nil {
		t.Fatal(err)
	}
	if _, err := Acquire(t.Context(), eng, at, "deliver", "next", time.Hour); err != nil {
		t.Errorf("after freeing: %v", err)
	}
	if _, err := eng.Commit(t.Context(), dead.Fence(), Put(at.Key("cursor", "a"), nil, time.Time{})); !errors.Is(err, ErrConflict) {
		t.Errorf("the dead one's write: %v", err)
	}
	if _, err := eng.Commit(t.Context(), other.Fence(), Put(Place{Partition: 1}.Key("cursor", "a"), nil, time.Time{})); err != nil {
		t.Errorf("another partition's lease was freed: %v", err)
	}
}
