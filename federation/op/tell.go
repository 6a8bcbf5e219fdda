package op

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"github.com/drawbridge-id/drawbridge/claims"
	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/clientkeys"
)

// tell answers userinfo in the form that the client registered: JSON, or a JWT
// that is signed, encrypted, or both (OpenID Connect Core 1.0 §5.3.2). What
// should be encrypted is not told otherwise.
func (h *Handler) tell(w http.ResponseWriter, r *http.Request, g federation.Grant) error {
	t := tenantOf(r)
	client, known := h.o.Registry().Client(t.ID, g.Client)
	switch {
	case !known:
		return federation.Fail(federation.InvalidToken, "The access token's client is not known any more.")
	case client.UserinfoAlg == "" && !client.UserinfoEncryption.Wanted():
		writeJSON(w, http.StatusOK, g.Snapshot.Userinfo(claims.Set{"sub": g.Subject}))
		return nil
	}
	text, err := h.userinfoJWT(r, t, client, g)
	if err != nil {
		return err
	}
	noStore(w)
	w.Header().Set("Content-Type", "application/jwt")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	_, _ = w.Write([]byte(text)) // a client that has gone needs no answer
	return nil
}

// userinfoJWT is the answer as a JWT, with iss and aud, so that it cannot be
// taken for another provider's or another client's.
func (h *Handler) userinfoJWT(r *http.Request, t federation.Tenant, client federation.Client, g federation.Grant) (string, error) {
	var to clientkeys.Recipient
	var err error
	if client.UserinfoEncryption.Wanted() {
		if to, err = clientkeys.To(r.Context(), client, client.UserinfoEncryption); err != nil {
			return "", err
		}
	}
	said := g.Snapshot.Userinfo(claims.Set{"sub": g.Subject, "iss": t.Issuer, "aud": client.ID})
	var text string
	if client.UserinfoAlg != "" {
		if text, err = h.o.Keys.Sign(r.Context(), t, client.UserinfoAlg, "JWT", said); err != nil {
			return "", fmt.Errorf("sign userinfo: %w", err)
		}
	} else {
		plain, err := json.Marshal(said)
		if err != nil {
			return "", fmt.Errorf("encode userinfo: %w", err)
		}
		text = string(plain)
	}
	if !client.UserinfoEncryption.Wanted() {
		return text, nil
	}
	return to.Encrypt(text, client.UserinfoAlg != "")
}
