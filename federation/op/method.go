package op

import (
	"net/http"
	"strings"
)

// endpoint is a handler that answers or says why not. Nothing has been written
// when it returns an error.
type endpoint func(w http.ResponseWriter, r *http.Request) error

// door is what stands at a path.
type door interface {
	serve(w http.ResponseWriter, r *http.Request) error
}

func (f endpoint) serve(w http.ResponseWriter, r *http.Request) error { return f(w, r) }

// methods is what a path does by method. HEAD is not answered where GET acts:
// what looks ahead at links must not spend a code or end a session.
type methods struct{ get, head, post endpoint }

// reading is a path that only reads.
func reading(f endpoint) methods { return methods{get: f, head: f} }

func (m methods) serve(w http.ResponseWriter, r *http.Request) error {
	var f endpoint
	switch r.Method {
	case http.MethodGet:
		f = m.get
	case http.MethodHead:
		f = m.head
	case http.MethodPost:
		f = m.post
	case http.MethodOptions:
		w.Header().Set("Allow", m.allow())
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	if f == nil {
		w.Header().Set("Allow", m.allow())
		return errMethod
	}
	return f(w, r)
}

// allow lists the methods (RFC 9110 §10.2.1).
func (m methods) allow() string {
	var allowed []string
	for _, has := range []struct {
		method string
		f      endpoint
	}{{http.MethodGet, m.get}, {http.MethodHead, m.head}, {http.MethodPost, m.post}} {
		if has.f != nil {
			allowed = append(allowed, has.method)
		}
	}
	return strings.Join(append(allowed, http.MethodOptions), ", ")
}

// cors lets scripts of any origin use an endpoint that takes no cookie. The
// answer is the same for everybody, so caches need not tell origins apart.
func cors(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Access-Control-Expose-Headers", "WWW-Authenticate, Retry-After, X-Request-Id")
		if r.Method == http.MethodOptions {
			w.Header().Set("Access-Control-Allow-Methods", "GET, POST")
			w.Header().Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
			w.Header().Set("Access-Control-Max-Age", "600")
		}
		next.ServeHTTP(w, r)
	})
}
