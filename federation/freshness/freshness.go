package freshness

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

const (
	// callLife bounds one call, and claimLife how long others wait for one that
	// was never settled. patience is how long a caller waits for another's.
	callLife  = 12 * time.Second
	claimLife = 30 * time.Second
	patience  = 15 * time.Second
	// keepLife is how long a login is kept after the sign-in or the last check:
	// longer than a refresh token may be left unused.
	keepLife = 400 * 24 * time.Hour
)

// Options say what a Manager works with. All but Sealer and Log are required.
type Options struct {
	Engine store.Engine
	// Sealer seals logins at rest, or is nil: they hold upstream tokens.
	Sealer *store.Sealer
	// Told plans what else hears of what an upstream says now: the session.
	Told func(ctx context.Context, t federation.Tenant, sid string, l federation.Login) ([]store.Op, error)
	Log  *slog.Logger
}

// Manager keeps logins and asks about them. Its methods may be called
// concurrently, also on several nodes.
type Manager struct {
	o     Options
	table *store.Table[record]
}

// New makes a Manager.
func New(o Options) (*Manager, error) {
	if o.Engine == nil || o.Told == nil {
		return nil, errors.New("freshness: needs an engine and somebody to tell")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Manager{o: o, table: tableOf(o.Engine, o.Sealer)}, nil
}

func tableOf(eng store.Engine, sealer *store.Sealer) *store.Table[record] {
	return store.NewTable[record](eng, store.TableOptions{Kind: "freshness", Schema: 1, Sealer: sealer})
}

func idOf(person, sid, upstream string) string { return person + "/" + sid + "/" + upstream }

// Begin is the kept login's part of a sign-in's commit: of one that came in just
// now, where login is not nil, or of a further grant on one that is there. A
// grant that is offline makes it outlive its session. It reads anew and has no
// effect, so it belongs inside store.Update.
func (m *Manager) Begin(ctx context.Context, t federation.Tenant, g federation.Grant, login *federation.Login) ([]store.Op, error) {
	if login == nil && !g.Offline {
		return nil, nil
	}
	at, id := t.PlaceOf(g.Person), idOf(g.Person, g.Session, g.Upstream)
	now, err := m.o.Engine.Now(ctx)
	if err != nil {
		return nil, err
	}
	row, err := m.table.Get(ctx, at, id)
	switch {
	case errors.Is(err, store.ErrNotFound) && login == nil:
		return nil, nil // it began before the upstream was to be asked
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return nil, fmt.Errorf("read kept login: %w", err)
	}
	rec := row.Value
	if login != nil {
		rec = record{Login: *login, Checked: now, Offline: rec.Offline}
	} else if rec.Offline {
		return nil, nil
	}
	rec.Offline = rec.Offline || g.Offline
	if row.Version == 0 {
		return []store.Op{m.table.Create(at, id, rec, now.Add(keepLife))}, nil
	}
	return []store.Op{m.table.Replace(at, id, rec, row.Version, now.Add(keepLife))}, nil
}

// Forget is a Planner that takes away what is kept of a session's logins with
// the session, but for what offline grants rest on, and everything with the
// person, or once the person is blocked: none of their grants counts ever again.
func Forget(eng store.Engine, sealer *store.Sealer) federation.Planner {
	table := tableOf(eng, sealer)
	return func(ctx context.Context, c federation.Change) ([]store.Op, error) {
		switch {
		case (c.Kind == federation.PersonDeleted || c.Kind == federation.PersonBlocked) && c.Person != nil:
			return forgetPerson(ctx, table, c.Tenant.PlaceOf(c.Person.ID), c.Person.ID)
		case c.Kind == federation.SessionEnded && c.Session != nil && c.Cause != federation.Upgrade:
			return forgetSession(ctx, table, c.Tenant.PlaceOf(c.Session.Person), *c.Session)
		}
		return nil, nil
	}
}

func forgetSession(ctx context.Context, table *store.Table[record], at store.Place, s federation.Session) (ops []store.Op, err error) {
	for _, l := range s.Logins {
		if !l.Kept {
			continue
		}
		id := idOf(s.Person, s.ID, l.Upstream)
		row, err := table.Get(ctx, at, id)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, fmt.Errorf("read kept login: %w", err)
		}
		if err == nil && !row.Value.Offline {
			ops = append(ops, table.Drop(at, id))
		}
	}
	return ops, nil
}

func forgetPerson(ctx context.Context, table *store.Table[record], at store.Place, person string) (ops []store.Op, err error) {
	const some = 100
	for after := ""; ; {
		rows, err := table.Scan(ctx, at, person+"/", after, some)
		if err != nil {
			return nil, fmt.Errorf("scan kept logins of %s: %w", person, err)
		}
		for _, row := range rows {
			after = row.ID
			ops = append(ops, table.Drop(at, row.ID))
		}
		if len(rows) < some {
			return ops, nil
		}
	}
}
