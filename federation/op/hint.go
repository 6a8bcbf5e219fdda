package op

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/token"
)

// hint is what an ID token of ours says, however old it is.
type hint struct {
	Issuer   string   `json:"iss"`
	Subject  string   `json:"sub"`
	SID      string   `json:"sid"`
	Audience audience `json:"aud"`
	// Expires is in every ID token, and in no other answer of ours.
	Expires json.Number `json:"exp"`
}

// audience reads one audience or a list of them (RFC 7519 §4.1.3).
type audience []string

// UnmarshalJSON implements json.Unmarshaler.
func (a *audience) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		*a = make(audience, 1)
		return json.Unmarshal(b, &(*a)[0])
	}
	return json.Unmarshal(b, (*[]string)(a))
}

// errNoHint: the text is no ID token of this issuer.
var errNoHint = errors.New("op: not an ID token of ours")

// readHint verifies the signature and not the expiry: a hint is a memory. The
// error is errNoHint, or says that keys could not be read.
func (h *Handler) readHint(r *http.Request, given string) (hint, error) {
	t := tenantOf(r)
	payload, err := h.o.Keys.Verify(r.Context(), t, given)
	if errors.Is(err, token.ErrNotOurs) {
		return hint{}, errors.Join(errNoHint, err)
	}
	if err != nil {
		return hint{}, err
	}
	var known hint
	if err := json.Unmarshal(payload, &known); err != nil {
		return hint{}, errors.Join(errNoHint, err)
	}
	if known.Issuer != t.Issuer || known.Subject == "" || len(known.Audience) == 0 || known.Expires == "" {
		return hint{}, errNoHint
	}
	return known, nil
}

// hintSubject is whom an id_token_hint names, and to which client; empty without
// one.
func (h *Handler) hintSubject(r *http.Request, given string) (sub, client string, err error) {
	if given == "" {
		return "", "", nil
	}
	known, err := h.readHint(r, given)
	if errors.Is(err, errNoHint) {
		return "", "", federation.Fail(federation.InvalidRequest, "id_token_hint is not a token of this issuer.").Because(err)
	}
	if err != nil {
		return "", "", err
	}
	return known.Subject, known.Audience[0], nil
}
