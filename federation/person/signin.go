package person

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

// Known is whom a login belongs to.
type Known struct {
	// Person is as stored, or, when New, has its identifiers only.
	Person federation.Person
	// New says that this is a first sign-in: nothing is stored yet.
	New bool

	// found is what Resolve has read, nil where nothing was.
	found *found
}

// Resolve finds the person a login belongs to, or mints a new one. It writes
// nothing.
func (m *Manager) Resolve(ctx context.Context, t federation.Tenant, l federation.Login) (Known, error) {
	if l.Upstream == "" || l.Subject == "" {
		return Known{}, errors.New("person: a login without upstream or subject")
	}
	f, err := m.lookUp(ctx, t, l.Upstream, l.Subject)
	if err == nil {
		return Known{Person: f.person.Value.person(), found: &f}, nil
	}
	if !errors.Is(err, ErrNotFound) {
		return Known{}, err
	}
	now, err := m.now(ctx)
	if err != nil {
		return Known{}, err
	}
	return Known{New: true, Person: federation.Person{
		ID: newID(now), Tenant: t.ID, Upstream: l.Upstream, Subject: l.Subject, Created: now, Updated: now,
	}}, nil
}

// PlanSignIn is the person's part of a sign-in's commit: the sign-in counted,
// what the upstream says now, the indexes, and PersonCreated or PersonUpdated.
// It belongs inside store.Update: the first time it builds on what Resolve has
// read, which the commit then proves, and whenever it is asked again it reads
// anew. ErrMoved when the login is no longer k's; *federation.Error with
// access_denied when the person is blocked.
func (m *Manager) PlanSignIn(ctx context.Context, t federation.Tenant, u federation.Upstream, k Known, l federation.Login, req federation.Request) (federation.Person, []store.Op, error) {
	if u.ID != l.Upstream || k.Person.Upstream != l.Upstream || k.Person.Subject != l.Subject {
		return federation.Person{}, nil, errors.New("person: login, upstream and person do not belong together")
	}
	now, err := m.now(ctx)
	if err != nil {
		return federation.Person{}, nil, err
	}
	change := federation.Change{Tenant: t, At: now, Detected: now, Login: &l, Upstream: u.ID, Request: req}
	if k.found != nil && !k.found.planned {
		k.found.planned = true
		return m.update(ctx, change, *k.found, u)
	}
	f, err := m.lookUp(ctx, t, l.Upstream, l.Subject)
	switch {
	case errors.Is(err, ErrNotFound) && k.New && f.alias.Version == 0:
		return m.create(ctx, change, k.Person, u)
	case errors.Is(err, ErrNotFound):
		return federation.Person{}, nil, ErrMoved
	case err != nil:
		return federation.Person{}, nil, err
	case f.person.Value.ID != k.Person.ID:
		return federation.Person{}, nil, ErrMoved
	}
	return m.update(ctx, change, f, u)
}

func (m *Manager) create(ctx context.Context, c federation.Change, p federation.Person, u federation.Upstream) (federation.Person, []store.Op, error) {
	p = counted(describe(p, u, *c.Login), c.At)
	p.Created, p.Updated = c.At, c.At
	at := c.Tenant.Place
	ops := []store.Op{
		m.people.Create(at, p.ID, recordOf(p), time.Time{}),
		m.aliases.Create(at, aliasID(p.Upstream, p.Subject), alias{Person: p.ID}, time.Time{}),
	}
	ops = append(ops, m.reindex(at, federation.Person{ID: p.ID}, p)...)
	c.Kind = federation.PersonCreated
	return m.announce(ctx, c, p, ops)
}

func (m *Manager) update(ctx context.Context, c federation.Change, f found, u federation.Upstream) (federation.Person, []store.Op, error) {
	was := f.person.Value.person()
	if was.Blocked {
		return was, nil, federation.Fail(federation.AccessDenied, "This account is blocked.")
	}
	is := counted(describe(was, u, *c.Login), c.At)
	news := differs(was, is)
	if news {
		is.Updated = c.At
	}
	at := c.Tenant.Place
	ops := append(m.reindex(at, was, is),
		m.aliases.Check(at, f.alias.ID, f.alias.Version),
		m.people.Replace(at, is.ID, recordOf(is), f.person.Version, time.Time{}))
	if !news {
		return is, ops, nil
	}
	c.Kind = federation.PersonUpdated
	return m.announce(ctx, c, is, ops)
}

func counted(p federation.Person, now time.Time) federation.Person {
	p.Logins++
	p.LastLogin = now
	return p
}

// announce adds what others want in the commit.
func (m *Manager) announce(ctx context.Context, c federation.Change, p federation.Person, ops []store.Op) (federation.Person, []store.Op, error) {
	told := p
	c.Person = &told
	more, err := m.o.Plan(ctx, c)
	if err != nil {
		return p, nil, fmt.Errorf("plan %q: %w", c.Kind, err)
	}
	return p, append(ops, more...), nil
}
