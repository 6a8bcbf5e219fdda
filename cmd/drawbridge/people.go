package main

import (
	"context"
	"errors"

	"github.com/drawbridge-id/drawbridge/bridge"
	"github.com/drawbridge-id/drawbridge/bridge/local"
	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/person"
	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/openapi/wire"
)

// people shows the persons of federation to the local directory: the one place
// where the two meet.
type people struct{ app *App }

// Get implements local.Persons.
func (p people) Get(ctx context.Context, at store.Place, id string) (local.Person, error) {
	t, err := p.tenant(at)
	if err != nil {
		return local.Person{}, err
	}
	return shown(p.app.persons.Get(ctx, t, id))
}

// ByAlias implements local.Persons.
func (p people) ByAlias(ctx context.Context, at store.Place, upstream, subject string) (local.Person, error) {
	t, err := p.tenant(at)
	if err != nil {
		return local.Person{}, err
	}
	return shown(p.app.persons.ByAlias(ctx, t, upstream, subject))
}

// FindByEmail implements local.Persons.
func (p people) FindByEmail(ctx context.Context, at store.Place, email string) ([]local.Person, error) {
	return p.find(ctx, at, email, p.app.persons.FindByEmail)
}

// FindByCustomer implements local.Persons.
func (p people) FindByCustomer(ctx context.Context, at store.Place, customer string) ([]local.Person, error) {
	return p.find(ctx, at, customer, p.app.persons.FindByCustomer)
}

func (p people) find(ctx context.Context, at store.Place, value string, by func(context.Context, federation.Tenant, string) ([]federation.Person, error)) ([]local.Person, error) {
	t, err := p.tenant(at)
	if err != nil {
		return nil, err
	}
	found, err := by(ctx, t, value)
	if err != nil {
		return nil, told(err)
	}
	all := make([]local.Person, 0, len(found))
	for _, f := range found {
		all = append(all, describePerson(f))
	}
	return all, nil
}

// Delete implements local.Persons. What events tell of the person goes first:
// the deletion itself then ends sessions, whose webhooks still have to be told.
func (p people) Delete(ctx context.Context, at store.Place, id string) error {
	t, err := p.tenant(at)
	if err != nil {
		return err
	}
	if err := p.app.events.Erase(ctx, t.PlaceOf(id), id); err != nil {
		return err
	}
	return told(p.app.persons.Delete(ctx, t, id, asked(ctx)))
}

// MarkEmailVerified implements local.Persons.
func (p people) MarkEmailVerified(ctx context.Context, at store.Place, id, email string) error {
	t, err := p.tenant(at)
	if err != nil {
		return err
	}
	return told(p.app.persons.ConfirmEmail(ctx, t, id, email, asked(ctx)))
}

func (p people) tenant(at store.Place) (federation.Tenant, error) {
	t, ok := p.app.tenant(at.Tenant)
	if !ok {
		return t, bridge.Fail(bridge.KindNotFound)
	}
	return t, nil
}

func shown(p federation.Person, err error) (local.Person, error) {
	return describePerson(p), told(err)
}

func describePerson(p federation.Person) local.Person {
	return local.Person{
		ID: p.ID, Customer: p.Customer, Email: p.Email, EmailVerified: person.EmailVerified(p), Created: p.Created, Updated: p.Updated,
		LastLogin: p.LastLogin, Logins: p.Logins, Blocked: p.Blocked, Upstream: p.Upstream,
	}
}

// told words the errors of persons as those of the Users contract.
func told(err error) error {
	switch {
	case errors.Is(err, person.ErrNotFound):
		return bridge.Fail(bridge.KindNotFound).Because(err)
	case errors.Is(err, person.ErrEmailChanged):
		return bridge.Fail(bridge.KindEmailChanged).Because(err)
	case errors.Is(err, person.ErrNoEmail):
		return bridge.Fail(bridge.KindNoEmail).Because(err)
	}
	return err
}

// asked is who made the call, for events and audit.
func asked(ctx context.Context) federation.Request {
	info := wire.RequestInfoFrom(ctx)
	req := federation.Request{ID: info.ID}
	if info.Addr.IsValid() {
		req.Addr = info.Addr.String()
	}
	if c, ok := wire.CallerFrom(ctx); ok {
		req.CausedBy, req.AgentUser, req.AgentApp = c.Name, c.AgentUser, c.AgentApp
	}
	return req
}
