package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// attempts is how often Update plans before it gives the conflict back: enough
// for a hundred writers of one key, each of whom loses to somebody who won.
const attempts = 200

// Update runs plan and commits what it says, and again as long as the commit
// conflicts. Plan must read what it judges by anew each time, and must have no
// effect of its own. A plan without operations commits nothing.
func Update(ctx context.Context, eng Engine, plan func(context.Context) ([]Op, error)) (Version, error) {
	for try := 0; ; try++ {
		ops, err := plan(ctx)
		if err != nil || len(ops) == 0 {
			return 0, err
		}
		v, err := eng.Commit(ctx, ops...)
		if !errors.Is(err, ErrConflict) {
			return v, err
		}
		if try == attempts {
			return 0, fmt.Errorf("after %d tries: %w", try, err)
		}
		if err := pause(ctx, try); err != nil {
			return 0, err
		}
	}
}

// pause spreads rivals over a few milliseconds, not at all the first time.
func pause(ctx context.Context, try int) error {
	if try == 0 {
		return ctx.Err()
	}
	span := min(time.Duration(try)*200*time.Microsecond, 5*time.Millisecond)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(rand.N(span)):
		return nil
	}
}

const markKind = "commit"

// Mark is an operation that remembers that its commit happened, for as long as
// a caller may want to ask. The id is the caller's own, never used twice.
func Mark(at Place, id string, expires time.Time) Op {
	return Create(at.Key(markKind, id), []byte{1}, expires)
}

// Marked says whether the commit that carried Mark with this id happened.
func Marked(ctx context.Context, eng Engine, at Place, id string) (bool, error) {
	_, err := eng.Get(ctx, at.Key(markKind, id))
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}
