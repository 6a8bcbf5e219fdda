package page

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Frame is what goes around a page.
type Frame struct {
	Status int
	Lang   Lang
	// Tenant is shown below the page, Logo above it; both may be empty.
	Tenant, Logo string
	// Target is where forms of the page may lead to beside ourselves, as a source
	// expression; empty for nowhere.
	Target string
}

// permissions turns off what no page of ours has a use for.
const permissions = "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), midi=(), payment=(), usb=()"

// Write shows a page.
func (s *Set) Write(w http.ResponseWriter, f Frame, p Page) {
	logo := logoSource(f.Logo)
	if logo == "" {
		f.Logo = ""
	}
	body, err := s.execute(f, p)
	if err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", s.tags[f.Lang.index%len(s.tags)].String())
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Content-Security-Policy", s.policy(p, logo, f.Target))
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", referrer(p))
	h.Set("Permissions-Policy", permissions)
	switch p.(type) {
	case Me, MeNobody: // nobody's sign-in waits for these in a window of its own
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
	}
	w.WriteHeader(f.Status)
	_, _ = w.Write(body) // a browser that has gone needs no page
}

// policy is the Content-Security-Policy of a page.
func (s *Set) policy(p Page, logo, target string) string {
	parts := []string{"default-src 'none'", "style-src " + s.style}
	actions := "'self' " + target
	switch p := p.(type) {
	case FormPost:
		parts, actions = append(parts, "script-src "+sourceHash([]byte(submitScript))), target
	case SignedOut:
		if p.Next != "" {
			parts = append(parts, "script-src "+sourceHash([]byte(onwardScript)))
		}
		if len(p.Frames) > 0 {
			parts, actions = append(parts, "frame-src "+strings.Join(p.Sources, " ")), "'none'"
		}
	}
	if logo != "" {
		parts = append(parts, "img-src "+logo)
	}
	return strings.Join(append(parts, "form-action "+strings.TrimSpace(actions), "base-uri 'none'", "frame-ancestors 'none'"), "; ")
}

// referrer says what another site is told of the page's address: nothing, but
// for the origin where a form posts a response, which would else come from
// "null".
func referrer(p Page) string {
	if _, posts := p.(FormPost); posts {
		return "strict-origin"
	}
	return "no-referrer"
}

// logoSource is the source expression of a picture's origin: https, or http on
// this machine, and empty for what is shown nowhere.
func logoSource(logo string) string {
	u, err := url.Parse(logo)
	if err != nil || u.Host == "" || strings.ContainsAny(u.Host, ";, '\"*[") {
		return ""
	}
	if u.Scheme == "https" || u.Scheme == "http" && loopback(u.Host) {
		return u.Scheme + "://" + u.Host
	}
	return ""
}

func loopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
