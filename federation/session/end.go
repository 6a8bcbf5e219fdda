package session

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

// ending is why, when and by whose doing a session ends. Without a cause it
// does not end.
type ending struct {
	cause   federation.Cause
	at      time.Time
	request federation.Request
}

// ended is a session that has ended.
type ended struct {
	session federation.Session
	cause   federation.Cause
}

// timedOut wants nothing but what the deadline says.
func timedOut(federation.Session, time.Time) ending { return ending{} }

// judge is how a session ends when e is wanted: past its deadline always by its
// timeout, which no request caused.
func judge(s federation.Session, now time.Time, e ending) ending {
	if deadline, cause := s.Deadline(); !now.Before(deadline) {
		return ending{cause: cause, at: deadline}
	}
	return e
}

// End ends a session. ErrNotFound when it was over: gone already, or past its
// deadline, in which case this call ends it with its timeout. The cause is
// Logout or Destroy: the others are found out, not asked for.
func (m *Manager) End(ctx context.Context, t federation.Tenant, sid string, cause federation.Cause, req federation.Request) error {
	_, err := m.Finish(ctx, t, sid, cause, req)
	return err
}

// Finish is End that answers the session as it was when it ended, for what is
// left to do in the user's browser.
func (m *Manager) Finish(ctx context.Context, t federation.Tenant, sid string, cause federation.Cause, req federation.Request) (federation.Session, error) {
	if cause != federation.Logout && cause != federation.Destroy {
		return federation.Session{}, fmt.Errorf("session: %q is no cause to end a session with on request", cause)
	}
	got, err := m.end(ctx, t, sid, func(_ federation.Session, now time.Time) ending {
		return ending{cause: cause, at: now, request: req}
	})
	if err == nil && got.cause != cause {
		err = ErrNotFound
	}
	return got.session, err
}

// MakeWay ends a browser's session with Destroy where another person signs in
// and lives in another partition: no commit can end the one session and begin
// the other, so this comes first, and the commit of PlanBegin after it. A crash
// in between leaves nobody signed in. Anywhere else it does nothing, and
// PlanBegin does it all. A session that is over, or whose place another session
// has taken, is no error.
func (m *Manager) MakeWay(ctx context.Context, t federation.Tenant, old Held, person string, req federation.Request) error {
	if t.PlaceOf(old.Session.Person) == t.PlaceOf(person) {
		return nil
	}
	_, err := m.end(ctx, t, old.Session.ID, func(s federation.Session, now time.Time) ending {
		if s.AuditID != old.Session.AuditID {
			return ending{}
		}
		return ending{cause: federation.Destroy, at: now, request: req}
	})
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// EndAll ends the sessions that a person has when it is called, each in a
// commit of its own, and says how many it ended. After an error the rest may
// live on; calling again goes on.
func (m *Manager) EndAll(ctx context.Context, t federation.Tenant, person string, cause federation.Cause, req federation.Request) (int, error) {
	var count atomic.Int64
	for sids, err := range m.ofPerson(ctx, t, person, "", page) {
		if err != nil {
			return int(count.Load()), err
		}
		var group errgroup.Group
		group.SetLimit(8)
		for _, sid := range sids {
			group.Go(func() error {
				err := m.End(ctx, t, sid, cause, req)
				if err == nil {
					count.Add(1)
				}
				if errors.Is(err, ErrNotFound) {
					return nil
				}
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return int(count.Load()), fmt.Errorf("end sessions of %s: %w", person, err)
		}
	}
	return int(count.Load()), nil
}

// end ends a session as judge says of what want wants, in one commit. It
// answers without a cause when there is nothing to end yet.
func (m *Manager) end(ctx context.Context, t federation.Tenant, sid string, want func(s federation.Session, now time.Time) ending) (ended, error) {
	var got ended
	_, err := store.Update(ctx, m.o.Engine, func(ctx context.Context) ([]store.Op, error) {
		got = ended{}
		row, err := m.read(ctx, t, sid)
		if err != nil {
			return nil, err
		}
		now, err := m.now(ctx)
		if err != nil {
			return nil, err
		}
		e := judge(row.Value, now, want(row.Value, now))
		if e.cause == "" {
			return nil, nil
		}
		got = ended{session: row.Value, cause: e.cause}
		return m.planEnd(ctx, t, row, m.person(ctx, t, row.Value.Person), e, now)
	})
	if errors.Is(err, ErrNotFound) {
		return ended{}, ErrNotFound
	}
	if err != nil {
		return ended{}, fmt.Errorf("end session %s: %w", sid, err)
	}
	if got.cause != "" {
		m.observeEnd(t, got)
	}
	return got, nil
}

// person is whom a session belongs to, nil where that cannot be told: a session
// ends whether or not its person can be read.
func (m *Manager) person(ctx context.Context, t federation.Tenant, id string) *federation.Person {
	p, ok := m.people(ctx, t, id)[id]
	if !ok {
		return nil
	}
	return &p
}

func (m *Manager) people(ctx context.Context, t federation.Tenant, ids ...string) map[string]federation.Person {
	if m.o.People == nil {
		return nil
	}
	found, err := m.o.People(ctx, t, ids...)
	if err != nil {
		return nil
	}
	return found
}

// planEnd is everything that goes with a session, and what tells of it. who is
// nil where the person is not known.
func (m *Manager) planEnd(ctx context.Context, t federation.Tenant, row store.Row[federation.Session], who *federation.Person, e ending, now time.Time) ([]store.Op, error) {
	s := row.Value
	ops := []store.Op{
		m.sessions.Take(row.Place, s.ID, row.Version),
		m.index.Drop(row.Place, indexID(s.Person, s.ID)),
		m.dues.Drop(row.Place.Own(), s.Due),
	}
	ops = append(ops, m.leave(row.Place, s)...)
	change := federation.Change{
		Kind: federation.SessionEnded, Tenant: t, At: e.at, Detected: now,
		Session: &s, Person: who, Cause: e.cause, Request: e.request,
	}
	if len(s.Logins) > 0 {
		change.Login, change.Upstream = &s.Logins[0], s.Logins[0].Upstream
	}
	more, err := m.plan(ctx, change)
	return append(ops, more...), err
}

func (m *Manager) plan(ctx context.Context, c federation.Change) ([]store.Op, error) {
	ops, err := m.o.Plan(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("plan %q: %w", c.Kind, err)
	}
	return ops, nil
}

func (m *Manager) observeEnd(t federation.Tenant, e ended) {
	if m.o.Observe.Ended != nil {
		m.o.Observe.Ended(t, e.session, e.cause)
	}
}
