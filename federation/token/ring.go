package token

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

// view is what the keys of a ring are until the clock says otherwise. It does
// not change; a ring is given a new one.
type view struct {
	keys    []*key
	working map[use]*key
	byID    map[string]*key
	jwks    []byte
	// until is when the standing of a key changes; the zero time is never.
	until time.Time
}

// look judges the keys by the clock. Published are all but those that are gone.
func (s schedule) look(keys []*key, now time.Time) (*view, error) {
	v := &view{keys: keys, working: make(map[use]*key), byID: make(map[string]*key)}
	ready := make(map[string]*key, len(keys))
	records := make([]keyRecord, 0, len(keys))
	for _, k := range keys {
		ready[k.ID] = k
		records = append(records, k.keyRecord)
	}
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, u := range uses() {
		mine := ofUse(records, u)
		if len(mine) == 0 {
			continue
		}
		v.working[u] = ready[mine[s.working(mine, now)].ID]
		if at := s.next(mine, now); v.until.IsZero() || !at.IsZero() && at.Before(v.until) {
			v.until = at
		}
		for i, rec := range mine {
			if s.gone(mine, i, now) {
				continue
			}
			v.byID[rec.ID] = ready[rec.ID]
			if u != useSeal {
				set.Keys = append(set.Keys, ready[rec.ID].public)
			}
		}
	}
	var err error
	if v.jwks, err = json.Marshal(set); err != nil {
		return nil, fmt.Errorf("encode key set: %w", err)
	}
	return v, nil
}

func (k *Keyring) ring(t federation.Tenant) *ring {
	if r, ok := k.rings.Load(t.ID); ok {
		return r.(*ring)
	}
	r, _ := k.rings.LoadOrStore(t.ID, &ring{})
	return r.(*ring)
}

// view is the tenant's keys as they stand now. Only a tenant that was never met
// makes it read the store.
func (k *Keyring) view(ctx context.Context, t federation.Tenant) (*view, error) {
	if v := k.current(k.ring(t)); v != nil {
		return v, nil
	}
	return k.tend(ctx, t)
}

// current is the ring's view, judged anew if its time is over; nil before the
// ring was read.
func (k *Keyring) current(r *ring) *view {
	v := r.seen.Load()
	if v == nil || v.until.IsZero() {
		return v
	}
	now := k.o.Now()
	if now.Before(v.until) {
		return v
	}
	fresh, err := k.plan.look(v.keys, now)
	if err != nil {
		return v // it was encoded before, and the keys are the same
	}
	if r.seen.CompareAndSwap(v, fresh) {
		return fresh
	}
	return r.seen.Load()
}

// tend reads a tenant's ring, brings it to what the schedule says, and shows
// it. Rivals make keys for nothing: one commits, the others read.
func (k *Keyring) tend(ctx context.Context, t federation.Tenant) (*view, error) {
	r := k.ring(t)
	r.mu.Lock()
	defer r.mu.Unlock()
	_, err := store.Update(ctx, k.o.Engine, func(ctx context.Context) ([]store.Op, error) {
		now, err := k.o.Engine.Now(ctx)
		if err != nil {
			return nil, fmt.Errorf("read the engine's clock: %w", err)
		}
		row, err := k.table.Get(ctx, t.Place, ringID)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		want, changed, err := k.plan.advance(row.Value, now.UTC().Truncate(time.Microsecond))
		if err != nil || !changed {
			return nil, err
		}
		if row.Version == 0 {
			return []store.Op{k.table.Create(t.Place, ringID, want, time.Time{})}, nil
		}
		return []store.Op{k.table.Replace(t.Place, ringID, want, row.Version, time.Time{})}, nil
	})
	if err != nil && !errors.Is(err, store.ErrUnknown) {
		return nil, fmt.Errorf("keys of tenant %q: %w", t.ID, err)
	}
	// What stands is what is read, also where the outcome was lost.
	if err := k.read(ctx, t, r); err != nil {
		return nil, err
	}
	return k.current(r), nil
}

// read takes over what the store holds. Keys that are known are kept as they
// are. The ring must be locked.
func (k *Keyring) read(ctx context.Context, t federation.Tenant, r *ring) error {
	r.read = k.o.Now()
	row, err := k.table.Get(ctx, t.Place, ringID)
	if err != nil {
		return fmt.Errorf("read keys of tenant %q: %w", t.ID, err)
	}
	old := r.seen.Load()
	if old != nil && row.Version == r.version {
		return nil
	}
	keys := make([]*key, 0, len(row.Value.Keys))
	for _, rec := range row.Value.Keys {
		ready := old.find(rec.ID)
		if ready == nil {
			if ready, err = rec.ready(); err != nil {
				return fmt.Errorf("read keys of tenant %q: %w", t.ID, err)
			}
		}
		keys = append(keys, ready)
	}
	fresh, err := k.plan.look(keys, r.read)
	if err != nil {
		return err
	}
	r.seen.Store(fresh)
	r.version = row.Version
	return nil
}

// find is a key that is ready, published or not; nil if there is none.
func (v *view) find(id string) *key {
	if v == nil {
		return nil
	}
	for _, k := range v.keys {
		if k.ID == id {
			return k
		}
	}
	return nil
}
