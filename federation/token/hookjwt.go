package token

import (
	"context"
	"sync"
	"time"

	"github.com/drawbridge-id/drawbridge/claims"
	"github.com/drawbridge-id/drawbridge/federation"
)

const (
	// hookTokenType keeps the token from being taken for any other.
	hookTokenType = "hook+jwt"
	hookTokenLife = 15 * time.Minute
	// hookTokenUse is how long a token is shown: 80 % of its life, so that one
	// that is on its way does not expire there.
	hookTokenUse = hookTokenLife * 4 / 5
)

// HookToken is a source of the tokens by which a hook knows the tenant
// (DESIGN decision 8): JWTs of typ hook+jwt, signed with RS256 under a key of
// the tenant's published set, with iss, aud (the hook's base URL), iat, exp
// after 15 minutes, and jti. One token is shown for 12 minutes, or until
// another key signs. The source may be called concurrently.
func (k *Keyring) HookToken(t federation.Tenant, baseURL string) func(context.Context) (string, error) {
	s := &hookTokens{keys: k, tenant: t, audience: baseURL}
	return s.token
}

// hookTokens keeps the token that is shown.
type hookTokens struct {
	keys     *Keyring
	tenant   federation.Tenant
	audience string

	mu   sync.Mutex
	text string
	made time.Time
	by   string // id of the key that signed
}

func (s *hookTokens) token(ctx context.Context) (string, error) {
	signer, err := s.keys.working(ctx, s.tenant, useRS256)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.keys.o.Now()
	if age := now.Sub(s.made); s.text != "" && s.by == signer.ID && age >= 0 && age < hookTokenUse {
		return s.text, nil
	}
	payload, err := claims.Set{
		"iss": s.tenant.Issuer,
		"aud": s.audience,
		"iat": seconds(now),
		"exp": seconds(now.Add(hookTokenLife)),
		"jti": federation.NewSecret(),
	}.MarshalJSON()
	if err != nil {
		return "", err
	}
	text, err := signer.sign(hookTokenType, payload)
	if err != nil {
		return "", err
	}
	s.text, s.made, s.by = text, now, signer.ID
	return text, nil
}
