package person

import (
	"context"
	"fmt"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

// ConfirmEmail remembers that the person's address was confirmed to us. The
// address, if given, must be the current one (ErrEmailChanged); a person
// without one answers ErrNoEmail. Confirming again changes and announces
// nothing.
func (m *Manager) ConfirmEmail(ctx context.Context, t federation.Tenant, id, email string, req federation.Request) error {
	_, err := store.Update(ctx, m.o.Engine, func(ctx context.Context) ([]store.Op, error) {
		row, err := m.read(ctx, t, id)
		if err != nil {
			return nil, err
		}
		p := row.Value.person()
		current := emailKey(p)
		switch {
		case email != "" && !sameEmail(email, current):
			return nil, ErrEmailChanged
		case current == "":
			return nil, ErrNoEmail
		case p.EmailConfirmed == current:
			return nil, nil
		}
		now, err := m.now(ctx)
		if err != nil {
			return nil, err
		}
		p.EmailConfirmed, p.Updated = current, now
		ops := []store.Op{m.people.Replace(row.Place, id, recordOf(p), row.Version, time.Time{})}
		_, ops, err = m.announce(ctx, federation.Change{
			Kind: federation.EmailConfirmed, Tenant: t, At: now, Detected: now, Upstream: p.Upstream, Request: req,
		}, p, ops)
		return ops, err
	})
	if err != nil {
		return fmt.Errorf("confirm e-mail of %s: %w", id, err)
	}
	return nil
}

// EmailVerified says whether a person's current address counts as verified: by
// the upstream's word within its authority, or because it was confirmed to us.
func EmailVerified(p federation.Person) bool {
	return p.EmailVouched || p.EmailConfirmed != "" && p.EmailConfirmed == emailKey(p)
}
