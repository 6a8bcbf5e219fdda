package person

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

// page is how many index entries are read at once.
const page = 100

// entry is what stands in an index, under indexID.
type entry struct {
	// Seen is, for a spread tenant, the version of the person that the entry was
	// written by: what was written by a newer one is not undone by an older one.
	Seen store.Version `json:"seen,omitempty"`
}

// FindByEmail finds everybody with an address, compared as NormalEmail says.
// Several are returned as they are found: which one is meant is not for this
// package to guess. ErrMalformedEmail.
func (m *Manager) FindByEmail(ctx context.Context, t federation.Tenant, email string) ([]federation.Person, error) {
	normal, err := NormalEmail(email)
	if err != nil {
		return nil, err
	}
	return m.find(ctx, t, m.emails, normal, func(p federation.Person) bool { return emailKey(p) == normal })
}

// FindByCustomer finds everybody with a customer id, compared byte by byte.
func (m *Manager) FindByCustomer(ctx context.Context, t federation.Tenant, customer string) ([]federation.Person, error) {
	if customer == "" {
		return nil, nil
	}
	return m.find(ctx, t, m.customers, customer, func(p federation.Person) bool { return p.Customer == customer })
}

func (m *Manager) find(ctx context.Context, t federation.Tenant, index *store.Table[entry], value string, is func(federation.Person) bool) ([]federation.Person, error) {
	var found []federation.Person
	prefix, after, at := indexID(value, ""), "", t.PlaceOf(digest(value))
	for {
		rows, err := index.Scan(ctx, at, prefix, after, page)
		if err != nil {
			return nil, fmt.Errorf("scan index: %w", err)
		}
		for _, row := range rows {
			after = row.ID
			p, err := m.Get(ctx, t, row.ID[len(prefix):])
			if errors.Is(err, ErrNotFound) {
				continue // deleted since the scan, or before the entry was removed
			}
			if err != nil {
				return nil, err
			}
			if is(p) {
				found = append(found, p)
			}
		}
		if len(rows) < page {
			return found, nil
		}
	}
}

// reindex is how a person's index entries follow a change, in its commit: they
// change with it, or, where the tenant is spread and they live elsewhere, it
// leaves a note of what is due. It names a key only where it changes.
func (m *Manager) reindex(t federation.Tenant, was, is federation.Person, now time.Time) ([]store.Op, *store.Row[projection]) {
	var moves []move
	if was.Customer != is.Customer {
		moves = append(moves, move{m.customers, was.Customer, is.Customer})
	}
	if was.Email != is.Email {
		if from, to := emailKey(was), emailKey(is); from != to {
			moves = append(moves, move{m.emails, from, to})
		}
	}
	if len(moves) == 0 {
		return nil, nil
	}
	if t.Order() == federation.OrderPerson {
		return m.note(t, is.ID, moves, now)
	}
	var ops []store.Op
	for _, v := range moves {
		if v.from != "" {
			ops = append(ops, v.index.Drop(t.Place, indexID(v.from, is.ID)))
		}
		if v.to != "" {
			ops = append(ops, v.index.Put(t.Place, indexID(v.to, is.ID), entry{}, time.Time{}))
		}
	}
	return ops, nil
}

// move is a person's change of place in an index; either value may be empty.
type move struct {
	index    *store.Table[entry]
	from, to string
}

// emailKey is the normal form of the person's address, empty without one.
func emailKey(p federation.Person) string {
	normal, err := NormalEmail(p.Email)
	if err != nil {
		return ""
	}
	return normal
}
