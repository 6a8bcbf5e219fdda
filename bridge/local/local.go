// Package local is the directory of the persons that Drawbridge itself has
// seen through federation.
//
// It owns no state: it asks Persons, which the wiring makes of the rooms that
// keep them. It finds persons by the UUID of ours or by `upstream|subject`,
// answers always with the UUID, and sends no mail itself: verification mails
// are the Service's, reset mails lead to the page that the configuration names
// for the person's upstream. It refuses to ask about an id that is neither form.
package local

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/drawbridge-id/drawbridge/bridge"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

// Person is a person as the directory needs one.
type Person struct {
	// ID is the UUID of ours, in lower case.
	ID       string
	Customer string
	Email    string
	// EmailVerified speaks of Email as it is now.
	EmailVerified               bool
	Created, Updated, LastLogin time.Time
	Logins                      int64
	Blocked                     bool
	// Upstream is where the person signs in.
	Upstream string
}

// Persons are the persons of all tenants. Its errors are those of
// bridge.Directory: what may be told is a *bridge.Error.
type Persons interface {
	// Get reads by UUID.
	Get(ctx context.Context, at store.Place, id string) (Person, error)
	// ByAlias reads by what an upstream calls the person.
	ByAlias(ctx context.Context, at store.Place, upstream, subject string) (Person, error)
	// FindByEmail reads everybody with the address, as bridge.NormalEmail
	// compares.
	FindByEmail(ctx context.Context, at store.Place, email string) ([]Person, error)
	// FindByCustomer reads everybody with exactly this customer id.
	FindByCustomer(ctx context.Context, at store.Place, customer string) ([]Person, error)
	// Delete removes a person and ends their sessions.
	Delete(ctx context.Context, at store.Place, id string) error
	// MarkEmailVerified remembers that the address, if it still is the
	// person's, was confirmed.
	MarkEmailVerified(ctx context.Context, at store.Place, id, email string) error
}

// Options say what the directory is made of.
type Options struct {
	Persons Persons
	// ResetPages are, per upstream of a tenant that has one, the address of the
	// page where its users set a new password.
	ResetPages func(tenant string) map[string]string
}

// New makes the directory.
func New(o Options) (bridge.Directory, error) {
	if o.Persons == nil {
		return bridge.Directory{}, errors.New("local: needs persons")
	}
	if o.ResetPages == nil {
		o.ResetPages = func(string) map[string]string { return nil }
	}
	d := directory{o}
	return bridge.Directory{
		Get:               d.get,
		FindByEmail:       d.findByEmail,
		FindByCustomer:    d.findByCustomer,
		Delete:            o.Persons.Delete,
		MarkEmailVerified: o.Persons.MarkEmailVerified,
		ResetPage:         d.resetPage,
		Resets:            func(at store.Place) bool { return len(o.ResetPages(at.Tenant)) > 0 },
	}, nil
}

type directory struct{ o Options }

func (d directory) get(ctx context.Context, at store.Place, id string) (bridge.User, error) {
	p, err := d.person(ctx, at, id)
	if err != nil {
		return bridge.User{}, err
	}
	return p.user(at), nil
}

// person tells the two forms of an id apart. A UUID holds no bar.
func (d directory) person(ctx context.Context, at store.Place, id string) (Person, error) {
	if upstream, subject, found := strings.Cut(id, "|"); found {
		if upstream == "" || subject == "" {
			return Person{}, bridge.Fail(bridge.KindNotFound)
		}
		return d.o.Persons.ByAlias(ctx, at, upstream, subject)
	}
	own, err := uuid.Parse(id)
	if err != nil || len(id) != len(uuid.Nil.String()) {
		return Person{}, bridge.Fail(bridge.KindNotFound)
	}
	return d.o.Persons.Get(ctx, at, own.String())
}

func (d directory) findByEmail(ctx context.Context, at store.Place, email string) (bridge.User, error) {
	found, err := d.o.Persons.FindByEmail(ctx, at, email)
	return one(at, believed(found), err)
}

// believed are those whose address is verified, if there are any: somebody who
// merely says that an address is theirs must not stand in the way of its owner,
// nor be taken for them.
func believed(found []Person) []Person {
	var verified []Person
	for _, p := range found {
		if p.EmailVerified {
			verified = append(verified, p)
		}
	}
	if len(verified) > 0 {
		return verified
	}
	return found
}

func (d directory) findByCustomer(ctx context.Context, at store.Place, customer string) (bridge.User, error) {
	found, err := d.o.Persons.FindByCustomer(ctx, at, customer)
	return one(at, found, err)
}

func one(at store.Place, found []Person, err error) (bridge.User, error) {
	switch {
	case err != nil:
		return bridge.User{}, err
	case len(found) == 0:
		return bridge.User{}, bridge.Fail(bridge.KindNotFound)
	case len(found) > 1:
		return bridge.User{}, bridge.Fail(bridge.KindAmbiguous)
	}
	return found[0].user(at), nil
}

func (d directory) resetPage(ctx context.Context, at store.Place, id string) (string, error) {
	p, err := d.person(ctx, at, id)
	if err != nil {
		return "", err
	}
	return d.o.ResetPages(at.Tenant)[p.Upstream], nil
}

func (p Person) user(at store.Place) bridge.User {
	return bridge.User{
		Tenant: at.Tenant, ID: p.ID, Customer: p.Customer, Email: p.Email,
		CreateTime: p.Created, UpdateTime: p.Updated, LoginTime: p.LastLogin, LoginsCount: &p.Logins,
		EmailVerified: p.EmailVerified, Blocked: p.Blocked,
	}
}
