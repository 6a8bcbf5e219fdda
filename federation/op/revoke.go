package op

import (
	"log/slog"
	"net/http"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/openapi/wire"
)

// revoke is the revocation endpoint (RFC 7009 §2). A token that is unknown or
// over answers as one that was revoked; another client's is refused.
func (h *Handler) revoke(w http.ResponseWriter, r *http.Request) error {
	all, err := form(r, "token", "token_type_hint", "client_id", "client_secret")
	if err != nil {
		return err
	}
	client, err := h.authenticate(r, all)
	if err != nil {
		return err
	}
	if all.Get("token") == "" {
		return federation.Fail(federation.InvalidRequest, "token is missing.")
	}
	wire.RequestInfoFrom(r.Context()).Note(slog.String("client", client.Client().ID))
	if err := h.o.Issuer.Revoke(r.Context(), tenantOf(r), client, all.Get("token"), all.Get("token_type_hint")); err != nil {
		return err
	}
	h.audit(r, "token revoked", slog.String("client", client.Client().ID))
	noStore(w)
	w.WriteHeader(http.StatusOK)
	return nil
}
