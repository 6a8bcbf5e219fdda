package wire

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
)

// Credential is a user of the Basic scheme.
type Credential struct {
	Username string
	// Secrets are the SHA-256 of the secrets that are good now: one, or two
	// while one takes the other's place. Secrets must be too long to guess.
	Secrets [][sha256.Size]byte
	// Tenants and Scopes are what Caller says about them.
	Tenants, Scopes []string
}

// AuthOptions say who may call.
type AuthOptions struct {
	// Basic are the users of RFC 7617; without any the scheme is off.
	Basic []Credential
	// Bearer proves a token of RFC 6750; nil turns the scheme off. A Problem
	// from it is told as it is, any other error means a token that is no good.
	Bearer func(ctx context.Context, token string) (Caller, error)
	// Failures counts failed attempts per address (per /64 in IPv6); an address
	// that has failed too often is answered 429 whatever it brings. Nil is off.
	Failures *Limiter
}

// Authenticate lets pass only who proves to be somebody, puts the Caller in the
// context, and notes the name for the log. Every refusal names all schemes that are on.
func Authenticate(o AuthOptions) (func(http.Handler) http.Handler, error) {
	if len(o.Basic) == 0 && o.Bearer == nil {
		return nil, errors.New("wire: nobody could authenticate: no credentials and no bearer tokens")
	}
	users := make([]user, len(o.Basic))
	for i, c := range o.Basic {
		if c.Username == "" || strings.Contains(c.Username, ":") || len(c.Secrets) < 1 || len(c.Secrets) > 2 {
			return nil, fmt.Errorf("wire: credential %q needs a name without a colon and one or two secrets", c.Username)
		}
		users[i] = user{name: sha256.Sum256([]byte(c.Username)), Credential: c}
	}
	a := authenticator{AuthOptions: o, users: users}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, err := a.caller(r)
			if err != nil {
				WriteError(w, r, err)
				return
			}
			RequestInfoFrom(r.Context()).Note(slog.String("caller", c.Name))
			next.ServeHTTP(w, r.WithContext(WithCaller(r.Context(), c.meet(r))))
		})
	}, nil
}

type user struct {
	Credential
	name [sha256.Size]byte
}

type authenticator struct {
	AuthOptions
	users []user
}

func (a authenticator) caller(r *http.Request) (Caller, error) {
	from := network(RequestInfoFrom(r.Context()).Addr)
	if a.Failures != nil {
		if wait := a.Failures.Wait(from); wait > 0 {
			return Caller{}, TooMany(wait)
		}
	}
	c, err := a.prove(r)
	if err == nil {
		return c, nil
	}
	if p, ok := errors.AsType[*Problem](err); ok && p.Status != http.StatusUnauthorized {
		return Caller{}, err
	}
	// A call that brings nothing is no attempt: clients ask for the challenge.
	if a.Failures != nil && r.Header.Get("Authorization") != "" {
		a.Failures.Take(from)
	}
	return Caller{}, a.challenge(r, err)
}

func (a authenticator) prove(r *http.Request) (Caller, error) {
	given := r.Header.Values("Authorization")
	if len(given) != 1 {
		return Caller{}, Unauthenticated()
	}
	scheme, token, _ := strings.Cut(given[0], " ")
	if a.Bearer != nil && strings.EqualFold(scheme, "Bearer") {
		return a.Bearer(r.Context(), strings.TrimSpace(token))
	}
	name, secret, ok := r.BasicAuth()
	if !ok {
		return Caller{}, Unauthenticated()
	}
	return a.basic(name, secret)
}

// basic looks at every secret of every user, so that the time says nothing
// about which of them exist.
func (a authenticator) basic(name, secret string) (Caller, error) {
	n, s := sha256.Sum256([]byte(name)), sha256.Sum256([]byte(secret))
	found := -1
	for i, u := range a.users {
		good := 0
		for _, hash := range u.Secrets {
			good |= subtle.ConstantTimeCompare(hash[:], s[:])
		}
		good &= subtle.ConstantTimeCompare(u.name[:], n[:])
		found = subtle.ConstantTimeSelect(good, i, found)
	}
	if found < 0 {
		return Caller{}, Unauthenticated()
	}
	u := a.users[found]
	return Caller{Name: u.Username, Tenants: u.Tenants, Scopes: u.Scopes}, nil
}

// challenge names the schemes (RFC 9110 §11.6.1). What was wrong with a token
// or a password is not told, but that a token was (RFC 6750 §3.1).
func (a authenticator) challenge(r *http.Request, cause error) *Problem {
	p := Unauthenticated().Because(cause)
	if len(a.users) > 0 {
		p = p.with("WWW-Authenticate", `Basic realm="drawbridge", charset="UTF-8"`)
	}
	if a.Bearer != nil {
		bearer := `Bearer realm="drawbridge"`
		if scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Bearer") {
			bearer += `, error="invalid_token"`
		}
		p = p.with("WWW-Authenticate", bearer)
	}
	return p
}

// network is what one stranger holds: an address, or in IPv6 a /64.
func network(a netip.Addr) string {
	if a.Is6() && !a.Is4In6() {
		if p, err := a.WithZone("").Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}
