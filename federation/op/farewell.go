package op

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/op/page"
)

// framesFor is how many seconds the page that loads relying parties stays,
// counted from when all of it is there, frames included: browsers begin to
// count then (HTML, shared declarative refresh steps).
const framesFor = 1

// frames are the addresses of the session's relying parties that are told in
// the browser (OpenID Connect Front-Channel Logout 1.0 §2), with iss and sid
// added to their own query, which is kept byte by byte.
func (h *Handler) frames(t federation.Tenant, s federation.Session) []string {
	var all []string
	for _, v := range s.Clients {
		client, known := h.o.Registry().Client(t.ID, v.Client)
		if !known || v.Pending || client.Logout.FrontchannelURI == "" || !client.Logout.Hears(federation.Logout) {
			continue
		}
		all = append(all, withParams(client.Logout.FrontchannelURI, "", url.Values{"iss": {t.Issuer}, "sid": {s.ID}}))
	}
	return all
}

// farewell shows the page that loads the frames and goes on to next, if that is
// anywhere. Nothing but the frames' own origins may be loaded, and a frame may
// neither lead the page away nor open windows.
func (h *Handler) farewell(w http.ResponseWriter, r *http.Request, locales string, frames []string, next string) {
	p := page.SignedOut{Next: link(next), Host: host(next)}
	for _, to := range frames {
		p.Frames = append(p.Frames, link(to))
		if from := source(to); from != "" && !slices.Contains(p.Sources, from) {
			p.Sources = append(p.Sources, from)
		}
	}
	if p.Next != "" {
		w.Header().Set("Refresh", strconv.Itoa(framesFor)+"; url="+string(p.Next))
	}
	h.show(w, r, http.StatusOK, federation.Client{}, locales, p, "")
}
