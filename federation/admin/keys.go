package admin

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/gorilla/mux"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/openapi/wire"
)

// The scopes of the door of keys; a credential with `keys` has both.
const (
	ScopeKeysRead   = "keys:read"
	ScopeKeysChange = "keys:change"
)

// Key is what an operator may know of a key, never any of its material: schema
// Key of the document. Times are the engine's.
type Key struct {
	ID string `json:"kid"`
	// Use is RS256, ES256, PS256, EdDSA or seal.
	Use string `json:"use"`
	// Standing is next, working or retired.
	Standing string    `json:"standing"`
	Made     time.Time `json:"made"`
	// From is when it takes over, or did.
	From time.Time `json:"from"`
	// Gone is when it will be published no more; zero while it has no successor.
	Gone time.Time `json:"gone,omitzero"`
}

// KeysOptions say what the door of keys is made of. All but Log are required.
type KeysOptions struct {
	// List is a tenant's keys.
	List func(ctx context.Context, t federation.Tenant) ([]Key, error)
	// Rotate makes the next keys work as soon as everybody can know them.
	Rotate func(ctx context.Context, t federation.Tenant) error
	// Revoke takes a key away for good; found is false where there is none of
	// that id.
	Revoke  func(ctx context.Context, t federation.Tenant, kid string) (found bool, err error)
	Tenancy wire.Tenancy
	// Tenant finds a tenant by its slug.
	Tenant func(slug string) (federation.Tenant, bool)
	// Log takes the audit lines.
	Log *slog.Logger
}

// Keys is the management door of signing keys, under /v1/tenants/{tenant}/keys
// and /v1/keys: list, rotate, revoke. No answer holds a private key. To replace
// a key, rotate, wait until another one works, and only then revoke: what a
// revoked key signed is believed no more, and one that is revoked while it works
// may be followed by one that relying parties do not know yet. Each change leaves
// an audit line that names the caller and those behind it.
type Keys struct{ o KeysOptions }

// NewKeys makes the door.
func NewKeys(o KeysOptions) (*Keys, error) {
	if o.List == nil || o.Rotate == nil || o.Revoke == nil || o.Tenant == nil || o.Tenancy.Known == nil || o.Tenancy.Slug == nil {
		return nil, errors.New("admin: the door of keys needs keys and tenants")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Keys{o: o}, nil
}

// Mount registers the routes on a router of wire.NewRouter, whose requests
// carry a wire.Caller.
func (k *Keys) Mount(r *mux.Router) {
	for _, base := range []string{"/v1/tenants/{tenant:[0-9a-z-]+}", "/v1"} {
		on := func(name, path, scope string, op operation, methods ...string) {
			r.Handle(base+path, k.endpoint(scope, op)).Methods(methods...).Name(name)
		}
		on("listKeys", "/keys", ScopeKeysRead, k.list, http.MethodGet, http.MethodHead)
		on("rotateKeys", "/keys/rotate", ScopeKeysChange, k.rotate, http.MethodPost)
		on("revokeKey", "/keys/{kid:[^/]*}", ScopeKeysChange, k.revoke, http.MethodDelete)
	}
}

// endpoint settles tenant and permission before an operation runs. None of them
// has parameters.
func (k *Keys) endpoint(scope string, op operation) wire.Endpoint {
	return func(w http.ResponseWriter, r *http.Request) error {
		slug, err := k.o.Tenancy.Resolve(r)
		if err != nil {
			return err
		}
		caller, err := wire.Require(r, scope, slug)
		if err != nil {
			return err
		}
		t, ok := k.o.Tenant(slug)
		if !ok {
			return wire.TenantRefused()
		}
		if _, err := wire.Query(r); err != nil {
			return err
		}
		return Unavailable(op(w, r, t, caller))
	}
}

type keysPage struct {
	Keys []Key `json:"keys"`
}

func (k *Keys) list(w http.ResponseWriter, r *http.Request, t federation.Tenant, _ wire.Caller) error {
	return k.write(w, r, http.StatusOK, t)
}

// rotate answers with the keys as they are now: those that come next say from
// when they work.
func (k *Keys) rotate(w http.ResponseWriter, r *http.Request, t federation.Tenant, c wire.Caller) error {
	if err := k.o.Rotate(r.Context(), t); err != nil {
		return err
	}
	k.o.Log.LogAttrs(r.Context(), slog.LevelInfo, "keys rotated by a management call", audit(t, c)...)
	return k.write(w, r, http.StatusAccepted, t)
}

func (k *Keys) revoke(w http.ResponseWriter, r *http.Request, t federation.Tenant, c wire.Caller) error {
	kid, err := wire.Var(r, "kid")
	if err != nil {
		return err
	}
	found, err := k.o.Revoke(r.Context(), t, kid)
	if err != nil {
		return err
	}
	if !found {
		return wire.NotFound("key_not_found", "Key not found")
	}
	k.o.Log.LogAttrs(r.Context(), slog.LevelInfo, "key revoked by a management call", append(audit(t, c), slog.String("kid", kid))...)
	wire.NoContent(w)
	return nil
}

func (k *Keys) write(w http.ResponseWriter, r *http.Request, status int, t federation.Tenant) error {
	all, err := k.o.List(r.Context(), t)
	if err != nil {
		return err
	}
	return wire.WriteJSON(w, status, keysPage{Keys: append([]Key{}, all...)}) // [] and not null
}

// audit is what an audit line says of a call.
func audit(t federation.Tenant, c wire.Caller) []slog.Attr {
	return []slog.Attr{
		slog.Bool("audit", true), slog.String("request_id", c.RequestID), slog.String("tenant", t.ID),
		slog.String("caller", c.Name), slog.String("agent_user", c.AgentUser), slog.String("agent_app", c.AgentApp),
	}
}

// Unavailable makes 503 with Retry-After of an error that says that the store
// cannot work now; every other one stays as it is. The calls of this room may be
// made again, also where the first was kept and only its answer lost.
func Unavailable(err error) error {
	for _, down := range []error{store.ErrUnavailable, store.ErrUnknown, store.ErrUnsafe, store.ErrLost, store.ErrClosed} {
		if errors.Is(err, down) {
			return wire.Unavailable("unavailable", "The store does not answer, or has not kept the change").Because(err)
		}
	}
	return err
}
