package freshness

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

// Ask finds out whether an upstream stands by the login behind a grant, as its
// Freshness says. The answer is what to go on with: the login, or nil where
// nothing is kept of it and that is allowed. The error is ErrGone, or an *Error:
// login_required where the user has to come back, temporarily_unavailable where
// nobody can tell now.
func (m *Manager) Ask(ctx context.Context, t federation.Tenant, u federation.Upstream, g federation.Grant) (*federation.Login, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	at, id := t.PlaceOf(g.Person), idOf(g.Person, g.Session, g.Upstream)
	began, err := m.o.Engine.Now(ctx)
	if err != nil {
		return nil, err
	}
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, 200*time.Millisecond) {
		row, err := m.table.Get(ctx, at, id)
		if errors.Is(err, store.ErrNotFound) {
			return nil, unasked(u.Freshness)
		}
		if err != nil {
			return nil, fmt.Errorf("read kept login: %w", err)
		}
		now, err := m.o.Engine.Now(ctx)
		if err != nil {
			return nil, err
		}
		rec := row.Value
		switch {
		case rec.Gone:
			return nil, federation.ErrGone
		case rec.Lost:
			return nil, lost()
		case rec.enough(u.Freshness, began, now):
			return &rec.Login, nil
		case rec.bare(now):
			return ungrounded(rec, u.Freshness)
		case rec.Tried.After(began) && rec.Doubt:
			return nil, late(errShared)
		case rec.Tried.After(began):
			return away(rec, u.Freshness, now, errShared)
		case !rec.claimed(now):
			login, err := m.claim(ctx, t, u, g, row, now)
			if !errors.Is(err, store.ErrConflict) {
				return login, err
			}
		}
		select {
		case <-ctx.Done():
			return nil, late(ctx.Err())
		case <-time.After(wait):
		}
	}
}

// errShared: another caller has just been told.
var errShared = errors.New("the upstream was asked in vain a moment ago")

// claim takes the record and makes the call; ErrConflict where somebody else was
// faster, or the record has become another.
func (m *Manager) claim(ctx context.Context, t federation.Tenant, u federation.Upstream, g federation.Grant, row store.Row[record], now time.Time) (*federation.Login, error) {
	rec := row.Value.by(federation.NewSecret(), now)
	if _, err := m.o.Engine.Commit(ctx, m.table.Replace(row.Place, row.ID, rec, row.Version, now.Add(keepLife))); err != nil {
		// Where the outcome is unknown the claim may stand: it ends by itself.
		if errors.Is(err, store.ErrConflict) {
			return nil, store.ErrConflict
		}
		return nil, fmt.Errorf("claim kept login: %w", err)
	}
	// Whoever waits may go: what comes back must be kept.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callLife)
	defer cancel()
	v := m.call(ctx, u, rec.Login)
	if v.err != nil {
		m.o.Log.WarnContext(ctx, "upstream asked about a login in vain", "tenant", t.ID, "upstream", u.ID, "error", v.err)
	}
	ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), claimLife-callLife)
	defer cancel()
	rec, err := m.settle(ctx, t, g, row, rec.Claim, v)
	if err != nil {
		return nil, err
	}
	switch v.what {
	case stands:
		return &rec.Login, nil
	case gone:
		if rec.Lost {
			return nil, lost()
		}
		return nil, federation.ErrGone
	case nothing:
		return ungrounded(rec, u.Freshness)
	case unreachable:
		return away(rec, u.Freshness, rec.Tried, v.err)
	}
	return nil, late(v.err)
}

// call asks the upstream, with nothing held.
func (m *Manager) call(ctx context.Context, u federation.Upstream, l federation.Login) verdict {
	asker, ok := u.Connector.(federation.Rechecker)
	if !ok {
		return verdict{what: nothing, login: l}
	}
	got, err := asker.Recheck(ctx, l)
	v := verdict{login: got}
	code := federation.Public(err).Code
	switch {
	case err == nil:
		v.login.Claims = u.Believe(v.login.Claims)
	case errors.Is(err, federation.ErrGone):
		v.what = gone
	case errors.Is(err, federation.ErrNothingToCheck):
		v.what = nothing
	case code == federation.TemporarilyUnavailable:
		v.what, v.err, v.unanswered = unreachable, err, errors.Is(err, federation.ErrUnanswered)
	default:
		v.what, v.err = disbelieved, err
	}
	return v
}

// settle writes down what came of a call and gives the claim back. Where the
// claim was lost meanwhile, to another or to a new sign-in, nothing is written:
// what is there is newer.
func (m *Manager) settle(ctx context.Context, t federation.Tenant, g federation.Grant, row store.Row[record], claim string, v verdict) (record, error) {
	var rec record
	_, err := store.Update(ctx, m.o.Engine, func(ctx context.Context) ([]store.Op, error) {
		now, err := m.o.Engine.Now(ctx)
		if err != nil {
			return nil, err
		}
		is, err := m.table.Get(ctx, row.Place, row.ID)
		if errors.Is(err, store.ErrNotFound) {
			return nil, store.ErrConflict
		}
		if err != nil {
			return nil, fmt.Errorf("read kept login: %w", err)
		}
		rec = is.Value
		if rec.Claim != claim {
			return nil, store.ErrConflict
		}
		rec = rec.settled(v, now)
		ops := []store.Op{m.table.Replace(row.Place, row.ID, rec, is.Version, now.Add(keepLife))}
		if v.what != stands {
			return ops, nil
		}
		told, err := m.o.Told(ctx, t, g.Session, rec.Login.ForSession())
		return append(ops, told...), err
	})
	if errors.Is(err, store.ErrConflict) {
		return rec, store.ErrConflict
	}
	if err != nil {
		return rec, fmt.Errorf("keep what the upstream says: %w", err)
	}
	return rec, nil
}

// away is what an outage means.
func away(rec record, f federation.Freshness, now time.Time, cause error) (*federation.Login, error) {
	switch {
	case f.Unreachable == federation.Allow, f.Unreachable == federation.AllowFor && now.Sub(rec.Checked) <= f.AllowFor:
		return &rec.Login, nil
	}
	return nil, late(cause)
}

// unasked is what it means that there is nothing to ask with.
func unasked(f federation.Freshness) error {
	if f.Nothing == federation.Allow {
		return nil
	}
	return federation.Fail(federation.LoginRequired, "The user has to sign in again.").Because(federation.ErrNothingToCheck)
}

func ungrounded(rec record, f federation.Freshness) (*federation.Login, error) {
	if err := unasked(f); err != nil {
		return nil, err
	}
	return &rec.Login, nil
}

func lost() error {
	return federation.Fail(federation.LoginRequired, "The user has to sign in again.").Because(errors.New("the upstream's refresh token was lost"))
}

func late(cause error) error {
	return federation.Fail(federation.TemporarilyUnavailable, "The identity provider cannot be asked at the moment. The refresh token can be used again.").Because(cause)
}
