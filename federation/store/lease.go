package store

import (
	"context"
	"errors"
	"time"
)

const leaseKind = "lease"

// Lease is the right to do something alone until it expires. Every write made
// under it carries Fence, so a holder that was late changes nothing.
type Lease struct {
	key     Key
	owner   string
	version Version
	// Expires is when the lease ends, by the engine's clock.
	Expires time.Time
}

// Acquire takes the lease of a name for a while, or answers ErrHeld. The owner
// is only there to be read by people.
func Acquire(ctx context.Context, eng Engine, at Place, name, owner string, ttl time.Duration) (Lease, error) {
	now, err := eng.Now(ctx)
	if err != nil {
		return Lease{}, err
	}
	l := Lease{key: at.Key(leaseKind, name), owner: owner, Expires: now.Add(ttl)}
	l.version, err = eng.Commit(ctx, Create(l.key, []byte(owner), l.Expires))
	if errors.Is(err, ErrConflict) {
		return Lease{}, ErrHeld
	}
	return l, err
}

// Fence is the operation that makes a commit fail with ErrConflict once the
// lease is no longer this one.
func (l Lease) Fence() Op { return Check(l.key, l.version) }

// Key is the lease's record, to be read along with what somebody is about to act
// on; Is says whether what was read is still this lease. Only the fence of a
// write proves it, but who sees another lease can spare himself the attempt.
func (l Lease) Key() Key { return l.key }

// Is says whether a record that was read under Key is this lease.
func (l Lease) Is(rec Record) bool { return rec.Version == l.version }

// Renew extends the lease; ErrHeld when it was lost. The old value fences
// nothing any more.
func (l Lease) Renew(ctx context.Context, eng Engine, ttl time.Duration) (Lease, error) {
	now, err := eng.Now(ctx)
	if err != nil {
		return l, err
	}
	next := l
	next.Expires = now.Add(ttl)
	next.version, err = eng.Commit(ctx, Replace(l.key, l.version, []byte(l.owner), next.Expires))
	if errors.Is(err, ErrConflict) {
		return l, ErrHeld
	}
	if err != nil {
		return l, err
	}
	return next, nil
}

// Release gives the lease back at once. A lease that was lost is no error.
func (l Lease) Release(ctx context.Context, eng Engine) error {
	_, err := eng.Commit(ctx, Take(l.key, l.version))
	if errors.Is(err, ErrConflict) {
		return nil
	}
	return err
}

// FreeLeases takes all leases of a partition away from whoever held them. It is
// for the start of a process on an engine that one process opens alone: there
// the holders are dead. Anywhere else it would let two work at once, though
// never write: a lease that was freed fences nothing through.
func FreeLeases(ctx context.Context, eng Engine, p Partition) error {
	for {
		held, err := eng.Scan(ctx, Range{Partition: p, Kind: leaseKind, Limit: 100})
		if err != nil || len(held) == 0 {
			return err
		}
		ops := make([]Op, len(held))
		for i, rec := range held {
			ops[i] = Drop(rec.Key)
		}
		if _, err := eng.Commit(ctx, ops...); err != nil {
			return err
		}
	}
}
