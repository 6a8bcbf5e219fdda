package op

import (
	"net/http"
	"net/url"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/op/page"
)

// The ways in which an authorization response reaches a relying party (OAuth
// 2.0 Multiple Response Type Encoding Practices §2.1, OAuth 2.0 Form Post
// Response Mode §2).
const (
	modeQuery    = "query"
	modeFormPost = "form_post"
)

// responseModes are those on offer, the default first.
func responseModes() []string { return []string{modeQuery, modeFormPost} }

// reply is an authorization response, good or bad, on its way to a proven
// redirect URI.
type reply struct {
	to, mode, state string
	// params are without the state.
	params url.Values
	// locales is the language of the page that posts it.
	locales string
}

// reply is a response to the request. Every one names the issuer (RFC 9207).
func (q request) reply(t federation.Tenant, params url.Values) reply {
	params.Set("iss", t.Issuer)
	return reply{to: q.RedirectURI, mode: q.Mode, state: q.State, params: params, locales: q.UILocales}
}

// form says whether the browser is to post the response.
func (a reply) form() bool { return a.mode == modeFormPost }

// url is the response as an address, where it is one.
func (a reply) url() string { return withParams(a.to, a.state, a.params) }

// fields are the response as the inputs of a form, in a fixed order.
func (a reply) fields() []page.Field {
	var all []page.Field
	for _, name := range []string{"code", "error", "error_description", "iss"} {
		if a.params.Has(name) {
			all = append(all, page.Field{Name: name, Value: a.params.Get(name)})
		}
	}
	if a.state != "" {
		all = append(all, page.Field{Name: "state", Value: a.state})
	}
	return all
}

// send takes the response to the relying party through the browser.
func (h *Handler) send(w http.ResponseWriter, r *http.Request, a reply) {
	if a.form() {
		p := page.FormPost{Action: link(a.to), Host: host(a.to), Fields: a.fields()}
		h.show(w, r, http.StatusOK, federation.Client{}, a.locales, p, formTarget(a.to))
		return
	}
	seeOther(w, a.url())
}
