package store

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestUpgrade(t *testing.T) {
	eng := newMemory()
	var ran []int
	boom := errors.New("boom")
	var failing bool
	step := func(n int) func(context.Context, Engine, Partition) error {
		return func(_ context.Context, _ Engine, p Partition) error {
			ran = append(ran, n*10+int(p))
			if failing && n == 2 {
				return boom
			}
			return nil
		}
	}
	expect := func(runs ...int) {
		t.Helper()
		if !slices.Equal(ran, runs) {
			t.Errorf("ran %v, want %v", ran, runs)
		}
		ran = nil
	}
	if err := Upgrade(t.Context(), eng, 3); err != nil || len(eng.records) != 0 {
		t.Errorf("without steps: %v, %v", err, eng.records)
	}
	if err := Upgrade(t.Context(), eng, 3, step(1)); err != nil {
		t.Error(err)
	}
	expect(13)
	failing = true
	if err := Upgrade(t.Context(), eng, 3, step(1), step(2), step(3)); !errors.Is(err, boom) {
		t.Errorf("a step that fails answers %v", err)
	}
	expect(23)
	failing = false
	if err := Upgrade(t.Context(), eng, 3, step(1), step(2), step(3)); err != nil {
		t.Error(err)
	}
	expect(23, 33)
	if err := Upgrade(t.Context(), eng, 3, step(1), step(2), step(3)); err != nil {
		t.Error(err)
	}
	expect()
	if err := Upgrade(t.Context(), eng, 4, step(1)); err != nil {
		t.Error(err)
	}
	expect(14)
	if err := Upgrade(t.Context(), eng, 3, step(1)); !errors.Is(err, ErrNewer) {
		t.Errorf("an older binary answers %v", err)
	}
	for _, rec := range eng.records {
		if got, err := (&Catalogue{}).Read(rec); err != nil || got.Value != nil {
			t.Errorf("%v reads as %+v, %v", rec.Key, got, err)
		}
	}
}

func TestOneNodeUpgradesAndTheOthersWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		eng, ran := newMemory(), 0
		slow := func(context.Context, Engine, Partition) error {
			ran++
			time.Sleep(3 * time.Second)
			return nil
		}
		var group sync.WaitGroup
		for range 5 {
			group.Go(func() {
				if err := Upgrade(t.Context(), eng, 0, slow); err != nil {
					t.Error(err)
				}
				if ran != 1 {
					t.Errorf("it ran %d times", ran)
				}
			})
		}
		group.Wait()
		held, err := Acquire(t.Context(), eng, Place{Partition: 1}, "upgrade", "other", time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := Upgrade(ctx, eng, 1, slow); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("waiting for a node that hangs answers %v", err)
		}
		if err := held.Release(t.Context(), eng); err != nil {
			t.Error(err)
		}
	})
}
