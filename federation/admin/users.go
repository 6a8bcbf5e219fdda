package admin

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/gorilla/mux"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/openapi/wire"
)

// The scopes of the door of users; a credential with `users` has them all.
const (
	ScopeUsersBlock        = "users:block"
	ScopeUsersConsents     = "users:consents"
	ScopeUsersConsentsRead = "users:consents:read"
	ScopeUsersLogins       = "users:logins"
	ScopeUsersLoginsRead   = "users:logins:read"
)

// Consent is what a user has agreed that a client may have: schema Consent of
// the document.
type Consent struct {
	Client string   `json:"client"`
	Scopes []string `json:"scopes"`
	// Claims were asked for by name.
	Claims []string `json:"claims,omitempty"`
	// At is when the user agreed last.
	At time.Time `json:"at"`
}

// UsersOptions say what the door of users is made of. All but Log are required.
type UsersOptions struct {
	// Find is the user that an id names, as the Users contract takes it: a UUID or
	// `upstream|subject`. found is false where there is none.
	Find func(ctx context.Context, t federation.Tenant, id string) (person string, found bool, err error)
	// Block and Unblock may be said again.
	Block, Unblock func(ctx context.Context, t federation.Tenant, person string, req federation.Request) error
	// Consents are a user's, in one order; Withdraw takes one back with what came
	// of it, found is false where there was none.
	Consents func(ctx context.Context, t federation.Tenant, person string) ([]Consent, error)
	Withdraw func(ctx context.Context, t federation.Tenant, person, client string) (found bool, err error)
	// Logins are a user's aliases; Unlink takes one away, ErrNoLogin and ErrLastLogin
	// say why not.
	Logins func(ctx context.Context, t federation.Tenant, person string) ([]Login, error)
	Unlink func(ctx context.Context, t federation.Tenant, person, upstream string, req federation.Request) error

	Tenancy wire.Tenancy
	// Tenant finds a tenant by its slug.
	Tenant func(slug string) (federation.Tenant, bool)
	// Log takes the audit lines.
	Log *slog.Logger
}

// Users is the management door of what users may do and have agreed to, under
// /v1/tenants/{tenant}/users and /v1/users, beside the Users contract: block,
// unblock, list and withdraw consents, list and remove logins. Each change leaves an audit line that names
// the caller and those behind it.
type Users struct{ o UsersOptions }

// NewUsers makes the door.
func NewUsers(o UsersOptions) (*Users, error) {
	if o.Find == nil || o.Block == nil || o.Unblock == nil || o.Consents == nil || o.Withdraw == nil || o.Logins == nil || o.Unlink == nil ||
		o.Tenant == nil || o.Tenancy.Known == nil || o.Tenancy.Slug == nil {
		return nil, errors.New("admin: the door of users needs users and tenants")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Users{o: o}, nil
}

// Mount registers the routes on a router of wire.NewRouter, whose requests
// carry a wire.Caller.
func (u *Users) Mount(r *mux.Router) {
	for _, base := range []string{"/v1/tenants/{tenant:[0-9a-z-]+}", "/v1"} {
		on := func(name, path, scope string, op aboutUser, methods ...string) {
			r.Handle(base+"/users/{id:[^/]*}"+path, u.endpoint(scope, op)).Methods(methods...).Name(name)
		}
		on("blockUser", "/blocked", ScopeUsersBlock, u.block, http.MethodPut)
		on("unblockUser", "/blocked", ScopeUsersBlock, u.unblock, http.MethodDelete)
		on("listConsents", "/consents", ScopeUsersConsentsRead, u.list, http.MethodGet, http.MethodHead)
		on("listLogins", "/logins", ScopeUsersLoginsRead, u.logins, http.MethodGet, http.MethodHead)
		on("removeLogin", "/logins/{upstream:[^/]*}", ScopeUsersLogins, u.unlink, http.MethodDelete)
		on("withdrawConsent", "/consents/{client:[^/]*}", ScopeUsersConsents, u.withdraw, http.MethodDelete)
	}
}

// user is whom a call is about, and who makes it.
type user struct {
	tenant federation.Tenant
	person string
	caller wire.Caller
}

type aboutUser func(w http.ResponseWriter, r *http.Request, about user) error

// endpoint settles tenant, permission and user before an operation runs. None of
// them has parameters or a body.
func (u *Users) endpoint(scope string, op aboutUser) wire.Endpoint {
	return func(w http.ResponseWriter, r *http.Request) error {
		slug, err := u.o.Tenancy.Resolve(r)
		if err != nil {
			return err
		}
		caller, err := wire.Require(r, scope, slug)
		if err != nil {
			return err
		}
		t, ok := u.o.Tenant(slug)
		if !ok {
			return wire.TenantRefused()
		}
		if _, err := wire.Query(r); err != nil {
			return err
		}
		id, err := wire.Var(r, "id")
		if err != nil {
			return err
		}
		who, found, err := u.o.Find(r.Context(), t, id)
		if err != nil {
			return Unavailable(err)
		}
		if !found {
			return wire.NotFound("user_not_found", "User not found")
		}
		return Unavailable(op(w, r, user{tenant: t, person: who, caller: caller}))
	}
}

func (u *Users) block(w http.ResponseWriter, r *http.Request, about user) error {
	if err := u.o.Block(r.Context(), about.tenant, about.person, request(r, about.caller)); err != nil {
		return err
	}
	u.done(r, "user blocked by a management call", about)
	wire.NoContent(w)
	return nil
}

func (u *Users) unblock(w http.ResponseWriter, r *http.Request, about user) error {
	if err := u.o.Unblock(r.Context(), about.tenant, about.person, request(r, about.caller)); err != nil {
		return err
	}
	u.done(r, "user unblocked by a management call", about)
	wire.NoContent(w)
	return nil
}

type consentsPage struct {
	Consents []Consent `json:"consents"`
}

func (u *Users) list(w http.ResponseWriter, r *http.Request, about user) error {
	all, err := u.o.Consents(r.Context(), about.tenant, about.person)
	if err != nil {
		return err
	}
	return wire.WriteJSON(w, http.StatusOK, consentsPage{Consents: append([]Consent{}, all...)}) // [] and not null
}

func (u *Users) withdraw(w http.ResponseWriter, r *http.Request, about user) error {
	client, err := wire.Var(r, "client")
	if err != nil {
		return err
	}
	found, err := u.o.Withdraw(r.Context(), about.tenant, about.person, client)
	if err != nil {
		return err
	}
	if !found {
		return wire.NotFound("consent_not_found", "The user has agreed to nothing that this client could use")
	}
	u.done(r, "consent withdrawn by a management call", about, slog.String("client", url.QueryEscape(client)))
	wire.NoContent(w)
	return nil
}

// done writes the audit line of a change.
func (u *Users) done(r *http.Request, what string, about user, more ...slog.Attr) {
	attrs := append(audit(about.tenant, about.caller), slog.String("person", about.person))
	u.o.Log.LogAttrs(r.Context(), slog.LevelInfo, what, append(attrs, more...)...) //nolint:sloglint // the callers' messages are constants
}
