package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/drawbridge-id/drawbridge/claims"
	"github.com/drawbridge-id/drawbridge/federation"
)

// withUserinfo adds the claims of the userinfo endpoint to the login's
// (OpenID Connect Core 1.0 §5.3). What it says of the same name is newer than
// the ID token and wins; who the user is, it cannot change.
func (c *OIDC) withUserinfo(ctx context.Context, p *provider, login federation.Login) (federation.Login, error) {
	told, err := c.userinfo(ctx, p, login.AccessToken)
	if err != nil {
		return federation.Login{}, err
	}
	if sub, ok := told["sub"].(string); !ok || sub != login.Subject {
		return federation.Login{}, distrust("userinfo sub", nil) // §5.3.2
	}
	for _, name := range minted() {
		delete(told, name) // said of the login by the ID token alone
	}
	if login.Claims, err = claims.Merge(login.Claims, told); err != nil {
		return federation.Login{}, distrust("userinfo", err)
	}
	return login, nil
}

func (c *OIDC) userinfo(ctx context.Context, p *provider, accessToken string) (claims.Set, error) {
	kind, body, err := profile(ctx, c.http, p.meta.Userinfo, accessToken, "application/json, application/jwt;q=0.9")
	if err != nil {
		return nil, err
	}
	switch kind {
	case "application/json":
	case "application/jwt":
		return c.signedUserinfo(ctx, p, strings.TrimSpace(string(body)))
	default:
		return nil, distrust("userinfo", errors.New("it is neither JSON nor a JWT"))
	}
	told, err := claims.DecodeObject(body, claims.UpstreamLimits())
	if err != nil {
		return nil, distrust("userinfo", err)
	}
	return told, nil
}

// signedUserinfo reads userinfo that is a JWT (OpenID Connect Core 1.0 §5.3.2).
// iss and aud are recommended there: what is said must be right. So must exp.
func (c *OIDC) signedUserinfo(ctx context.Context, p *provider, raw string) (claims.Set, error) {
	told, err := payload(raw)
	if err != nil {
		return nil, distrust("userinfo", err)
	}
	down := &outage{}
	_, err = p.keys.verify(context.WithValue(ctx, outageKey{}, down), raw, josed(p.meta.userinfoAlgs()))
	switch {
	case down.cause != nil:
		return nil, unreachable(down.cause)
	case err != nil:
		return nil, distrust("userinfo", err)
	}
	if iss, has := told["iss"]; has && iss != c.o.Issuer {
		return nil, distrust("userinfo iss", nil)
	}
	if aud, has := told["aud"]; has && aud != c.o.ClientID {
		if list, _ := aud.([]any); !slices.Contains(list, any(c.o.ClientID)) {
			return nil, distrust("userinfo aud", nil)
		}
	}
	if exp, has := told["exp"]; has {
		if at, ok := instant(exp); !ok || !c.o.Now().Add(-c.o.Skew).Before(at) {
			return nil, distrust("userinfo exp", nil)
		}
	}
	return told, nil
}

// profile asks an endpoint about the user of an access token, which goes in the
// header (RFC 6750 §2.1), and tells an endpoint that is down from one that says
// no.
func profile(ctx context.Context, client *http.Client, endpoint, accessToken, accept string) (kind string, body []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint, nil)
	if err != nil {
		return "", nil, distrust("discovery", err)
	}
	req.Header.Set("Authorization", "Bearer "+accessToken)
	req.Header.Set("Accept", accept)
	res, err := client.Do(req)
	if err != nil {
		return "", nil, unreachable(err)
	}
	defer res.Body.Close()
	body, err = io.ReadAll(res.Body)
	switch {
	case errors.Is(err, errTooLarge):
		return "", nil, distrust("size", err)
	case err != nil:
		return "", nil, unreachable(err)
	case res.StatusCode >= http.StatusInternalServerError || res.StatusCode == http.StatusTooManyRequests:
		return "", nil, unreachable(fmt.Errorf("userinfo answered %d", res.StatusCode))
	case res.StatusCode == http.StatusUnauthorized:
		return "", nil, distrust("userinfo", errTokenRefused)
	case res.StatusCode != http.StatusOK:
		return "", nil, distrust("userinfo", fmt.Errorf("it answered %d", res.StatusCode))
	}
	kind, _, _ = mime.ParseMediaType(res.Header.Get("Content-Type"))
	return kind, body, nil
}

// errTokenRefused: the access token counts no longer, or never did.
var errTokenRefused = errors.New("it refused the access token")
