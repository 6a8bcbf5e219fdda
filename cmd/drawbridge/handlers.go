package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"github.com/drawbridge-id/drawbridge/bridge"
	"github.com/drawbridge-id/drawbridge/cmd/drawbridge/internal/edge"
	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/admin"
	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/openapi"
	"github.com/drawbridge-id/drawbridge/openapi/wire"
	"github.com/drawbridge-id/drawbridge/sessionhooks/delivery"
)

// maxBody is the greatest body that any route of ours reads.
const maxBody = 64 << 10

// publicHandler serves relying parties, browsers and mail links. The mail-link
// page stands below each tenant's URL, so it is told by the end of the path.
func (a *App) publicHandler() http.Handler {
	pages := wire.Named("verifyEmail", a.pages)
	return a.ingress("public", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, bridge.PagePath) {
			pages.ServeHTTP(w, r)
			return
		}
		a.provider.ServeHTTP(w, r)
	}))
}

// managementRouter serves whatever revision of the management API is live.
func (a *App) managementRouter() http.Handler {
	return a.ingress("management", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		(*a.management.Load()).ServeHTTP(w, r)
	}))
}

func (a *App) ingress(listener string, h http.Handler) http.Handler {
	return edge.Ingress(h, edge.IngressOptions{
		Log: a.log, Listener: listener, Proxies: a.live.Load().cfg.TrustedProxies, MaxBody: maxBody, Metrics: a.metrics, Now: time.Now, Leaving: a.health.Draining,
	})
}

// managementHandler builds the management API of a revision: open routes for
// machines that watch, and the contract behind authentication.
func (a *App) managementHandler(r *revision) (http.Handler, error) {
	profile, err := wire.ParseProfile(r.cfg.Management.ErrorProfile)
	if err != nil {
		return nil, err
	}
	authenticate, err := a.authenticate(r)
	if err != nil {
		return nil, err
	}
	api := wire.NewRouter()
	if err := a.mountAPI(api, r); err != nil {
		return nil, err
	}
	watch, read := wire.NewRouter(), []string{http.MethodGet, http.MethodHead}
	watch.HandleFunc("/healthz", a.health.Live).Methods(read...).Name("healthz")
	watch.HandleFunc("/readyz", a.health.Readyz).Methods(read...).Name("readyz")
	watch.Handle("/metrics", a.metrics.Handler()).Methods(read...).Name("metrics")
	watch.HandleFunc("/openapi/{name}.yaml", document).Methods(read...).Name("openapi")
	host, _, _ := net.SplitHostPort(a.started.Management.Listen) // checked with the file
	watch.NotFoundHandler = a.drain.Handler(wire.SameOrigin(host)(authenticate(api)))
	return wire.Speak(profile)(watch), nil
}

// mountAPI lists the doors of the management API.
func (a *App) mountAPI(api *mux.Router, r *revision) error {
	tenancy := wire.Tenancy{
		Known: func(slug string) bool { _, ok := r.registry.Tenant(slug); return ok },
		Slug:  r.slugOf,
	}
	users, err := bridge.NewHandler(bridge.HandlerOptions{Service: a.users, Slug: r.slugOf})
	if err != nil {
		return err
	}
	sessions, err := admin.New(admin.Options{Sessions: a.sessions, Tenant: a.tenant, Tenancy: tenancy, Log: a.log})
	if err != nil {
		return err
	}
	deliveries, err := delivery.NewAPI(delivery.APIOptions{
		Queue: a.queue, Engine: a.engine, Tenancy: tenancy, Log: a.log, Replayed: a.worker.Wake,
		Webhooks: func(tenant string) []delivery.Described { return a.live.Load().described(tenant) },
		Client:   func(tenant, id string) bool { _, ok := a.live.Load().registry.Client(tenant, id); return ok },
		Places: func(slug string) ([]store.Place, bool) {
			t, ok := a.tenant(slug)
			return t.Places(), ok
		},
		Order: func(slug string) string {
			t, _ := a.tenant(slug)
			return string(t.Order())
		},
	})
	if err != nil {
		return err
	}
	keys, err := a.keysDoor(tenancy)
	if err != nil {
		return err
	}
	about, err := a.usersDoor(tenancy)
	if err != nil {
		return err
	}
	about.Mount(api)
	users.Mount(api)
	sessions.Mount(api)
	deliveries.Mount(api)
	keys.Mount(api)
	a.mountNodes(api)
	a.mountStore(api)
	return nil
}

// authenticate takes basic credentials of the file and access tokens of ours.
func (a *App) authenticate(r *revision) (func(http.Handler) http.Handler, error) {
	o := wire.AuthOptions{Failures: a.failures, Bearer: a.bearer}
	for _, c := range r.cfg.Management.Credentials {
		if c.Weak() {
			a.log.Warn("a management password is weak: use 16 characters or more from a generator", "username", c.Username)
		}
		o.Basic = append(o.Basic, wire.Credential{
			Username: c.Username, Secrets: [][sha256.Size]byte{sha256.Sum256([]byte(c.Password.Reveal()))}, Tenants: c.Tenants, Scopes: c.Scopes,
		})
	}
	return wire.Authenticate(o)
}

// bearer lets an access token of ours in, for its tenant and for those of its
// scopes that the file lets its client have now: what is taken away from a client
// is not to work here for as long as its tokens happen to last.
func (a *App) bearer(ctx context.Context, given string) (wire.Caller, error) {
	access, err := a.inspect(ctx, given)
	g := access.Grant
	if err == nil {
		t, _ := a.tenant(g.Tenant)
		err = a.provider.Honoured(ctx, t, g)
	}
	if refused, ok := errors.AsType[*federation.Error](err); ok && refused.Code == federation.InvalidToken {
		return wire.Caller{}, err
	}
	if err != nil {
		return wire.Caller{}, wire.Unavailable("unavailable", "The token could not be looked at").Because(err)
	}
	client, _ := a.live.Load().registry.Client(g.Tenant, g.Client) // one that is gone has no scopes
	scopes := slices.DeleteFunc(slices.Clone(g.Scopes), func(s string) bool { return !slices.Contains(client.Scopes, s) })
	return wire.Caller{Name: g.Client, Tenants: []string{g.Tenant}, Scopes: scopes}, nil
}

// document serves a published contract.
func document(w http.ResponseWriter, r *http.Request) {
	text, err := openapi.Document(mux.Vars(r)["name"])
	if errors.Is(err, fs.ErrNotExist) {
		wire.WriteError(w, r, wire.NotFound("document_not_found", "There is no such document"))
		return
	}
	if err != nil {
		wire.WriteError(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/yaml")
	_, _ = w.Write(text) // a client that has gone needs no answer
}
