package admin

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/google/uuid"
	"github.com/gorilla/mux"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/session"
	"github.com/drawbridge-id/drawbridge/openapi/wire"
)

// The scopes of the door; a credential with `sessions` has both.
const (
	ScopeRead = "sessions:read"
	ScopeEnd  = "sessions:end"
)

// Options say what the door is made of. All but Log are required.
type Options struct {
	Sessions *session.Manager
	Tenancy  wire.Tenancy
	// Tenant finds a tenant by its slug.
	Tenant func(slug string) (federation.Tenant, bool)
	// Log takes the audit lines.
	Log *slog.Logger
}

// Handler is the management door of sessions.
type Handler struct{ o Options }

// New makes the door.
func New(o Options) (*Handler, error) {
	if o.Sessions == nil || o.Tenant == nil || o.Tenancy.Known == nil || o.Tenancy.Slug == nil {
		return nil, errors.New("admin: needs sessions and tenants")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Handler{o: o}, nil
}

// Mount registers the routes on a router of wire.NewRouter, whose requests
// carry a wire.Caller.
func (h *Handler) Mount(r *mux.Router) {
	for _, base := range []string{"/v1/tenants/{tenant:[0-9a-z-]+}", "/v1"} {
		on := func(name, path, scope string, op operation, methods ...string) {
			r.Handle(base+path, h.endpoint(scope, op)).Methods(methods...).Name(name)
		}
		on("listSessions", "/sessions", ScopeRead, h.list, http.MethodGet, http.MethodHead)
		on("getSession", "/sessions/{sid:[^/]*}", ScopeRead, h.get, http.MethodGet, http.MethodHead)
		on("endSession", "/sessions/{sid:[^/]*}", ScopeEnd, h.end, http.MethodDelete)
	}
}

// operation answers one call about one tenant.
type operation func(w http.ResponseWriter, r *http.Request, t federation.Tenant, c wire.Caller) error

// endpoint settles tenant and permission before an operation runs.
func (h *Handler) endpoint(scope string, op operation) wire.Endpoint {
	return func(w http.ResponseWriter, r *http.Request) error {
		slug, err := h.o.Tenancy.Resolve(r)
		if err != nil {
			return err
		}
		caller, err := wire.Require(r, scope, slug)
		if err != nil {
			return err
		}
		t, ok := h.o.Tenant(slug)
		if !ok {
			return wire.TenantRefused()
		}
		err = op(w, r, t, caller)
		if errors.Is(err, session.ErrNotFound) {
			return wire.NotFound("session_not_found", "Session not found").Because(err)
		}
		return Unavailable(err)
	}
}

func (h *Handler) list(w http.ResponseWriter, r *http.Request, t federation.Tenant, _ wire.Caller) error {
	p, err := wire.Query(r, "person", "client", "after", "limit")
	if err != nil {
		return err
	}
	n, err := p.Int("limit", 50, 1, 100)
	if err != nil {
		return err
	}
	switch {
	case p.Has("person") && !isUUID(p["person"]):
		return wire.Malformed("malformed_query", "A UUID in lower case is expected.").In("person")
	case p.Has("client") && p["client"] == "":
		return wire.Malformed("malformed_query", "A client id is expected.").In("client")
	case p.Has("after") && !session.ValidID(p["after"]):
		return wire.Malformed("malformed_query", "The next of the page before is expected.").In("after")
	}
	found, next, err := h.o.Sessions.List(r.Context(), t, session.Filter{Person: p["person"], Client: p["client"]}, p["after"], n)
	if err != nil {
		return err
	}
	answer := page{Sessions: make([]shown, 0, len(found)), Next: next}
	for _, s := range found {
		answer.Sessions = append(answer.Sessions, show(t, s))
	}
	return wire.WriteJSON(w, http.StatusOK, answer)
}

func (h *Handler) get(w http.ResponseWriter, r *http.Request, t federation.Tenant, _ wire.Caller) error {
	sid, err := named(r)
	if err != nil {
		return err
	}
	held, err := h.o.Sessions.Live(r.Context(), t, sid)
	if err != nil {
		return err
	}
	return wire.WriteJSON(w, http.StatusOK, show(t, held.Session))
}

func (h *Handler) end(w http.ResponseWriter, r *http.Request, t federation.Tenant, c wire.Caller) error {
	sid, err := named(r)
	if err != nil {
		return err
	}
	if err := h.o.Sessions.End(r.Context(), t, sid, federation.Destroy, request(r, c)); err != nil {
		return err
	}
	h.o.Log.LogAttrs(r.Context(), slog.LevelInfo, "session ended by a management call", slog.Bool("audit", true),
		slog.String("request_id", c.RequestID), slog.String("tenant", t.ID), slog.String("session", sid),
		slog.String("caller", c.Name), slog.String("agent_user", c.AgentUser), slog.String("agent_app", c.AgentApp))
	wire.NoContent(w)
	return nil
}

// named reads the sid of a request that has no parameters. What cannot be a
// sid names no session.
func named(r *http.Request) (string, error) {
	if _, err := wire.Query(r); err != nil {
		return "", err
	}
	return wire.Var(r, "sid")
}

func isUUID(s string) bool {
	id, err := uuid.Parse(s)
	return err == nil && id.String() == s
}

// request is what the event may know of the call that caused it.
func request(r *http.Request, c wire.Caller) federation.Request {
	req := federation.Request{
		ID: c.RequestID, Host: short(r.Host), UserAgent: short(r.UserAgent()),
		CausedBy: c.Name, AgentUser: c.AgentUser, AgentApp: c.AgentApp,
	}
	if c.Addr.IsValid() {
		req.Addr = c.Addr.String()
	}
	return req
}

// short keeps of a header what is worth storing.
func short(s string) string { return strings.ToValidUTF8(s[:min(len(s), 256)], "") }
