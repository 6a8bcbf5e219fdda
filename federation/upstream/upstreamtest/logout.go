package upstreamtest

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"time"
)

// LogoutToken is a logout token (OpenID Connect Back-Channel Logout 1.0 §2.4) of
// the subject, as the knobs given have it. Claims change it: nil leaves one out.
func (p *Provider) LogoutToken(k Knobs, claims map[string]any) string {
	now := time.Now()
	body := map[string]any{
		"iss": p.URL, "aud": p.ClientID, "sub": k.subject(), "iat": now.Unix(), "exp": now.Add(2 * time.Minute).Unix(), "jti": rand.Text(),
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
	}
	for name, value := range claims {
		if body[name] = value; value == nil {
			delete(body, name)
		}
	}
	raw, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	if k.Payload != nil {
		raw = k.Payload(raw)
	}
	if k.Type == "" {
		k.Type = "logout+jwt"
	}
	return p.sign(k, raw)
}

// SendLogout posts a logout token to a relying party, as the provider would.
func (p *Provider) SendLogout(to, token string) (*http.Response, error) {
	return p.Client().PostForm(to, url.Values{"logout_token": {token}})
}
