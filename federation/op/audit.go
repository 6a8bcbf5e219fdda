package op

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/openapi/wire"
)

// audit writes one line of the audit trail: every decision about security has
// one. Never a secret, never a claim's value.
func (h *Handler) audit(r *http.Request, what string, attrs ...slog.Attr) {
	attrs = append([]slog.Attr{slog.Bool("audit", true), slog.String("tenant", tenantOf(r).ID),
		slog.String("request_id", wire.RequestInfoFrom(r.Context()).ID)}, attrs...)
	h.o.Log.LogAttrs(r.Context(), slog.LevelInfo, what, attrs...) //nolint:sloglint // the callers' messages are constants
}

// note puts the error on the request's log line; the cause only there.
func note(r *http.Request, e *federation.Error) {
	attrs := []slog.Attr{slog.String("error", string(e.Code)), slog.String("reason", e.Description)}
	if cause := causeText(e); cause != "" {
		attrs = append(attrs, slog.String("cause", cause))
	}
	wire.RequestInfoFrom(r.Context()).Note(attrs...)
}

// causeText is the private cause of an error, for logs.
func causeText(e *federation.Error) string {
	if cause := errors.Unwrap(e); cause != nil {
		return clip(cause.Error(), 500)
	}
	return ""
}

// origin is what changes know of the request.
func origin(r *http.Request) federation.Request {
	info := wire.RequestInfoFrom(r.Context())
	locale, _, _ := strings.Cut(r.Header.Get("Accept-Language"), ",")
	locale, _, _ = strings.Cut(locale, ";")
	req := federation.Request{ID: info.ID, Host: clip(r.Host, 255), UserAgent: clip(r.UserAgent(), 512), Locale: clip(strings.TrimSpace(locale), 35)}
	if info.Addr.IsValid() {
		req.Addr = info.Addr.String()
	}
	return req
}

// clip bounds a stranger's words to n bytes of text and takes control
// characters out of them.
func clip(s string, n int) string {
	if len(s) > 2*n {
		s = s[:2*n] // enough to choose from, whatever is taken out
	}
	s = strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return -1
		}
		return c
	}, strings.ToValidUTF8(s, ""))
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
