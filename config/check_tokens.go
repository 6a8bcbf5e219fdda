package config

import (
	"net/url"
	"slices"
	"strings"
)

// Sector is the host that a pairwise client's subjects are made for (OpenID
// Connect Core 1.0 §8.1), without a port and in one spelling. It is empty for a
// client with public subjects, and where the redirect URIs have no one host.
func (c Client) Sector() string {
	if c.SubjectType != "pairwise" {
		return ""
	}
	if c.SectorIdentifierURI != "" {
		return sectorOf(c.SectorIdentifierURI)
	}
	sector := ""
	for i, uri := range c.RedirectURIs {
		if host := sectorOf(uri); i > 0 && host != sector || host == "" {
			return ""
		} else {
			sector = host
		}
	}
	return sector
}

// sectorOf is the host of a URI, empty where it has none.
func sectorOf(uri string) string {
	u, err := url.Parse(uri)
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
}

// clientSubject checks what its users' sub is made of. A URI that is none was
// refused already.
func (c *checker) clientSubject(path string, client Client) {
	sector := path + ".sector_identifier_uri"
	if !c.sound(path+".subject_type", sector, path+".redirect_uris") || c.anyBroken(path+".redirect_uris", len(client.RedirectURIs)) {
		return
	}
	switch {
	case client.SubjectType != "pairwise" && c.given(sector):
		c.fault(sector, "is for clients with subject_type: pairwise")
	case client.SubjectType == "pairwise" && client.Sector() == "":
		c.fault(sector, "is required: the redirect_uris do not have one host (OpenID Connect Core 1.0 §8.1)")
	}
}

// anyBroken says whether an item of a list was refused.
func (c *checker) anyBroken(path string, n int) bool {
	for i := range n {
		if c.isBroken(itemPath(path, i)) {
			return true
		}
	}
	return false
}

// resourceRule is what a client may name as resource (RFC 8707 §2).
func resourceRule(given string) string {
	const want = "must be an absolute URI without a fragment (RFC 8707 §2)"
	for _, b := range []byte(given) {
		if b <= ' ' || b > '~' || b == '#' {
			return want
		}
	}
	u, err := url.Parse(given)
	return unless(err == nil && u.IsAbs() && u.Host+u.Opaque+u.Path != "" && len(given) <= 2048, want)
}

// clientTokens checks what its access tokens are and which it may ask about.
func (c *checker) clientTokens(path string, client Client) {
	if alg := path + ".access_token_signed_response_alg"; c.given(alg) && client.AccessTokenFormat != "jwt" && c.sound(path+".access_token_format", alg) {
		c.fault(alg, "is for clients with access_token_format: jwt")
	}
	for key, all := range map[string][]string{"resources": client.Resources, "resource_server_for": client.ResourceServerFor} {
		for j, resource := range all {
			if slices.Contains(all[:j], resource) {
				c.fault(itemPath(path+"."+key, j), "is listed twice")
			}
		}
	}
	if !client.Public() || !c.sound(path+".token_endpoint_auth_method") {
		return
	}
	for _, key := range []string{"resource_server_for", "introspect"} {
		if c.given(path + "." + key) {
			c.fault(path+"."+key, "must be left out: a public client may not introspect (RFC 7662 §2.1)")
		}
	}
}
