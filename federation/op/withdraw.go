package op

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

// Consent is what a person has agreed that a client may have.
type Consent struct {
	Client string
	Scopes []string
	// Claims were asked for by name.
	Claims []string
	// At is when the person agreed last.
	At time.Time
}

// Consents are what a person has agreed to, in the order of the clients' ids.
func (h *Handler) Consents(ctx context.Context, t federation.Tenant, person string) ([]Consent, error) {
	var all []Consent
	prefix, after := consentID(person, ""), ""
	for {
		rows, err := h.consents.Scan(ctx, t.PlaceOf(person), prefix, after, scanned)
		if err != nil {
			return nil, fmt.Errorf("scan consents of %s: %w", person, err)
		}
		for _, row := range rows {
			after = row.ID
			all = append(all, Consent{Client: row.ID[len(prefix):], Scopes: row.Value.Scopes, Claims: row.Value.Claims, At: row.Value.At})
		}
		if len(rows) < scanned {
			return all, nil
		}
	}
}

// Withdraw takes back what a person has agreed to that a client may have, and
// ends what came of it: from the one commit on no grant of before counts, at any
// door that gives tokens; refresh tokens and their access tokens are then taken
// away. It says whether there was anything; person.ErrNotFound. Calling again goes
// on where an error cut it short.
func (h *Handler) Withdraw(ctx context.Context, t federation.Tenant, person, client string) (found bool, err error) {
	_, err = store.Update(ctx, h.o.Engine, func(ctx context.Context) ([]store.Op, error) {
		ops, err := h.o.Persons.PlanWithdraw(ctx, t, person, client)
		if err != nil {
			return nil, err
		}
		row, err := h.consents.Get(ctx, t.PlaceOf(person), consentID(person, client))
		switch found = err == nil; {
		case found:
			return append(ops, h.consents.Take(row.Place, row.ID, row.Version)), nil
		case !errors.Is(err, store.ErrNotFound):
			return nil, fmt.Errorf("read consent: %w", err)
		}
		// A client whose users are not asked has no consent, and may have grants.
		if found, err = h.o.Issuer.HasGrants(ctx, t, person, client); !found {
			return nil, err
		}
		return ops, nil
	})
	if err != nil {
		return false, fmt.Errorf("withdraw the consent of %s: %w", person, err)
	}
	if !found {
		return false, nil
	}
	if _, err := h.o.Issuer.EndGrants(ctx, t, person, client); err != nil {
		return true, err
	}
	return true, nil
}
