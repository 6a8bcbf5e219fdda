package main

import (
	"fmt"
	"net/http"

	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/upstream"
)

// connect makes what speaks to an upstream; one of oidc and plain is set.
func (b *builder) connect(u config.Upstream, client *http.Client) (oidc *upstream.OIDC, plain *upstream.OAuth2, err error) {
	o := upstream.Options{
		ID: u.ID, Issuer: u.Issuer, ClientID: u.ClientID, ClientSecret: federation.Secret(u.ClientSecret.Reveal()),
		AuthMethod: federation.AuthMethod(u.TokenEndpointAuthMethod), Scopes: u.Scopes, ResponseMode: responseMode(u.ResponseMode),
		PAR: upstream.PAR(u.PAR), Prompt: u.Prompt, Extra: u.AuthorizationParams,
		Assurance: upstream.Assurance{ACR: u.ACR.Map, PassUnknown: u.ACR.PassUnknown, DefaultACR: u.ACR.Default, AMR: u.AMR},
		HTTP:      client, Now: b.now, Log: b.log,
	}
	if k := u.ClientKey; k != nil {
		if o.Key, err = upstream.ParseKey(federation.Secret(k.Key.Reveal()), k.ID, k.Alg, upstream.Audience(k.Audience)); err != nil {
			return nil, nil, fmt.Errorf("client_key: %w", err)
		}
	}
	if u.Type == "oauth2" {
		plain, err = upstream.NewOAuth2(upstream.OAuth2Options{
			Options: o, Authorization: u.AuthorizationEndpoint, Token: u.TokenEndpoint, Userinfo: u.UserinfoEndpoint,
			Emails: u.EmailEndpoint, SubjectClaim: u.SubjectClaim, AssumeAnew: u.Reauthentication == "assume",
		})
		return nil, plain, err
	}
	oidc, err = upstream.New(o)
	return oidc, nil, err
}

// responseMode is what an upstream is asked for: the default of the protocol
// needs no word.
func responseMode(configured string) string {
	if configured == "query" {
		return ""
	}
	return configured
}

// speaks is the connector, whatever the protocol.
func (c connector) speaks() federation.Connector {
	if c.plain != nil {
		return c.plain
	}
	return c.oidc
}

// issuer is whose logins come from there.
func (c connector) issuer() string {
	if c.plain != nil {
		return c.plain.Issuer()
	}
	return c.made.Issuer
}

func freshnessOf(f config.Freshness) federation.Freshness {
	return federation.Freshness{
		Check: federation.FreshnessCheck(f.Check), After: f.After, Unreachable: federation.FreshnessRule(f.Unreachable),
		AllowFor: f.AllowFor, Nothing: federation.FreshnessRule(f.NothingToCheck),
	}
}
