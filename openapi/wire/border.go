package wire

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"maps"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"sync/atomic"
	"time"
)

// headerLimit is how many bytes the names and values of a request's headers
// may have together.
const headerLimit = 32 << 10

type profileKey struct{}

// Speak settles the dialect of a listener and refuses headers of more than 32
// KiB. It stands right inside the ingress that puts RequestInfo into the
// context; where there is none it names the request itself.
func Speak(p Profile) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx := context.WithValue(r.Context(), profileKey{}, p)
			if RequestInfoFrom(ctx).ID == "" {
				info := &RequestInfo{ID: rand.Text(), Addr: peer(r)}
				ctx = WithRequestInfo(ctx, info)
				w.Header().Set("X-Request-Id", info.ID)
			}
			r = r.WithContext(ctx)
			if headerBytes(r) > headerLimit {
				WriteError(w, r, HeadersTooLarge())
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

func headerBytes(r *http.Request) int {
	n := 0
	for name, values := range r.Header {
		for _, v := range values {
			n += len(name) + len(v) + len(": \r\n")
		}
	}
	return n
}

func peer(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap()
}

// Endpoint answers one route with JSON, or returns an error before it has
// written anything. Callers that do not accept JSON are refused before it runs.
type Endpoint func(http.ResponseWriter, *http.Request) error

// ServeHTTP implements http.Handler.
func (f Endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if quality(r.Header.Values("Accept"), mediaJSON) == 0 {
		WriteError(w, r, NotAcceptable())
		return
	}
	if err := f(w, r); err != nil {
		WriteError(w, r, err)
	}
}

// WriteError is the border: the only place where an error becomes an answer.
// The cause goes to the request's log line, which is an audit line where the
// border refuses who calls, what for, or how often.
func WriteError(w http.ResponseWriter, r *http.Request, err error) {
	problem := Public(err)
	info := RequestInfoFrom(r.Context())
	info.Note(slog.String("error", problem.Error()))
	switch problem.Status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests:
		info.Note(slog.Bool("audit", true))
	}
	profile, _ := r.Context().Value(profileKey{}).(Profile)
	media, body := profile.refine(r.Header.Values("Accept")).body(problem, info.ID)
	maps.Copy(w.Header(), problem.header)
	if problem.RetryAfter > 0 {
		w.Header().Set("Retry-After", seconds(problem.RetryAfter))
	}
	text, err := encode(body)
	if err != nil { // the three bodies are strings and numbers: they encode
		text = nil
	}
	write(w, problem.Status, media, text)
}

func seconds(d time.Duration) string {
	return strconv.FormatInt(int64(math.Ceil(d.Seconds())), 10)
}

// WriteJSON answers with a value. A value that cannot be encoded is an error,
// and nothing has been written then.
func WriteJSON(w http.ResponseWriter, status int, v any) error {
	body, err := encode(v)
	if err != nil {
		return err
	}
	write(w, status, mediaJSON, body)
	return nil
}

// NoContent answers 204 without a body.
func NoContent(w http.ResponseWriter) {
	manners(w.Header())
	w.WriteHeader(http.StatusNoContent)
}

func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // nosniff and the media type say what it is
	err := enc.Encode(v)
	return b.Bytes(), err
}

func manners(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Vary", "Accept")
}

func write(w http.ResponseWriter, status int, media string, body []byte) {
	manners(w.Header())
	w.Header().Set("Content-Type", media+charset)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // the caller has gone: there is nobody left to tell
}

// Drain turns new calls away once a listener is about to close, while those
// that run finish.
type Drain struct{ begun atomic.Bool }

// Begin turns away every call that comes from now on.
func (d *Drain) Begin() { d.begun.Store(true) }

// Handler is the layer that turns calls away, with 503 and Connection: close.
func (d *Drain) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !d.begun.Load() {
			next.ServeHTTP(w, r)
			return
		}
		WriteError(w, r, Unavailable("shutting_down", "The server is shutting down").with("Connection", "close"))
	})
}
