package token

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/session"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

// accessRecord is an access token: the grant with the snapshot that userinfo
// is a projection of.
type accessRecord struct {
	Grant   federation.Grant `json:"grant"`
	Issued  time.Time        `json:"issued"`
	Expires time.Time        `json:"expires"`
}

// Access is what an access token stands for.
type Access struct {
	Grant           federation.Grant
	Issued, Expires time.Time
	// Held is the session behind the token, empty for an offline grant.
	Held session.Held
}

// Inspect reads an access token (RFC 6750 §2) and notes the activity of its
// session. The error is invalid_token for one that is unknown, expired,
// revoked, another tenant's, or whose session is over.
func (i *Issuer) Inspect(ctx context.Context, t federation.Tenant, token string) (Access, error) {
	row, err := i.readAccess(ctx, t, token)
	if errors.Is(err, store.ErrNotFound) {
		return Access{}, badToken(err)
	}
	if err != nil {
		return Access{}, err
	}
	rec := row.Value
	held, err := i.alive(ctx, t, rec.Grant)
	if errors.Is(err, session.ErrNotFound) {
		return Access{}, badToken(err)
	}
	if err != nil {
		return Access{}, err
	}
	i.touch(ctx, t, rec.Grant, held)
	return Access{Grant: rec.Grant, Issued: rec.Issued, Expires: rec.Expires, Held: held}, nil
}

// readAccess reads the record of an access token; store.ErrNotFound for any
// text that is none of this tenant.
func (i *Issuer) readAccess(ctx context.Context, t federation.Tenant, token string) (store.Row[accessRecord], error) {
	h, ok := federation.ParseHandle(token)
	if !ok || !t.Owns(h.Place) {
		return store.Row[accessRecord]{}, store.ErrNotFound
	}
	row, err := i.accesses.Get(ctx, h.Place, h.ID())
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return row, fmt.Errorf("read access token: %w", err)
	}
	return row, err
}

func badToken(cause error) error {
	return federation.Fail(federation.InvalidToken, "The access token is unknown, expired or revoked.").Because(cause)
}
