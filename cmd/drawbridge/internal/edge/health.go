package edge

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/drawbridge-id/drawbridge/openapi/wire"
)

// Health answers /healthz and /readyz.
type Health struct {
	draining atomic.Bool
	// Ready says whether requests can be served: the store answers.
	Ready func(ctx context.Context) error
}

// Drain makes /readyz red, so that balancers send nothing new.
func (h *Health) Drain() { h.draining.Store(true) }

// Draining says whether Drain was called.
func (h *Health) Draining() bool { return h.draining.Load() }

// Live answers /healthz: the process serves.
func (h *Health) Live(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok\n") }

// Readyz answers /readyz: 503 while draining or while the store does not answer.
func (h *Health) Readyz(w http.ResponseWriter, r *http.Request) {
	if h.draining.Load() {
		plain(w, http.StatusServiceUnavailable, "draining\n")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	if err := h.Ready(ctx); err != nil {
		wire.RequestInfoFrom(ctx).Note(slog.String("error", err.Error()))
		plain(w, http.StatusServiceUnavailable, "store is not reachable\n")
		return
	}
	plain(w, http.StatusOK, "ready\n")
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	io.WriteString(w, text) //nolint:errcheck // the client has gone away; there is nobody to tell
}
