package session

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

// ErrSignedOut says that the upstream has told that a login is over before a
// session came of it.
var ErrSignedOut = errors.New("session: the upstream has signed the user out meanwhile")

// barred is for how long a notice keeps logins out that it names. It outlasts
// any sign-in that was under way when the notice came in.
const barred = 10 * time.Minute

// bar is the record of a notice, under what it names.
type bar struct {
	// Issued is when the newest one was issued, by the upstream's clock.
	Issued time.Time `json:"issued"`
}

// upstreamKey is what a session of an upstream's, of one of its users, or of
// that user in that session, is found by: a digest, since all of it is what an
// upstream wrote.
func upstreamKey(upstream, issuer, sid, subject string) string {
	h := sha256.New()
	for _, part := range []string{upstream, issuer, sid, subject} {
		_, _ = io.WriteString(h, strconv.Itoa(len(part))+":"+part) // a hash takes everything
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// upstreamIndex is the index entry of a login that has a sid.
func upstreamIndex(l federation.Login, sid string) (id string, ok bool) {
	return upstreamKey(l.Upstream, l.Issuer, l.SID, "") + "/" + sid, l.SID != ""
}

// enter is the writes of the index by upstream for a session that begins.
func (m *Manager) enter(at store.Place, s federation.Session) []store.Op {
	var ops []store.Op
	for _, l := range s.Logins {
		if id, ok := upstreamIndex(l, s.ID); ok {
			ops = append(ops, m.upstreams.Put(at, id, struct{}{}, time.Time{}))
		}
	}
	return ops
}

// leave takes a session that ends out of the index by upstream.
func (m *Manager) leave(at store.Place, s federation.Session) []store.Op {
	var ops []store.Op
	for _, l := range s.Logins {
		if id, ok := upstreamIndex(l, s.ID); ok {
			ops = append(ops, m.upstreams.Drop(at, id))
		}
	}
	return ops
}

// move is how the index follows a session that goes on with other logins.
func (m *Manager) move(at store.Place, was, is federation.Session) []store.Op {
	enter := m.enter(at, is)
	same := func(a store.Op) func(store.Op) bool { return func(b store.Op) bool { return a.Key == b.Key } }
	var ops []store.Op
	for _, op := range m.leave(at, was) {
		if i := slices.IndexFunc(enter, same(op)); i >= 0 {
			enter = slices.Delete(enter, i, i+1) // it is there already
			continue
		}
		ops = append(ops, op)
	}
	return append(ops, enter...)
}

// unbarred is the checks that make a commit fail once a notice names the login;
// ErrSignedOut when one does already. Without looking it takes for granted that
// there is none, which the commit then proves: nearly always there is none.
func (m *Manager) unbarred(ctx context.Context, at store.Place, l federation.Login, look bool) ([]store.Op, error) {
	ids := []string{upstreamKey(l.Upstream, l.Issuer, "", l.Subject)}
	if l.SID != "" {
		ids = append(ids, upstreamKey(l.Upstream, l.Issuer, l.SID, ""), upstreamKey(l.Upstream, l.Issuer, l.SID, l.Subject))
	}
	recs, keys := make([]store.Record, len(ids)), make([]store.Key, len(ids))
	for i, id := range ids {
		keys[i] = m.bars.Key(at, id)
	}
	if look {
		var err error
		if recs, err = m.o.Engine.GetAll(ctx, keys...); err != nil {
			return nil, fmt.Errorf("read notices: %w", err)
		}
	}
	ops := make([]store.Op, len(ids))
	for i, rec := range recs {
		ops[i] = m.bars.Check(at, ids[i], rec.Version)
		row, err := m.bars.Row(rec)
		switch {
		case errors.Is(err, store.ErrNotFound):
		case err != nil:
			return nil, fmt.Errorf("read notice: %w", err)
		case i > 0 || !l.Issued.After(row.Value.Issued):
			return nil, ErrSignedOut
		}
	}
	return ops, nil
}

// Bar keeps logins that a notice names from beginning a session, or being added
// to one, for some minutes: ErrSignedOut. It holds in every place of the tenant,
// in a commit for each. Whatever began before that commit is found by EndNamed
// after it, so that nothing slips between the two.
func (m *Manager) Bar(ctx context.Context, t federation.Tenant, n federation.LogoutNotice) error {
	id := upstreamKey(n.Upstream, n.Issuer, n.SID, n.Subject)
	return m.everywhere(ctx, t, func(ctx context.Context, at store.Place) error {
		_, err := store.Update(ctx, m.o.Engine, func(ctx context.Context) ([]store.Op, error) {
			now, err := m.now(ctx)
			if err != nil {
				return nil, err
			}
			until := now.Add(barred)
			row, err := m.bars.Get(ctx, at, id)
			switch {
			case errors.Is(err, store.ErrNotFound):
				return []store.Op{m.bars.Create(at, id, bar{Issued: n.Issued}, until)}, nil
			case err != nil || !n.Issued.After(row.Value.Issued):
				return nil, err
			}
			return []store.Op{m.bars.Replace(at, id, bar{Issued: n.Issued}, row.Version, until)}, nil
		})
		if err != nil {
			return fmt.Errorf("note what an upstream ended: %w", err)
		}
		return nil
	})
}

// EndNamed ends with Destroy, as EndAll does, the sessions with a login that a
// notice names, and says how many it ended. The whole session ends, whatever
// other logins it has. Person is whose sessions are looked at, beside those that
// the index knows by the notice's sid; empty is nobody.
func (m *Manager) EndNamed(ctx context.Context, t federation.Tenant, n federation.LogoutNotice, person string, req federation.Request) (int, error) {
	var count atomic.Int64
	end := func(ctx context.Context, sid string) error {
		got, err := m.end(ctx, t, sid, func(s federation.Session, now time.Time) ending {
			if !slices.ContainsFunc(s.Logins, n.Names) {
				return ending{} // it goes on with another login
			}
			return ending{cause: federation.Destroy, at: now, request: req}
		})
		if err == nil && got.cause == federation.Destroy {
			count.Add(1)
		}
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		return err
	}
	err := m.candidates(ctx, t, n, person, end)
	if err != nil {
		err = fmt.Errorf("end sessions of upstream %s: %w", n.Upstream, err)
	}
	return int(count.Load()), err
}

// candidates finds the sessions that a notice may name, some of them twice.
func (m *Manager) candidates(ctx context.Context, t federation.Tenant, n federation.LogoutNotice, person string, do func(context.Context, string) error) error {
	if n.SID != "" {
		if err := m.everywhere(ctx, t, func(ctx context.Context, at store.Place) error { return m.eachNamed(ctx, at, n, do) }); err != nil {
			return err
		}
	}
	for sids, err := range m.ofPerson(ctx, t, person, "", page) {
		if err != nil {
			return err
		}
		if err := each(ctx, sids, do); err != nil {
			return err
		}
	}
	return nil
}

// eachNamed finds the sessions of one place by the upstream's sid.
func (m *Manager) eachNamed(ctx context.Context, at store.Place, n federation.LogoutNotice, do func(context.Context, string) error) error {
	prefix, after := upstreamKey(n.Upstream, n.Issuer, n.SID, "")+"/", ""
	for {
		rows, err := m.upstreams.Scan(ctx, at, prefix, after, page)
		if err != nil {
			return fmt.Errorf("scan sessions by upstream: %w", err)
		}
		sids := make([]string, 0, len(rows))
		for _, row := range rows {
			after = row.ID
			sids = append(sids, row.ID[len(prefix):])
		}
		if err := each(ctx, sids, do); err != nil || len(rows) < page {
			return err
		}
	}
}

// everywhere does something in all places of a tenant, a few at a time.
func (m *Manager) everywhere(ctx context.Context, t federation.Tenant, do func(context.Context, store.Place) error) error {
	return each(ctx, t.Places(), do)
}

// each does something for all, a few at a time, and tells the first failure
// after the rest had their turn.
func each[T any](ctx context.Context, all []T, do func(context.Context, T) error) error {
	var group errgroup.Group
	group.SetLimit(8)
	for _, one := range all {
		group.Go(func() error { return do(ctx, one) })
	}
	return group.Wait()
}
