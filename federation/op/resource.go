package op

import (
	"slices"

	"github.com/drawbridge-id/drawbridge/federation"
)

// resourceParam names whom an access token is to be meant for (RFC 8707 §2). It
// may repeat.
const resourceParam = "resource"

// resources reads the parameter: each resource once, in the order asked for, and
// none where none has a value. Whether they may be asked for is another matter.
func resources(values []string) ([]string, error) {
	var asked []string
	for _, r := range values {
		switch {
		case r == "" && len(values) == 1:
		case !federation.ValidResource(r):
			return nil, federation.Fail(federation.InvalidTarget, "resource must be an absolute URI without a fragment.")
		case !slices.Contains(asked, r):
			asked = append(asked, r)
		}
	}
	if len(asked) > federation.MaxResources {
		return nil, federation.Fail(federation.InvalidTarget, "There are too many resources.")
	}
	return asked, nil
}

// aim reads the resources of an authorization request, which the client must be
// allowed to name.
func (q *request) aim(t federation.Tenant, client federation.Client, values []string) error {
	asked, err := resources(values)
	if err != nil {
		return err
	}
	for _, r := range asked {
		if !client.MayTarget(t.Issuer, r) {
			return federation.Fail(federation.InvalidTarget, "The client may not ask for that resource.")
		}
	}
	q.Resources = asked
	return nil
}
