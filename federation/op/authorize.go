package op

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/idna"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/session"
	"github.com/drawbridge-id/drawbridge/openapi/wire"
)

// authorize is the authorization endpoint, by GET and POST alike (OpenID
// Connect Core 1.0 §3.1.2.1).
func (h *Handler) authorize(w http.ResponseWriter, r *http.Request) error {
	client, q, err := h.authorizeRequest(r)
	if err != nil {
		return err
	}
	if err := h.spendNamed(r, client); err != nil {
		return err
	}
	if h.cookiesWithheld(r) {
		if err := h.detour(w, r, "/authorize/continue", sealAuthorize, q); err != nil {
			return q.fail(tenantOf(r), err)
		}
		return nil
	}
	return h.next(w, r, client, q)
}

const sealAuthorize = "authorize"

// continueAuthorize goes on with a request that another site had posted.
func (h *Handler) continueAuthorize(w http.ResponseWriter, r *http.Request) error {
	var q request
	if err := h.arrive(r, sealAuthorize, &q); err != nil {
		return err
	}
	client, err := h.proven(tenantOf(r), q)
	if err != nil {
		return err
	}
	return h.next(w, r, client, q)
}

// next looks at what the browser brings and picks the one step that is due.
func (h *Handler) next(w http.ResponseWriter, r *http.Request, client federation.Client, q request) error {
	t := tenantOf(r)
	wire.RequestInfoFrom(r.Context()).Note(slog.String("client", client.ID))
	held, err := h.session(r)
	if err != nil {
		return q.fail(t, err)
	}
	if held == nil {
		return h.signInAt(w, r, client, q, "")
	}
	login, ok := usable(held.Session, client)
	if !ok {
		return h.signInAt(w, r, client, q, "")
	}
	if meant, err := h.means(r.Context(), t, client, q, held.Session.Person, login); err != nil {
		return q.fail(t, err)
	} else if !meant {
		return h.signInAt(w, r, client, q, "")
	}
	if h.satisfies(t, login, q) {
		return h.complete(w, r, visit{client: client, request: q, held: held, login: login})
	}
	return h.signInAt(w, r, client, q, login.Upstream)
}

// session is the browser's session, nil where there is none. Of two cookies of its
// name another host may have set one, and nobody knows which: none counts.
func (h *Handler) session(r *http.Request) (*session.Held, error) {
	t := tenantOf(r)
	cookies := r.CookiesNamed(session.CookieName(t.ID, t.Secure()))
	if len(cookies) != 1 {
		return nil, nil
	}
	held, err := h.o.Sessions.ByCookie(r.Context(), t, cookies[0].Value)
	if errors.Is(err, session.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, federation.Fail(federation.TemporarilyUnavailable, "Sessions cannot be read at the moment.").Because(err)
	}
	return &held, nil
}

// usable is the login of a session that the client may see. A session of an
// upstream that the client may not use is not offered to it, also not silently.
func usable(s federation.Session, client federation.Client) (federation.Login, bool) {
	for _, l := range s.Logins {
		if client.MayUse(l.Upstream) {
			return l, true
		}
	}
	return federation.Login{}, false
}

// satisfies says whether a login is what the request asks for: not too old, and
// of an acr that was asked for, as far as that is known.
func (h *Handler) satisfies(t federation.Tenant, login federation.Login, q request) bool {
	switch {
	case q.prompts("login") || q.prompts("select_account"):
		return false
	case q.MaxAge == 0:
		return false // the same as prompt=login, however clocks differ
	case q.MaxAge > 0 && login.AuthTimeUntold:
		return false // the upstream says it where it is asked for it
	case q.MaxAge > 0 && h.o.Now().Sub(authenticated(login)) > time.Duration(q.MaxAge)*time.Second:
		return false
	case q.unmet(login):
		return false // not even silently: here it is more than a wish
	}
	return q.prompts("none") || t.Reaches(login.ACR, q.ACRValues)
}

// authenticated is when the user was there at the latest: an upstream whose
// clock is ahead does not make a login younger than it is.
func authenticated(login federation.Login) time.Time {
	if login.At.Before(login.AuthTime) {
		return login.At
	}
	return login.AuthTime
}

// signInAt has the user sign in: at the only upstream there is, or the one that
// the relying party names; at the one given where it is a matter of doing so
// again; at the one whose domain the login hint names, or the one that the user
// picks.
func (h *Handler) signInAt(w http.ResponseWriter, r *http.Request, client federation.Client, q request, again string) error {
	t := tenantOf(r)
	if q.prompts("none") {
		return q.fail(t, federation.Fail(federation.LoginRequired, "The user is not signed in, or not in the way that was asked for."))
	}
	offered := h.offered(t, client)
	if len(offered) == 0 {
		return q.fail(t, federation.Fail(federation.ServerError, "No identity provider is configured for this application."))
	}
	if len(offered) == 1 {
		return h.startUpstream(w, r, q, offered[0])
	}
	if i := slices.IndexFunc(offered, func(u federation.Upstream) bool { return u.ID == q.Hinted }); i >= 0 {
		return h.startUpstream(w, r, q, offered[i])
	}
	i := slices.IndexFunc(offered, func(u federation.Upstream) bool { return u.ID == again })
	if i < 0 || q.prompts("select_account") {
		i = home(offered, q.LoginHint)
	}
	if i >= 0 {
		return h.startUpstream(w, r, q, offered[i])
	}
	if client.SignInAt(t) == federation.SignInIdentifier {
		return h.showIdentify(w, r, client, q)
	}
	return h.showChooser(w, r, client, q, offered)
}

// offered are the upstreams that the client's users may come from.
func (h *Handler) offered(t federation.Tenant, client federation.Client) []federation.Upstream {
	return slices.DeleteFunc(h.o.Registry().Upstreams(t.ID), func(u federation.Upstream) bool { return !client.MayUse(u.ID) })
}

// home is the upstream that has authority over the domain of an e-mail address,
// -1 if there is none (home-realm discovery). What is too long to be an address is
// not looked at: to write a long domain in ASCII costs some 30 ms.
func home(offered []federation.Upstream, hint string) int {
	at := strings.LastIndexByte(hint, '@')
	if at < 0 || len(hint) > maxIdentifier {
		return -1
	}
	domain := strings.ToLower(hint[at+1:])
	if ascii, err := idna.Lookup.ToASCII(domain); err == nil {
		domain = ascii
	}
	return slices.IndexFunc(offered, func(u federation.Upstream) bool { return slices.Contains(u.Domains, domain) })
}

// startUpstream sends the browser to an upstream, bound by a transaction. The
// upstream is one that the client may use.
func (h *Handler) startUpstream(w http.ResponseWriter, r *http.Request, q request, u federation.Upstream) error {
	return h.sendTo(w, r, transaction{Request: q}, u)
}

// sendTo is startUpstream with what else the transaction is to bring back.
func (h *Handler) sendTo(w http.ResponseWriter, r *http.Request, tx transaction, u federation.Upstream) error {
	t, q := tenantOf(r), tx.Request
	handle := federation.NewSecret()
	tx.Step, tx.Upstream, tx.Nonce, tx.Verifier = atUpstream, u.ID, federation.NewSecret(), federation.NewSecret()
	to, err := u.Connector.AuthURL(r.Context(), tx.attempt(t, handle))
	if err != nil {
		return h.refused(r, q, u, err)
	}
	if err := h.carry(w, r, handle, tx); err != nil {
		return q.fail(t, err)
	}
	seeOther(w, to)
	return nil
}

// attempt is what the upstream's answer will be checked against.
func (tx transaction) attempt(t federation.Tenant, state string) federation.Attempt {
	a := federation.Attempt{
		State: state, Nonce: tx.Nonce, Verifier: tx.Verifier, RedirectURI: t.URL("/callback/" + url.PathEscape(tx.Upstream)),
		LoginHint: tx.Request.LoginHint, ACRValues: tx.Request.ACRValues, UILocales: tx.Request.UILocales, MaxAge: tx.Request.MaxAge,
		At: tx.Request.At, ACREssential: tx.Request.ACREssential,
	}
	for _, p := range []string{"login", "select_account"} {
		if tx.Request.prompts(p) {
			a.Prompt = append(a.Prompt, p)
		}
	}
	return a
}
