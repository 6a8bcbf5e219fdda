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

	// join is a login that the sign-in adds to the person, or nil.
	join *Join
	// under is how far the sign-in is; nil where no login was resolved.
	under *progress
}

// progress is a sign-in between Resolve and its commit.
type progress struct {
	// found is what Resolve has read, until a commit is planned with it.
	found *found
	// due is the note of the commit that was planned last, if it has one.
	due *store.Row[projection]
}

// Resolve finds the person a login belongs to, or mints a new one. It writes
// nothing.
func (m *Manager) Resolve(ctx context.Context, t federation.Tenant, l federation.Login) (Known, error) {
	if l.Upstream == "" || l.Subject == "" {
		return Known{}, errors.New("person: a login without upstream or subject")
	}
	f, err := m.lookUp(ctx, t, l.Upstream, l.Subject)
	if err == nil {
		return Known{Person: f.person.Value.person(), under: &progress{found: &f}}, nil
	}
	if !errors.Is(err, ErrNotFound) {
		return Known{}, err
	}
	now, err := m.now(ctx)
	if err != nil {
		return Known{}, err
	}
	id := t.Beside(aliasID(l.Upstream, l.Subject), func() string { return newID(now) })
	return Known{New: true, under: &progress{}, Person: federation.Person{
		ID: id, Tenant: t.ID, Upstream: l.Upstream, Subject: l.Subject, Created: now, Updated: now,
	}}, nil
}

// PlanSignIn is the person's part of a sign-in's commit: the sign-in counted,
// what the upstream says now, the indexes, and PersonCreated or PersonUpdated.
// It belongs inside store.Update: the first time it builds on what Resolve has
// read, which the commit then proves, and whenever it is asked again it reads
// anew. Tell the manager with Committed once the commit stands. ErrMoved when the
// login is no longer k's; *federation.Error with access_denied when the person
// is blocked.
func (m *Manager) PlanSignIn(ctx context.Context, t federation.Tenant, u federation.Upstream, k Known, l federation.Login, req federation.Request) (federation.Person, []store.Op, error) {
	if subject, has := k.Person.SubjectAt(l.Upstream); u.ID != l.Upstream || !k.join.is(l) && (!has || subject != l.Subject) {
		return federation.Person{}, nil, errors.New("person: login, upstream and person do not belong together")
	}
	now, err := m.now(ctx)
	if err != nil {
		return federation.Person{}, nil, err
	}
	if k.under == nil {
		k.under = &progress{}
	}
	change := federation.Change{Tenant: t, At: now, Detected: now, Login: &l, Upstream: u.ID, Request: req}
	if f := k.under.found; f != nil {
		k.under.found = nil
		return m.update(ctx, change, k, *f, u)
	}
	if k.join.is(l) {
		row, err := m.read(ctx, t, k.Person.ID)
		if errors.Is(err, ErrNotFound) {
			err = ErrMoved
		}
		if err != nil {
			return federation.Person{}, nil, err
		}
		return m.update(ctx, change, k, found{person: row}, u)
	}
	f, err := m.lookUp(ctx, t, l.Upstream, l.Subject)
	switch {
	case errors.Is(err, ErrNotFound) && k.New && f.alias.Version == 0:
		return m.create(ctx, change, k, u)
	case errors.Is(err, ErrNotFound):
		return federation.Person{}, nil, ErrMoved
	case err != nil:
		return federation.Person{}, nil, err
	case f.person.Value.ID != k.Person.ID:
		return federation.Person{}, nil, ErrMoved
	}
	return m.update(ctx, change, k, f, u)
}

func (m *Manager) create(ctx context.Context, c federation.Change, k Known, u federation.Upstream) (federation.Person, []store.Op, error) {
	p := counted(describe(k.Person, u, *c.Login), c.At)
	p.Created, p.Updated = c.At, c.At
	id := aliasID(p.Upstream, p.Subject)
	at := c.Tenant.PlaceOf(id)
	if c.Tenant.PlaceOf(p.ID) != at {
		return p, nil, errors.New("person: the UUID was not minted for this login")
	}
	ops := []store.Op{
		m.people.Create(at, p.ID, recordOf(p), time.Time{}),
		m.aliases.Create(at, id, alias{Person: p.ID}, time.Time{}),
	}
	index, due := m.reindex(c.Tenant, federation.Person{ID: p.ID}, p, c.At)
	ops, k.under.due = append(ops, index...), due
	c.Kind = federation.PersonCreated
	return m.announce(ctx, c, p, ops)
}

// update counts the sign-in of somebody who is known. The alias that it came by
// is proven by the commit, or added in it.
func (m *Manager) update(ctx context.Context, c federation.Change, k Known, f found, u federation.Upstream) (federation.Person, []store.Op, error) {
	was, at := f.person.Value.person(), f.person.Place
	if was.Blocked {
		return was, nil, federation.Fail(federation.AccessDenied, "This account is blocked.")
	}
	is, first := was, k.join.is(*c.Login)
	var ops []store.Op
	var err error
	if !first {
		is = said(is, u, *c.Login)
		ops = append(ops, m.aliases.Check(at, f.alias.ID, f.alias.Version))
	}
	var adds []store.Op
	if k.join != nil {
		is, adds, err = m.joined(ctx, c.Tenant, is, *k.join, c.At)
		if errors.Is(err, ErrApart) && first {
			err = ErrMoved // it is somebody else's, or nobody's yet
		}
		if err != nil {
			return was, nil, err
		}
		ops = append(ops, adds...)
	}
	if first {
		is = said(is, u, *c.Login)
	}
	is = counted(is, c.At)
	news := differs(was, is)
	if news || len(adds) > 0 {
		is.Updated = c.At
	}
	index, due := m.reindex(c.Tenant, was, is, c.At)
	k.under.due = due
	ops = append(append(ops, index...), m.people.Replace(at, is.ID, recordOf(is), f.person.Version, time.Time{}))
	if len(adds) > 0 {
		added := c
		added.Kind, added.Upstream = federation.LoginAdded, k.join.Upstream
		if is, ops, err = m.announce(ctx, added, is, ops); err != nil {
			return is, nil, err
		}
	}
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
