package session

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

const (
	// page is how many records are read at once.
	page = 100
	// looked is how many sessions List looks at for one answer.
	looked = 1000
	// counted is where Count stops counting.
	counted = 100_000
)

// Filter narrows List; empty fields do not.
type Filter struct {
	Person string
	// Client is a relying party that was told of the session.
	Client string
}

func (f Filter) admits(s federation.Session) bool {
	return (f.Person == "" || s.Person == f.Person) &&
		(f.Client == "" || slices.ContainsFunc(s.Clients, func(v federation.Visit) bool { return v.Client == f.Client }))
}

// List reads up to n live sessions in the order of their sids, one partition
// after another where the tenant is spread, after the sid given, n at least 1. Next is what to go on after, empty at the end; an answer
// may be short of n, even empty, and still have a next, so that no call reads
// without bound.
func (m *Manager) List(ctx context.Context, t federation.Tenant, f Filter, after string, n int) (found []federation.Session, next string, err error) {
	if n < 1 || after != "" && !ValidID(after) {
		return nil, "", errors.New("session: list of no length, or after what is no sid")
	}
	now, err := m.now(ctx)
	if err != nil {
		return nil, "", err
	}
	seen, size := 0, page
	if f.Client == "" {
		size = min(n+1, page) // each one read is one found
	}
	for batch, err := range m.batches(ctx, t, f.Person, after, size) {
		if err != nil {
			return nil, "", err
		}
		for _, s := range batch {
			if len(found) == n || seen == looked {
				return found, next, nil
			}
			seen, next = seen+1, s.ID
			if f.admits(s) && !over(s, now) {
				found = append(found, s)
			}
		}
	}
	return found, "", nil
}

// batches reads the sessions of a tenant, or of one person, in order.
func (m *Manager) batches(ctx context.Context, t federation.Tenant, person, after string, size int) iter.Seq2[[]federation.Session, error] {
	return func(yield func([]federation.Session, error) bool) {
		if person != "" {
			for sids, err := range m.ofPerson(ctx, t, person, after, size) {
				var all []federation.Session
				if err == nil {
					all, err = m.readAll(ctx, t, sids)
				}
				if !yield(all, err) || err != nil {
					return
				}
			}
			return
		}
		for _, at := range t.Places() {
			begin := ""
			if after != "" {
				switch from := t.PlaceOf(after); {
				case at.Partition < from.Partition:
					continue
				case at == from:
					begin = after
				}
			}
			if !m.batchesAt(ctx, at, begin, size, yield) {
				return
			}
		}
	}
}

// batchesAt reads the sessions of one place in order. It answers whether the
// reader wants more.
func (m *Manager) batchesAt(ctx context.Context, at store.Place, after string, size int, yield func([]federation.Session, error) bool) bool {
	for {
		rows, err := m.sessions.Scan(ctx, at, "", after, size)
		if err != nil {
			yield(nil, fmt.Errorf("scan sessions: %w", err))
			return false
		}
		all := make([]federation.Session, 0, len(rows))
		for _, row := range rows {
			s, err := m.forgiven(ctx, at, row.Value)
			if err != nil {
				yield(nil, err)
				return false
			}
			after = row.ID
			all = append(all, s)
		}
		if !yield(all, nil) {
			return false
		}
		if len(rows) < size {
			return true
		}
	}
}

func (m *Manager) readAll(ctx context.Context, t federation.Tenant, sids []string) ([]federation.Session, error) {
	all := make([]federation.Session, 0, len(sids))
	for _, sid := range sids {
		row, err := m.read(ctx, t, sid)
		if errors.Is(err, ErrNotFound) {
			continue // ended since the scan
		}
		if err != nil {
			return nil, err
		}
		all = append(all, row.Value)
	}
	return all, nil
}

// ofPerson reads the sids of a person's sessions in order, in pages.
func (m *Manager) ofPerson(ctx context.Context, t federation.Tenant, person, after string, size int) iter.Seq2[[]string, error] {
	return func(yield func([]string, error) bool) {
		if person == "" || len(person) > 256 {
			return
		}
		prefix := indexID(person, "")
		if after != "" {
			after = prefix + after
		}
		for {
			rows, err := m.index.Scan(ctx, t.PlaceOf(person), prefix, after, size)
			if err != nil {
				yield(nil, fmt.Errorf("scan sessions of %s: %w", person, err))
				return
			}
			sids := make([]string, 0, len(rows))
			for _, row := range rows {
				after = row.ID
				sids = append(sids, row.ID[len(prefix):])
			}
			if !yield(sids, nil) || len(rows) < size {
				return
			}
		}
	}
}

// Count is the number of sessions that have not ended, over all tenants, for a
// gauge. It stops at 100,000, and then more is true.
func (m *Manager) Count(ctx context.Context) (n int, more bool, err error) {
	for p := range max(m.o.Layout.Partitions, 1) {
		own, after := store.Place{Partition: store.Partition(p)}, ""
		for {
			rows, err := m.dues.Scan(ctx, own, "", after, 1000)
			if err != nil {
				return n, false, fmt.Errorf("count sessions: %w", err)
			}
			if n += len(rows); n >= counted {
				return counted, true, nil
			}
			if len(rows) < 1000 {
				break
			}
			after = rows[len(rows)-1].ID
		}
	}
	return n, false, nil
}

func indexID(person, sid string) string { return person + "/" + sid }
