package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

const (
	// A node that delivers holds a lease by its name in the first partition. It
	// is a lease so that it ends with its holder, and with those of a process
	// that is known to be dead (store.FreeLeases).
	memberLease = "delivery.node/"
	leaseKind   = "lease"
	// mostNodes is how many nodes are looked at.
	mostNodes = 1000
)

// membership is one node among those that deliver.
type membership struct {
	eng store.Engine
	// name is unique to this process; node is for people to read.
	name, node string

	lease  store.Lease
	joined bool
}

// look keeps the node's own membership and answers with all nodes there are,
// itself included.
func (m *membership) look(ctx context.Context) ([]string, error) {
	if err := m.keep(ctx); err != nil {
		return nil, fmt.Errorf("keep membership: %w", err)
	}
	recs, err := m.eng.Scan(ctx, store.Range{Kind: leaseKind, Prefix: "/" + memberLease, Limit: mostNodes})
	if err != nil {
		return nil, fmt.Errorf("read members: %w", err)
	}
	var names []string
	for _, rec := range recs {
		names = append(names, strings.TrimPrefix(rec.Key.Local(), memberLease))
	}
	if !slices.Contains(names, m.name) {
		names = append(names, m.name)
	}
	return names, nil
}

// keep joins, or renews what is due for it. Where the others have given this
// node up, it joins anew.
func (m *membership) keep(ctx context.Context) error {
	if m.joined {
		now, err := m.eng.Now(ctx)
		if err != nil || m.lease.Expires.Sub(now) > leaseTime-leaseRenew {
			return err
		}
		next, err := m.lease.Renew(ctx, m.eng, leaseTime)
		if err == nil {
			m.lease = next
		}
		if !errors.Is(err, store.ErrHeld) {
			return err
		}
		m.joined = false
	}
	lease, err := store.Acquire(ctx, m.eng, store.Place{}, memberLease+m.name, m.node, leaseTime)
	if errors.Is(err, store.ErrHeld) {
		// Ours, of which the answer was lost. The name is nobody else's.
		_, err = m.eng.Commit(ctx, store.Drop(store.Place{}.Key(leaseKind, memberLease+m.name)))
		return err
	}
	m.lease, m.joined = lease, err == nil
	return err
}

// leave tells the others at once that this node is gone.
func (m *membership) leave(ctx context.Context) error {
	if !m.joined {
		return nil
	}
	m.joined = false
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), renewTime)
	defer cancel()
	return m.lease.Release(ctx, m.eng)
}
