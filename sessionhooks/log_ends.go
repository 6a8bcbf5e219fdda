package sessionhooks

import (
	"context"
	"errors"
	"math"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// Oldest is the position before the oldest entry that a partition's log still
// has: where a reader begins who wants everything.
func Oldest(ctx context.Context, eng store.Engine, p store.Partition) (store.Position, error) {
	_, err := eng.ReadLog(ctx, p, store.Position{}, 1, 0)
	if trimmed, ok := errors.AsType[store.TrimmedError](err); ok {
		return trimmed.UpTo, nil
	}
	return store.Position{}, err
}

// Newest is the position of the newest entry of a partition's log: where a
// reader begins who wants only what happens from now on. It does not read the
// log but probes it, in steps that double and then halve.
func Newest(ctx context.Context, eng store.Engine, p store.Partition) (store.Position, error) {
	at, err := Oldest(ctx, eng, p)
	if err != nil {
		return at, err
	}
	step, growing := uint64(1), true
	for step > 0 {
		if err := ctx.Err(); err != nil {
			return at, err
		}
		probe := store.Position{Epoch: at.Epoch, Seq: at.Seq + min(step-1, math.MaxUint64-at.Seq)}
		entries, err := eng.ReadLog(ctx, p, probe, 1, 0)
		if trimmed, ok := errors.AsType[store.TrimmedError](err); ok {
			at = trimmed.UpTo // trimmed while we look
			continue
		}
		if err != nil {
			return at, err
		}
		if len(entries) == 0 {
			step, growing = step/2, false
			continue
		}
		found := entries[0].Position
		if growing = growing || found.Epoch != at.Epoch; growing {
			step = max(2*step, step) // unless it does not fit any more
		}
		at = found
	}
	return at, nil
}
