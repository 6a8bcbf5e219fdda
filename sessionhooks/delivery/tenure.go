package delivery

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

const (
	leaseTime  = 30 * time.Second
	leaseRenew = 8 * time.Second
	// leaseSpare is what must be left of the lease beyond an attempt's time.
	leaseSpare = 2 * time.Second
	// maxTimeout is the longest attempt that fits into what is left of a lease
	// which is renewed in time.
	maxTimeout = leaseTime - leaseRenew - leaseSpare
	// renewTime bounds one renewal, storeTime what is recorded after an attempt.
	renewTime = 5 * time.Second
	storeTime = 10 * time.Second
)

// tenure is a partition's lease, kept: renewed until it is given back or lost.
// Every write of the work that is done under it carries its fence.
type tenure struct {
	eng store.Engine
	log *slog.Logger
	// end calls off everything that is done under the lease.
	end context.CancelFunc

	// mono is Options.Monotonic.
	mono func() time.Duration

	// turn is held by whoever reads or changes what follows, also while the store
	// is asked about it.
	turn  chan struct{}
	lease store.Lease
	// until is when the lease ends by mono: counted from before it was asked for,
	// so that no time in which this process did not run is taken for its own.
	until time.Duration
	lost  bool
	// doubted says that a write has failed. No attempt begins, of which nothing
	// might be recorded, until a renewal has shown that the store takes writes.
	doubted bool
	doubts  chan struct{}
}

func (t *tenure) lock()   { t.turn <- struct{}{} }
func (t *tenure) unlock() { <-t.turn }

// hold takes the lease, or answers store.ErrHeld. The context that it returns
// outlives ctx; it ends when the lease is lost or given back.
func hold(ctx context.Context, o Options) (context.Context, *tenure, error) {
	asked := o.Monotonic()
	lease, err := store.Acquire(ctx, o.Engine, store.Place{Partition: o.Partition}, "delivery", o.Node, leaseTime)
	if err != nil {
		return nil, nil, err
	}
	held, end := context.WithCancel(context.WithoutCancel(ctx))
	return held, &tenure{
		eng: o.Engine, log: o.Log, end: end, mono: o.Monotonic,
		lease: lease, until: asked + leaseTime, turn: make(chan struct{}, 1), doubts: make(chan struct{}, 1),
	}, nil
}

// keep renews the lease until stop is closed or it is lost. Where the store
// does not answer, it is given up before it runs out.
func (t *tenure) keep(held context.Context, stop <-chan struct{}) {
	renew, over := time.NewTimer(leaseRenew), time.NewTimer(leaseTime-leaseSpare)
	defer renew.Stop()
	defer over.Stop()
	failures := 0
	for {
		select {
		case <-stop:
			return
		case <-held.Done():
			return
		case <-over.C:
			t.drop(errors.New("the store does not answer"))
			return
		case <-t.doubts:
			renew.Reset(idleWait)
			continue
		case <-renew.C:
		}
		left, err := t.renew(held)
		switch {
		case err == nil:
			failures = 0
			renew.Reset(leaseRenew)
			over.Reset(left - leaseSpare)
		case errors.Is(err, store.ErrHeld):
			t.drop(err)
			return
		default:
			if failures++; failures%warnEvery == 1 {
				t.log.WarnContext(held, "delivery lease was not renewed", "error", err)
			}
			renew.Reset(idleWait)
		}
	}
}

// renew holds up those who ask for the fence, so that none of them takes one
// that is about to be void.
func (t *tenure) renew(held context.Context) (left time.Duration, err error) {
	ctx, cancel := context.WithTimeout(held, renewTime)
	defer cancel()
	t.lock()
	defer t.unlock()
	asked := t.mono()
	next, err := t.lease.Renew(ctx, t.eng, leaseTime)
	if err != nil {
		return 0, err
	}
	t.lease, t.until, t.doubted = next, asked+leaseTime, false
	now, err := t.eng.Now(ctx)
	return next.Expires.Sub(now), err
}

// drop notes that the lease is no longer ours.
func (t *tenure) drop(why error) {
	t.lock()
	defer t.unlock()
	t.dropped(why)
}

func (t *tenure) dropped(why error) {
	if t.lost {
		return
	}
	t.lost = true
	t.log.Warn("delivery lease was lost", "error", why)
	t.end()
}

// fits says whether an attempt may begin: it must be over while the lease is
// still ours, by the engine's clock and by the one that nobody sets. A process
// that was suspended finds by the latter that its lease may be another's, before
// it has asked, and whatever it remembers of the engine's time.
func (t *tenure) fits(now time.Time, timeout time.Duration) bool {
	t.lock()
	defer t.unlock()
	needs := timeout + leaseSpare
	return !t.lost && !t.doubted && t.lease.Expires.Sub(now) >= needs && t.until-t.mono() >= needs
}

// commit is store.Update under the lease: what plan says is written while the
// lease is ours, or store.ErrHeld is the answer. It goes on after the work was
// called off, because what happened must be recorded, but not for long.
func (t *tenure) commit(ctx context.Context, plan func(context.Context) ([]store.Op, error)) (store.Version, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTime)
	defer cancel()
	var lease store.Lease
	asked := false
	v, err := store.Update(ctx, t.eng, func(ctx context.Context) (ops []store.Op, err error) {
		asked = false
		if lease, err = t.current(ctx, lease); err != nil {
			return nil, err
		}
		if ops, err = plan(ctx); err != nil || len(ops) == 0 {
			return nil, err
		}
		asked = true
		return append(ops, lease.Fence()), nil
	})
	if err != nil && asked {
		t.doubt()
	}
	return v, err
}

// doubt notes that a write has failed, and has the lease renewed soon.
func (t *tenure) doubt() {
	t.lock()
	defer t.unlock()
	t.doubted = true
	select {
	case t.doubts <- struct{}{}:
	default:
	}
}

// lent is the lease as it was last renewed, whether or not it is lost.
func (t *tenure) lent() store.Lease {
	t.lock()
	defer t.unlock()
	return t.lease
}

// current is the lease that guards a write. Where a write under it has met a
// conflict, and it was not renewed since, its fence is tried by itself: that
// tells a lost lease from a record that has moved.
func (t *tenure) current(ctx context.Context, failed store.Lease) (store.Lease, error) {
	t.lock()
	defer t.unlock()
	if t.lost {
		return t.lease, store.ErrHeld
	}
	if failed != t.lease {
		return t.lease, nil
	}
	_, err := t.eng.Commit(ctx, t.lease.Fence())
	if errors.Is(err, store.ErrConflict) {
		t.dropped(store.ErrHeld)
		err = store.ErrHeld
	}
	return t.lease, err
}

// release gives the lease back at once, unless it was lost.
func (t *tenure) release(held context.Context) {
	t.lock()
	defer t.unlock()
	defer t.end()
	if t.lost {
		return
	}
	t.lost = true
	ctx, cancel := context.WithTimeout(context.WithoutCancel(held), renewTime)
	defer cancel()
	if err := t.lease.Release(ctx, t.eng); err != nil {
		t.log.WarnContext(ctx, "delivery lease was not given back", "error", err)
	}
}
