package demo

import (
	"context"
	"slices"
	"sync"
)

// journal keeps the newest of what has happened, for pages to show and for
// steps to wait for.
type journal[T any] struct {
	keep int

	mu      sync.Mutex
	items   []T // oldest first
	added   int
	changed chan struct{} // closed by the next entry
}

func newJournal[T any](keep int) *journal[T] {
	return &journal[T]{keep: keep, changed: make(chan struct{})}
}

// add appends what entry returns for the number that the entry has, from 1 on.
func (j *journal[T]) add(entry func(number int) T) T {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.added++
	item := entry(j.added)
	if len(j.items) == j.keep {
		j.items = slices.Delete(j.items, 0, 1)
	}
	j.items = append(j.items, item)
	close(j.changed)
	j.changed = make(chan struct{})
	return item
}

// newest is everything that is kept, newest first.
func (j *journal[T]) newest() []T {
	j.mu.Lock()
	defer j.mu.Unlock()
	all := slices.Clone(j.items)
	slices.Reverse(all)
	return all
}

// last is the newest entry that is wanted.
func (j *journal[T]) last(wanted func(T) bool) (T, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, item := range slices.Backward(j.items) {
		if wanted(item) {
			return item, true
		}
	}
	var none T
	return none, false
}

// wait returns the newest wanted entry, as soon as there is one.
func (j *journal[T]) wait(ctx context.Context, wanted func(T) bool) (T, error) {
	for {
		j.mu.Lock()
		changed := j.changed
		j.mu.Unlock()
		if item, ok := j.last(wanted); ok {
			return item, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			var none T
			return none, ctx.Err()
		}
	}
}
