package upstream

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/drawbridge-id/drawbridge/claims"
	"github.com/drawbridge-id/drawbridge/federation"
)

// Exchange implements federation.Connector: it judges the answer, exchanges the
// code, verifies the ID token, and reads userinfo where there is one.
func (c *OIDC) Exchange(ctx context.Context, a federation.Attempt, cb federation.Callback) (federation.Login, error) {
	p, err := c.cache.provider(ctx)
	if err != nil {
		return federation.Login{}, err
	}
	if cb.Issuer != "" && cb.Issuer != c.o.Issuer || cb.Issuer == "" && p.meta.IssInAnswer {
		return federation.Login{}, distrust("iss of the answer", nil) // RFC 9207 §2.4
	}
	if cb.Error != "" {
		return federation.Login{}, refusal(cb)
	}
	if cb.Code == "" {
		return federation.Login{}, distrust("code", nil)
	}
	token, err := c.oauth(p, a).Exchange(context.WithValue(ctx, oauth2.HTTPClient, c.http), cb.Code, oauth2.VerifierOption(a.Verifier))
	if err != nil {
		return federation.Login{}, exchangeFailed(err)
	}
	raw, _ := token.Extra("id_token").(string)
	if raw == "" {
		return federation.Login{}, distrust("id_token", errors.New("there is none"))
	}
	login, err := c.verify(ctx, p, a, raw, token.AccessToken)
	if err != nil {
		return federation.Login{}, err
	}
	login.RefreshToken = token.RefreshToken
	if p.meta.Userinfo == "" {
		return login, nil
	}
	return c.withUserinfo(ctx, p, login, token.AccessToken)
}

// verify holds an ID token to OpenID Connect Core 1.0 §3.1.3.7. The payload is
// read strictly first: what folds together must not be read by anybody.
func (c *OIDC) verify(ctx context.Context, p *provider, a federation.Attempt, raw, accessToken string) (federation.Login, error) {
	bag, err := payload(raw)
	if err != nil {
		return federation.Login{}, distrust("payload", err)
	}
	down := &outage{}
	token, err := p.verifier.Verify(context.WithValue(ctx, outageKey{}, down), raw)
	switch {
	case down.cause != nil:
		return federation.Login{}, unreachable(down.cause)
	case err != nil:
		return federation.Login{}, distrust("id_token", err)
	}
	if err := c.check(token, bag, a, accessToken); err != nil {
		return federation.Login{}, err
	}
	now := c.o.Now()
	login := federation.Login{
		Upstream: c.o.ID, Issuer: c.o.Issuer, Subject: token.Subject, Claims: bag,
		AuthTime: now, IDToken: raw, At: now,
	}
	login.SID, _ = bag["sid"].(string)
	login.ACR, _ = bag["acr"].(string)
	if list, ok := bag["amr"].([]any); ok {
		for _, m := range list {
			if s, ok := m.(string); ok {
				login.AMR = append(login.AMR, s)
			}
		}
	}
	if at, ok := instant(bag["auth_time"]); ok {
		login.AuthTime = at
	}
	return login, c.fresh(login, a, bag)
}

// check is what go-oidc leaves to its caller.
func (c *OIDC) check(token *oidc.IDToken, bag claims.Set, a federation.Attempt, accessToken string) error {
	switch azp, has := bag["azp"]; {
	case token.Subject == "" || len(token.Subject) > 255:
		return distrust("sub", nil)
	case bag["iat"] == nil || token.IssuedAt.After(c.o.Now().Add(c.o.Skew)):
		return distrust("iat", nil)
	case has && azp != c.o.ClientID || !has && len(token.Audience) > 1:
		return distrust("azp", nil)
	case subtle.ConstantTimeCompare([]byte(token.Nonce), []byte(a.Nonce)) != 1:
		return distrust("nonce", nil)
	}
	if token.AccessTokenHash != "" {
		if err := token.VerifyAccessToken(accessToken); err != nil {
			return distrust("at_hash", err)
		}
	}
	return nil
}

// fresh holds the provider to what was asked of it: a login that had to be new
// or recent must say when it happened (OpenID Connect Core 1.0 §3.1.2.1).
func (c *OIDC) fresh(login federation.Login, a federation.Attempt, bag claims.Set) error {
	if a.MaxAge >= 0 {
		oldest := c.o.Now().Add(-time.Duration(a.MaxAge)*time.Second - c.o.Skew)
		if _, told := instant(bag["auth_time"]); !told || login.AuthTime.Before(oldest) {
			return federation.Fail(federation.LoginRequired, "The identity provider did not authenticate the user recently enough.").
				Because(&Distrust{Check: "auth_time"})
		}
	}
	if login.AuthTime.After(c.o.Now().Add(c.o.Skew)) {
		return distrust("auth_time", nil)
	}
	if len(a.ACRValues) > 0 && login.ACR != "" && !slices.Contains(a.ACRValues, login.ACR) {
		c.o.Log.Info("upstream answered with another acr than asked for", "upstream", c.o.ID)
	}
	return nil
}

// payload reads the claims of a compact JWS strictly, unverified.
func payload(raw string) (claims.Set, error) {
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return nil, errors.New("not a compact JWS")
	}
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil, err
	}
	return claims.DecodeObject(body, claims.UpstreamLimits())
}

// instant reads a NumericDate (RFC 7519 §2).
func instant(v any) (time.Time, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return time.Time{}, false
	}
	seconds, err := strconv.ParseFloat(n.String(), 64)
	if err != nil || seconds < 0 || seconds > math.MaxInt32*100 {
		return time.Time{}, false
	}
	return time.Unix(int64(seconds), 0).UTC(), true
}
