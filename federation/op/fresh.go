package op

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/drawbridge-id/drawbridge/claims"
	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/session"
	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/token"
)

// base is what a refresh begins with (DESIGN decision 6): what the upstream says
// now where it is to be asked; or else what the session's login says; or, for a
// grant that outlived its session, what the upstream said last.
func (h *Handler) base(r *http.Request, client federation.Client, g federation.Grant, on token.Grounds) (claims.Set, error) {
	t := tenantOf(r)
	known := on.Person.ClaimsAt(g.Upstream)
	if login, ok := on.Session.Login(g.Upstream); ok {
		known = login.Claims
	}
	u, ok := h.o.Registry().Upstream(t.ID, g.Upstream)
	if !ok || !u.Freshness.Asks() {
		return known, nil
	}
	login, err := h.fresh.Ask(r.Context(), t, u, g)
	switch {
	case errors.Is(err, federation.ErrGone):
		return nil, h.disowned(r, client, g, err)
	case err != nil:
		return nil, err
	case login == nil:
		return known, nil
	}
	return login.Claims, nil
}

// disowned ends the session of a login that its upstream stands by no longer.
// The refresh family goes with the answer.
func (h *Handler) disowned(r *http.Request, client federation.Client, g federation.Grant, cause error) error {
	t := tenantOf(r)
	err := h.o.Sessions.End(r.Context(), t, g.Session, federation.Destroy, origin(r))
	if err != nil && !errors.Is(err, session.ErrNotFound) {
		return federation.Fail(federation.TemporarilyUnavailable, "The session cannot be ended at the moment.").Because(err)
	}
	h.audit(r, "upstream stands by a login no longer", slog.String("client", client.ID), slog.String("upstream", g.Upstream),
		slog.String("person", g.Person), slog.Bool("ended", err == nil))
	return federation.Fail(federation.AccessDenied, "The identity provider stands by the sign-in no longer.").Because(cause)
}

// tellSession plans that a session says of a login what its upstream says now,
// if the session is still there.
func (h *Handler) tellSession(ctx context.Context, t federation.Tenant, sid string, l federation.Login) ([]store.Op, error) {
	held, err := h.o.Sessions.Live(ctx, t, sid)
	if err == nil {
		if was, ok := held.Session.Login(l.Upstream); !ok || was.Subject != l.Subject || !was.At.Equal(l.At) {
			return nil, nil // another login is in its place
		}
		var ops []store.Op
		_, ops, err = h.o.Sessions.PlanResume(ctx, t, held, federation.Visit{}, &l, federation.Request{})
		if err == nil {
			return ops, nil
		}
	}
	if errors.Is(err, session.ErrNotFound) || errors.Is(err, session.ErrSignedOut) {
		return nil, nil
	}
	return nil, err
}

// keep plans what is kept of the login behind a code, where its upstream is to
// be asked about it later.
func (p *signInPlan) keep(ctx context.Context, s federation.Session) ([]store.Op, error) {
	if !p.u.Freshness.Asks() {
		return nil, nil
	}
	g := p.grant
	g.Session = s.ID
	if p.agreed.asks {
		g.Offline = false // nothing is granted yet
	}
	return p.h.fresh.Begin(ctx, p.t, g, p.v.told)
}
