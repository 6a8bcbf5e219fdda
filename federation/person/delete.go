package person

import (
	"context"
	"fmt"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

const (
	// grace is how long Run leaves a deletion to the call that began it.
	grace = 5 * time.Second
	// every is how often Run looks for deletions to finish.
	every = 5 * time.Second
)

// intent is a deletion, or a block, that has happened and whose sessions may
// still live.
type intent struct {
	Tenant  string             `json:"tenant"`
	Person  string             `json:"person"`
	Request federation.Request `json:"request"`
	// Index is what still leads to the person, of a spread tenant; see projection.
	Index *values `json:"index,omitempty"`
}

// Delete removes a person and ends their sessions with Destroy; ErrNotFound
// when there is no such person (any more). Once it returns nil the person is
// gone for good; sessions that could not be ended by then are ended by Run.
func (m *Manager) Delete(ctx context.Context, t federation.Tenant, id string, req federation.Request) error {
	var due string
	in := intent{Tenant: t.ID, Person: id, Request: req}
	_, err := store.Update(ctx, m.o.Engine, func(ctx context.Context) ([]store.Op, error) {
		row, err := m.read(ctx, t, id)
		if err != nil {
			return nil, err
		}
		now, err := m.now(ctx)
		if err != nil {
			return nil, err
		}
		due = store.DueID(now.Add(grace), t.ID+"/"+id)
		return m.remove(ctx, t, row, &in, due, now)
	})
	if err != nil {
		return fmt.Errorf("delete person %s: %w", id, err)
	}
	if err := m.finish(ctx, t, in, due); err != nil {
		m.o.Log.WarnContext(ctx, "deletion will be finished later", "tenant", t.ID, "person", id, "error", err)
	}
	return nil
}

// remove is the commit that makes a person gone.
func (m *Manager) remove(ctx context.Context, t federation.Tenant, row store.Row[record], in *intent, due string, now time.Time) ([]store.Op, error) {
	p := row.Value.person()
	ops, left := m.reindex(t, p, federation.Person{ID: p.ID}, now)
	if in.Index = nil; left != nil {
		ops, in.Index = nil, &left.Value.values // what the intent says needs no other note
	}
	ops = append(ops,
		m.people.Take(row.Place, p.ID, row.Version),
		m.aliases.Drop(row.Place, aliasID(p.Upstream, p.Subject)),
		m.intents.Create(row.Place.Own(), due, *in, time.Time{}))
	for _, l := range p.Links {
		ops = append(ops, m.aliases.Drop(row.Place, aliasID(l.Upstream, l.Subject)))
	}
	_, ops, err := m.announce(ctx, federation.Change{
		Kind: federation.PersonDeleted, Tenant: t, At: now, Detected: now, Upstream: p.Upstream, Request: in.Request,
	}, p, ops)
	return ops, err
}

// finish ends the sessions of somebody who is gone or blocked, removes what still
// leads to who is gone, and takes the intent away.
// It may be done again, also by several nodes at once.
func (m *Manager) finish(ctx context.Context, t federation.Tenant, in intent, due string) error {
	if err := m.o.EndSessions(ctx, t, in.Person, federation.Destroy, in.Request); err != nil {
		return fmt.Errorf("end sessions: %w", err)
	}
	if in.Index != nil {
		if err := m.enter(ctx, t, in.Person, *in.Index); err != nil {
			return err
		}
	}
	if _, err := m.o.Engine.Commit(ctx, m.intents.Drop(t.PlaceOf(in.Person).Own(), due)); err != nil {
		return fmt.Errorf("remove intent: %w", err)
	}
	return nil
}

// Run finishes deletions and projections that a crash or an error has cut short,
// at once and then every few seconds, until ctx is done. Any number of nodes may
// run it. It returns nil.
func (m *Manager) Run(ctx context.Context) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		for p := range max(m.o.Layout.Partitions, 1) {
			if err := m.finishAll(ctx, store.Partition(p)); err != nil && ctx.Err() == nil {
				m.o.Log.WarnContext(ctx, "deletions remain to be finished", "partition", p, "error", err)
			}
			if err := m.projectAll(ctx, store.Partition(p)); err != nil && ctx.Err() == nil {
				m.o.Log.WarnContext(ctx, "some persons are not yet found by address or customer", "partition", p, "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// finishAll finishes the deletions that are due in one partition.
func (m *Manager) finishAll(ctx context.Context, p store.Partition) error {
	return eachDue(ctx, m, m.intents, p, func(row store.Row[intent]) error {
		return m.finish(ctx, m.tenant(row.Value.Tenant, p, row.Value.Index != nil), row.Value, row.ID)
	})
}

// eachDue does what is due in one partition. What fails does not stand in the
// way of what is behind it; the first failure is told.
func eachDue[T any](ctx context.Context, m *Manager, table *store.Table[T], p store.Partition, do func(store.Row[T]) error) (failed error) {
	now, err := m.now(ctx)
	if err != nil {
		return err
	}
	own, after := store.Place{Partition: p}, ""
	for ctx.Err() == nil {
		rows, err := table.Scan(ctx, own, "", after, page)
		if err != nil {
			return fmt.Errorf("scan what is due: %w", err)
		}
		for _, row := range rows {
			after = row.ID
			if at, _, err := store.ParseDueID(row.ID); err == nil && at.After(now) {
				return failed
			}
			if err := do(row); failed == nil {
				failed = err
			}
		}
		if len(rows) < page {
			break
		}
	}
	return failed
}

// tenant finds a tenant, or describes one that is no longer configured as far
// as its records can be found.
func (m *Manager) tenant(id string, p store.Partition, spread bool) federation.Tenant {
	t, ok := m.o.Tenant(id)
	switch {
	case ok:
		return t
	case spread:
		return federation.Tenant{ID: id, Place: m.o.Layout.Place(id), Spread: m.o.Layout}
	}
	return federation.Tenant{ID: id, Place: store.Place{Tenant: id, Partition: p}}
}
