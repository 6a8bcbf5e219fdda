package op

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/token"
	"github.com/drawbridge-id/drawbridge/openapi/wire"
)

// token is the token endpoint (RFC 6749 §3.2).
func (h *Handler) token(w http.ResponseWriter, r *http.Request) error {
	all, err := form(r, "grant_type", "code", "redirect_uri", "code_verifier", "refresh_token", "scope", resourceParam, "client_id", "client_secret")
	if err != nil {
		return err
	}
	client, err := h.authenticate(r, all)
	if err != nil {
		return err
	}
	grant := clip(all.Get("grant_type"), 50)
	wire.RequestInfoFrom(r.Context()).Note(slog.String("client", client.Client().ID), slog.String("grant", grant))
	answer, err := h.exchange(r, client, all)
	if err != nil {
		e := public(err)
		h.audit(r, "token refused", slog.String("client", client.Client().ID), slog.String("grant", grant),
			slog.String("error", string(e.Code)), slog.String("cause", causeText(e)))
		return e
	}
	h.audit(r, "token issued", slog.String("client", client.Client().ID), slog.String("grant", grant))
	writeJSON(w, http.StatusOK, answer)
	return nil
}

// exchange does what the grant type asks for.
func (h *Handler) exchange(r *http.Request, client token.VerifiedClient, all url.Values) (token.Response, error) {
	t := tenantOf(r)
	meant, err := resources(all[resourceParam])
	if err != nil {
		return token.Response{}, err
	}
	switch all.Get("grant_type") {
	case grantCode:
		if all.Get("code") == "" {
			return token.Response{}, federation.Fail(federation.InvalidRequest, "code is missing.")
		}
		return h.o.Issuer.Redeem(r.Context(), t, client, token.Redemption{
			Code: all.Get("code"), RedirectURI: all.Get("redirect_uri"), RedirectURISent: all.Has("redirect_uri"), Verifier: all.Get("code_verifier"), Resources: meant,
		})
	case grantRefresh:
		if all.Get("refresh_token") == "" {
			return token.Response{}, federation.Fail(federation.InvalidRequest, "refresh_token is missing.")
		}
		return h.o.Issuer.Refresh(r.Context(), t, client, token.RefreshRequest{Token: all.Get("refresh_token"), Scope: all.Get("scope"), Resources: meant},
			func(ctx context.Context, g federation.Grant, on token.Grounds) (federation.Grant, error) {
				return h.renew(r.WithContext(ctx), client.Client(), g, on)
			})
	case "":
		return token.Response{}, federation.Fail(federation.InvalidRequest, "grant_type is missing.")
	}
	return token.Response{}, federation.Fail(federation.UnsupportedGrantType, "This grant type is not supported.")
}

// renew makes a new snapshot on a base derived anew.
func (h *Handler) renew(r *http.Request, client federation.Client, g federation.Grant, on token.Grounds) (federation.Grant, error) {
	if err := h.spendRefresh(r, on.Family); err != nil {
		return g, err
	}
	t, p := tenantOf(r), on.Person
	upstream, err := h.base(r, client, g, on)
	if err != nil {
		return g, public(err)
	}
	result, err := h.run(r.Context(), t, client, g, grantRefresh, upstream)
	h.judged(r, client, result)
	if len(result.Verdicts) > 0 {
		// The commit of a refresh is the issuer's; this event has its own.
		h.announce(r, federation.Change{Client: client.ID, Upstream: g.Upstream, Person: &p, Verdicts: result.Verdicts}, federation.ClaimRefused)
	}
	if err != nil {
		return g, public(err)
	}
	g.Snapshot = result.Snapshot()
	return g, nil
}
