package main

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/gorilla/mux"

	"github.com/drawbridge-id/drawbridge/cmd/drawbridge/internal/edge"
	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/admin"
	"github.com/drawbridge-id/drawbridge/federation/token"
	"github.com/drawbridge-id/drawbridge/openapi/wire"
)

// scopeNodes is to see which nodes there are. Nodes are nobody's tenant: who has
// the scope has it, whatever tenants the credential is good for.
const scopeNodes = "nodes"

// mountNodes registers what the management API tells of the nodes.
func (a *App) mountNodes(api *mux.Router) {
	api.Handle("/v1/nodes", wire.Endpoint(a.listNodes)).Methods(http.MethodGet, http.MethodHead).Name("listNodes")
}

func (a *App) listNodes(w http.ResponseWriter, r *http.Request) error {
	caller, ok := wire.CallerFrom(r.Context())
	if !ok {
		return wire.Unauthenticated()
	}
	if !slices.ContainsFunc(caller.Tenants, func(tenant string) bool { return caller.Allows(scopeNodes, tenant) }) {
		return wire.Forbidden("The credential does not include this operation.")
	}
	if _, err := wire.Query(r); err != nil {
		return err
	}
	seen, err := a.nodes.Nodes(r.Context())
	if err != nil {
		return admin.Unavailable(err)
	}
	return wire.WriteJSON(w, http.StatusOK, seen)
}

// keysDoor shows the keyring to operators.
func (a *App) keysDoor(tenancy wire.Tenancy) (*admin.Keys, error) {
	return admin.NewKeys(admin.KeysOptions{
		List: func(ctx context.Context, t federation.Tenant) ([]admin.Key, error) {
			known, err := a.keys.Keys(ctx, t)
			all := make([]admin.Key, 0, len(known))
			for _, k := range known {
				all = append(all, admin.Key(k))
			}
			return all, err
		},
		Rotate: a.keys.Rotate,
		Revoke: func(ctx context.Context, t federation.Tenant, kid string) (bool, error) {
			err := a.keys.Revoke(ctx, t, kid)
			if errors.Is(err, token.ErrNoKey) {
				return false, nil
			}
			return err == nil, err
		},
		Tenancy: tenancy, Tenant: a.tenant, Log: a.log,
	})
}

// hookFigures are the claims hooks of the revision that is live.
func (a *App) hookFigures() []edge.HookFigures {
	hooks := a.live.Load().hooks
	all := make([]edge.HookFigures, 0, len(hooks))
	for id, h := range hooks {
		all = append(all, edge.HookFigures{Hook: id, Breaker: string(h.hook.Breaker()), InFlight: h.hook.InFlight()})
	}
	return all
}
