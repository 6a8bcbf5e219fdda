package session

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

const (
	// orphaned is for how long a due record is left alone whose session is not
	// there or due at another time: mostly another node has just settled it.
	orphaned = 2 * time.Second
	// givenUp is after how many lost races in a row, and nothing won, the rest
	// of a group is left to whoever wins them.
	givenUp = 4
)

// verdict is what sessions are judged by in one round.
type verdict struct {
	now   time.Time
	gaps  gaps
	grace bool
}

// settled is what is to be done about one due record.
type settled struct {
	due due
	// ops is empty where there is nothing to do, or an end yet to be planned.
	ops []store.Op
	// ended is the session that ends, if one does, row is as it is stored but for
	// the idle time that was forgiven.
	ended  ended
	row    store.Row[federation.Session]
	tenant federation.Tenant
}

// settle deals with a group of due records in one commit, where it can.
func (m *Manager) settle(ctx context.Context, group []due, v verdict) (t tally) {
	var plan []settled
	recs, err := m.named(ctx, group)
	if err != nil {
		t.fail(len(group), err)
		return t
	}
	for i, d := range group {
		item, err := m.consider(d, recs[i], v)
		switch {
		case err != nil:
			t.fail(1, err)
		case len(item.ops) > 0 || item.ended.cause != "":
			plan = append(plan, item)
		default:
			if t.lost++; t.lost >= givenUp && len(plan) == 0 {
				return t
			}
		}
	}
	plan = m.ends(ctx, plan, v, &t)
	for len(plan) > 0 {
		ops, n := joined(plan)
		t.add(m.carryOut(ctx, plan[:n], ops, v))
		plan = plan[n:]
	}
	return t
}

// ends plans the ends among what is to be done, with the persons of each tenant
// read in one round trip. What cannot be planned is left out.
func (m *Manager) ends(ctx context.Context, plan []settled, v verdict, t *tally) []settled {
	persons := map[string][]string{}
	for _, item := range plan {
		if item.ended.cause != "" {
			persons[item.tenant.ID] = append(persons[item.tenant.ID], item.row.Value.Person)
		}
	}
	known := map[string]map[string]federation.Person{}
	kept := plan[:0]
	for _, item := range plan {
		if item.ended.cause == "" {
			kept = append(kept, item)
			continue
		}
		if _, read := known[item.tenant.ID]; !read {
			known[item.tenant.ID] = m.people(ctx, item.tenant, persons[item.tenant.ID]...)
		}
		var who *federation.Person
		if p, ok := known[item.tenant.ID][item.row.Value.Person]; ok {
			who = &p
		}
		at, cause := item.row.Value.Deadline()
		ops, err := m.planEnd(ctx, item.tenant, item.row, who, ending{cause: cause, at: at}, v.now)
		if err != nil {
			t.fail(1, fmt.Errorf("end session %s: %w", item.row.ID, err))
			continue
		}
		item.ops = ops
		kept = append(kept, item)
	}
	return kept
}

// carryOut makes the commit for some due records. Where it conflicts, each of
// them is judged anew by itself: one session that somebody else has just used
// must not keep the others.
func (m *Manager) carryOut(ctx context.Context, plan []settled, ops []store.Op, v verdict) (t tally) {
	_, err := m.o.Engine.Commit(ctx, ops...)
	switch {
	case err == nil:
		t.done = len(plan)
		for _, item := range plan {
			if item.ended.cause != "" {
				m.observeEnd(item.tenant, item.ended)
			}
		}
	case !errors.Is(err, store.ErrConflict):
		t.fail(len(plan), fmt.Errorf("settle due sessions: %w", err))
		t.broken = len(plan) > 1
	case len(plan) == 1:
		t.lost = 1 // the winner has settled it, or the next round does
	default:
		for _, item := range plan {
			t.add(m.settle(ctx, []due{item.due}, v))
			if t.lost >= givenUp && t.done == 0 {
				break
			}
		}
	}
	return t
}

// joined is the operations of as many items, from the first, as one commit can
// name: no key twice.
func joined(plan []settled) (ops []store.Op, n int) {
	named := map[store.Key]bool{}
	for _, item := range plan {
		for _, op := range item.ops {
			if op.Verb != store.VerbAppend && named[op.Key] {
				return ops, n
			}
		}
		for _, op := range item.ops {
			named[op.Key] = true
		}
		ops, n = append(ops, item.ops...), n+1
	}
	return ops, n
}

// named are the sessions that due records name, read in one round trip; a
// record without a version where there is none. They are where the due records
// are, wherever else their tenant's sessions are.
func (m *Manager) named(ctx context.Context, group []due) ([]store.Record, error) {
	var keys []store.Key
	var of []int
	for i, d := range group {
		tenant, sid, _ := strings.Cut(d.name, "/")
		if ValidID(sid) {
			keys, of = append(keys, m.sessions.Key(store.Place{Tenant: tenant, Partition: d.row.Place.Partition}, sid)), append(of, i)
		}
	}
	recs := make([]store.Record, len(group))
	if len(keys) == 0 {
		return recs, nil
	}
	read, err := m.o.Engine.GetAll(ctx, keys...)
	if err != nil {
		return nil, fmt.Errorf("read due sessions: %w", err)
	}
	for j, i := range of {
		recs[i] = read[j]
	}
	return recs, nil
}

// consider says what is to be done about a due record, of which rec is the
// session; its version, in the commit, says whether that still holds.
func (m *Manager) consider(d due, rec store.Record, v verdict) (settled, error) {
	tenant, sid, _ := strings.Cut(d.name, "/")
	t, ok := m.o.Tenant(tenant)
	if !ok {
		t = federation.Tenant{ID: tenant, Place: store.Place{Tenant: tenant, Partition: d.row.Place.Partition}}
	}
	// Where its due record is, wherever else its tenant's sessions are.
	at := store.Place{Tenant: tenant, Partition: d.row.Place.Partition}
	item := settled{due: d, tenant: t}
	remove := m.dues.Drop(d.row.Place, d.row.ID)
	if !ValidID(sid) {
		item.ops = []store.Op{remove}
		return item, nil
	}
	row, err := m.sessions.Row(rec)
	switch {
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return item, fmt.Errorf("read session %s: %w", sid, err)
	case err != nil || row.Value.Due != d.row.ID:
		if v.now.Sub(d.at) >= orphaned {
			item.ops = []store.Op{m.sessions.Check(at, sid, row.Version), remove}
		}
		return item, nil
	}
	return m.endOrMove(item, row, v), nil
}

// endOrMove says that a session ends whose due time has come, or moves its due
// time to where its deadline is now.
func (m *Manager) endOrMove(item settled, row store.Row[federation.Session], v verdict) settled {
	s := v.gaps.credit(row.Value, v.grace)
	until := v.gaps.hold(s)
	if until.After(v.now) {
		moved := row.Value // what was forgiven is not written: it would be forgiven twice
		moved.Due = store.DueID(until.Add(time.Microsecond-1), item.due.name)
		item.ops = []store.Op{
			m.dues.Drop(item.due.row.Place, item.due.row.ID),
			m.sessions.Replace(row.Place, s.ID, moved, row.Version, time.Time{}),
			m.dues.Put(item.due.row.Place, moved.Due, struct{}{}, time.Time{}),
		}
		return item
	}
	_, cause := s.Deadline()
	item.ended = ended{session: s, cause: cause}
	item.row, item.row.Value = row, s
	return item
}

// tally counts what became of due records, and keeps the first error, so that
// a store that is down is one line in the log, not one per session.
type tally struct {
	done, lost, failed int
	first              error
	// broken says that a commit for several records has failed.
	broken bool
}

func (t *tally) fail(n int, err error) {
	if t.failed += n; t.first == nil {
		t.first = err
	}
}

func (t *tally) add(u tally) {
	t.done, t.lost, t.broken = t.done+u.done, t.lost+u.lost, t.broken || u.broken
	if u.failed > 0 {
		t.fail(u.failed, u.first)
	}
}

func (t *tally) err() error {
	if t.failed == 0 {
		return nil
	}
	return fmt.Errorf("%d due sessions remain: %w", t.failed, t.first)
}
