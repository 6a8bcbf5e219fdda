package person

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

// projection is a note, in the partition of a person of a spread tenant, that
// entries of indexes in other partitions have to follow a change. It is written
// in the commit of the change and taken away when they have.
type projection struct {
	Tenant string `json:"tenant"`
	Person string `json:"person"`
	values
}

// values are what a person was found by before a change, or is since: digests.
// Which is which is not said: that is read from the person.
type values struct {
	Emails    []string `json:"emails,omitempty"`
	Customers []string `json:"customers,omitempty"`
}

// note is the operation that leaves a note, and the note.
func (m *Manager) note(t federation.Tenant, person string, moves []move, now time.Time) ([]store.Op, *store.Row[projection]) {
	n := projection{Tenant: t.ID, Person: person}
	for _, v := range moves {
		list := &n.Emails
		if v.index == m.customers {
			list = &n.Customers
		}
		for _, value := range []string{v.from, v.to} {
			if value != "" {
				*list = append(*list, digest(value))
			}
		}
	}
	// Changes within a microsecond are told apart by chance.
	name := t.ID + "/" + person + "/" + federation.NewSecret()[:8]
	row := store.Row[projection]{ID: store.DueID(now.Add(grace), name), Place: t.PlaceOf(person).Own(), Value: n}
	return []store.Op{m.projections.Create(row.Place, row.ID, n, time.Time{})}, &row
}

// Committed is to be called when a commit with the operations of PlanSignIn
// stands. It makes the person of a spread tenant be found by address and
// customer, which is a second step; what it cannot do, Run does.
func (m *Manager) Committed(ctx context.Context, t federation.Tenant, k Known) {
	if k.under == nil || k.under.due == nil {
		return
	}
	due := *k.under.due
	k.under.due = nil
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace) // who signed in may be gone already
	defer cancel()
	if err := m.project(ctx, t, due); err != nil {
		m.o.Log.WarnContext(ctx, "index of persons will follow later", "tenant", t.ID, "person", k.Person.ID, "error", err)
	}
}

// projectAll does what notes of one partition say that is due.
func (m *Manager) projectAll(ctx context.Context, p store.Partition) error {
	return eachDue(ctx, m, m.projections, p, func(row store.Row[projection]) error {
		return m.project(ctx, m.tenant(row.Value.Tenant, p, true), row)
	})
}

// project does what a note says and takes it away. It may be done again, and by
// several nodes at once.
func (m *Manager) project(ctx context.Context, t federation.Tenant, due store.Row[projection]) error {
	if err := m.enter(ctx, t, due.Value.Person, due.Value.values); err != nil {
		return err
	}
	if _, err := m.o.Engine.Commit(ctx, m.projections.Drop(due.Place, due.ID)); err != nil {
		return fmt.Errorf("remove note: %w", err)
	}
	return nil
}

// restless is how often in a row a person may change under enter's hands.
const restless = 20

// enter makes the index say of these values what is true of the person now. The
// person is read again afterwards: whoever was overtaken by another change does
// it again, so that no entry stays which nothing would ever remove.
func (m *Manager) enter(ctx context.Context, t federation.Tenant, person string, v values) error {
	is, seen, err := m.truth(ctx, t, person, v)
	for range restless {
		if err != nil {
			return err
		}
		for _, e := range v.Emails {
			if err := m.set(ctx, t, m.emails, e, person, slices.Contains(is.Emails, e), seen); err != nil {
				return err
			}
		}
		for _, c := range v.Customers {
			if err := m.set(ctx, t, m.customers, c, person, slices.Contains(is.Customers, c), seen); err != nil {
				return err
			}
		}
		was := is
		if is, seen, err = m.truth(ctx, t, person, v); err == nil && slices.Equal(is.Emails, was.Emails) && slices.Equal(is.Customers, was.Customers) {
			return nil
		}
	}
	return errors.New("person: changes faster than the index can follow")
}

// truth is which of these values are true of the person, as of a version. Of
// somebody who is gone none ever is again.
func (m *Manager) truth(ctx context.Context, t federation.Tenant, person string, v values) (is values, seen store.Version, err error) {
	row, err := m.read(ctx, t, person)
	if errors.Is(err, ErrNotFound) {
		return is, math.MaxUint64, nil
	}
	p := row.Value.person()
	if e := digest(emailKey(p)); slices.Contains(v.Emails, e) {
		is.Emails = []string{e}
	}
	if c := digest(p.Customer); slices.Contains(v.Customers, c) {
		is.Customers = []string{c}
	}
	return is, row.Version, err
}

// set makes one entry be there or not, unless a newer version of the person has
// had its say.
func (m *Manager) set(ctx context.Context, t federation.Tenant, index *store.Table[entry], value, person string, there bool, seen store.Version) error {
	at, id := t.PlaceOf(value), value+"/"+person
	_, err := store.Update(ctx, m.o.Engine, func(ctx context.Context) ([]store.Op, error) {
		row, err := index.Get(ctx, at, id)
		absent := errors.Is(err, store.ErrNotFound)
		switch {
		case err != nil && !absent:
			return nil, err
		case absent && there:
			return []store.Op{index.Create(at, id, entry{Seen: seen}, time.Time{})}, nil
		case absent || row.Value.Seen > seen || row.Value.Seen == seen && there:
			return nil, nil
		case there:
			return []store.Op{index.Replace(at, id, entry{Seen: seen}, row.Version, time.Time{})}, nil
		}
		return []store.Op{index.Take(at, id, row.Version)}, nil
	})
	if err != nil {
		return fmt.Errorf("index person %s: %w", person, err)
	}
	return nil
}
