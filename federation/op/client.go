package op

import (
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/token"
)

// authenticate finds out which client calls, by one method at a time (RFC 6749
// §2.3). Only what it answers can be given to the issuer.
func (h *Handler) authenticate(r *http.Request, all url.Values) (token.VerifiedClient, error) {
	given, err := credentials(r, all)
	if err != nil {
		return token.VerifiedClient{}, err
	}
	client, known := h.o.Registry().Client(tenantOf(r).ID, given.ID)
	if err := h.mayGuess(r, client); err != nil {
		return token.VerifiedClient{}, err
	}
	verified, err := token.Authenticate(client, known, given)
	if err != nil {
		h.guessed(r, client, err)
		h.audit(r, "client not authenticated", slog.String("client", clip(given.ID, 100)), slog.String("method", string(given.Method)),
			slog.String("cause", causeText(public(err))))
		return verified, err
	}
	if err := h.spendClient(r, verified); err != nil {
		return token.VerifiedClient{}, err
	}
	return verified, nil
}

// credentials reads what the client shows. Those of the header are form-encoded
// before they are encoded for the Basic scheme (RFC 6749 §2.3.1).
func credentials(r *http.Request, all url.Values) (token.Credentials, error) {
	header := r.Header.Values("Authorization")
	if len(header) > 1 {
		return token.Credentials{}, federation.Fail(federation.InvalidRequest, "There is more than one Authorization header.")
	}
	if len(header) == 0 {
		given := token.Credentials{Method: federation.AuthNone, ID: all.Get("client_id")}
		if all.Has("client_secret") {
			given.Method, given.Secret = federation.AuthPost, federation.Secret(all.Get("client_secret"))
		}
		if given.ID == "" {
			return given, federation.Fail(federation.InvalidClient, "The client did not say who it is.")
		}
		return given, nil
	}
	if all.Has("client_secret") {
		return token.Credentials{}, federation.Fail(federation.InvalidRequest, "The client used more than one way to authenticate.")
	}
	bad := federation.Fail(federation.InvalidClient, "The Authorization header is not valid.")
	if scheme, _, _ := strings.Cut(header[0], " "); !strings.EqualFold(scheme, "Basic") {
		return token.Credentials{}, bad
	}
	user, password, ok := r.BasicAuth()
	if !ok {
		return token.Credentials{}, bad
	}
	id, err1 := url.QueryUnescape(user)
	secret, err2 := url.QueryUnescape(password)
	if err1 != nil || err2 != nil {
		return token.Credentials{}, bad
	}
	if all.Has("client_id") && all.Get("client_id") != id {
		return token.Credentials{}, federation.Fail(federation.InvalidRequest, "The client named itself in two ways.")
	}
	return token.Credentials{Method: federation.AuthBasic, ID: id, Secret: federation.Secret(secret)}, nil
}
