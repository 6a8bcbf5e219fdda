package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// upgradeKind is the table that says how far a partition was brought; its one
// record is of the partition itself.
const (
	upgradeKind = "store.upgrade"
	upgradeID   = "steps"
)

type upgraded struct {
	Steps int `json:"steps"`
}

func upgradeTable(eng Engine) *Table[upgraded] {
	return NewTable[upgraded](eng, TableOptions{Kind: upgradeKind, Schema: 1})
}

// upgradeLease bounds how long a node that died in a step holds up the others;
// one that takes longer is joined by another in the same step.
const upgradeLease = 2 * time.Minute

// Upgrade brings a partition to where this version looks for things. A changed
// shape needs none of it: Table migrates records as it reads them. Upgrade is
// for records that are kept under other keys than before, or no longer.
//
// Steps are run in order, each once in the life of a partition; a list only
// ever grows, at its end. A step must do no harm when it is run again, since a
// node may die in it, and none to an empty partition. ErrNewer when the
// partition was brought further than this version knows: an older binary
// refuses to begin. It is called once at start, before anything else works with
// the partition; of several nodes one does it and the others wait.
func Upgrade(ctx context.Context, eng Engine, p Partition, steps ...func(context.Context, Engine, Partition) error) error {
	own, table := Place{Partition: p}, upgradeTable(eng)
	for {
		done, err := upgradedTo(ctx, table, own, len(steps))
		if err != nil || done.Value.Steps == len(steps) {
			return err
		}
		lease, err := Acquire(ctx, eng, own, "upgrade", "upgrade", upgradeLease)
		if errors.Is(err, ErrHeld) {
			if err := await(ctx); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		err = runSteps(ctx, eng, table, lease, steps)
		if err := errors.Join(err, lease.Release(ctx, eng)); err != nil {
			return fmt.Errorf("store: upgrade partition %d: %w", p, err)
		}
	}
}

func upgradedTo(ctx context.Context, table *Table[upgraded], own Place, known int) (Row[upgraded], error) {
	row, err := table.Get(ctx, own, upgradeID)
	if errors.Is(err, ErrNotFound) {
		return row, nil
	}
	if err == nil && row.Value.Steps > known {
		err = fmt.Errorf("store: partition %d was upgraded by %d steps, this binary knows %d: %w", own.Partition, row.Value.Steps, known, ErrNewer)
	}
	return row, err
}

// runSteps looks again, now that nobody else is at it, and does what is left.
func runSteps(ctx context.Context, eng Engine, table *Table[upgraded], lease Lease, steps []func(context.Context, Engine, Partition) error) error {
	own := Place{Partition: lease.key.Partition}
	row, err := upgradedTo(ctx, table, own, len(steps))
	if err != nil {
		return err
	}
	for n := row.Value.Steps; n < len(steps); n++ {
		if err := steps[n](ctx, eng, own.Partition); err != nil {
			return fmt.Errorf("step %d: %w", n+1, err)
		}
		op := table.Put(own, upgradeID, upgraded{Steps: n + 1}, time.Time{})
		if _, err := eng.Commit(ctx, lease.Fence(), op); err != nil {
			return fmt.Errorf("note step %d: %w", n+1, err)
		}
	}
	return nil
}

// await is how long a node waits before it looks again what another has done.
func await(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(200 * time.Millisecond):
		return nil
	}
}
