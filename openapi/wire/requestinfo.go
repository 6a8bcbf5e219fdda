package wire

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"

	"github.com/gorilla/mux"
)

// RequestInfo is what the ingress knows of a request, and what handlers add to
// the one log line that is written about it.
type RequestInfo struct {
	// ID is the request id, also told in the X-Request-Id header.
	ID string
	// Addr is the client's address, found behind trusted proxies only.
	Addr netip.Addr

	mu    sync.Mutex
	route string
	notes []slog.Attr
}

type requestInfoKey struct{}

// WithRequestInfo puts the info into the context of a request.
func WithRequestInfo(ctx context.Context, info *RequestInfo) context.Context {
	return context.WithValue(ctx, requestInfoKey{}, info)
}

// RequestInfoFrom finds the info; without an ingress it is empty, never nil.
func RequestInfoFrom(ctx context.Context) *RequestInfo {
	if info, ok := ctx.Value(requestInfoKey{}).(*RequestInfo); ok {
		return info
	}
	return &RequestInfo{}
}

// Note adds attributes to the request's log line. Never a secret, and nothing
// that only the person should read.
func (i *RequestInfo) Note(attrs ...slog.Attr) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.notes = append(i.notes, attrs...)
}

// Notes are the attributes so far.
func (i *RequestInfo) Notes() []slog.Attr {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.notes
}

// Route is the name of the route that served the request, empty when none did.
func (i *RequestInfo) Route() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.route
}

// NameRoute is middleware of a router: it notes the route that matched, by its
// name or else its path template, so that metrics have few labels.
func NameRoute(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if route := mux.CurrentRoute(r); route != nil {
			name := route.GetName()
			if name == "" {
				name, _ = route.GetPathTemplate()
			}
			RequestInfoFrom(r.Context()).name(name)
		}
		next.ServeHTTP(w, r)
	})
}

// Named notes a route that no router of ours knows.
func Named(route string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		RequestInfoFrom(r.Context()).name(route)
		next.ServeHTTP(w, r)
	})
}

func (i *RequestInfo) name(route string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.route = route
}
