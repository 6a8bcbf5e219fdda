package token

import (
	"context"
	"errors"
	"fmt"

	"github.com/drawbridge-id/drawbridge/claims"
	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/session"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

// Shown is a token of ours that somebody shows and that is good, whoever it is
// meant for.
type Shown struct {
	Access
	// Refresh says that it is a refresh token.
	Refresh bool
}

// Look reads an access token or a refresh token for introspection (RFC 7662). It
// changes nothing, also where a refresh token was used already. The error is
// invalid_token for whatever is not good. What is no token is looked for all the
// same, so that it takes as long to say no to it.
func (i *Issuer) Look(ctx context.Context, t federation.Tenant, text string) (Shown, error) {
	var shown Shown
	var err error
	if r, ok := parseRefresh(text); ok && t.Owns(r.handle.Place) {
		shown, err = i.lookRefresh(ctx, t, r)
	} else {
		shown, err = i.lookAccess(ctx, t, text)
	}
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, session.ErrNotFound) {
		return Shown{}, badToken(err)
	}
	return shown, err
}

func (i *Issuer) lookAccess(ctx context.Context, t federation.Tenant, text string) (Shown, error) {
	a, err := i.access(ctx, t, text)
	if errors.Is(err, errNoName) {
		nobody := federation.NewHandle(t.Place)
		_, _, err = i.inspect(ctx, t, accessName{recordName: recordName{at: nobody.Place, id: nobody.ID()}})
	}
	return Shown{Access: a}, err
}

// lookRefresh reads the family of a refresh token, which is good if it would
// still be answered with tokens.
func (i *Issuer) lookRefresh(ctx context.Context, t federation.Tenant, r refreshToken) (Shown, error) {
	now, err := i.now(ctx)
	if err != nil {
		return Shown{}, err
	}
	row, err := i.families.Get(ctx, r.handle.Place, r.handle.ID())
	if errors.Is(err, store.ErrNotFound) {
		return Shown{}, err
	}
	if err != nil {
		return Shown{}, fmt.Errorf("read refresh family: %w", err)
	}
	f := row.Value
	if f.judge(f.Grant.Client, r, now, i.o.Lifetimes().RefreshGrace) != current {
		return Shown{}, store.ErrNotFound
	}
	held, err := i.bound(ctx, t, f.Grant)
	return Shown{Access: Access{Grant: f.Grant, Issued: f.Rotated, Expires: row.Expires, Held: held}, Refresh: true}, err
}

// bound is the session that a grant ends with, empty for an offline one;
// session.ErrNotFound once it has ended.
func (i *Issuer) bound(ctx context.Context, t federation.Tenant, g federation.Grant) (session.Held, error) {
	if g.Offline {
		ended, err := i.outlived(ctx, t, g)
		if err == nil && ended {
			err = session.ErrNotFound
		}
		return session.Held{}, err
	}
	held, err := i.o.Sessions.Live(ctx, t, g.Session)
	if err == nil && held.Session.Person != g.Person {
		err = session.ErrNotFound
	}
	return held, err
}

// Used notes that a token was introspected: it is activity of its session
// (DESIGN decision 10).
func (i *Issuer) Used(ctx context.Context, t federation.Tenant, s Shown) {
	i.touch(ctx, t, s.Grant, s.Held)
}

// Introspection is what is said of the token (RFC 7662 §2.2). A refresh token is
// meant for us alone and has no claims: only its own client asks about it.
func (s Shown) Introspection(issuer string) claims.Set {
	own := accessClaims(issuer, s.Grant, s.name, s.Issued, s.Expires)
	own["active"] = true
	if s.Refresh {
		delete(own, "aud")
		delete(own, "jti")
		return claims.Mint(nil, own)
	}
	own["token_type"] = bearer
	return s.Grant.Snapshot.AccessToken(own)
}

// Inactive is what is said of every other text.
func Inactive() claims.Set { return claims.Set{"active": false} }

// bearer is the token type (RFC 6750).
const bearer = "Bearer"
