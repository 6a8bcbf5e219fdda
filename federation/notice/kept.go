package notice

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

const (
	// keepFor is how long a token is tried again.
	keepFor = 24 * time.Hour
	// most is how many are kept of one upstream.
	most = 1000
	// every is how often Run looks for tokens to try again, and the least time
	// between two tries; slowest is the longest.
	every   = 5 * time.Second
	slowest = time.Minute
	// claimed is for how long a node has a token to itself.
	claimed = 2 * patience
	page    = 100
	// abreast is how many are tried at once: most of the time of a try goes by
	// while an upstream, or one that strangers speak of, is waited for.
	abreast = 32
)

// kept is a token that could not be carried out yet.
type kept struct {
	Tenant   string             `json:"tenant"`
	Upstream string             `json:"upstream"`
	Token    string             `json:"token"`
	Received time.Time          `json:"received"`
	Request  federation.Request `json:"request"`
	// Tries is how often it was tried again, Next when it will be, by the
	// engine's clock.
	Tries int       `json:"tries"`
	Next  time.Time `json:"next"`
}

// errFull says that as many tokens are kept as may be.
var errFull = errors.New("too many are kept of this upstream")

// keep writes a token down for Run. One that is kept already stays as it is.
func (r *Receiver) keep(ctx context.Context, t federation.Tenant, k kept) error {
	own, prefix := t.Place.Own(), k.Tenant+"/"+k.Upstream+"/"
	id := prefix + digest(k.Token)
	if until, full := r.full.Load(prefix); full && r.o.Now().Before(until.(time.Time)) {
		return errFull
	}
	_, err := store.Update(ctx, r.o.Engine, func(ctx context.Context) ([]store.Op, error) {
		_, err := r.kept.Get(ctx, own, id)
		if err == nil || !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		rows, err := r.kept.Scan(ctx, own, prefix, "", most)
		switch {
		case err != nil:
			return nil, err
		case len(rows) >= most:
			r.full.Store(prefix, r.o.Now().Add(every))
			return nil, errFull
		}
		now, err := r.o.Engine.Now(ctx)
		if err != nil {
			return nil, err
		}
		k.Next = now.Add(every)
		return []store.Op{r.kept.Create(own, id, k, time.Time{})}, nil
	})
	if err != nil {
		return fmt.Errorf("keep a logout token: %w", err)
	}
	return nil
}

// Run tries again what is kept, until ctx is done. Any number of nodes may run
// it. It returns nil.
func (r *Receiver) Run(ctx context.Context) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := r.Again(ctx); err != nil && ctx.Err() == nil {
			r.o.Log.WarnContext(ctx, "logouts of upstreams remain to be carried out", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Again is one round of Run: it tries what is due, once.
func (r *Receiver) Again(ctx context.Context) (failed error) {
	for p := range max(r.o.Layout.Partitions, 1) {
		if err := r.again(ctx, store.Place{Partition: store.Partition(p)}); failed == nil {
			failed = err
		}
	}
	return failed
}

func (r *Receiver) again(ctx context.Context, own store.Place) (failed error) {
	for after := ""; ctx.Err() == nil; {
		rows, err := r.kept.Scan(ctx, own, "", after, page)
		if err != nil {
			return fmt.Errorf("scan kept logout tokens: %w", err)
		}
		var group errgroup.Group
		group.SetLimit(abreast)
		for _, row := range rows {
			after = row.ID
			group.Go(func() error { return r.retry(ctx, row) })
		}
		if err := group.Wait(); failed == nil {
			failed = err
		}
		if len(rows) < page {
			break
		}
	}
	return failed
}

// retry tries one token again, if it is due and no other node is at it.
func (r *Receiver) retry(ctx context.Context, row store.Row[kept]) error {
	now, err := r.o.Engine.Now(ctx)
	if err != nil || row.Value.Next.After(now) || ctx.Err() != nil {
		return err
	}
	k := row.Value
	k.Next = now.Add(claimed)
	version, err := r.o.Engine.Commit(ctx, r.kept.Replace(row.Place, row.ID, k, row.Version, time.Time{}))
	if errors.Is(err, store.ErrConflict) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("claim a logout token: %w", err)
	}
	done, err := r.attempt(ctx, k)
	op := r.kept.Take(row.Place, row.ID, version)
	if !done {
		k.Tries++
		k.Next = now.Add(pause(k.Tries))
		op = r.kept.Replace(row.Place, row.ID, k, version, time.Time{})
	}
	if _, settled := r.o.Engine.Commit(context.WithoutCancel(ctx), op); err == nil && settled != nil && !errors.Is(settled, store.ErrConflict) {
		err = fmt.Errorf("settle a logout token: %w", settled)
	}
	return err
}

// attempt carries out a kept token, and says whether that is the end of it.
func (r *Receiver) attempt(ctx context.Context, k kept) (done bool, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	registry := r.o.Registry()
	t, has := registry.Tenant(k.Tenant)
	u, knows := registry.Upstream(k.Tenant, k.Upstream)
	if !has || !knows || u.ReadLogout == nil {
		r.tell(ctx, k, Refused, slog.String("cause", "the upstream is no longer configured"))
		return true, nil
	}
	result, n, err := r.carryOut(ctx, t, u, k)
	switch {
	case err == nil:
		r.tell(ctx, k, result, slog.Int("sessions", n))
		return true, nil
	case hopeless(err):
		r.tell(ctx, k, Refused, why(err))
		return true, nil
	case r.o.Now().Sub(k.Received) >= keepFor:
		r.o.Log.ErrorContext(ctx, "a logout of an upstream was given up", "tenant", k.Tenant, "upstream", k.Upstream, "error", err)
		r.tell(ctx, k, GivenUp, why(err))
		return true, nil
	}
	return false, err
}

// pause is how long to wait before the next try.
func pause(tries int) time.Duration {
	return min(time.Duration(float64(every)*math.Pow(2, float64(min(tries, 10)))), slowest)
}
