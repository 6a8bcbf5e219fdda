package session

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

const (
	// weighed is how many of a person's sessions are looked at to find the oldest,
	// those of the oldest sids first.
	weighed = 256
	// evicted is how many sessions one beginning ends at most.
	evicted = 64
)

// quota holds a person to the number of sessions that the policy allows, with
// the one that begins among them: it answers the ends of the oldest, or refuses.
// A person who has far more, because the file allowed it before, comes down to the
// number over several beginnings.
func (m *Manager) quota(ctx context.Context, t federation.Tenant, s federation.Session, b Begin, now time.Time) ([]store.Op, []ended, error) {
	policy := m.o.Policy(t)
	if policy.MaxPerPerson <= 0 {
		return nil, nil, nil
	}
	others, err := m.sidsBeside(ctx, t, s)
	if err != nil || len(others) < policy.MaxPerPerson {
		return nil, nil, err
	}
	looked := others[:min(len(others), weighed)]
	live, err := m.liveOf(ctx, t, looked, now)
	if err != nil {
		return nil, nil, err
	}
	surplus := len(others) - len(looked) + len(live) + 1 - policy.MaxPerPerson
	switch {
	case surplus <= 0:
		return nil, nil, nil
	case policy.RefuseMore:
		return nil, nil, federation.Fail(federation.AccessDenied, "This account is signed in as often as it may be. Sign out somewhere first.")
	}
	slices.SortStableFunc(live, func(a, b store.Row[federation.Session]) int { return a.Value.Began.Compare(b.Value.Began) })
	var ops []store.Op
	var gone []ended
	for _, row := range live[:min(surplus, len(live), evicted)] {
		more, err := m.planEnd(ctx, t, row, &b.Person, ending{cause: federation.Destroy, at: now, request: b.Request}, now)
		if err != nil {
			return nil, nil, err
		}
		ops, gone = append(ops, more...), append(gone, ended{session: row.Value, cause: federation.Destroy})
	}
	return ops, gone, nil
}

// sidsBeside are a person's sessions but for the one given, in order.
func (m *Manager) sidsBeside(ctx context.Context, t federation.Tenant, s federation.Session) ([]string, error) {
	var all []string
	for sids, err := range m.ofPerson(ctx, t, s.Person, "", page) {
		if err != nil {
			return nil, err
		}
		all = append(all, sids...)
	}
	return slices.DeleteFunc(all, func(sid string) bool { return sid == s.ID }), nil
}

// liveOf reads sessions of one person, and leaves out those that are over: what
// is past its deadline ends by itself, with its timeout.
func (m *Manager) liveOf(ctx context.Context, t federation.Tenant, sids []string, now time.Time) ([]store.Row[federation.Session], error) {
	keys := make([]store.Key, 0, len(sids))
	for _, sid := range sids {
		keys = append(keys, m.sessions.Key(t.PlaceOf(sid), sid))
	}
	recs, err := m.o.Engine.GetAll(ctx, keys...)
	if err != nil {
		return nil, fmt.Errorf("read sessions: %w", err)
	}
	live := make([]store.Row[federation.Session], 0, len(recs))
	for _, rec := range recs {
		if rec.Version == 0 {
			continue // ended since the scan
		}
		row, err := m.sessions.Row(rec)
		if row, err = m.judged(ctx, row, err); err != nil {
			return nil, err
		}
		if !over(row.Value, now) {
			live = append(live, row)
		}
	}
	return live, nil
}
