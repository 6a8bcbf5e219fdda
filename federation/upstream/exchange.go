package upstream

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

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
	got, err := c.call(p).redeem(ctx, a, cb.Code)
	if err != nil {
		return federation.Login{}, exchangeFailed(err)
	}
	if got.id == "" {
		return federation.Login{}, distrust("id_token", errors.New("there is none"))
	}
	token, bag, err := c.verify(ctx, p, got.id, got.access)
	if err != nil {
		return federation.Login{}, err
	}
	if subtle.ConstantTimeCompare([]byte(token.Nonce), []byte(a.Nonce)) != 1 {
		return federation.Login{}, distrust("nonce", nil)
	}
	login := c.login(token, bag, got)
	if err := c.fresh(login, a); err != nil {
		return federation.Login{}, err
	}
	if login, err = c.o.Assurance.assured(login, a); err != nil {
		return federation.Login{}, err
	}
	if p.meta.Userinfo == "" {
		return login, nil
	}
	return c.withUserinfo(ctx, p, login)
}

// verify holds an ID token to OpenID Connect Core 1.0 §3.1.3.7, but for the
// nonce, which a refresh does not have. The payload is read strictly first: what
// folds together must not be read by anybody.
func (c *OIDC) verify(ctx context.Context, p *provider, raw, accessToken string) (*oidc.IDToken, claims.Set, error) {
	bag, err := payload(raw)
	if err != nil {
		return nil, nil, distrust("payload", err)
	}
	down := &outage{}
	token, err := p.verifier.Verify(context.WithValue(ctx, outageKey{}, down), raw)
	switch {
	case down.cause != nil:
		return nil, nil, unreachable(down.cause)
	case err != nil:
		return nil, nil, distrust("id_token", err)
	}
	return token, bag, c.check(token, bag, accessToken)
}

// login is what the ID token of a sign-in says.
func (c *OIDC) login(token *oidc.IDToken, bag claims.Set, got tokens) federation.Login {
	now := c.o.Now()
	login := federation.Login{
		Upstream: c.o.ID, Issuer: c.o.Issuer, Subject: token.Subject, Claims: bag,
		AuthTime: now, AuthTimeUntold: true, IDToken: got.id, At: now, Issued: token.IssuedAt.UTC(),
	}
	login = keep(login, got, now)
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
		login.AuthTime, login.AuthTimeUntold = at, false
	}
	return login
}

// keep puts tokens into a login. A refresh token that is not replaced stays
// good (RFC 6749 §6).
func keep(login federation.Login, got tokens, now time.Time) federation.Login {
	if got.refresh != "" {
		login.RefreshToken = got.refresh
	}
	login.AccessToken, login.AccessExpires = got.access, time.Time{}
	if got.life > 0 {
		login.AccessExpires = now.Add(got.life).UTC()
	}
	return login
}

// check is what go-oidc leaves to its caller.
func (c *OIDC) check(token *oidc.IDToken, bag claims.Set, accessToken string) error {
	switch azp, has := bag["azp"]; {
	case token.Subject == "" || len(token.Subject) > 255:
		return distrust("sub", nil)
	case bag["iat"] == nil || token.IssuedAt.After(c.o.Now().Add(c.o.Skew)):
		return distrust("iat", nil)
	case has && azp != c.o.ClientID || !has && len(token.Audience) > 1:
		return distrust("azp", nil)
	}
	if token.AccessTokenHash != "" {
		if err := token.VerifyAccessToken(accessToken); err != nil {
			return distrust("at_hash", err)
		}
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
