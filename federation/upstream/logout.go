package upstream

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/drawbridge-id/drawbridge/claims"
	"github.com/drawbridge-id/drawbridge/federation"
)

const (
	logoutEvent = "http://schemas.openid.net/event/backchannel-logout"
	// LogoutTokenLife is how old a logout token may be when it comes in. Providers
	// try again when they were not answered, so it is not a matter of minutes.
	LogoutTokenLife = time.Hour
	// maxLogoutToken is the greatest length of a logout token.
	maxLogoutToken = 16 << 10
	// maxName bounds sub, sid and jti: they become part of keys.
	maxName = 1024
)

// ReadLogout verifies a logout token that came in at a moment, as OpenID Connect
// Back-Channel Logout 1.0 §2.6 says. It fails with invalid_request, whose private
// cause is a *Distrust, for a token that is not to be believed, and with
// temporarily_unavailable for one that may be, but whose keys cannot be had now.
func (c *OIDC) ReadLogout(ctx context.Context, raw string, received time.Time) (federation.LogoutNotice, error) {
	n, err := c.plausible(raw, received)
	if err != nil {
		return federation.LogoutNotice{}, err
	}
	p, err := c.cache.provider(ctx)
	if err != nil {
		return federation.LogoutNotice{}, unreachable(err) // also where it lies: it may yet come to its senses
	}
	down := &outage{}
	_, err = p.keys.patiently(context.WithValue(ctx, outageKey{}, down), raw)
	switch {
	case down.cause != nil || errors.Is(err, errBusy):
		return federation.LogoutNotice{}, unreachable(err)
	case err != nil:
		return federation.LogoutNotice{}, disbelief("signature", err)
	}
	return n, nil
}

// plausible judges all of a logout token but its signature.
func (c *OIDC) plausible(raw string, received time.Time) (federation.LogoutNotice, error) {
	n := federation.LogoutNotice{Upstream: c.o.ID, Issuer: c.o.Issuer}
	if len(raw) > maxLogoutToken {
		return n, disbelief("size", nil)
	}
	if err := logoutHeader(raw); err != nil {
		return n, disbelief("header", err)
	}
	bag, err := payload(raw)
	if err != nil {
		return n, disbelief("payload", err)
	}
	for _, v := range []struct {
		check string
		ok    bool
	}{
		{"iss", bag["iss"] == c.o.Issuer}, {"aud", addressed(bag["aud"], c.o.ClientID)}, {"events", tellsLogout(bag["events"])},
		{"nonce", !has(bag, "nonce")}, {"jti", name(bag, "jti", &n.ID) && n.ID != ""}, {"sub", name(bag, "sub", &n.Subject)}, {"sid", name(bag, "sid", &n.SID)},
		{"sub or sid", n.Subject != "" || n.SID != ""},
	} {
		if !v.ok {
			return n, disbelief(v.check, nil)
		}
	}
	var ok bool
	if n.Issued, ok = instant(bag["iat"]); !ok || n.Issued.After(received.Add(c.o.Skew)) || received.Sub(n.Issued) > LogoutTokenLife+c.o.Skew {
		return n, disbelief("iat", nil)
	}
	if !has(bag, "exp") {
		return n, nil
	}
	if expires, ok := instant(bag["exp"]); !ok || !received.Before(expires.Add(c.o.Skew)) {
		return n, disbelief("exp", nil)
	}
	return n, nil
}

// logoutHeader refuses what no key could make good: an algorithm that is none or
// a MAC, and a token of another kind (RFC 8725 §3.11).
func logoutHeader(raw string) error {
	jws, err := jose.ParseSignedCompact(raw, josed(accepted()))
	if err != nil {
		return err
	}
	kind, given := jws.Signatures[0].Protected.ExtraHeaders[jose.HeaderType]
	text, ok := kind.(string)
	if !given {
		return nil
	}
	text = strings.TrimPrefix(strings.ToLower(text), "application/") // RFC 7515 §4.1.9
	if !ok || text != "jwt" && text != "logout+jwt" {
		return errors.New("it is a token of another kind")
	}
	return nil
}

// addressed says whether an audience, one or several, has the client in it.
func addressed(aud any, client string) bool {
	if list, ok := aud.([]any); ok {
		for _, a := range list {
			if _, text := a.(string); !text {
				return false
			}
		}
		return slices.Contains(list, any(client))
	}
	return aud == client
}

// tellsLogout says whether events has the one that makes a logout token, whose
// value is an object (§2.4). Others may stand beside it.
func tellsLogout(events any) bool {
	all, ok := events.(map[string]any)
	if !ok {
		return false
	}
	_, ok = all[logoutEvent].(map[string]any)
	return ok
}

func has(bag claims.Set, claim string) bool {
	_, there := bag[claim]
	return there
}

// name reads a claim that may be left out, but must be a text with something in
// it where it is there.
func name(bag claims.Set, claim string, into *string) bool {
	v, there := bag[claim]
	text, ok := v.(string)
	*into = text
	return !there || ok && text != "" && len(text) <= maxName
}

func disbelief(check string, cause error) *federation.Error {
	return federation.Fail(federation.InvalidRequest, "The logout token could not be verified.").Because(&Distrust{Check: check, cause: cause})
}
