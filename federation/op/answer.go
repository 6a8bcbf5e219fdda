package op

import (
	"net/http"
	"net/url"

	"github.com/drawbridge-id/drawbridge/federation"
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
}

// reply is a response to the request. Every one names the issuer (RFC 9207).
func (q request) reply(t federation.Tenant, params url.Values) reply {
	params.Set("iss", t.Issuer)
	return reply{to: q.RedirectURI, mode: q.Mode, state: q.State, params: params}
}

// form says whether the browser is to post the response.
func (a reply) form() bool { return a.mode == modeFormPost }

// url is the response as an address, where it is one.
func (a reply) url() string { return withParams(a.to, a.state, a.params) }

// field is one input of a form that nobody fills in.
type field struct{ Name, Value string }

// fields are the response as the inputs of a form, in a fixed order.
func (a reply) fields() []field {
	var all []field
	for _, name := range []string{"code", "error", "error_description", "iss"} {
		if a.params.Has(name) {
			all = append(all, field{name, a.params.Get(name)})
		}
	}
	if a.state != "" {
		all = append(all, field{"state", a.state})
	}
	return all
}

// send takes the response to the relying party through the browser.
func (h *Handler) send(w http.ResponseWriter, a reply) {
	if a.form() {
		h.pages.formPost(w, a)
		return
	}
	seeOther(w, a.url())
}
