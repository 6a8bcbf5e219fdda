package op

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/op/page"
)

// maxIdentifier is how long an e-mail address may be (RFC 5321 §4.5.3.1).
const maxIdentifier = 320

// showIdentify asks for the address or name that says where the user has an
// account.
func (h *Handler) showIdentify(w http.ResponseWriter, r *http.Request, client federation.Client, q request) error {
	handle := federation.NewSecret()
	if err := h.carry(w, r, handle, transaction{Step: atIdentifier, Request: q}); err != nil {
		return q.fail(tenantOf(r), err)
	}
	p := page.Identify{Transaction: handle, Value: clip(q.LoginHint, maxIdentifier)}
	h.writeIdentify(w, r, http.StatusOK, client, q, p)
	return nil
}

// writeIdentify writes the page, whose form ends at an upstream.
func (h *Handler) writeIdentify(w http.ResponseWriter, r *http.Request, status int, client federation.Client, q request, p page.Identify) {
	p.Client, p.Action = title(client), base(tenantOf(r))+"/identify"
	h.show(w, r, status, client, q.UILocales, p, h.onward(tenantOf(r), ""))
}

// identify takes what the user entered. It counts in the browser that was asked
// alone: the transaction's cookie comes with no other site's form. The page may
// be answered again until it leads somewhere.
func (h *Handler) identify(w http.ResponseWriter, r *http.Request) error {
	all, err := form(r, "tx", "identifier")
	if err != nil {
		return err
	}
	tx, err := h.peek(r, all.Get("tx"), atIdentifier)
	if err != nil {
		return err
	}
	t, q := tenantOf(r), tx.Request
	client, err := h.proven(t, q)
	if err != nil {
		return err
	}
	q.LoginHint = strings.TrimSpace(all.Get("identifier"))
	offered := h.offered(t, client)
	at, problem := serving(offered, q.LoginHint)
	if problem != "" {
		p := page.Identify{Transaction: all.Get("tx"), Value: clip(q.LoginHint, maxIdentifier), Problem: problem}
		h.writeIdentify(w, r, http.StatusUnprocessableEntity, client, q, p)
		return nil
	}
	if _, err := h.take(w, r, all.Get("tx"), atIdentifier); err != nil {
		return err
	}
	if len(at) > 1 {
		return h.showChooser(w, r, client, q, at)
	}
	return h.startUpstream(w, r, q, at[0])
}

// serving are the upstreams where somebody may have an account: the one with
// authority over the domain, or else all that serve any domain. What is told
// where there is none is the same for every domain.
func serving(offered []federation.Upstream, identifier string) ([]federation.Upstream, page.IdentifyProblem) {
	switch {
	case identifier == "":
		return nil, page.NothingEntered
	case len(identifier) > maxIdentifier:
		return nil, page.NobodysDomain
	}
	if i := home(offered, identifier); i >= 0 {
		return offered[i : i+1], ""
	}
	open := slices.DeleteFunc(slices.Clone(offered), func(u federation.Upstream) bool { return !u.AnyDomain() })
	if len(open) == 0 {
		return nil, page.NobodysDomain
	}
	return open, ""
}

// rememberFor is how long a browser remembers the upstream that was used last.
const rememberFor = 180 * 24 * time.Hour

// lastName is the cookie that remembers it. No transaction's name ends so.
func lastName(t federation.Tenant) string {
	if t.Secure() {
		return "__Host-drawbridge-" + t.ID + ".last"
	}
	return "drawbridge-" + t.ID + ".last"
}

// remember has the browser remember where the user signed in, where there was
// something to choose. It says nothing that a chooser would not show, and
// outlives the session: it is for the next time.
func (h *Handler) remember(w http.ResponseWriter, r *http.Request, upstream string) {
	t := tenantOf(r)
	if len(h.o.Registry().Upstreams(t.ID)) > 1 {
		http.SetCookie(w, transactionCookie(t, lastName(t), upstream, rememberFor))
	}
}

// lastFirst puts the upstream that was used last before the others, and says
// whether there is one: of those offered, whatever the cookie says.
func lastFirst(r *http.Request, offered []federation.Upstream) ([]federation.Upstream, bool) {
	cookie, err := r.Cookie(lastName(tenantOf(r)))
	if err != nil {
		return offered, false
	}
	i := slices.IndexFunc(offered, func(u federation.Upstream) bool { return u.ID == cookie.Value })
	if i < 0 {
		return offered, false
	}
	sorted := append([]federation.Upstream{offered[i]}, offered[:i]...)
	return append(sorted, offered[i+1:]...), true
}
