package token

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

// ring is a tenant's keys in memory.
type ring struct {
	// mu is held while the store is read or written, never to sign.
	mu sync.Mutex
	// known is what the store held last.
	known  ringRecord
	failed error     // of the last look at the store; nil after a good one
	tried  time.Time // when that failed, by this node's clock
	tries  atomic.Int64
	seen   atomic.Pointer[view]
}

// view is what the keys of a ring are until the clock says otherwise. It does
// not change; a ring is given a new one.
type view struct {
	keys    []*key
	working map[use]*key
	byID    map[string]*key
	jwks    []byte
	// until is when the standing of a key changes; the zero time is never.
	until time.Time
	// asked is when the store was asked for it, by this node's clock.
	asked time.Time
}

// look judges the keys by the clock. Published are all but those that are gone.
func look(keys []*key, now, asked time.Time) (*view, error) {
	v := &view{keys: keys, working: make(map[use]*key), byID: make(map[string]*key), asked: asked}
	ready := make(map[string]*key, len(keys))
	records := make([]keyRecord, 0, len(keys))
	for _, k := range keys {
		ready[k.ID] = k
		records = append(records, k.keyRecord)
	}
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, u := range allUses() {
		mine := ofUse(records, u)
		if len(mine) == 0 {
			continue
		}
		v.working[u] = ready[mine[workingOf(mine, now)].ID]
		if at := nextChange(mine, now); v.until.IsZero() || !at.IsZero() && at.Before(v.until) {
			v.until = at
		}
		for i, rec := range mine {
			if gone(mine, i, now) {
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

// younger says whether the view was asked for less than d ago. A clock that went
// back makes it old.
func (v *view) younger(d time.Duration, now time.Time) bool {
	if v == nil {
		return false
	}
	age := now.Sub(v.asked)
	return age >= 0 && age < d
}

// ready is the key of a record, taken over from the view where it is there.
func (v *view) ready(rec keyRecord) (*key, error) {
	if v != nil {
		for _, k := range v.keys {
			if k.ID == rec.ID {
				moved := *k
				moved.keyRecord = rec // its turn may have been brought forward
				return &moved, nil
			}
		}
	}
	return rec.ready()
}

func (k *Keyring) ring(t federation.Tenant) *ring {
	if r, ok := k.rings.Load(t.ID); ok {
		return r.(*ring)
	}
	r, _ := k.rings.LoadOrStore(t.ID, &ring{})
	return r.(*ring)
}

// view is the tenant's keys as they stand now. It is never older than trust,
// and not older than refresh while the store answers.
func (k *Keyring) view(ctx context.Context, t federation.Tenant) (*view, error) {
	v, err := k.within(ctx, t, k.plan.refresh, false)
	if v != nil {
		return v, nil
	}
	return nil, err
}

// tendTimeout bounds a look at the store, whoever waits for it.
const tendTimeout = 10 * time.Second

// within is a view that is younger than age. One caller asks the store; those
// that need not wait go on with what is known meanwhile. If the store cannot
// tell, the answer is the error together with what is known, unless that is too
// old to be trusted.
func (k *Keyring) within(ctx context.Context, t federation.Tenant, age time.Duration, wait bool) (*view, error) {
	r, now := k.ring(t), k.clock.local()
	v := r.seen.Load()
	if v.younger(age, now) {
		return k.judged(r, v), nil
	}
	tries := r.tries.Load()
	if !r.mu.TryLock() {
		if !wait && v.younger(k.plan.trust, now) {
			return k.judged(r, v), nil
		}
		r.mu.Lock()
	}
	defer r.mu.Unlock()
	now = k.clock.local()
	if v = r.seen.Load(); v.younger(age, now) {
		return k.judged(r, v), nil
	}
	trusted := v.younger(k.plan.trust, now)
	// Who waited for somebody's failure shares it, and while there is something
	// to go on with the store is left alone for a moment.
	paused := r.failed != nil && (r.tries.Load() != tries || trusted && now.Sub(r.tried) < min(k.plan.refresh, maxSearch))
	if !paused {
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), tendTimeout)
		defer cancel()
		fresh, err := k.tend(bounded, t, r, nil)
		if err == nil {
			return fresh, nil
		}
		r.failed, r.tried = err, k.clock.local()
		r.tries.Add(1)
		if trusted && !v.younger(k.plan.trust/2, now) {
			k.o.Log.WarnContext(ctx, "keys cannot be read; those that are known are used for a while yet", "tenant", t.ID, "error", err)
		}
	}
	if trusted {
		return k.judged(r, v), r.failed
	}
	return nil, r.failed
}

// judged is a view of the ring, judged anew if its time is over.
func (k *Keyring) judged(r *ring, v *view) *view {
	if v.until.IsZero() {
		return v
	}
	now := k.clock.now()
	if now.Before(v.until) {
		return v
	}
	fresh, err := look(v.keys, now, v.asked)
	if err != nil {
		return v // it was encoded before, and the keys are the same
	}
	if r.seen.CompareAndSwap(v, fresh) {
		return fresh
	}
	return r.seen.Load()
}

// wanted are the uses of the tenant's clients.
func (k *Keyring) wanted(t federation.Tenant) []use {
	if k.o.Algs == nil {
		return nil
	}
	var all []use
	for _, alg := range k.o.Algs(t) {
		all = append(all, use(alg))
	}
	return all
}

// begin makes the tenant's first key of a use that the configuration has begun
// to want, or finds that another node has made it.
func (k *Keyring) begin(ctx context.Context, t federation.Tenant, u use) (*view, error) {
	r := k.ring(t)
	r.mu.Lock()
	defer r.mu.Unlock()
	if v := r.seen.Load(); v != nil && v.working[u] != nil {
		return k.judged(r, v), nil
	}
	if r.failed != nil && k.clock.local().Sub(r.tried) < min(k.plan.refresh, maxSearch) {
		return nil, r.failed
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), tendTimeout)
	defer cancel()
	v, err := k.tend(bounded, t, r, nil)
	if err != nil {
		r.failed, r.tried = err, k.clock.local()
	}
	return v, err
}

// visit tends a tenant's ring. Unless it is to be kept, it leaves nothing in
// memory of a ring that nobody uses.
func (k *Keyring) visit(ctx context.Context, t federation.Tenant, keep bool) error {
	r := &ring{}
	if known, ok := k.rings.Load(t.ID); ok {
		r = known.(*ring)
	} else if keep {
		r = k.ring(t)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	_, err := k.tend(ctx, t, r, nil)
	return err
}

// tend reads a tenant's ring, brings it to what the schedule says and then to
// what change says, and shows it. Rivals make keys for nothing: one commits, the
// others read. The ring must be locked.
func (k *Keyring) tend(ctx context.Context, t federation.Tenant, r *ring, change func(ringRecord, time.Time) (ringRecord, error)) (*view, error) {
	var want ringRecord
	var now, asked time.Time
	restored := false
	plan := func(ctx context.Context) (_ []store.Op, err error) {
		asked = k.clock.local()
		if now, err = k.clock.read(ctx); err != nil {
			return nil, err
		}
		row, err := k.table.Get(ctx, t.Place, ringID)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		if want, err = k.planRing(k.wanted(t), row.Value, r.known, now, change); err != nil {
			return nil, err
		}
		restored = want.restores(row.Value, r.known)
		if row.Version == 0 {
			return []store.Op{k.table.Create(t.Place, ringID, want, time.Time{})}, nil
		}
		if want.equal(row.Value) {
			return nil, nil
		}
		return []store.Op{k.table.Replace(t.Place, ringID, want, row.Version, time.Time{})}, nil
	}
	_, err := store.Update(ctx, k.o.Engine, plan)
	if errors.Is(err, store.ErrUnknown) {
		_, err = store.Update(ctx, k.o.Engine, plan) // what stands is read again
	}
	// What a commit that is not yet safe would write is not used: the next look
	// shows whether it stands.
	if err == nil {
		err = r.show(want, now, asked)
	}
	if err != nil {
		return nil, fmt.Errorf("keys of tenant %q: %w", t.ID, err)
	}
	if restored {
		k.o.Log.WarnContext(ctx, "the store had lost keys, or that they were revoked; this node has put it back", "audit", true, "tenant", t.ID)
	}
	return r.seen.Load(), nil
}

func (k *Keyring) planRing(wanted []use, stored, known ringRecord, now time.Time, change func(ringRecord, time.Time) (ringRecord, error)) (ringRecord, error) {
	want, err := k.plan.advance(merge(stored, known), now, wanted)
	if err != nil || change == nil {
		return want, err
	}
	if want, err = change(want, now); err != nil {
		return want, err
	}
	return k.plan.advance(want, now, wanted)
}

// restores says whether the ring holds again what was known and is not stored.
func (ring ringRecord) restores(stored, known ringRecord) bool {
	has := func(in ringRecord, id string) bool {
		return slices.ContainsFunc(in.Keys, func(k keyRecord) bool { return k.ID == id })
	}
	for _, k := range known.Keys {
		if has(ring, k.ID) && !has(stored, k.ID) {
			return true
		}
	}
	for id := range known.Revoked {
		if has(stored, id) {
			return true
		}
	}
	return false
}

// show takes over what the store holds. Keys that are known are kept as they
// are. The ring must be locked.
func (r *ring) show(rec ringRecord, now, asked time.Time) error {
	old := r.seen.Load()
	keys := make([]*key, 0, len(rec.Keys))
	for _, one := range rec.Keys {
		if !slices.Contains(allUses(), one.Use) {
			continue // a newer version's, which knows what to do with it
		}
		ready, err := old.ready(one)
		if err != nil {
			return err
		}
		keys = append(keys, ready)
	}
	fresh, err := look(keys, now, asked)
	if err != nil {
		return err
	}
	r.known, r.failed = rec, nil
	r.seen.Store(fresh)
	return nil
}
