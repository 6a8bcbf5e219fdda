package person

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

// Block keeps a person from signing in, and ends their sessions with Destroy and
// whatever clients may do without them; ErrNotFound. Once it returns nil the
// person is blocked: what could not be ended by then is ended by Run. Of a person
// who is blocked already it makes sure that everything has ended.
func (m *Manager) Block(ctx context.Context, t federation.Tenant, id string, req federation.Request) error {
	var due string
	in := intent{Tenant: t.ID, Person: id, Request: req}
	err := m.setBlocked(ctx, t, id, true, req, func(now time.Time) []store.Op {
		due = store.DueID(now.Add(grace), t.ID+"/"+id)
		return []store.Op{m.intents.Put(t.PlaceOf(id).Own(), due, in, time.Time{})}
	})
	if err != nil {
		return fmt.Errorf("block person %s: %w", id, err)
	}
	if due == "" {
		return m.o.EndSessions(ctx, t, id, federation.Destroy, req)
	}
	if err := m.finish(ctx, t, in, due); err != nil {
		m.o.Log.WarnContext(ctx, "the sessions of a blocked person will be ended later", "tenant", t.ID, "person", id, "error", err)
	}
	return nil
}

// Unblock lets a person sign in again; ErrNotFound. What was granted before stays
// ended.
func (m *Manager) Unblock(ctx context.Context, t federation.Tenant, id string, req federation.Request) error {
	if err := m.setBlocked(ctx, t, id, false, req, nil); err != nil {
		return fmt.Errorf("unblock person %s: %w", id, err)
	}
	return nil
}

// setBlocked is one commit, with the event of it; none where nothing changes.
func (m *Manager) setBlocked(ctx context.Context, t federation.Tenant, id string, blocked bool, req federation.Request, also func(now time.Time) []store.Op) error {
	_, err := store.Update(ctx, m.o.Engine, func(ctx context.Context) ([]store.Op, error) {
		row, err := m.read(ctx, t, id)
		if err != nil || row.Value.Blocked == blocked {
			return nil, err
		}
		now, err := m.now(ctx)
		if err != nil {
			return nil, err
		}
		// Barred moves on both times: nothing that was granted up to now comes back.
		p := row.Value.person()
		p.Blocked, p.Barred, p.Updated = blocked, now, now
		ops := []store.Op{m.people.Replace(row.Place, id, recordOf(p), row.Version, time.Time{})}
		change := federation.Change{Kind: federation.PersonUnblocked, Tenant: t, At: now, Detected: now, Upstream: p.Upstream, Request: req}
		if blocked {
			change.Kind = federation.PersonBlocked
		}
		if also != nil {
			ops = append(ops, also(now)...)
		}
		_, ops, err = m.announce(ctx, change, p, ops)
		return ops, err
	})
	return err
}

// PlanWithdraw is the person's part of taking back what they agreed to: what the
// client was granted up to now does not count any more. It reads anew and has no
// effect, so it belongs inside store.Update. ErrNotFound.
func (m *Manager) PlanWithdraw(ctx context.Context, t federation.Tenant, id, client string) ([]store.Op, error) {
	row, err := m.read(ctx, t, id)
	if err != nil {
		return nil, err
	}
	now, err := m.now(ctx)
	if err != nil {
		return nil, err
	}
	p := row.Value.person()
	if p.Withdrawn = maps.Clone(p.Withdrawn); p.Withdrawn == nil {
		p.Withdrawn = map[string]time.Time{}
	}
	p.Withdrawn[client] = now
	return []store.Op{m.people.Replace(row.Place, id, recordOf(p), row.Version, time.Time{})}, nil
}
