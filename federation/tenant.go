package federation

import (
	"strings"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// DefaultTenant is the tenant that there always is, served at the issuer's root.
const DefaultTenant = "default"

// Tenant is an organisation: the owner of persons, upstreams and clients.
type Tenant struct {
	// ID is the slug, `^[0-9a-z-]+$`, part of every key, token and cookie name.
	ID string
	// UUID is the tenant's public id: OwnerId of events, X-IRM-TenantId.
	UUID string
	Name string
	// SignIn is how users tell where they have their account, for clients that
	// do not say.
	SignIn SignIn
	// ACRLevels are authentication context classes, the weakest first: what a
	// session's authentication level is counted by.
	ACRLevels []string
	// Linking is what becomes of a first sign-in with the address of somebody who
	// is known from another upstream; empty is never.
	Linking Linking
	// Issuer is the issuer identifier, exactly as relying parties know it.
	Issuer string
	// Place is the tenant's home: its keys, its identity, whatever is the
	// tenant's own, and events about nobody. Unless the tenant is spread, its
	// persons live there too, with all that is theirs.
	Place store.Place
	// Spread, unless zero, is the layout of the store that the tenant's persons
	// are spread over. It is decided before a tenant has its first person, and
	// never again: whoever is there already would not be found.
	Spread store.Layout
}

// MaxSpread is how many partitions a store may have for tenants of it to be
// spread: ids are minted by trying, see Beside.
const MaxSpread = 256

// Order says what the events of a tenant have one order in.
type Order string

const (
	// OrderTenant is one order of everything that happens in a tenant.
	OrderTenant Order = "tenant"
	// OrderPerson is an order of what happens to each person, and none between
	// persons.
	OrderPerson Order = "person"
)

// Order is how far the order of the tenant's events reaches.
func (t Tenant) Order() Order {
	if t.spread() {
		return OrderPerson
	}
	return OrderTenant
}

func (t Tenant) spread() bool { return t.Spread.Partitions > 1 }

// PlaceOf is where a record lives that an id leads to: the UUID of a person, the
// sid of a session, an alias. Ids are minted so that everything of one person
// lives in one partition, so any node finds it with one read. It is the home
// unless the tenant is spread.
func (t Tenant) PlaceOf(id string) store.Place {
	if !t.spread() {
		return t.Place
	}
	return t.Spread.PlaceOf(t.ID, id)
}

// Places are all places of the tenant, in the order of the partitions.
func (t Tenant) Places() []store.Place {
	if !t.spread() {
		return []store.Place{t.Place}
	}
	all := make([]store.Place, t.Spread.Partitions)
	for p := range all {
		all[p] = store.Place{Tenant: t.ID, Partition: store.Partition(p)}
	}
	return all
}

// Owns says whether a place is one of the tenant's. What a stranger shows may
// name any place: one that passes leads to no more than a read that finds
// nothing.
func (t Tenant) Owns(at store.Place) bool {
	return at == t.Place || t.spread() && at.Tenant == t.ID && int(at.Partition) < t.Spread.Partitions
}

// Beside mints ids until one lives where the given id does, as many times on
// average as the tenant has places. It gives up after 64 times as many, which
// chance never comes to; what it answers then lives elsewhere, and is refused
// by whoever is to commit it.
func (t Tenant) Beside(id string, mint func() string) string {
	at, made := t.PlaceOf(id), mint()
	for tries := 64 * t.Spread.Partitions; tries > 0 && t.PlaceOf(made) != at; tries-- {
		made = mint()
	}
	return made
}

// Place is where what tells of a change belongs: with the person that it is
// about, in whose partition the change is made, or else at the tenant's home.
func (c Change) Place() store.Place {
	switch {
	case c.Person != nil && c.Person.ID != "":
		return c.Tenant.PlaceOf(c.Person.ID)
	case c.Session != nil:
		return c.Tenant.PlaceOf(c.Session.Person)
	}
	return c.Tenant.Place
}

// URL is the address of a path below the tenant's issuer. A slash at the end
// of the issuer is not doubled (OpenID Connect Discovery 1.0 §4.1).
func (t Tenant) URL(path string) string { return strings.TrimSuffix(t.Issuer, "/") + path }

// Secure says whether the tenant is served by https, so that cookies may be
// held to it.
func (t Tenant) Secure() bool { return strings.HasPrefix(strings.ToLower(t.Issuer), "https:") }
