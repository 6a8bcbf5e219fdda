package op

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/gorilla/mux"

	"github.com/drawbridge-id/drawbridge/claims"
	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/freshness"
	"github.com/drawbridge-id/drawbridge/federation/limit"
	"github.com/drawbridge-id/drawbridge/federation/notice"
	"github.com/drawbridge-id/drawbridge/federation/op/page"
	"github.com/drawbridge-id/drawbridge/federation/person"
	"github.com/drawbridge-id/drawbridge/federation/session"
	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/token"
	"github.com/drawbridge-id/drawbridge/openapi/wire"
)

// Options are what the provider is made of. All but Sealer, Pages, Limiter with
// Limits, and Observe are required.
type Options struct {
	Engine store.Engine
	// Sealer seals remembered consents at rest, or is nil.
	Sealer *store.Sealer
	// Registry is the current revision of who is configured.
	Registry func() *federation.Registry
	Persons  *person.Manager
	Sessions *session.Manager
	Keys     *token.Keyring
	Issuer   *token.Issuer
	// Notices takes what upstreams tell of logins that are over.
	Notices *notice.Receiver
	// Plan adds what others want to the commits that are made here.
	Plan federation.Planner
	// Log takes the audit lines.
	Log *slog.Logger
	// Now judges what travels sealed, and how old a login is.
	Now func() time.Time
	// Pages are what users see; nil are those that come with the program.
	Pages func() *page.Set
	// Limiter counts what Limits are set to; nil limits nothing.
	Limiter *limit.Limiter
	Limits  func() limit.Policy
	Observe Observer
}

// Observer hears what is counted. Its functions must not block and may be
// called concurrently; nil ones are left out.
type Observer struct {
	// SignIn hears the upstream and "ok" or the error code.
	SignIn func(upstream, result string)
	// Refused hears each change of claims that the guard refused.
	Refused func(v claims.Verdict)
	// Limited hears the endpoint, and what its limit is kept by, of each request
	// that was one too many.
	Limited func(endpoint, by string)
}

// Handler serves the provider's endpoints for all tenants.
type Handler struct {
	o        Options
	consents *store.Table[consent]
	fresh    *freshness.Manager
	routes   *mux.Router
}

// New makes the provider. It is an error to leave a required part out.
func New(o Options) (*Handler, error) {
	if o.Engine == nil || o.Registry == nil || o.Persons == nil || o.Sessions == nil || o.Keys == nil || o.Issuer == nil || o.Notices == nil || o.Plan == nil || o.Log == nil || o.Now == nil {
		return nil, errors.New("op: every part but the sealer, the pages and the observer is needed")
	}
	if o.Observe.SignIn == nil {
		o.Observe.SignIn = func(string, string) {}
	}
	if o.Observe.Refused == nil {
		o.Observe.Refused = func(claims.Verdict) {}
	}
	if o.Observe.Limited == nil {
		o.Observe.Limited = func(string, string) {}
	}
	if (o.Limiter == nil) != (o.Limits == nil) {
		return nil, errors.New("op: limits and who counts go together")
	}
	if o.Pages == nil {
		set, err := page.New(page.Options{})
		if err != nil {
			return nil, err
		}
		o.Pages = func() *page.Set { return set }
	}
	h := &Handler{o: o, consents: consentTable(o.Engine, o.Sealer)}
	var err error
	if h.fresh, err = freshness.New(freshness.Options{Engine: o.Engine, Sealer: o.Sealer, Told: h.tellSession, Log: o.Log}); err != nil {
		return nil, err
	}
	h.routes = h.mount()
	return h, nil
}

// mount lists the endpoints: the product reads off this list.
func (h *Handler) mount() *mux.Router {
	r := mux.NewRouter().UseEncodedPath().SkipClean(true)
	r.Use(wire.NameRoute)
	at := func(path, name string, serve http.Handler) { r.Handle(path, serve).Name(name) }

	// For clients.
	at("/.well-known/openid-configuration", "discovery", cors(h.json(reading(h.discovery))))
	at("/jwks", "jwks", cors(h.json(reading(h.jwks))))
	at("/token", "token", cors(h.json(methods{post: h.token})))
	at("/userinfo", "userinfo", cors(h.bearer(methods{get: h.userinfo, head: h.userinfo, post: h.userinfo})))
	at("/revoke", "revoke", cors(h.json(methods{post: h.revoke})))
	at("/introspect", "introspect", h.json(methods{post: h.introspect}))
	// For upstreams.
	at("/backchannel_logout/{upstream}", "backchannel_logout", h.json(methods{post: h.backchannelLogout}))
	at("/frontchannel_logout/{upstream}", "frontchannel_logout", h.page(methods{get: h.frontchannelLogout}))
	// For browsers.
	at("/authorize", "authorize", h.page(methods{get: h.authorize, post: h.authorize}))
	at("/authorize/continue", "authorize", h.page(methods{get: h.continueAuthorize}))
	at("/choose", "choose", h.page(methods{get: h.choose}))
	at("/identify", "identify", h.page(methods{post: h.identify}))
	at("/callback/{upstream}", "callback", h.page(methods{get: h.callback, post: h.callback}))
	at("/callback/{upstream}/continue", "callback", h.page(methods{get: h.continueCallback}))
	at("/consent", "consent", h.page(methods{get: h.askConsent, head: h.askConsent, post: h.takeConsent}))
	at("/link", "link", h.page(methods{get: h.askLink, head: h.askLink, post: h.takeLink}))
	at("/end_session", "end_session", h.page(methods{get: h.endSession, post: h.endSession}))
	at("/end_session/continue", "end_session", h.page(methods{get: h.continueEndSession}))
	at("/end_session/return", "end_session_return", h.page(methods{get: h.returnToEndSession}))
	at("/end_session/confirm", "end_session_confirm", h.page(methods{post: h.confirmEndSession}))

	at("/me", "me", h.page(methods{get: h.me, head: h.me}))
	at("/me/withdraw", "me_withdraw", h.page(methods{post: h.withdraw}))

	r.NotFoundHandler = h.nowhere()
	return r
}

// ServeHTTP finds the tenant before anything else and serves its endpoint.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	t, path, ok := h.o.Registry().Serving(r.Host, r.URL.EscapedPath())
	if !ok {
		h.nowhere().ServeHTTP(w, r)
		return
	}
	inner := r.WithContext(context.WithValue(r.Context(), tenantKey{}, t))
	u := *r.URL
	u.Path, u.RawPath = path, ""
	if unescaped, err := url.PathUnescape(path); err == nil && unescaped != path {
		u.Path, u.RawPath = unescaped, path
	}
	inner.URL = &u
	h.routes.ServeHTTP(w, inner)
}

// nowhere answers what there is no endpoint for.
func (h *Handler) nowhere() http.Handler {
	return h.page(endpoint(func(http.ResponseWriter, *http.Request) error { return errNoPage }))
}

type tenantKey struct{}

// tenantOf is the tenant that ServeHTTP found.
func tenantOf(r *http.Request) federation.Tenant {
	t, _ := r.Context().Value(tenantKey{}).(federation.Tenant)
	return t
}
