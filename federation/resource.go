package federation

import (
	"net/url"
	"slices"
)

// ClientTokens is what a client's access tokens are, and which tokens it may ask
// about.
type ClientTokens struct {
	// JWT says that its access tokens are JWTs (RFC 9068), signed with Alg.
	JWT bool
	Alg SigningAlg
	// Resources are those that its access tokens may be meant for (RFC 8707).
	Resources []string
	// Serves are the resources that the client is the server of: it may
	// introspect access tokens that are meant for them (RFC 7662). IntrospectsAny
	// lets it introspect all of its tenant's.
	Serves         []string
	IntrospectsAny bool
}

const (
	// MaxResources is how many resources a request may name.
	MaxResources = 10
	// maxResource is how long the name of one is at most.
	maxResource = 2048
)

// ValidResource says whether a text names a resource: an absolute URI without a
// fragment (RFC 8707 §2).
func ValidResource(s string) bool {
	if s == "" || len(s) > maxResource {
		return false
	}
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' || c == '#' {
			return false
		}
	}
	u, err := url.Parse(s)
	return err == nil && u.IsAbs() && (u.Host != "" || u.Opaque != "" || u.Path != "")
}

// Audience is whom the grant's access tokens are meant for: the resources that
// were asked for, or else the provider itself.
func (g Grant) Audience(issuer string) []string {
	if len(g.Resources) == 0 {
		return []string{issuer}
	}
	return g.Resources
}

// For says whether the grant's access tokens are meant for a resource.
func (g Grant) For(issuer, resource string) bool {
	return slices.Contains(g.Audience(issuer), resource)
}

// MayTarget says whether the client's access tokens may be meant for a resource.
// The provider itself is one that everybody may name: userinfo is there.
func (c Client) MayTarget(issuer, resource string) bool {
	return resource == issuer || slices.Contains(c.Tokens.Resources, resource)
}

// MayIntrospect says whether the client may ask about the access tokens of a
// grant: its own, those for the resources that it serves, or all.
func (c Client) MayIntrospect(issuer string, g Grant) bool {
	if c.ID == "" || c.Tenant != g.Tenant {
		return false
	}
	serves := func(resource string) bool { return slices.Contains(c.Tokens.Serves, resource) }
	return g.Client == c.ID || c.Tokens.IntrospectsAny || slices.ContainsFunc(g.Audience(issuer), serves)
}
