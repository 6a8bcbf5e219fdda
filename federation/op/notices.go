package op

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/session"
	"github.com/drawbridge-id/drawbridge/openapi/wire"
)

// backchannelLogout is where upstreams send logout tokens (OpenID Connect
// Back-Channel Logout 1.0 §2.5). Whatever is wrong with one is told as §2.8 says,
// and no more than that something is.
func (h *Handler) backchannelLogout(w http.ResponseWriter, r *http.Request) error {
	u, err := h.notifier(r)
	switch {
	case err != nil:
		return err
	case u.ReadLogout == nil:
		return errNoPage
	}
	all, err := form(r, "logout_token")
	if err != nil {
		return err
	}
	token := all.Get("logout_token")
	if token == "" {
		return federation.Fail(federation.InvalidRequest, "logout_token is missing.")
	}
	if err := h.o.Notices.Token(r.Context(), tenantOf(r), u, token, origin(r)); err != nil {
		return err
	}
	noStore(w)
	w.WriteHeader(http.StatusOK)
	return nil
}

// frontchannelLogout is the page that an upstream shows in a frame while it
// signs a user out (OpenID Connect Front-Channel Logout 1.0 §2). Browsers send no
// cookie there from another site, so it is iss and sid that say which session;
// without them it is the browser's, if this is a frame and the cookie came along:
// a link that somebody follows ends nothing.
func (h *Handler) frontchannelLogout(w http.ResponseWriter, r *http.Request) error {
	u, err := h.notifier(r)
	switch {
	case err != nil:
		return err
	case !u.FrontChannelLogout:
		return errNoPage
	}
	all, err := query(r, "iss", "sid")
	if err != nil {
		return err
	}
	iss, sid := all.Get("iss"), all.Get("sid")
	switch {
	case iss == "" && sid == "":
		err = h.endFramed(w, r, u)
	case iss != u.Issuer || sid == "":
		err = federation.Fail(federation.InvalidRequest, "The identity provider's request to sign you out is not complete.")
	default:
		err = h.o.Notices.Frame(r.Context(), tenantOf(r), u, sid, origin(r))
	}
	if err != nil {
		return err
	}
	h.framed(w, r, u)
	return nil
}

// notifier is the upstream that a notice's path names.
func (h *Handler) notifier(r *http.Request) (federation.Upstream, error) {
	id, err := url.PathUnescape(mux.Vars(r)["upstream"])
	u, known := h.o.Registry().Upstream(tenantOf(r).ID, id)
	if err != nil || !known {
		return u, errNoPage
	}
	wire.RequestInfoFrom(r.Context()).Note(slog.String("upstream", u.ID))
	return u, nil
}

// endFramed ends the session of the browser, if the upstream has a part in it.
func (h *Handler) endFramed(w http.ResponseWriter, r *http.Request, u federation.Upstream) error {
	if dest := r.Header.Get("Sec-Fetch-Dest"); dest != "iframe" && dest != "frame" {
		return federation.Fail(federation.InvalidRequest, "The identity provider did not say which session is over.")
	}
	held, err := h.session(r)
	if err != nil || held == nil {
		return err
	}
	if _, has := held.Session.Login(u.ID); !has {
		return nil
	}
	t, req := tenantOf(r), origin(r)
	req.CausedBy, req.Upstream = "upstream:"+u.ID, u.ID
	if err := h.o.Sessions.End(r.Context(), t, held.Session.ID, federation.Destroy, req); err != nil && !errors.Is(err, session.ErrNotFound) {
		return federation.Fail(federation.TemporarilyUnavailable, "You could not be signed out at the moment.").Because(err)
	}
	h.audit(r, "logout by upstream", slog.String("upstream", u.ID), slog.String("channel", "front"), slog.String("session", held.Session.ID))
	http.SetCookie(w, h.o.Sessions.ClearCookie(t.ID, t.Secure()))
	return nil
}

// framed is the page in the frame. Only the upstream may frame it.
func (h *Handler) framed(w http.ResponseWriter, r *http.Request, u federation.Upstream) {
	noStore(w)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors "+framers(u.Issuer, h.endSessionAt(r, u)))
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write([]byte("<!doctype html>\n<html lang=\"en\"><title>Signed out</title><p>Signed out.</p></html>\n")) // a browser that has gone needs no page
}

// endSessionAt is where the upstream signs users out, which need not be where
// its issuer is; empty where that cannot be said soon.
func (h *Handler) endSessionAt(r *http.Request, u federation.Upstream) string {
	if u.EndSessionURL == nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	to, err := u.EndSessionURL(ctx, "", "", "")
	if err != nil {
		return ""
	}
	return to
}

// framers are the origins of addresses as sources of a policy, which has no word
// for IPv6 addresses.
func framers(addresses ...string) string {
	var all []string
	for _, a := range addresses {
		u, err := url.Parse(a)
		if err != nil || u.Host == "" || strings.ContainsAny(u.Host, "[;, '\"") {
			continue
		}
		if origin := u.Scheme + "://" + u.Host; len(all) == 0 || all[0] != origin {
			all = append(all, origin)
		}
	}
	if len(all) == 0 {
		return "'none'"
	}
	return strings.Join(all, " ")
}

// signedOutMeanwhile is a sign-in whose login the upstream has ended before it
// became a session. The user signs in again, once: an upstream that goes on
// giving out what it has ended must not send the browser round and round.
func (h *Handler) signedOutMeanwhile(w http.ResponseWriter, r *http.Request, v visit, got outcome, err error) error {
	t, q := tenantOf(r), v.request
	failed := federation.Fail(federation.LoginRequired, "The identity provider has signed the user out meanwhile.").Because(err)
	if q.Again || q.prompts("none") {
		return h.denied(r, t, v, got, failed)
	}
	h.o.Observe.SignIn(v.login.Upstream, string(failed.Code))
	h.audit(r, "signed out meanwhile by upstream", slog.String("client", v.client.ID), slog.String("upstream", v.login.Upstream))
	q.Again = true
	return h.signInAt(w, r, v.client, q, v.login.Upstream)
}
