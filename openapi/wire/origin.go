package wire

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// SameOrigin protects a listener from pages of strangers: a call that a
// browser marks as made by a page must come from a page of this very host, and
// the host must be one of those given, a loopback name or an IP address, so
// that no name which somebody else resolves to us is believed. Other calls are
// not looked at. Following a link from elsewhere is allowed.
func SameOrigin(hosts ...string) func(http.Handler) http.Handler {
	known := make(map[string]bool, len(hosts))
	for _, h := range hosts {
		name, _ := splitHost(h)
		known[name] = true
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if foreign(r, known) {
				WriteError(w, r, Forbidden("A page may call only the host that it came from."))
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

func foreign(r *http.Request, known map[string]bool) bool {
	origins := r.Header.Values("Origin")
	site := r.Header.Get("Sec-Fetch-Site")
	if len(origins) == 0 && site == "" {
		return false // not a browser, or an address that was typed in
	}
	if name, _ := splitHost(r.Host); !known[name] && !local(name) {
		return true
	}
	switch {
	case len(origins) > 1:
		return true
	case len(origins) == 1:
		return !matches(origins[0], r.Host)
	case site == "same-origin" || site == "none":
		return false
	default:
		safe := r.Method == http.MethodGet || r.Method == http.MethodHead
		return !safe || r.Header.Get("Sec-Fetch-Mode") != "navigate"
	}
}

func local(name string) bool {
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	_, err := netip.ParseAddr(name)
	return err == nil
}

// matches compares an Origin with a Host header; a port that is left out is
// the one of the origin's scheme.
func matches(origin, host string) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return false
	}
	usual := map[string]string{"http": "80", "https": "443"}[u.Scheme]
	theirs, theirPort := splitHost(u.Host)
	ours, ourPort := splitHost(host)
	if theirPort == "" {
		theirPort = usual
	}
	if ourPort == "" {
		ourPort = usual
	}
	return theirs == ours && theirPort == ourPort
}

func splitHost(hostport string) (name, port string) {
	name, port, err := net.SplitHostPort(hostport)
	if err != nil {
		name, port = hostport, ""
	}
	return strings.ToLower(strings.TrimSuffix(strings.Trim(name, "[]"), ".")), port
}
