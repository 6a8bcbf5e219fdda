package token

import (
	"context"
	"fmt"
	"time"

	"github.com/drawbridge-id/drawbridge/claims"
	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/clientkeys"
)

const (
	// logoutTokenType keeps the token from being taken for an ID token (OpenID
	// Connect Back-Channel Logout 1.0 §2.4).
	logoutTokenType = "logout+jwt"
	// logoutTokenLife is how long it is good: two minutes at most (§4).
	logoutTokenLife = 2 * time.Minute
	// logoutEvent is the event that it tells of.
	logoutEvent = "http://schemas.openid.net/event/backchannel-logout"
)

// Farewell says whose session has ended.
type Farewell struct {
	// Session is the sid, Subject the sub that the client knows the person as.
	Session string `json:"session"`
	Subject string `json:"subject"`
}

// LogoutToken is what tells a client that a session has ended (OpenID Connect
// Back-Channel Logout 1.0 §2.4), signed as its ID tokens are. Each has a jti of
// its own and lives for two minutes, so every attempt to deliver one makes
// another: a relying party that remembers the jti of an attempt which it could
// not finish would refuse the next as a replay. A client whose ID tokens are
// encrypted gets it encrypted in the same way, or not at all.
func (k *Keyring) LogoutToken(ctx context.Context, t federation.Tenant, client federation.Client, f Farewell) (string, error) {
	alg := client.IDTokenAlg
	if alg == "" {
		alg = federation.RS256
	}
	now := k.o.Now()
	text, err := k.Sign(ctx, t, alg, logoutTokenType, claims.Set{
		"iss": t.Issuer, "aud": client.ID, "sub": f.Subject, "sid": f.Session,
		"iat": seconds(now), "exp": seconds(now.Add(logoutTokenLife)), "jti": federation.NewSecret(),
		"events": map[string]any{logoutEvent: map[string]any{}},
	})
	if err != nil {
		return "", fmt.Errorf("sign logout token: %w", err)
	}
	if !client.IDTokenEncryption.Wanted() {
		return text, nil
	}
	to, err := clientkeys.To(ctx, client, client.IDTokenEncryption)
	if err == nil {
		text, err = to.Encrypt(text, true)
	}
	if err != nil {
		return "", fmt.Errorf("encrypt logout token: %w", err)
	}
	return text, nil
}
