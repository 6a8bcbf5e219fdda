package token

import (
	"slices"

	"github.com/drawbridge-id/drawbridge/federation"
)

// target is whom an access token of a grant will be meant for (RFC 8707 §2.2):
// what is asked for at the token endpoint, or else all that was granted. Nothing
// can be asked for that was not granted, or that the client may not name any
// longer. No resource is the provider itself.
func target(t federation.Tenant, c federation.Client, g federation.Grant, asked []string) ([]string, bool) {
	may := slices.DeleteFunc(slices.Clone(g.Audience(t.Issuer)), func(r string) bool { return !c.MayTarget(t.Issuer, r) })
	if len(asked) == 0 {
		asked = may
	}
	var meant []string
	for _, r := range asked {
		if !slices.Contains(may, r) {
			return nil, false
		}
		if !slices.Contains(meant, r) {
			meant = append(meant, r)
		}
	}
	if len(g.Resources) == 0 {
		return nil, true
	}
	return meant, len(meant) > 0
}

// aimed is the grant as its access token has it: meant for the target.
func (p Permit) aimed() federation.Grant {
	g := p.grant
	g.Resources = p.target
	return g
}
