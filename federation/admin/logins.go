package admin

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/drawbridge-id/drawbridge/openapi/wire"
)

var (
	// ErrNoLogin says: the user has no login of the upstream.
	ErrNoLogin = errors.New("admin: no login of that upstream")
	// ErrLastLogin says: the user has no other.
	ErrLastLogin = errors.New("admin: the only login")
)

// Login is where a user signs in: schema Login of the document.
type Login struct {
	Upstream string `json:"upstream"`
	Subject  string `json:"subject"`
	// Linked is when it was added, zero of the one that the user came with.
	Linked time.Time `json:"linked,omitzero"`
}

type loginsPage struct {
	Logins []Login `json:"logins"`
}

func (u *Users) logins(w http.ResponseWriter, r *http.Request, about user) error {
	all, err := u.o.Logins(r.Context(), about.tenant, about.person)
	if err != nil {
		return err
	}
	return wire.WriteJSON(w, http.StatusOK, loginsPage{Logins: append([]Login{}, all...)}) // [] and not null
}

func (u *Users) unlink(w http.ResponseWriter, r *http.Request, about user) error {
	upstream, err := wire.Var(r, "upstream")
	if err != nil {
		return err
	}
	err = u.o.Unlink(r.Context(), about.tenant, about.person, upstream, request(r, about.caller))
	switch {
	case errors.Is(err, ErrNoLogin):
		return wire.NotFound("login_not_found", "The user has no login of this upstream")
	case errors.Is(err, ErrLastLogin):
		return wire.Conflict("last_login", "2013", "This is the user's only login")
	case err != nil:
		return err
	}
	u.done(r, "login removed by a management call", about, slog.String("upstream", url.QueryEscape(upstream)))
	wire.NoContent(w)
	return nil
}
