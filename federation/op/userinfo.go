package op

import (
	"context"
	"errors"
	"log/slog"
	"mime"
	"net/http"
	"strings"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/person"
	"github.com/drawbridge-id/drawbridge/openapi/wire"
)

// errNoToken: the request has no credentials at all, so it gets no error code
// (RFC 6750 §3.1).
var errNoToken = errors.New("no access token")

// userinfo answers the snapshot behind an access token (OpenID Connect Core 1.0
// §5.3).
func (h *Handler) userinfo(w http.ResponseWriter, r *http.Request) error {
	given, err := bearerToken(r)
	if err != nil {
		return err
	}
	t := tenantOf(r)
	access, err := h.o.Issuer.Inspect(r.Context(), t, given)
	if err != nil {
		return err
	}
	g := access.Grant
	wire.RequestInfoFrom(r.Context()).Note(slog.String("client", g.Client))
	if err := h.Honoured(r.Context(), t, g); err != nil {
		return err
	}
	if !g.Has("openid") {
		return federation.Fail(federation.InsufficientScope, "The token was not granted the scope openid.")
	}
	return h.tell(w, r, g)
}

// Honoured says whether the grant of an access token still counts, at whatever
// door of ours it is shown: its client must be configured, and where no session
// dies with the person, the person must be there. The error is invalid_token.
func (h *Handler) Honoured(ctx context.Context, t federation.Tenant, g federation.Grant) error {
	if _, known := h.o.Registry().Client(t.ID, g.Client); !known {
		return federation.Fail(federation.InvalidToken, "The access token's client is not known any more.")
	}
	if !g.Offline {
		return nil
	}
	p, err := h.o.Persons.Get(ctx, t, g.Person)
	if errors.Is(err, person.ErrNotFound) || err == nil && !p.Honours(g) {
		return federation.Fail(federation.InvalidToken, "The account is no longer there, or is blocked, or took the grant back.")
	}
	return err
}

// bearerToken finds the token in the header or, for POST, in the body; never in
// the query (RFC 6750 §2.3), and never in two places.
func bearerToken(r *http.Request) (string, error) {
	if r.URL.Query().Has("access_token") {
		return "", federation.Fail(federation.InvalidRequest, "An access token does not belong in the address.")
	}
	header := r.Header.Values("Authorization")
	if len(header) > 1 {
		return "", federation.Fail(federation.InvalidRequest, "There is more than one Authorization header.")
	}
	given := ""
	if len(header) == 1 {
		scheme, value, _ := strings.Cut(header[0], " ")
		if !strings.EqualFold(scheme, "Bearer") || value == "" {
			return "", errNoToken
		}
		given = value
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err == nil && kind == formType && r.Method == http.MethodPost {
		all, err := form(r, "access_token")
		if err != nil {
			return "", err
		}
		if in := all.Get("access_token"); in != "" && given != "" {
			return "", federation.Fail(federation.InvalidRequest, "The access token is in two places.")
		} else if in != "" {
			given = in
		}
	}
	if given == "" {
		return "", errNoToken
	}
	return given, nil
}
