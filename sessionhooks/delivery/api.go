package delivery

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/gorilla/mux"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/openapi/wire"
	"github.com/drawbridge-id/drawbridge/sessionhooks"
)

// The scopes of the door; a credential with `webhooks` has both.
const (
	ScopeRead   = "webhooks:read"
	ScopeReplay = "webhooks:replay"
)

// APIOptions are what the management door of the deliveries is made of. All but
// Replayed are required.
type APIOptions struct {
	Queue  *Queue
	Engine store.Engine
	// Places finds all places of a tenant: one, unless it is spread.
	Places func(tenant string) ([]store.Place, bool)
	// Order says how far the order of a tenant's deliveries and events reaches.
	Order   func(tenant string) string
	Tenancy wire.Tenancy
	// Webhooks are the session webhooks of a tenant, as configured.
	Webhooks func(tenant string) []Described
	// Client says whether a relying party is one of the tenant's.
	Client func(tenant, id string) bool
	// Replayed hears that a delivery was made due again.
	Replayed func()
	// Log takes the audit lines.
	Log *slog.Logger
}

// API is the management door of the deliveries: openapi/management.yaml.
type API struct{ o APIOptions }

// NewAPI makes the door.
func NewAPI(o APIOptions) (*API, error) {
	if o.Queue == nil || o.Engine == nil || o.Places == nil || o.Order == nil || o.Webhooks == nil || o.Client == nil || o.Log == nil || o.Tenancy.Known == nil || o.Tenancy.Slug == nil {
		return nil, errors.New("delivery: the door needs queue, engine, tenants, webhooks, clients and logger")
	}
	if o.Replayed == nil {
		o.Replayed = func() {}
	}
	return &API{o: o}, nil
}

// Mount registers the routes on a router of wire.NewRouter, whose requests
// carry a wire.Caller.
func (a *API) Mount(r *mux.Router) {
	for _, base := range []string{"/v1/tenants/{tenant:[0-9a-z-]+}", "/v1"} {
		on := func(name, path, scope string, op operation, methods ...string) {
			r.Handle(base+path, a.endpoint(scope, op)).Methods(methods...).Name(name)
		}
		on("listSessionWebhooks", "/session-webhooks", ScopeRead, a.webhooks, http.MethodGet, http.MethodHead)
		on("listDeliveries", "/session-webhooks/{id:[^/]*}/deliveries", ScopeRead, a.list(SessionWebhooks), http.MethodGet, http.MethodHead)
		on("listLogoutDeliveries", "/clients/{id:[^/]*}/logout-deliveries", ScopeRead, a.list(LogoutTokens), http.MethodGet, http.MethodHead)
		on("getDelivery", "/deliveries/{delivery:[^/]*}", ScopeRead, a.get, http.MethodGet, http.MethodHead)
		on("replayDelivery", "/deliveries/{delivery:[^/]*}/replay", ScopeReplay, a.replay, http.MethodPost)
	}
}

// operation answers one call about one tenant.
type operation func(w http.ResponseWriter, r *http.Request, at places, c wire.Caller) error

// endpoint settles tenant and permission before an operation runs.
func (a *API) endpoint(scope string, op operation) wire.Endpoint {
	return func(w http.ResponseWriter, r *http.Request) error {
		tenant, err := a.o.Tenancy.Resolve(r)
		if err != nil {
			return err
		}
		caller, err := wire.Require(r, scope, tenant)
		if err != nil {
			return err
		}
		at, ok := a.o.Places(tenant)
		if !ok || len(at) == 0 {
			return wire.TenantRefused()
		}
		err = op(w, r, at, caller)
		if errors.Is(err, ErrNoJob) {
			return wire.NotFound("delivery_not_found", "Delivery not found").Because(err)
		}
		return unavailable(err)
	}
}

// unavailable makes 503 with Retry-After of an error that says that the store
// cannot work now. A replay that is asked for again is at worst delivered once
// more, under the same id.
func unavailable(err error) error {
	for _, down := range []error{store.ErrUnavailable, store.ErrUnknown, store.ErrUnsafe, store.ErrLost, store.ErrClosed} {
		if errors.Is(err, down) {
			return wire.Unavailable("unavailable", "The store does not answer, or has not kept the change").Because(err)
		}
	}
	return err
}

func (a *API) webhooks(w http.ResponseWriter, r *http.Request, at places, _ wire.Caller) error {
	if _, err := wire.Query(r); err != nil {
		return err
	}
	all := append([]Described{}, a.o.Webhooks(at.tenant())...)
	for i := range all {
		all[i].Events = append([]sessionhooks.EndEvent{}, all[i].Events...) // [] and not null
	}
	return wire.WriteJSON(w, http.StatusOK, webhookPage{Items: all, Order: a.o.Order(at.tenant())})
}

// list shows what one sender has for one target.
func (a *API) list(sender string) operation {
	return func(w http.ResponseWriter, r *http.Request, at places, _ wire.Caller) error {
		return a.listOf(w, r, at, sender)
	}
}

func (a *API) listOf(w http.ResponseWriter, r *http.Request, at places, sender string) error {
	id, err := wire.Var(r, "id")
	if err != nil {
		return err
	}
	p, err := wire.Query(r, "state", "after", "limit")
	if err != nil {
		return err
	}
	n, err := p.Int("limit", 50, 1, 100)
	if err != nil {
		return err
	}
	state := State(p["state"])
	switch {
	case p.Has("state") && state != Pending && state != Done && state != Dead:
		return wire.Malformed("malformed_query", "pending, delivered or dead is expected.").In("state")
	case p.Has("after") && !strings.HasPrefix(p["after"], id+"_"):
		return wire.Malformed("malformed_query", "The next of the page before is expected.").In("after")
	}
	jobs, next, err := at.list(r.Context(), a.o.Queue, sender, id, state, p["after"], n)
	if err != nil {
		return err
	}
	if len(jobs) == 0 && next == "" {
		if err := a.known(r.Context(), at, sender, id); err != nil {
			return err
		}
	}
	page := deliveryPage{Items: make([]shown, 0, len(jobs)), Next: next}
	for _, j := range jobs {
		page.Items = append(page.Items, show(j))
	}
	return wire.WriteJSON(w, http.StatusOK, page)
}

// known refuses a webhook or a client that is not configured. One that was
// removed is known as long as it has deliveries.
func (a *API) known(ctx context.Context, at places, sender, id string) error {
	missing := wire.NotFound("webhook_not_found", "Session webhook not found")
	configured := slices.ContainsFunc(a.o.Webhooks(at.tenant()), func(d Described) bool { return d.ID == id })
	if sender == LogoutTokens {
		missing, configured = wire.NotFound("client_not_found", "Client not found"), a.o.Client(at.tenant(), id)
	}
	if configured {
		return nil
	}
	first, _, err := at.list(ctx, a.o.Queue, sender, id, "", "", 1)
	if err == nil && len(first) == 0 {
		return missing
	}
	return err
}

func (a *API) get(w http.ResponseWriter, r *http.Request, at places, _ wire.Caller) error {
	id, err := named(r)
	if err != nil {
		return err
	}
	j, err := at.any(func(at store.Place, sender string) (Job, error) { return a.o.Queue.Get(r.Context(), at, sender, id) })
	if err != nil {
		return err
	}
	return wire.WriteJSON(w, http.StatusOK, show(j))
}

func (a *API) replay(w http.ResponseWriter, r *http.Request, at places, c wire.Caller) error {
	id, err := named(r)
	if err != nil {
		return err
	}
	if _, _, err := wire.DecodeOptional[struct{}](r, wire.Limits{}); err != nil {
		return err
	}
	now, err := a.o.Engine.Now(r.Context())
	if err != nil {
		return err
	}
	j, err := at.any(func(at store.Place, sender string) (Job, error) {
		return a.o.Queue.Replay(r.Context(), at, sender, id, now)
	})
	if err != nil {
		return err
	}
	a.o.Log.LogAttrs(r.Context(), slog.LevelInfo, "delivery replayed", slog.Bool("audit", true),
		slog.String("request", c.RequestID), slog.String("tenant", at.tenant()), slog.String("delivery", j.ID),
		slog.String("caller", c.Name), slog.String("agent_user", c.AgentUser), slog.String("agent_app", c.AgentApp))
	a.o.Replayed()
	return wire.WriteJSON(w, http.StatusAccepted, show(j))
}

// named reads the delivery of a request that has no parameters.
func named(r *http.Request) (string, error) {
	if _, err := wire.Query(r); err != nil {
		return "", err
	}
	return wire.Var(r, "delivery")
}
