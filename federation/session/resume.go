package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

// PlanResume is a session's part of a single sign-on (login is nil) or of one
// more login of the same person: visit, activity, login. It reads anew and has
// no effect, so it belongs inside store.Update. ErrNotFound when the session is
// over or another has taken its place; ErrSignedOut when the upstream has ended
// the login meanwhile. Where nothing is worth writing it only
// checks that the session is still there when the commit is made. Nothing is
// announced: the sign-in itself is the caller's to tell. A visit that is pending
// is not worth noting.
func (m *Manager) PlanResume(ctx context.Context, t federation.Tenant, h Held, v federation.Visit, login *federation.Login, _ federation.Request) (federation.Session, []store.Op, error) {
	row, err := m.current(ctx, t, h)
	if err != nil {
		return federation.Session{}, nil, err
	}
	now, err := m.now(ctx)
	if err != nil {
		return federation.Session{}, nil, err
	}
	s := row.Value
	if over(s, now) {
		return federation.Session{}, nil, ErrNotFound
	}
	known := v.Client == "" || v.Pending || s.Knows(v)
	if known && login == nil && !stale(s, now) {
		return s, []store.Op{m.sessions.Check(row.Place, s.ID, row.Version)}, nil
	}
	if v.Client != "" && (!v.Pending || s.Knows(v)) {
		s = s.WithVisit(v, now)
	}
	var ops []store.Op
	if login != nil {
		if ops, err = m.unbarred(ctx, row.Place, *login, true); err != nil {
			return federation.Session{}, nil, err
		}
		s = s.WithLogin(*login)
		ops = append(ops, m.move(row.Place, row.Value, s)...)
	}
	s.Active = now
	return s, append(ops, m.sessions.Replace(row.Place, s.ID, s, row.Version, time.Time{})), nil
}

// Touch notes activity, at most once per tenth of the idle time. It never
// brings back what is over, and a race lost to an end is no error.
func (m *Manager) Touch(ctx context.Context, t federation.Tenant, h Held) error {
	now, err := m.now(ctx)
	if err != nil {
		return err
	}
	if !stale(h.Session, now) {
		return nil
	}
	// The first try trusts what is held, since the version tells if it should
	// not; but what looks over may have been kept alive by others since.
	read := m.current
	if !over(h.Session, now) {
		read = func(context.Context, federation.Tenant, Held) (store.Row[federation.Session], error) {
			return store.Row[federation.Session]{Place: t.PlaceOf(h.Session.ID), Version: h.version, Value: h.Session}, nil
		}
	}
	_, err = store.Update(ctx, m.o.Engine, func(ctx context.Context) ([]store.Op, error) {
		row, err := read(ctx, t, h)
		read = m.current
		if err != nil {
			return nil, err
		}
		s := row.Value
		if over(s, now) || !stale(s, now) {
			return nil, nil
		}
		s.Active = now
		return []store.Op{m.sessions.Replace(row.Place, s.ID, s, row.Version, time.Time{})}, nil
	})
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("touch session %s: %w", h.Session.ID, err)
	}
	return nil
}

// current reads the held session anew; ErrNotFound when it is gone, also when
// another has its sid.
func (m *Manager) current(ctx context.Context, t federation.Tenant, h Held) (store.Row[federation.Session], error) {
	row, err := m.read(ctx, t, h.Session.ID)
	if err == nil && row.Value.AuditID != h.Session.AuditID {
		return row, ErrNotFound
	}
	return row, err
}

// stale says whether activity is worth writing down.
func stale(s federation.Session, now time.Time) bool {
	return now.Sub(s.Active) >= s.Idle/10
}
