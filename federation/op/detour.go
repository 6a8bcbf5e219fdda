package op

import (
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/session"
)

const (
	// sealedParam carries what was sealed into an address of ours.
	sealedParam = "request"
	// maxSealed is how long it may be: servers on the way refuse longer addresses.
	maxSealed = 7 << 10
)

// sealed is what travels: nothing in it can be read or changed on the way. It
// proves no browser, and so says nothing that a link could not say as well.
type sealed struct {
	At   time.Time       `json:"at"`
	What json.RawMessage `json:"what"`
}

// cookiesWithheld says whether the request may come from another site's form:
// browsers send no cookie of SameSite=Lax along with that, although there may
// be a session.
func (h *Handler) cookiesWithheld(r *http.Request) bool {
	if r.Method != http.MethodPost {
		return false
	}
	t := tenantOf(r)
	_, err := r.Cookie(session.CookieName(t.ID, t.Secure()))
	return err != nil
}

// detour sends the browser to an address of ours with what was asked for, so
// that it comes with its cookies. What was posted stays out of the address.
func (h *Handler) detour(w http.ResponseWriter, r *http.Request, path, purpose string, what any) error {
	t := tenantOf(r)
	text, err := h.seal(r, purpose, what)
	if err != nil {
		return err
	}
	if len(text) > maxSealed {
		return federation.Fail(federation.InvalidRequest, "The request is too large to be carried on.")
	}
	seeOther(w, base(t)+path+"?"+url.Values{sealedParam: {text}}.Encode())
	return nil
}

// arrive reads what detour sealed.
func (h *Handler) arrive(r *http.Request, purpose string, what any) error {
	all, err := query(r, sealedParam)
	if err != nil {
		return err
	}
	return h.open(r, purpose, all.Get(sealedParam), what)
}

// seal makes a text of a value that only we can read, for a while.
func (h *Handler) seal(r *http.Request, purpose string, what any) (string, error) {
	inner, err := json.Marshal(what)
	if err != nil {
		return "", err
	}
	plain, err := json.Marshal(sealed{At: h.o.Now(), What: inner})
	if err != nil {
		return "", err
	}
	return h.o.Keys.Seal(r.Context(), tenantOf(r), purpose, plain)
}

// open reads what seal made. The error is safe to show on a page.
func (h *Handler) open(r *http.Request, purpose, text string, what any) error {
	lost := federation.Fail(federation.InvalidRequest, "This page is not known or too old.")
	plain, err := h.o.Keys.Open(r.Context(), tenantOf(r), purpose, text)
	if err != nil {
		return notOurs(lost, err)
	}
	var s sealed
	if err := json.Unmarshal(plain, &s); err != nil {
		return lost.Because(err)
	}
	if age := h.o.Now().Sub(s.At); age > transactionLife {
		return lost
	}
	if err := json.Unmarshal(s.What, what); err != nil {
		return lost.Because(err)
	}
	return nil
}
