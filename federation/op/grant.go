package op

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"

	"github.com/drawbridge-id/drawbridge/claims"
	"github.com/drawbridge-id/drawbridge/federation"
)

// The grant types (RFC 6749 §4.1.3 and §6), as clients and hooks know them.
const (
	grantCode    = "authorization_code"
	grantRefresh = "refresh_token"
)

// grant is what the client is to be given, without its claims.
func (h *Handler) grant(ctx context.Context, t federation.Tenant, v visit, p federation.Person) (federation.Grant, error) {
	sub, err := h.subject(ctx, t, v.client, p.ID, v.login)
	if err != nil {
		return federation.Grant{}, err
	}
	g := federation.Grant{
		Tenant: t.ID, Client: v.client.ID, Person: p.ID, Subject: sub, Upstream: v.login.Upstream,
		Scopes: v.request.Scopes, Nonce: v.request.Nonce, AuthTime: v.login.AuthTime, ACR: v.login.ACR, AMR: v.login.AMR,
		Asked: v.request.Asked, Context: v.request.Context, Resources: v.request.Resources,
	}
	if g.Offline = g.Has(offlineAccess); g.Offline {
		g.EndsOn = v.client.Logout.OfflineEndsOn
	}
	return g, nil
}

// run runs the client's pipeline: before any commit, with nothing held. The
// result has verdicts and problems also where there is an error.
func (h *Handler) run(ctx context.Context, t federation.Tenant, c federation.Client, g federation.Grant, grant string, upstream claims.Set) (claims.Result, error) {
	if c.Pipeline == nil {
		return claims.Result{}, errors.New("the client has no claims pipeline")
	}
	shown := maps.Clone(g.Context)
	if shown == nil && len(c.HookContext) > 0 {
		shown = map[string][]string{}
	}
	maps.Copy(shown, c.HookContext) // what the operator configured wins
	return c.Pipeline.Run(ctx, claims.Input{
		Tenant: t.ID, Client: c.ID, User: g.Person, Upstream: g.Upstream, Scopes: g.Scopes, Grant: grant, Context: shown, Asked: g.Asked.Within(c.Scopes),
		Minted: claims.Set{"iss": t.Issuer, "sub": g.Subject, "aud": c.ID},
	}, upstream)
}

// judged tells of what the guard refused: audit and count, whatever becomes of
// the sign-in.
func (h *Handler) judged(r *http.Request, c federation.Client, result claims.Result) {
	for _, v := range result.Verdicts {
		h.o.Observe.Refused(v)
		h.audit(r, "claim refused", slog.String("client", c.ID), slog.String("claim", clip(v.Claim, 100)),
			slog.String("step", v.Step), slog.String("class", string(v.Class)), slog.String("what", string(v.What)))
	}
	for _, name := range result.Withheld {
		h.audit(r, "claim withheld", slog.String("client", c.ID), slog.String("claim", clip(name, 100)), slog.String("step", claims.StepUpstream))
	}
	for _, p := range result.Problems {
		h.audit(r, "claim left out", slog.String("client", c.ID), slog.String("claim", clip(p.Claim, 100)), slog.String("what", p.What))
	}
}

// public is what may be told of any error: a refusal by a stage of the claims
// is access_denied, a malfunction of anything is temporarily_unavailable.
func public(err error) *federation.Error {
	if e, ok := errors.AsType[*federation.Error](err); ok {
		return e
	}
	if _, ok := errors.AsType[*claims.Denied](err); ok {
		return federation.Fail(federation.AccessDenied, "The sign-in was refused.").Because(err)
	}
	return federation.Fail(federation.TemporarilyUnavailable, "The request could not be completed at the moment. Please try again.").Because(err)
}
