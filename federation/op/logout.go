package op

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/op/page"
	"github.com/drawbridge-id/drawbridge/federation/session"
)

// goodbye is a logout request whose way back, if it has one, is proven. It is
// what travels sealed.
type goodbye struct {
	Client string `json:"c,omitempty"`
	To     string `json:"to,omitempty"`
	State  string `json:"s,omitempty"`
	// Locales is the language that was asked for.
	Locales string `json:"ui,omitempty"`
	// Named is the sid that the hint names, Asked the one that the user was
	// asked about.
	Named string `json:"n,omitempty"`
	Asked string `json:"a,omitempty"`
}

// back is where the relying party asked to go, empty for nowhere.
func (b goodbye) back() string {
	if b.To == "" {
		return ""
	}
	return withParams(b.To, b.State, nil)
}

const (
	sealGoodbye = "end session"
	sealConfirm = "end session confirmed"
)

// endSession is the logout endpoint (OpenID Connect RP-Initiated Logout 1.0 §2).
// What is wrong with the request is told before anything ends.
func (h *Handler) endSession(w http.ResponseWriter, r *http.Request) error {
	all, err := params(r, "id_token_hint", "client_id", "post_logout_redirect_uri", "state", "ui_locales")
	if err != nil {
		return h.unproven(r, err)
	}
	bye, err := h.goodbye(r, all)
	if err != nil {
		return h.unproven(r, err)
	}
	if h.cookiesWithheld(r) {
		return h.detourEndSession(w, r, bye)
	}
	return h.sayGoodbye(w, r, bye)
}

// detourEndSession has the browser come again with its cookies.
func (h *Handler) detourEndSession(w http.ResponseWriter, r *http.Request, bye goodbye) error {
	if err := h.detour(w, r, "/end_session/continue", sealGoodbye, bye); err != nil {
		return h.unproven(r, err)
	}
	return nil
}

// continueEndSession goes on with a request that another site had posted.
func (h *Handler) continueEndSession(w http.ResponseWriter, r *http.Request) error {
	var bye goodbye
	if err := h.arrive(r, sealGoodbye, &bye); err != nil {
		return h.unproven(r, err)
	}
	if _, err := h.wayBack(r, bye); err != nil {
		return h.unproven(r, err)
	}
	return h.sayGoodbye(w, r, bye)
}

// sayGoodbye ends the session of the browser, or asks where nothing shows that
// the relying party speaks of that very session.
func (h *Handler) sayGoodbye(w http.ResponseWriter, r *http.Request, bye goodbye) error {
	held, err := h.session(r)
	switch {
	case err != nil:
		return err
	case held == nil:
		h.leave(w, r, bye, true)
		return nil
	case bye.Named != held.Session.ID:
		return h.askLogout(w, r, bye, held.Session)
	}
	return h.end(w, r, bye, held.Session.ID)
}

// goodbye reads a request and proves the way back.
func (h *Handler) goodbye(r *http.Request, all url.Values) (goodbye, error) {
	bye := goodbye{Client: all.Get("client_id"), To: all.Get("post_logout_redirect_uri"), State: all.Get("state"), Locales: all.Get("ui_locales")}
	if given := all.Get("id_token_hint"); given != "" {
		known, err := h.readHint(r, given)
		switch {
		case errors.Is(err, errNoHint):
			return bye, federation.Fail(federation.InvalidRequest, "The ID token that came along is not one of ours.").Because(err)
		case err != nil:
			return bye, err
		case bye.Client != "" && !slices.Contains(known.Audience, bye.Client):
			return bye, federation.Fail(federation.InvalidRequest, "The ID token that came along is another application's.")
		case bye.Client == "":
			bye.Client = h.spokenFor(r, known.Audience, bye.To)
		}
		bye.Named = known.SID
	}
	_, err := h.wayBack(r, bye)
	return bye, err
}

// spokenFor is the client that a hint speaks for where the request does not
// name it: of several audiences the one whose address is asked for.
func (h *Handler) spokenFor(r *http.Request, audience []string, to string) string {
	for _, id := range audience {
		client, known := h.o.Registry().Client(tenantOf(r).ID, id)
		if known && slices.Contains(client.PostLogoutRedirectURIs, to) {
			return id
		}
	}
	return audience[0]
}

// wayBack is the client of a logout request, whose post-logout redirect URI is
// one of its own, compared byte by byte. Without either there is nothing to
// prove.
func (h *Handler) wayBack(r *http.Request, bye goodbye) (federation.Client, error) {
	client, known := h.o.Registry().Client(tenantOf(r).ID, bye.Client)
	switch {
	case bye.Client != "" && !known:
		return client, federation.Fail(federation.InvalidRequest, "The application that sent you here is not known.")
	case bye.To != "" && !slices.Contains(client.PostLogoutRedirectURIs, bye.To):
		return client, federation.Fail(federation.InvalidRequest, "The address to return to is not registered for this application.")
	}
	return client, nil
}

// unproven is a logout request that nothing can be done about. The user may
// still want to sign out, and is shown how.
func (h *Handler) unproven(r *http.Request, err error) error {
	return &logoutError{err: public(err), again: base(tenantOf(r)) + "/end_session"}
}

// askLogout asks. The answer is sealed and names the session, so that no other
// site can give it.
func (h *Handler) askLogout(w http.ResponseWriter, r *http.Request, bye goodbye, s federation.Session) error {
	client, err := h.wayBack(r, bye)
	if err != nil {
		return err
	}
	bye.Asked = s.ID
	proof, err := h.seal(r, sealConfirm, bye)
	if err != nil {
		return err
	}
	p := page.Logout{Client: title(client), Account: h.account(r, s.Person), Action: base(tenantOf(r)) + "/end_session/confirm", Proof: proof}
	h.show(w, r, http.StatusOK, client, bye.Locales, p, h.afterSignOut(tenantOf(r), bye, s))
	return nil
}

// confirmEndSession takes the user's answer. It counts only for the session
// that it was asked about, and in its browser: one that comes without the cookie
// may be another site's form, with a proof that somebody else was shown, and is
// asked for again.
func (h *Handler) confirmEndSession(w http.ResponseWriter, r *http.Request) error {
	all, err := form(r, "proof", "answer")
	if err != nil {
		return h.unproven(r, err)
	}
	var bye goodbye
	if err := h.open(r, sealConfirm, all.Get("proof"), &bye); err != nil {
		return h.unproven(r, err)
	}
	if _, err := h.wayBack(r, bye); err != nil {
		return h.unproven(r, err)
	}
	if all.Get("answer") != "sign-out" {
		h.show(w, r, http.StatusOK, federation.Client{}, bye.Locales, page.StillSignedIn{}, "")
		return nil
	}
	if h.cookiesWithheld(r) {
		bye.Named, bye.Asked = "", ""
		return h.detourEndSession(w, r, bye)
	}
	held, err := h.session(r)
	switch {
	case err != nil:
		return err
	case held == nil:
		h.leave(w, r, bye, true)
		return nil
	case held.Session.ID != bye.Asked:
		return h.unproven(r, federation.Fail(federation.InvalidRequest, "Another session has begun in this browser meanwhile."))
	}
	return h.end(w, r, bye, held.Session.ID)
}

// end ends the session and leaves. What is left to do in other places begins
// when that stands: whatever becomes of it, the user is signed out here.
func (h *Handler) end(w http.ResponseWriter, r *http.Request, bye goodbye, sid string) error {
	s, err := h.o.Sessions.Finish(r.Context(), tenantOf(r), sid, federation.Logout, origin(r))
	over := errors.Is(err, session.ErrNotFound)
	if err != nil && !over {
		return federation.Fail(federation.TemporarilyUnavailable, "You could not be signed out at the moment. Please try again.").Because(err)
	}
	h.audit(r, "signed out", slog.String("client", bye.Client), slog.String("session", sid))
	if over {
		h.leave(w, r, bye, false) // somebody else was faster, and does the rest
		return nil
	}
	return h.depart(w, r, bye, s)
}

// leave clears the cookie and goes where the relying party asked to. A cookie that
// did not come along is left alone: it may have been withheld.
func (h *Handler) leave(w http.ResponseWriter, r *http.Request, bye goodbye, already bool) {
	t := tenantOf(r)
	if _, err := r.Cookie(session.CookieName(t.ID, t.Secure())); err == nil {
		http.SetCookie(w, h.o.Sessions.ClearCookie(t.ID, t.Secure()))
	}
	if to := bye.back(); to != "" {
		seeOther(w, to)
		return
	}
	h.show(w, r, http.StatusOK, federation.Client{}, bye.Locales, page.SignedOut{Already: already}, "")
}
