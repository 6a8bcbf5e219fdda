package token

import (
	"context"
	"errors"
	"fmt"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

// Revoke ends a token of the client (RFC 7009): a refresh token with its family
// and all its access tokens, an access token alone. What a token is shows in
// its form, so the hint is not needed and a wrong one does no harm. A token that
// is unknown, expired or revoked already is no error; another client's is
// refused with invalid_grant and stays.
func (i *Issuer) Revoke(ctx context.Context, t federation.Tenant, c VerifiedClient, token, _ string) error {
	client, err := c.of(t)
	if err != nil {
		return err
	}
	if shown, ok := parseRefresh(token); ok {
		return i.revokeRefresh(ctx, t, client, shown)
	}
	row, err := i.readAccess(ctx, t, token)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if row.Value.Grant.Client != client.ID {
		return notYours()
	}
	return i.kill(ctx, row.Place, "", row.ID)
}

func (i *Issuer) revokeRefresh(ctx context.Context, t federation.Tenant, client federation.Client, shown refreshToken) error {
	if !t.Owns(shown.handle.Place) {
		return nil
	}
	row, err := i.families.Get(ctx, shown.handle.Place, shown.handle.ID())
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read refresh family: %w", err)
	}
	if !row.Value.made(shown) {
		return nil // nobody's token
	}
	if row.Value.Grant.Client != client.ID {
		return notYours()
	}
	return i.kill(ctx, row.Place, row.ID, "")
}

// kill takes away a family of a place with its access tokens, and one more
// access token; either may be empty, or gone already.
func (i *Issuer) kill(ctx context.Context, at store.Place, family, access string) error {
	return i.settle(ctx, func(ctx context.Context) ([]store.Op, error) {
		var ops []store.Op
		if access != "" {
			ops = append(ops, i.accesses.Drop(at, access))
		}
		if family == "" {
			return ops, nil
		}
		row, err := i.families.Get(ctx, at, family)
		if errors.Is(err, store.ErrNotFound) {
			return ops, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read refresh family: %w", err)
		}
		ops = append(ops, i.families.Take(at, family, row.Version), i.byPerson.Drop(at, row.Value.Grant.Person+"/"+family))
		for _, a := range row.Value.Access {
			if a.ID != access {
				ops = append(ops, i.accesses.Drop(at, a.ID))
			}
		}
		return ops, nil
	})
}

func notYours() error {
	return federation.Fail(federation.InvalidGrant, "The token was not issued to this client.")
}
