package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"

	"github.com/drawbridge-id/drawbridge/claims"
	"github.com/drawbridge-id/drawbridge/federation"
)

// withUserinfo adds the claims of the userinfo endpoint to the login's
// (OpenID Connect Core 1.0 §5.3). What it says of the same name is newer than
// the ID token and wins; who the user is, it cannot change.
func (c *OIDC) withUserinfo(ctx context.Context, p *provider, login federation.Login, accessToken string) (federation.Login, error) {
	told, err := c.userinfo(ctx, p.meta.Userinfo, accessToken)
	if err != nil {
		return federation.Login{}, err
	}
	if sub, ok := told["sub"].(string); !ok || sub != login.Subject {
		return federation.Login{}, distrust("userinfo sub", nil) // §5.3.2
	}
	for _, name := range []string{"iss", "aud", "exp", "iat", "nonce", "auth_time", "acr", "amr", "azp", "sid"} {
		delete(told, name) // said of the login by the ID token alone
	}
	if login.Claims, err = claims.Merge(login.Claims, told); err != nil {
		return federation.Login{}, distrust("userinfo", err)
	}
	return login, nil
}

func (c *OIDC) userinfo(ctx context.Context, endpoint, accessToken string) (claims.Set, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint, nil)
	if err != nil {
		return nil, distrust("discovery", err)
	}
	req.Header.Set("Authorization", "Bearer "+accessToken)
	req.Header.Set("Accept", "application/json")
	res, err := c.http.Do(req)
	if err != nil {
		return nil, unreachable(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	switch {
	case errors.Is(err, errTooLarge):
		return nil, distrust("size", err)
	case err != nil:
		return nil, unreachable(err)
	case res.StatusCode >= http.StatusInternalServerError || res.StatusCode == http.StatusTooManyRequests:
		return nil, unreachable(fmt.Errorf("userinfo answered %d", res.StatusCode))
	case res.StatusCode != http.StatusOK:
		return nil, distrust("userinfo", fmt.Errorf("it answered %d", res.StatusCode))
	}
	if kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")); kind != "application/json" {
		return nil, distrust("userinfo", errors.New("it is not JSON"))
	}
	told, err := claims.DecodeObject(body, claims.UpstreamLimits())
	if err != nil {
		return nil, distrust("userinfo", err)
	}
	return told, nil
}
