package token

import (
	"errors"

	"github.com/drawbridge-id/drawbridge/federation"
)

// Credentials are what a request shows to prove which client it comes from.
type Credentials struct {
	Method federation.AuthMethod
	ID     string
	Secret federation.Secret
}

// VerifiedClient is a client that has proven itself, or a public one that has
// nothing to prove. Only Authenticate makes one; the zero value is refused
// everywhere.
type VerifiedClient struct{ c federation.Client }

// Client is the client as configured.
func (v VerifiedClient) Client() federation.Client { return v.c }

// Authenticate judges credentials (RFC 6749 §2.3). c is the client that
// Credentials.ID names, if ok says that there is one. The method must be the
// registered one (OpenID Connect Core 1.0 §9), a public client must show no
// secret, and all of a client's secrets are good. The error is invalid_client,
// with the same words for every reason.
func Authenticate(c federation.Client, ok bool, p Credentials) (VerifiedClient, error) {
	// Unknown clients take as long as known ones, and every secret is tried.
	secrets := c.Secrets
	if !ok || len(secrets) == 0 {
		secrets = []federation.Secret{"stands in for a client that has no secret"}
	}
	right := false
	for _, s := range secrets {
		right = s.Matches(p.Secret.Reveal()) || right
	}
	switch {
	case !ok || c.ID == "" || c.ID != p.ID:
		return VerifiedClient{}, unproven(errors.New("no such client"))
	case c.AuthMethod != p.Method:
		return VerifiedClient{}, unproven(errors.New("not the registered method"))
	case p.Method == federation.AuthNone && p.Secret != "":
		return VerifiedClient{}, unproven(errors.New("a public client has no secret"))
	case p.Method == federation.AuthNone:
		return VerifiedClient{c: c}, nil
	case p.Method != federation.AuthBasic && p.Method != federation.AuthPost:
		return VerifiedClient{}, unproven(errors.New("unknown method"))
	case !right || len(c.Secrets) == 0:
		return VerifiedClient{}, unproven(errors.New("wrong secret"))
	}
	return VerifiedClient{c: c}, nil
}

func unproven(cause error) error {
	return federation.Fail(federation.InvalidClient, "The client could not be authenticated.").Because(cause)
}

// The grant types of the token endpoint (RFC 6749 §4.1.3 and §6).
const (
	grantCode    = "authorization_code"
	grantRefresh = "refresh_token"
)

// of is the verified client, if it is one of the tenant.
func (v VerifiedClient) of(t federation.Tenant) (federation.Client, error) {
	if v.c.ID == "" || v.c.Tenant != t.ID {
		return federation.Client{}, unproven(errors.New("not verified for this tenant"))
	}
	return v.c, nil
}

// mayGrant is the verified client, if it is one of the tenant and may use the
// grant type.
func (v VerifiedClient) mayGrant(t federation.Tenant, grant string) (federation.Client, error) {
	c, err := v.of(t)
	if err != nil {
		return c, err
	}
	if !c.MayGrant(grant) {
		return c, federation.Fail(federation.UnauthorizedClient, "The client may not use this grant type.")
	}
	return c, nil
}
