package op

import (
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/op/page"
)

// show writes a page, in the language of who asked: locales is the ui_locales
// of the request that led here. client is whom the page is about; the zero
// value is nobody.
func (h *Handler) show(w http.ResponseWriter, r *http.Request, status int, client federation.Client, locales string, p page.Page, target string) {
	set := h.o.Pages()
	set.Write(w, page.Frame{
		Status: status, Lang: set.Lang(locales, r.Header.Get("Accept-Language")), Tenant: signature(tenantOf(r)), Logo: client.LogoURI, Target: target,
	}, p)
}

// signature is what a tenant is called below its pages, empty where it has no
// name but its id.
func signature(t federation.Tenant) string {
	if t.Name == t.ID {
		return ""
	}
	return t.Name
}

// locales are the ui_locales of a request that may not have been read yet, or
// not without an error.
func locales(r *http.Request) string {
	all, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return ""
	}
	return one(all, "ui_locales")
}

// formTarget are the source expressions that let a form end at a relying party,
// directly or after our redirect. They name no host: browsers hold every
// redirect that follows a form to form-action, also those that the relying party
// makes (Content Security Policy Level 3 §4.2), and it may take the answer at one
// origin and show itself at another. A page's form would then do nothing.
func formTarget(to string) string {
	scheme, _, _ := strings.Cut(source(to), ":")
	switch scheme {
	case "":
		return ""
	case "http": // on this machine, from where it may go on to anywhere
		return "http: https:"
	}
	return scheme + ":"
}

// onward are the source expressions for a form of ours that may end at a relying
// party, or at an upstream to sign in there first. They do not tell which
// upstreams there are.
func (h *Handler) onward(t federation.Tenant, to string) string {
	all := []string{"https:"}
	if slices.ContainsFunc(h.o.Registry().Upstreams(t.ID), func(u federation.Upstream) bool { return strings.HasPrefix(u.Issuer, "http:") }) {
		all = append(all, "http:")
	}
	for one := range strings.FieldsSeq(formTarget(to)) {
		if !slices.Contains(all, one) {
			all = append(all, one)
		}
	}
	return strings.Join(all, " ")
}

// source is the source expression of an address's origin.
func source(to string) string {
	u, err := url.Parse(to)
	switch {
	case err != nil || u.Scheme == "" || strings.ContainsAny(u.Host, ";, '\""):
		return ""
	case (u.Scheme == "https" || u.Scheme == "http") && !strings.Contains(u.Host, "["):
		return u.Scheme + "://" + u.Host
	}
	return u.Scheme + ":" // a host source cannot be an IPv6 address
}

// link is a registered URI as the target of a link. Templates let http and
// https pass only; private-use schemes (RFC 8252 §7.1) have a dot, which keeps
// javascript and its kin out.
func link(to string) template.URL {
	scheme, _, _ := strings.Cut(to, ":")
	if scheme = strings.ToLower(scheme); scheme != "http" && scheme != "https" && !strings.Contains(scheme, ".") {
		return ""
	}
	return template.URL(to)
}

// host is where a registered URI leads, as it is shown to users; empty where
// that is an application on their device.
func host(to string) string {
	u, err := url.Parse(to)
	if err != nil {
		return ""
	}
	return u.Host
}

// base is the path that the tenant's endpoints begin with, without a slash.
func base(t federation.Tenant) string {
	u, err := url.Parse(t.Issuer)
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(u.EscapedPath(), "/")
}
