package config

import (
	"net/url"
	"slices"
	"strings"
)

// maxToldClientID leaves room in the names of deliveries, which begin with the
// client they are for.
const maxToldClientID = 200

// clientLogout checks where a client hears of sessions that have ended. What is
// no URL was refused already.
func (c *checker) clientLogout(path string, client Client) {
	back, front := path+".backchannel_logout_uri", path+".frontchannel_logout_uri"
	if client.BackchannelLogoutURI != "" && len(client.ClientID) > maxToldClientID {
		c.fault(back, "needs a client_id of at most %d characters", maxToldClientID)
	}
	if client.FrontchannelLogoutURI != "" && c.sound(front, path+".redirect_uris") {
		same := func(uri string) bool { return sameOrigin(uri, client.FrontchannelLogoutURI) }
		if !slices.ContainsFunc(client.RedirectURIs, same) {
			c.bad(front, "must have scheme, host and port of one of the redirect_uris (OpenID Connect Front-Channel Logout 1.0 §2)")
		}
	}
	if ends := path + ".offline_access_ends_on"; len(client.OfflineAccessEndsOn) > 0 && c.sound(ends, path+".grant_types") && !slices.Contains(client.GrantTypes, "refresh_token") {
		c.fault(ends, "needs the grant type refresh_token")
	}
	if c.given(path+".logout_on") && client.BackchannelLogoutURI == "" && client.FrontchannelLogoutURI == "" && c.sound(back, front) {
		c.fault(path+".logout_on", "needs a backchannel_logout_uri or a frontchannel_logout_uri")
	}
}

// sameOrigin compares scheme, host and port; a port that is left out is the
// scheme's own.
func sameOrigin(a, b string) bool {
	first, err := url.Parse(a)
	second, wrong := url.Parse(b)
	return err == nil && wrong == nil && originOf(first) == originOf(second)
}

// originOf is a URL's origin with its port spelled out.
func originOf(u *url.URL) string {
	port := u.Port()
	switch {
	case port != "":
	case u.Scheme == "https":
		port = "443"
	case u.Scheme == "http":
		port = "80"
	}
	return strings.ToLower(u.Scheme + "://" + u.Hostname() + ":" + port)
}
