package bridge

import (
	"errors"
	"net/http"
	"strings"

	"github.com/gorilla/mux"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/openapi/wire"
)

// The scopes of the Users contract; having `users` is having all of them.
const (
	ScopeRead   = "users:read"
	ScopeDelete = "users:delete"
	ScopeVerify = "users:verify"
	ScopeMail   = "users:mail"
)

// HandlerOptions say how the contract is served.
type HandlerOptions struct {
	Service *Service
	// Slug finds the tenant with a UUID, for the header X-IRM-TenantId.
	Slug func(uuid string) (slug string, ok bool)
	// MissingIsDeleted answers 204 where the user to delete is not there (any
	// more), for callers that take 404 for a failure.
	MissingIsDeleted bool
}

// Handler serves the REST profile of the Users contract.
type Handler struct {
	o       HandlerOptions
	tenancy wire.Tenancy
}

// NewHandler makes a Handler.
func NewHandler(o HandlerOptions) (*Handler, error) {
	if o.Service == nil {
		return nil, errors.New("bridge: a handler needs a service")
	}
	if o.Slug == nil {
		o.Slug = func(string) (string, bool) { return "", false }
	}
	known := func(slug string) bool { _, ok := o.Service.o.Tenant(slug); return ok }
	return &Handler{o: o, tenancy: wire.Tenancy{Known: known, Slug: o.Slug}}, nil
}

// operation answers one call about one tenant.
type operation func(w http.ResponseWriter, r *http.Request, at store.Place) error

// Mount registers the contract on a router of wire.NewRouter: under
// /v1/tenants/{tenant}, and under /v1 for callers whose credential or header
// says which tenant they mean. The router's requests must carry a wire.Caller.
func (h *Handler) Mount(r *mux.Router) {
	read := []string{http.MethodGet, http.MethodHead}
	for _, base := range []string{"/v1/tenants/{tenant:[0-9a-z-]+}", "/v1"} {
		on := func(name, path, scope string, op operation, methods ...string) {
			r.Handle(base+path, h.endpoint(scope, op)).Methods(methods...).Name(name)
		}
		on("lookupUser", "/users/lookup", ScopeRead, h.lookup, http.MethodPost)
		on("findUser", "/users", ScopeRead, h.find, read...)
		on("getUser", "/users/{id:[^/]*}", ScopeRead, h.get, read...)
		on("deleteUser", "/users/{id:[^/]*}", ScopeDelete, h.delete, http.MethodDelete)
		on("markEmailVerified", "/users/{id:[^/]*}/email-verified", ScopeVerify, h.mark, http.MethodPut)
		on("sendVerificationEmail", "/users/{id:[^/]*}/verification-email", ScopeMail, h.sendVerification, http.MethodPost)
		on("sendPasswordResetEmail", "/password-reset-emails", ScopeMail, h.sendReset, http.MethodPost)
		on("getCapabilities", "/capabilities", ScopeRead, h.capabilities, read...)
	}
}

// endpoint settles the tenant and the permission before an operation runs, and
// says how its errors are told.
func (h *Handler) endpoint(scope string, op operation) wire.Endpoint {
	return func(w http.ResponseWriter, r *http.Request) error {
		slug, err := h.tenancy.Resolve(r)
		if err != nil {
			return err
		}
		if _, err := wire.Require(r, scope, slug); err != nil {
			return err
		}
		tenant, ok := h.o.Service.o.Tenant(slug)
		if !ok {
			return wire.TenantRefused()
		}
		return Problem(op(w, r, tenant.Place))
	}
}

func (h *Handler) get(w http.ResponseWriter, r *http.Request, at store.Place) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	return answer(w)(h.o.Service.Get(r.Context(), at, id))
}

func (h *Handler) find(w http.ResponseWriter, r *http.Request, at store.Place) error {
	q, err := wire.Query(r, "email", "customer")
	if p, ok := errors.AsType[*wire.Problem](err); ok && p.Code == "repeated_parameter" {
		return exactlyOne()
	}
	if err != nil {
		return err
	}
	if strings.Contains(q["email"], " ") {
		return wire.Malformed(string(KindMalformedEmail), "The address holds a space; a plus sign in a query must be written %2B.").In("email")
	}
	return h.selected(w, r, at, selector{optional(q, "email"), optional(q, "customer")})
}

func optional(q wire.Params, name string) *string {
	if !q.Has(name) {
		return nil
	}
	value := q[name]
	return &value
}

// selector says whom a lookup is about: exactly one member is there.
type selector struct {
	Email    *string `json:"email"`
	Customer *string `json:"customer"`
}

func (h *Handler) lookup(w http.ResponseWriter, r *http.Request, at store.Place) error {
	if _, err := wire.Query(r); err != nil {
		return err
	}
	sel, err := wire.DecodeJSON[selector](r, wire.Limits{})
	if err != nil {
		return err
	}
	return h.selected(w, r, at, sel)
}

func (h *Handler) selected(w http.ResponseWriter, r *http.Request, at store.Place, sel selector) error {
	switch {
	case (sel.Email == nil) == (sel.Customer == nil):
		return exactlyOne()
	case sel.Email != nil:
		return answer(w)(h.o.Service.FindByEmail(r.Context(), at, *sel.Email))
	default:
		return answer(w)(h.o.Service.FindByCustomer(r.Context(), at, *sel.Customer))
	}
}

func exactlyOne() error {
	return wire.Malformed("exactly_one_selector", "Exactly one of email and customer is expected, once.")
}

func (h *Handler) delete(w http.ResponseWriter, r *http.Request, at store.Place) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	err = h.o.Service.Delete(r.Context(), at, id)
	if h.o.MissingIsDeleted && KindOf(err) == KindNotFound {
		err = nil
	}
	if err != nil {
		return err
	}
	wire.NoContent(w)
	return nil
}

func (h *Handler) mark(w http.ResponseWriter, r *http.Request, at store.Place) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	body, _, err := wire.DecodeOptional[struct {
		Email *string `json:"email"`
	}](r, wire.Limits{})
	if err != nil {
		return err
	}
	email := ""
	if body.Email != nil {
		if email = *body.Email; email == "" {
			return Fail(KindMalformedEmail)
		}
	}
	if err := h.o.Service.MarkEmailVerified(r.Context(), at, id, email); err != nil {
		return err
	}
	wire.NoContent(w)
	return nil
}

func (h *Handler) sendVerification(w http.ResponseWriter, r *http.Request, at store.Place) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	if _, _, err := wire.DecodeOptional[struct{}](r, wire.Limits{}); err != nil {
		return err
	}
	queued, err := h.o.Service.SendVerificationEmail(r.Context(), at, id)
	if err != nil {
		return err
	}
	if !queued {
		wire.NoContent(w)
		return nil
	}
	return wire.WriteJSON(w, http.StatusAccepted, struct{}{})
}

func (h *Handler) sendReset(w http.ResponseWriter, r *http.Request, at store.Place) error {
	if _, err := wire.Query(r); err != nil {
		return err
	}
	body, err := wire.DecodeJSON[struct {
		Email string `json:"email"`
	}](r, wire.Limits{})
	if err != nil {
		return err
	}
	if err := h.o.Service.SendPasswordResetEmail(r.Context(), at, body.Email); err != nil {
		return err
	}
	return wire.WriteJSON(w, http.StatusAccepted, struct{}{})
}

func (h *Handler) capabilities(w http.ResponseWriter, r *http.Request, at store.Place) error {
	if _, err := wire.Query(r); err != nil {
		return err
	}
	tenant, _ := h.o.Service.o.Tenant(at.Tenant)
	return wire.WriteJSON(w, http.StatusOK, honesty{Operations: h.o.Service.Capabilities(at), Order: tenant.Order})
}

// honesty is the answer about capabilities.
type honesty struct {
	Operations Capabilities `json:"operations"`
	Order      string       `json:"order,omitempty"`
}

// pathID is the id in the path; routes with one take no parameters.
func pathID(r *http.Request) (string, error) {
	id, err := wire.Var(r, "id")
	if err != nil {
		return "", err
	}
	_, err = wire.Query(r)
	return id, err
}

// answer writes a user, or passes the error on.
func answer(w http.ResponseWriter) func(User, error) error {
	return func(u User, err error) error {
		if err != nil {
			return err
		}
		return wire.WriteJSON(w, http.StatusOK, u)
	}
}
