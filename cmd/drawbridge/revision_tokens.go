package main

import (
	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/federation"
)

// tokensOf is what a configured client's access tokens are, and which it may ask
// about.
func tokensOf(c config.Client) federation.ClientTokens {
	out := federation.ClientTokens{JWT: c.AccessTokenFormat == "jwt", Resources: c.Resources, Serves: c.ResourceServerFor, IntrospectsAny: c.Introspect == "any"}
	if out.JWT {
		out.Alg = federation.SigningAlg(c.AccessTokenSignedResponseAlg)
	}
	return out
}
