package op

import (
	"bytes"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/drawbridge-id/drawbridge/federation"
)

const (
	// framesFor is how many seconds the page that loads relying parties stays,
	// counted from when all of it is there, frames included: browsers begin to
	// count then (HTML, shared declarative refresh steps).
	framesFor = 1
	// onwardScript does not wait for a relying party that hangs. A browser
	// without script shows a button all the while.
	onwardScript = "setTimeout(function(){location.replace(document.getElementById('onward').href)},5000)"
)

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
func (p *pages) farewell(w http.ResponseWriter, frames []string, next string) {
	page := signedOutPage{Next: link(next), Host: host(next)}
	var origins []string
	for _, to := range frames {
		page.Frames = append(page.Frames, link(to))
		if from := formTarget(to); from != "" && !slices.Contains(origins, from) {
			origins = append(origins, from)
		}
	}
	var body bytes.Buffer
	if err := p.all.ExecuteTemplate(&body, "signed_out.html", page); err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	noStore(w)
	policy := "default-src 'none'; style-src " + p.style + "; frame-src " + strings.Join(origins, " ")
	if page.Next != "" {
		policy += "; script-src " + sourceHash(onwardScript)
		w.Header().Set("Refresh", strconv.Itoa(framesFor)+"; url="+string(page.Next))
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", policy+"; form-action 'none'; base-uri 'none'; frame-ancestors 'none'")
	w.Header().Set("X-Frame-Options", "DENY")
	w.Header().Set("Referrer-Policy", "no-referrer")
	_, _ = w.Write(body.Bytes()) // a browser that has gone needs no page
}
