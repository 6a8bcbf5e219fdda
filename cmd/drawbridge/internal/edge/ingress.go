package edge

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/drawbridge-id/drawbridge/openapi/wire"
)

// IngressOptions say what stands around a listener.
type IngressOptions struct {
	Log *slog.Logger
	// Listener is "public" or "management", a label of logs and metrics.
	Listener string
	// Proxies are those whose X-Forwarded-For and X-Request-Id are believed.
	Proxies []netip.Prefix
	// MaxBody is the greatest request body in bytes that any route reads.
	MaxBody int64
	Metrics *Metrics
	Now     func() time.Time
	// Leaving says that the process is about to end: each connection ends with its
	// next answer. Nil is never.
	Leaving func() bool
}

// Ingress wraps a listener's handler: see the package doc.
func Ingress(next http.Handler, o IngressOptions) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := o.Now()
		info := &wire.RequestInfo{ID: requestID(r, o.Proxies), Addr: ClientAddr(r, o.Proxies)}
		r = r.WithContext(wire.WithRequestInfo(r.Context(), info))
		r.Body = http.MaxBytesReader(w, r.Body, o.MaxBody)
		w.Header().Set("X-Request-Id", info.ID)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if o.Leaving != nil && o.Leaving() {
			w.Header().Set("Connection", "close")
		}
		rec := &recorder{ResponseWriter: w}
		defer func() {
			failure := recover()
			aborted := isAbort(failure)
			if failure != nil && !aborted {
				o.Log.ErrorContext(r.Context(), "handler panicked", "request_id", info.ID,
					"panic", failure, "stack", string(debug.Stack()))
				if rec.status == 0 {
					http.Error(rec, "internal error", http.StatusInternalServerError)
				}
			}
			o.finish(r, info, rec, o.Now().Sub(began))
			if aborted { // net/http ends the connection without a word
				panic(failure)
			}
		}()
		next.ServeHTTP(rec, r)
	})
}

func isAbort(failure any) bool {
	err, ok := failure.(error)
	return ok && errors.Is(err, http.ErrAbortHandler)
}

// finish writes the one line and the one count.
func (o IngressOptions) finish(r *http.Request, info *wire.RequestInfo, rec *recorder, took time.Duration) {
	route, status, method := info.Route(), rec.code(), methodLabel(r.Method)
	if route == "" {
		route = "none"
	}
	o.Metrics.request(o.Listener, route, method, status, took)
	level := slog.LevelDebug // what goes well is counted, and audited where it matters
	switch {
	case status >= http.StatusInternalServerError:
		level = slog.LevelWarn
	case status >= http.StatusBadRequest:
		level = slog.LevelInfo
	}
	if !o.Log.Enabled(r.Context(), level) {
		return
	}
	attrs := make([]slog.Attr, 0, 12)
	attrs = append(attrs,
		slog.String("request_id", info.ID), slog.String("listener", o.Listener),
		slog.String("method", method), slog.String("route", route), slog.Int("status", status),
		slog.Duration("took", took), slog.Int64("bytes", rec.bytes), slog.String("addr", info.Addr.String()))
	attrs = append(attrs, info.Notes()...)
	o.Log.LogAttrs(r.Context(), level, "request", attrs...)
}

// requestID takes a trusted proxy's id if it is a plain one, and else makes one.
func requestID(r *http.Request, proxies []netip.Prefix) string {
	if given := r.Header.Get("X-Request-Id"); given != "" && trusted(peer(r), proxies) && plainID(given) {
		return given
	}
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

func plainID(s string) bool {
	if len(s) > 64 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

// recorder remembers what was answered.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && status >= http.StatusOK {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(b)
	r.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (r *recorder) code() int {
	if r.status == 0 {
		return http.StatusOK
	}
	return r.status
}

// methodLabel keeps a method that a stranger made up out of logs and metrics.
func methodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodHead, http.MethodOptions, http.MethodPatch:
		return method
	}
	return "other"
}

func statusLabel(status int) string { return strconv.Itoa(status) }
