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

// intent is a deletion that has happened and whose sessions may still live.
type intent struct {
	Tenant  string             `json:"tenant"`
	Person  string             `json:"person"`
	Request federation.Request `json:"request"`
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
		return m.remove(ctx, t, row, in, due, now)
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
func (m *Manager) remove(ctx context.Context, t federation.Tenant, row store.Row[record], in intent, due string, now time.Time) ([]store.Op, error) {
	p := row.Value.person()
	ops := []store.Op{
		m.people.Take(t.Place, p.ID, row.Version),
		m.aliases.Drop(t.Place, aliasID(p.Upstream, p.Subject)),
		m.intents.Create(t.Place.Own(), due, in, time.Time{}),
	}
	ops = append(ops, m.reindex(t.Place, p, federation.Person{ID: p.ID})...)
	_, ops, err := m.announce(ctx, federation.Change{
		Kind: federation.PersonDeleted, Tenant: t, At: now, Detected: now, Upstream: p.Upstream, Request: in.Request,
	}, p, ops)
	return ops, err
}

// finish ends the sessions of somebody who is gone and takes the intent away.
// It may be done again, also by several nodes at once.
func (m *Manager) finish(ctx context.Context, t federation.Tenant, in intent, due string) error {
	if err := m.o.EndSessions(ctx, t, in.Person, federation.Destroy, in.Request); err != nil {
		return fmt.Errorf("end sessions: %w", err)
	}
	if _, err := m.o.Engine.Commit(ctx, m.intents.Drop(t.Place.Own(), due)); err != nil {
		return fmt.Errorf("remove intent: %w", err)
	}
	return nil
}

// Run finishes deletions that a crash or an error has cut short, at once and
// then every few seconds, until ctx is done. It returns nil.
func (m *Manager) Run(ctx context.Context) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		for p := range max(m.o.Layout.Partitions, 1) {
			if err := m.finishAll(ctx, store.Partition(p)); err != nil && ctx.Err() == nil {
				m.o.Log.WarnContext(ctx, "deletions remain to be finished", "partition", p, "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// finishAll finishes what is due in one partition. One that fails does not
// stand in the way of those behind it; the first failure is told.
func (m *Manager) finishAll(ctx context.Context, p store.Partition) (failed error) {
	now, err := m.now(ctx)
	if err != nil {
		return err
	}
	own, after := store.Place{Partition: p}, ""
	for ctx.Err() == nil {
		rows, err := m.intents.Scan(ctx, own, "", after, page)
		if err != nil {
			return fmt.Errorf("scan intents: %w", err)
		}
		for _, row := range rows {
			after = row.ID
			if at, _, err := store.ParseDueID(row.ID); err == nil && at.After(now) {
				return failed
			}
			if err := m.finish(ctx, m.tenant(row.Value.Tenant, p), row.Value, row.ID); failed == nil {
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
func (m *Manager) tenant(id string, p store.Partition) federation.Tenant {
	if t, ok := m.o.Tenant(id); ok {
		return t
	}
	return federation.Tenant{ID: id, Place: store.Place{Tenant: id, Partition: p}}
}
