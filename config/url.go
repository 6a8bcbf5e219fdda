package config

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// webURL parses an absolute http or https URL. The complaint says what it must
// be instead.
func webURL(given string) (u *url.URL, complaint string) {
	const want = "must be an absolute URL (https://host/path)"
	for _, c := range []byte(given) {
		if c <= ' ' || c > '~' || strings.IndexByte("\"<>\\^`{|}", c) >= 0 {
			return nil, "must be a URL without spaces and special characters (percent-encode a path, write a host as its A-label)"
		}
	}
	u, err := url.Parse(given)
	switch {
	case len(given) > 2048:
		return nil, "must be a URL of at most 2048 characters"
	case err != nil || u.Opaque != "":
		return nil, want
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, "must be an https URL"
	case u.User != nil || strings.Contains(u.Host, "@"):
		return nil, "must be a URL without user name and password"
	case !isHost(u.Hostname()) || !isPort(u.Port()) || strings.HasSuffix(u.Host, ":"):
		return nil, want
	}
	return u, ""
}

// secured reports whether nobody on the way can read along: https, or http
// that does not leave the machine.
func secured(u *url.URL) bool {
	return u.Scheme == "https" || isLoopback(u.Hostname())
}

const mustBeHTTPS = "must be https (http only on a loopback address)"

func issuerRule(given string) string {
	u, complaint := webURL(given)
	switch {
	case complaint != "":
		return complaint
	case !secured(u):
		return mustBeHTTPS
	case strings.Contains(given, "?"):
		return "must be a URL without a query (OpenID Connect Discovery 1.0 §3)"
	case strings.Contains(given, "#"):
		return "must be a URL without a fragment (OpenID Connect Discovery 1.0 §3)"
	}
	return pathRule(u.EscapedPath())
}

func webURLRule(given string) string {
	u, complaint := webURL(given)
	switch {
	case complaint != "":
		return complaint
	case !secured(u):
		return mustBeHTTPS
	}
	return unless(!strings.Contains(given, "#"), "must be a URL without a fragment")
}

// baseURLRule leaves the question of https to the check that knows insecure_http.
func baseURLRule(given string) string {
	u, complaint := webURL(given)
	switch {
	case complaint != "":
		return complaint
	case strings.ContainsAny(given, "?#"):
		return "must be a URL without query and fragment"
	}
	return pathRule(u.EscapedPath())
}

// pathRule refuses paths that a router or a proxy would rewrite.
func pathRule(path string) string {
	for segment := range strings.SplitSeq(strings.TrimPrefix(strings.TrimSuffix(path, "/"), "/"), "/") {
		switch plain, err := url.PathUnescape(segment); {
		case err != nil, plain == ".", plain == "..", segment == "" && strings.Trim(path, "/") != "", strings.HasPrefix(path, "//"):
			return "must have a path without empty, . and .. segments"
		}
	}
	return ""
}

func hookPathRule(given string) string {
	u, err := url.Parse("https://host" + given)
	if err != nil || !strings.HasPrefix(given, "/") || strings.ContainsAny(given, "?# ") {
		return "must be a path that begins with / and has neither query nor fragment"
	}
	return pathRule(u.EscapedPath())
}

// redirectRule is RFC 8252 §7 and RFC 9700 §2.1: only what belongs to the
// client beyond doubt, compared exactly later on.
func redirectRule(given string, public bool) string {
	scheme, _, found := strings.Cut(given, ":")
	switch scheme = strings.ToLower(scheme); {
	case !found:
		return "must be an absolute URI"
	case strings.Contains(given, "#"):
		return "must be without a fragment (RFC 6749 §3.1.2)"
	case scheme == "https" || scheme == "http":
		u, complaint := webURL(given)
		if complaint != "" {
			return complaint
		}
		return unless(secured(u), mustBeHTTPS)
	case !strings.Contains(scheme, "."):
		return "must be https, http on a loopback address, or a private-use scheme with a dot such as com.example.app:/callback"
	case !public:
		return "may have a private-use scheme only with token_endpoint_auth_method: none (RFC 8252 §7.1)"
	}
	u, err := url.Parse(given)
	bad := err != nil || u.User != nil || strings.ContainsFunc(given, func(c rune) bool { return c <= ' ' || c > '~' })
	return unless(!bad, "must be an absolute URI")
}

// webhookURLRule looks at what no variable may change: scheme and host. The
// rest belongs to whoever compiles the template.
func webhookURLRule(given string) string {
	if len(given) > 2048 {
		return "must be a URL of at most 2048 characters"
	}
	origin := webhookOrigin(given)
	if strings.Contains(origin, "$") {
		return "must be a URL whose host has no variables"
	}
	_, complaint := webURL(origin)
	return complaint
}

// webhookOrigin cuts a URL template behind its authority.
func webhookOrigin(given string) string {
	scheme, rest, found := strings.Cut(given, "://")
	if !found {
		return given
	}
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		rest = rest[:end]
	}
	return scheme + "://" + rest
}

// addressRule takes host:port.
func addressRule(given string) string {
	host, port, complaint := splitAddress(given)
	if complaint == "" && (!isHost(host) || port == "" || port == "0") {
		complaint = "must be host:port"
	}
	return complaint
}

// listenRule takes host:port, :port for all addresses, and port 0 for any.
func listenRule(given string) string {
	host, port, complaint := splitAddress(given)
	if complaint == "" && (host != "" && !isHost(host) || port == "") {
		complaint = "must be host:port, or :port for all addresses"
	}
	return complaint
}

func splitAddress(given string) (host, port, complaint string) {
	i := strings.LastIndexByte(given, ':')
	if i < 0 {
		return "", "", "must be host:port"
	}
	host, port = given[:i], given[i+1:]
	inner, bracketed := strings.CutPrefix(host, "[")
	inner, closed := strings.CutSuffix(inner, "]")
	switch {
	case bracketed != closed, !bracketed && strings.Contains(host, ":"):
		return "", "", "must be host:port, with an IPv6 address in brackets"
	case !isPort(port):
		return "", "", "must be host:port with a port up to 65535"
	}
	return inner, port, ""
}

func isPort(port string) bool {
	if port == "" {
		return true
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && strconv.FormatUint(n, 10) == port
}

// isHost takes an IP address or a host name of ASCII letters, digits and dashes.
func isHost(host string) bool {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Zone() == "" || addr.Is6()
	}
	if host == "" || len(host) > 253 {
		return false
	}
	allDigits := true
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range []byte(label) {
			if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return false
			}
		}
		allDigits = strings.Trim(label, "0123456789") == ""
	}
	return !allDigits // 127.1 and 300.1.1.1 are no names, and no addresses either
}

func isLoopback(host string) bool {
	host = strings.ToLower(host)
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && addr.Unmap().IsLoopback()
}
