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

func (m *Manager) find(ctx context.Context, t federation.Tenant, index *store.Table[struct{}], value string, is func(federation.Person) bool) ([]federation.Person, error) {
	var found []federation.Person
	prefix, after := indexID(value, ""), ""
	for {
		rows, err := index.Scan(ctx, t.Place, prefix, after, page)
		if err != nil {
			return nil, fmt.Errorf("scan index: %w", err)
		}
		for _, row := range rows {
			after = row.ID
			p, err := m.Get(ctx, t, row.ID[len(prefix):])
			if errors.Is(err, ErrNotFound) {
				continue // deleted since the scan
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

// reindex moves a person's index entries. It names a key only where it changes.
func (m *Manager) reindex(at store.Place, was, is federation.Person) []store.Op {
	ops := move(m.customers, at, is.ID, was.Customer, is.Customer)
	if was.Email == is.Email {
		return ops
	}
	return append(ops, move(m.emails, at, is.ID, emailKey(was), emailKey(is))...)
}

func move(index *store.Table[struct{}], at store.Place, person, from, to string) []store.Op {
	var ops []store.Op
	if from == to {
		return nil
	}
	if from != "" {
		ops = append(ops, index.Drop(at, indexID(from, person)))
	}
	if to != "" {
		ops = append(ops, index.Put(at, indexID(to, person), struct{}{}, time.Time{}))
	}
	return ops
}

// emailKey is the normal form of the person's address, empty without one.
func emailKey(p federation.Person) string {
	normal, err := NormalEmail(p.Email)
	if err != nil {
		return ""
	}
	return normal
}
