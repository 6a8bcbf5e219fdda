package main

import (
	"context"
	"errors"
	"strings"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/admin"
	"github.com/drawbridge-id/drawbridge/federation/person"
	"github.com/drawbridge-id/drawbridge/openapi/wire"
)

// usersDoor shows operators what users may do and have agreed to. A user who is
// deleted under way answers as one who is blocked or has withdrawn: nothing of
// theirs is left either way.
func (a *App) usersDoor(tenancy wire.Tenancy) (*admin.Users, error) {
	gone := func(err error) error {
		if errors.Is(err, person.ErrNotFound) {
			return nil
		}
		return err
	}
	return admin.NewUsers(admin.UsersOptions{
		Find: a.findUser,
		Block: func(ctx context.Context, t federation.Tenant, id string, req federation.Request) error {
			return gone(a.persons.Block(ctx, t, id, req))
		},
		Unblock: func(ctx context.Context, t federation.Tenant, id string, req federation.Request) error {
			return gone(a.persons.Unblock(ctx, t, id, req))
		},
		Consents: func(ctx context.Context, t federation.Tenant, id string) ([]admin.Consent, error) {
			given, err := a.provider.Consents(ctx, t, id)
			all := make([]admin.Consent, 0, len(given))
			for _, c := range given {
				all = append(all, admin.Consent(c))
			}
			return all, err
		},
		Withdraw: func(ctx context.Context, t federation.Tenant, id, client string) (bool, error) {
			found, err := a.provider.Withdraw(ctx, t, id, client)
			return found, gone(err)
		},
		Logins: func(ctx context.Context, t federation.Tenant, id string) ([]admin.Login, error) {
			p, err := a.persons.Get(ctx, t, id)
			if err != nil {
				return nil, gone(err)
			}
			all := []admin.Login{{Upstream: p.Upstream, Subject: p.Subject}}
			for _, l := range p.Links {
				all = append(all, admin.Login{Upstream: l.Upstream, Subject: l.Subject, Linked: l.Linked})
			}
			return all, nil
		},
		Unlink: func(ctx context.Context, t federation.Tenant, id, upstream string, req federation.Request) error {
			of := func(id string) (federation.Upstream, bool) { return a.live.Load().registry.Upstream(t.ID, id) }
			err := a.persons.Unlink(ctx, t, id, upstream, of, req)
			switch {
			case errors.Is(err, person.ErrNotFound), errors.Is(err, person.ErrNoLogin):
				return admin.ErrNoLogin
			case errors.Is(err, person.ErrLastLogin):
				return admin.ErrLastLogin
			}
			return err
		},
		Tenancy: tenancy, Tenant: a.tenant, Log: a.log,
	})
}

// findUser takes both forms of an id, as the Users contract does. A UUID holds no
// bar.
func (a *App) findUser(ctx context.Context, t federation.Tenant, id string) (string, bool, error) {
	upstream, subject, alias := strings.Cut(id, "|")
	var p federation.Person
	var err error
	if alias {
		p, err = a.persons.ByAlias(ctx, t, upstream, subject)
	} else {
		p, err = a.persons.Get(ctx, t, strings.ToLower(id))
	}
	if errors.Is(err, person.ErrNotFound) {
		return "", false, nil
	}
	return p.ID, err == nil, err
}
