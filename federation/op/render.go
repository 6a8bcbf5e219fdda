package op

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/op/page"
	"github.com/drawbridge-id/drawbridge/openapi/wire"
)

// Errors of requests that no endpoint stands for.
var (
	errNoPage = &federation.Error{Code: federation.InvalidRequest, Status: http.StatusNotFound, Description: "There is no such page here."}
	errMethod = &federation.Error{Code: federation.InvalidRequest, Status: http.StatusMethodNotAllowed, Description: "The method is not allowed here."}
)

// redirectError is an error that may be told at a proven redirect URI.
type redirectError struct {
	reply
	err *federation.Error
}

func (e *redirectError) Error() string { return e.err.Error() }
func (e *redirectError) Unwrap() error { return e.err }

// distrustError is an answer that is not to be believed: the user gets a page
// that says so, with a way back to the application.
type distrustError struct {
	err    *federation.Error
	back   reply
	client string
}

func (e *distrustError) Error() string { return e.err.Error() }
func (e *distrustError) Unwrap() error { return e.err }

// logoutError is a page with a way to sign out all the same.
type logoutError struct {
	err   *federation.Error
	again string
}

func (e *logoutError) Error() string { return e.err.Error() }
func (e *logoutError) Unwrap() error { return e.err }

// json is the border of endpoints that answer clients.
func (h *Handler) json(d door) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := h.admit(w, r, d); err != nil {
			writeJSONError(w, r, err)
		}
	})
}

// writeJSONError answers as RFC 6749 §5.2 says.
func writeJSONError(w http.ResponseWriter, r *http.Request, err error) {
	e := public(err)
	note(r, e)
	retryAfter(w, e)
	if e.Code == federation.InvalidClient && r.Header.Get("Authorization") != "" {
		w.Header().Set("WWW-Authenticate", `Basic realm="drawbridge"`)
	}
	writeJSON(w, e.Status, map[string]string{"error": string(e.Code), "error_description": e.Description})
}

// bearer is the border of endpoints that take an access token (RFC 6750 §3).
func (h *Handler) bearer(d door) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := h.admit(w, r, d)
		if err == nil {
			return
		}
		if errors.Is(err, errNoToken) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="drawbridge"`)
			noStore(w)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		e := public(err)
		switch e.Status {
		case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden:
			w.Header().Set("WWW-Authenticate", `Bearer realm="drawbridge", error="`+string(e.Code)+`", error_description="`+e.Description+`"`)
		}
		writeJSONError(w, r, e)
	})
}

// page is the border of endpoints that browsers visit: to the redirect URI
// where there is a proven one, and a page where there is not.
func (h *Handler) page(d door) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := h.admit(w, r, d)
		if err == nil {
			return
		}
		e := public(err)
		note(r, e)
		if back, ok := errors.AsType[*redirectError](err); ok {
			h.send(w, r, back.reply)
			return
		}
		retryAfter(w, e)
		p := page.Error{
			Text: e.Description, Code: string(e.Code), Request: wire.RequestInfoFrom(r.Context()).ID,
			Later: e.Code == federation.TemporarilyUnavailable,
		}
		status, target, ui := e.Status, "", locales(r)
		if status == http.StatusNotFound || status == http.StatusMethodNotAllowed {
			p.Code = "" // there was no protocol to speak
		}
		if d, ok := errors.AsType[*distrustError](err); ok {
			p.Client, status, ui = d.client, http.StatusBadGateway, d.back.locales
			if p.Back = link(d.back.url()); d.back.form() {
				p.Back, p.Fields, target = link(d.back.to), d.back.fields(), formTarget(d.back.to)
			}
		}
		if l, ok := errors.AsType[*logoutError](err); ok {
			p.SignOut = l.again
		}
		h.show(w, r, status, federation.Client{}, ui, p, target)
	})
}

// withParams adds parameters to a registered URI, whose own query it keeps byte
// by byte (RFC 6749 §3.1.2). Registered URIs have no fragment.
func withParams(to, state string, q url.Values) string {
	if q == nil {
		q = url.Values{}
	}
	if state != "" {
		q.Set("state", state)
	}
	switch added := q.Encode(); {
	case added == "":
		return to
	case !strings.Contains(to, "?"):
		return to + "?" + added
	case strings.HasSuffix(to, "?"), strings.HasSuffix(to, "&"):
		return to + added
	default:
		return to + "&" + added
	}
}

// seeOther sends the browser on. 303: whatever the method was, it goes on with
// GET, and a body with credentials is not sent on (RFC 9700 §4.12).
func seeOther(w http.ResponseWriter, to string) {
	noStore(w)
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	noStore(w)
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, `{"error":"server_error"}`, http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that has gone needs no answer
}

func noStore(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Pragma", "no-cache")
}

// retryAfter tells when it is worth trying again (RFC 9110 §10.2.3).
func retryAfter(w http.ResponseWriter, e *federation.Error) {
	wait := e.RetryAfter
	if wait == 0 && e.Code == federation.TemporarilyUnavailable {
		wait = 5 * time.Second
	}
	if wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
	}
}
