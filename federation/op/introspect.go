package op

import (
	"errors"
	"log/slog"
	"net/http"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/person"
	"github.com/drawbridge-id/drawbridge/federation/token"
	"github.com/drawbridge-id/drawbridge/openapi/wire"
)

// introspect is the introspection endpoint (RFC 7662 §2). Whatever is no good
// token that the client may ask about is inactive, and nothing more is said of
// it. What a token is shows in its form, so the hint is not needed and a wrong
// one does no harm.
func (h *Handler) introspect(w http.ResponseWriter, r *http.Request) error {
	all, err := form(r, "token", "token_type_hint", "client_id", "client_secret")
	if err != nil {
		return err
	}
	caller, err := h.authenticate(r, all)
	if err != nil {
		return err
	}
	client := caller.Client()
	if client.Public() {
		return federation.Fail(federation.InvalidClient, "A client without a secret may not introspect.")
	}
	given := all.Get("token")
	if given == "" {
		return federation.Fail(federation.InvalidRequest, "token is missing.")
	}
	wire.RequestInfoFrom(r.Context()).Note(slog.String("client", client.ID))
	t := tenantOf(r)
	shown, err := h.o.Issuer.Look(r.Context(), t, given)
	if err == nil {
		err = h.tellable(r, client, shown)
	}
	if e, ok := errors.AsType[*federation.Error](err); ok && e.Code == federation.InvalidToken {
		writeJSON(w, http.StatusOK, token.Inactive())
		return nil
	}
	if err != nil {
		return err
	}
	h.o.Issuer.Used(r.Context(), t, shown)
	writeJSON(w, http.StatusOK, shown.Introspection(t.Issuer))
	return nil
}

// tellable says whether a client may be told of a token, which must still count:
// its client is configured and its person is there and has not taken it back. A
// refresh token is told of to nobody but the client that could use it.
func (h *Handler) tellable(r *http.Request, client federation.Client, shown token.Shown) error {
	t, g := tenantOf(r), shown.Grant
	refused := federation.Fail(federation.InvalidToken, "The client may not ask about the token.")
	of, known := h.o.Registry().Client(t.ID, g.Client)
	p, err := h.o.Persons.Get(r.Context(), t, g.Person)
	switch {
	case errors.Is(err, person.ErrNotFound):
		return refused.Because(err)
	case err != nil:
		return err
	case !known || !p.Honours(g):
		return refused
	case shown.Refresh && (g.Client != client.ID || !of.MayGrant(grantRefresh) || !of.MayUse(g.Upstream)):
		return refused
	case !client.MayIntrospect(t.Issuer, g):
		return refused
	}
	return nil
}
