package op

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/op/page"
)

const (
	// departTime is how long an upstream's metadata may take to be read when a
	// user signs out. Who is slower than that is left out.
	departTime = 3 * time.Second
	// maxEndHint is how long an ID token may be to be sent along in an address:
	// servers refuse longer ones. Without it the upstream asks the user.
	maxEndHint = 6 << 10
)

// leg is an upstream's session that is still to be ended.
type leg struct {
	Upstream string `json:"u"`
	// Hint is the ID token of the login, empty where it does not fit.
	Hint string `json:"h,omitempty"`
}

// departure is a logout on its way round the upstreams: where it ends, and which
// of them are left. It travels sealed, in a cookie, while the browser is at one.
type departure struct {
	Bye  goodbye `json:"b"`
	Legs []leg   `json:"l,omitempty"`
}

// depart does what is left to do in the browser once a session is over: it tells
// relying parties in frames, has the upstreams end their sessions one after the
// other, and goes to where the relying party asked to.
func (h *Handler) depart(w http.ResponseWriter, r *http.Request, bye goodbye, s federation.Session) error {
	t, d := tenantOf(r), departure{Bye: bye}
	for _, l := range s.Logins {
		d.Legs = append(d.Legs, leg{Upstream: l.Upstream, Hint: l.IDToken})
	}
	next := h.nextLeg(w, r, d)
	http.SetCookie(w, h.o.Sessions.ClearCookie(t.ID, t.Secure()))
	frames := h.frames(t, s)
	switch {
	case len(frames) > 0:
		h.farewell(w, r, bye.Locales, frames, next)
	case next != "":
		seeOther(w, next)
	default:
		h.show(w, r, http.StatusOK, federation.Client{}, bye.Locales, page.SignedOut{}, "")
	}
	return nil
}

// nextLeg is where the browser goes next: to the first upstream left that has a
// session to end, or to the end of the way, which is empty for a page of ours.
// An upstream that cannot be asked is passed over.
func (h *Handler) nextLeg(w http.ResponseWriter, r *http.Request, d departure) string {
	t := tenantOf(r)
	for len(d.Legs) > 0 {
		now := d.Legs[0]
		d.Legs = d.Legs[1:]
		handle := federation.NewSecret()
		to, err := h.endAt(r, now, handle)
		if err == nil && to == "" {
			continue // it has none, or is to be left alone
		}
		if err == nil {
			err = h.carryDeparture(w, r, handle, d)
		}
		if err == nil {
			h.audit(r, "signing out at upstream", slog.String("upstream", now.Upstream))
			return to
		}
		h.audit(r, "not signed out at upstream", slog.String("upstream", now.Upstream), slog.String("tenant", t.ID), slog.String("cause", err.Error()))
	}
	return d.Bye.back()
}

// endAt is the address that ends an upstream's session and leads back here.
func (h *Handler) endAt(r *http.Request, l leg, handle string) (string, error) {
	t := tenantOf(r)
	u, known := h.o.Registry().Upstream(t.ID, l.Upstream)
	if !known || u.EndSessionURL == nil {
		return "", nil
	}
	ctx, cancel := context.WithTimeout(r.Context(), departTime)
	defer cancel()
	if len(l.Hint) > maxEndHint {
		l.Hint = ""
	}
	return u.EndSessionURL(ctx, l.Hint, t.URL("/end_session/return"), handle)
}

// afterSignOut is where the form that signs a user out may lead to, as source
// expressions: browsers hold every redirect after a form to them. Of an upstream
// it is the scheme: at which of its addresses a session ends, and where it leads
// from there, is not known before it is asked.
func (h *Handler) afterSignOut(t federation.Tenant, bye goodbye, s federation.Session) string {
	all := strings.Fields(formTarget(bye.To))
	for _, l := range s.Logins {
		u, known := h.o.Registry().Upstream(t.ID, l.Upstream)
		scheme, _, _ := strings.Cut(u.Issuer, ":")
		if known && u.EndSessionURL != nil && !slices.Contains(all, scheme+":") {
			all = append(all, scheme+":")
		}
	}
	return strings.Join(all, " ")
}

// carryDeparture puts what is left into the browser; where that is too much,
// without the hints.
func (h *Handler) carryDeparture(w http.ResponseWriter, r *http.Request, handle string, d departure) error {
	err := h.carry(w, r, handle, transaction{Step: atDeparture, Departure: &d})
	if refused, ok := errors.AsType[*federation.Error](err); !ok || refused.Code != federation.InvalidRequest {
		return err
	}
	short := departure{Bye: d.Bye}
	for _, l := range d.Legs {
		short.Legs = append(short.Legs, leg{Upstream: l.Upstream})
	}
	return h.carry(w, r, handle, transaction{Step: atDeparture, Departure: &short})
}

// returnToEndSession is where upstreams send the browser back to once they have
// ended their sessions. The way on is proven again. Who comes with nothing that
// is known gets a page: what this is about was over before.
func (h *Handler) returnToEndSession(w http.ResponseWriter, r *http.Request) error {
	all, err := query(r, "state")
	if err != nil {
		return h.unproven(r, err)
	}
	tx, err := h.take(w, r, all.Get("state"), atDeparture)
	if err != nil || tx.Departure == nil {
		held, failed := h.session(r)
		switch {
		case failed != nil:
			return failed
		case held != nil:
			return h.unproven(r, federation.Fail(federation.InvalidRequest, "This sign-out is not known in this browser, or took too long.").Because(err))
		}
		h.show(w, r, http.StatusOK, federation.Client{}, locales(r), page.SignedOut{Already: true}, "")
		return nil
	}
	if _, err := h.wayBack(r, tx.Departure.Bye); err != nil {
		return h.unproven(r, err)
	}
	if next := h.nextLeg(w, r, *tx.Departure); next != "" {
		seeOther(w, next)
		return nil
	}
	h.show(w, r, http.StatusOK, federation.Client{}, tx.Departure.Bye.Locales, page.SignedOut{}, "")
	return nil
}
