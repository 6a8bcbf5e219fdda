package op

import (
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/gorilla/mux"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/openapi/wire"
)

// authSkew is the difference of clocks that is forgiven where an upstream had
// to authenticate anew.
const authSkew = time.Minute

// errNoUpstream: the configuration changed while the user was away, or somebody
// made up an address.
var errNoUpstream = federation.Fail(federation.AccessDenied, "This application's users cannot come from that identity provider.")

// answer is what an upstream sends the browser back with.
type answer struct {
	State            string `json:"s,omitempty"`
	Code             string `json:"c,omitempty"`
	Issuer           string `json:"i,omitempty"`
	Error            string `json:"e,omitempty"`
	ErrorDescription string `json:"d,omitempty"`
}

const sealAnswer = "answer "

// callback is where upstreams send the browser back to: by GET, or by a form
// that the upstream's page posts (OAuth 2.0 Form Post Response Mode). That one
// comes without the cookie of its transaction, and takes a detour.
func (h *Handler) callback(w http.ResponseWriter, r *http.Request) error {
	all, err := params(r, "state", "code", "iss", "error", "error_description")
	if err != nil {
		return err
	}
	a := answer{State: all.Get("state"), Code: all.Get("code"), Issuer: all.Get("iss"), Error: all.Get("error"), ErrorDescription: all.Get("error_description")}
	if r.Method == http.MethodPost {
		if _, err := r.Cookie(transactionName(tenantOf(r), a.State)); err != nil {
			at := "/callback/" + mux.Vars(r)["upstream"]
			return h.detour(w, r, at+"/continue", sealAnswer+at, a)
		}
	}
	return h.answered(w, r, a)
}

// continueCallback goes on with an answer that an upstream's page had posted.
func (h *Handler) continueCallback(w http.ResponseWriter, r *http.Request) error {
	var a answer
	if err := h.arrive(r, sealAnswer+"/callback/"+mux.Vars(r)["upstream"], &a); err != nil {
		return err
	}
	return h.answered(w, r, a)
}

// answered judges an upstream's answer and completes the sign-in.
func (h *Handler) answered(w http.ResponseWriter, r *http.Request, a answer) error {
	tx, err := h.take(w, r, a.State, atUpstream)
	if err != nil {
		return err
	}
	t, q := tenantOf(r), tx.Request
	id, err := url.PathUnescape(mux.Vars(r)["upstream"])
	if err != nil || id != tx.Upstream {
		// An answer of one upstream at the callback of another is the mix-up of
		// RFC 9700 §4.4; it is not this transaction's answer.
		return federation.Fail(federation.InvalidRequest, "The answer came back by the wrong way.")
	}
	client, err := h.proven(t, q)
	if err != nil {
		return err
	}
	u, known := h.o.Registry().Upstream(t.ID, id)
	if !known || !client.MayUse(id) {
		return q.fail(t, errNoUpstream)
	}
	wire.RequestInfoFrom(r.Context()).Note(slog.String("client", client.ID), slog.String("upstream", u.ID))
	login, err := u.Connector.Exchange(r.Context(), tx.attempt(t, a.State), federation.Callback{
		Code: a.Code, Issuer: a.Issuer, Error: a.Error, ErrorDescription: a.ErrorDescription,
	})
	login.Claims = u.Believe(login.Claims)
	if err == nil && q.prompts("login") && (login.AuthTimeUntold || login.AuthTime.Before(q.At.Add(-authSkew))) {
		err = federation.Fail(federation.LoginRequired, "The identity provider did not authenticate the user anew.")
	}
	if err != nil {
		return h.refused(r, q, u, err)
	}
	held, err := h.session(r)
	if err != nil {
		return q.fail(t, err)
	}
	v := visit{client: client, request: q, held: held, login: login, fresh: true, link: tx.Link, declined: tx.Declined}
	v.login.RefreshToken, v.login.AccessToken, v.login.AccessExpires = "", "", time.Time{} // nobody uses them later
	if u.Freshness.Asks() {
		v.told, v.login = &login, login.ForSession()
	}
	return h.complete(w, r, v)
}

// refused tells of a sign-in that the upstream did not bring about. Nobody is
// known yet, so nothing is stored.
func (h *Handler) refused(r *http.Request, q request, u federation.Upstream, err error) error {
	t, e := tenantOf(r), public(err)
	h.o.Observe.SignIn(u.ID, string(e.Code))
	h.audit(r, "sign-in refused by upstream", slog.String("client", q.Client), slog.String("upstream", u.ID),
		slog.String("error", string(e.Code)), slog.String("cause", causeText(e)))
	back := q.failed(t, e)
	if e.Code != federation.ServerError {
		return back
	}
	name := q.Client
	if client, ok := h.o.Registry().Client(t.ID, q.Client); ok {
		name = title(client)
	}
	return &distrustError{err: e, back: back.reply, client: name}
}
