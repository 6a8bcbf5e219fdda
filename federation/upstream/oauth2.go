package upstream

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/drawbridge-id/drawbridge/federation"
)

// OAuth2Options say which provider of plain OAuth 2.0, in place of what
// discovery would tell. Issuer may be empty: logins then have the origin of the
// token endpoint in its place, and the iss of an answer is not compared.
type OAuth2Options struct {
	Options
	Authorization, Token string
	// Userinfo is where the user's profile is, as a JSON object. Emails, where it
	// is not empty, is where the user's addresses are.
	Userinfo, Emails string
	// SubjectClaim is the member of the profile that never changes and is never
	// given to another user; empty is sub. With dots it is a member of a member.
	SubjectClaim string
	// AssumeAnew takes every sign-in for one where the user authenticated anew:
	// nothing in the protocol says so.
	AssumeAnew bool
}

// OAuth2 is a connector to one provider of plain OAuth 2.0 (RFC 6749), which
// knows users only as whom a profile is about.
type OAuth2 struct {
	o      OAuth2Options
	http   *http.Client
	caller caller
}

// NewOAuth2 makes a connector. It asks nothing of the provider.
func NewOAuth2(o OAuth2Options) (*OAuth2, error) {
	if o.Issuer == "" {
		o.Issuer = origin(o.Token)
	} else {
		o.named = true
	}
	if err := o.ready(); err != nil {
		return nil, err
	}
	for _, endpoint := range []string{o.Authorization, o.Token, o.Userinfo} {
		if origin(endpoint) == "" {
			return nil, errors.New("upstream: authorization, token and userinfo endpoint are needed")
		}
	}
	if o.SubjectClaim == "" {
		o.SubjectClaim = "sub"
	}
	c := &OAuth2{o: o, http: bounded(o.HTTP)}
	c.caller = o.caller(c.http, o.Token)
	return c, nil
}

// origin is scheme and host of an address.
func origin(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// Issuer is whose logins these are.
func (c *OAuth2) Issuer() string { return c.o.Issuer }

// AuthURL implements federation.Connector. What the provider could not prove is
// refused before the user is sent there: the protocol has no word for when and
// how somebody authenticated.
func (c *OAuth2) AuthURL(_ context.Context, a federation.Attempt) (string, error) {
	if !c.o.AssumeAnew && (a.Anew() || a.MaxAge >= 0) {
		return "", stale()
	}
	if a.ACREssential && !slices.Contains(a.ACRValues, c.o.Assurance.DefaultACR) {
		return "", unmet()
	}
	return join(c.o.Authorization, c.o.request(a, c.o.Scopes))
}

// Exchange implements federation.Connector: it redeems the code and asks who the
// access token is about. The user's way back is bound by state and PKCE alone.
func (c *OAuth2) Exchange(ctx context.Context, a federation.Attempt, cb federation.Callback) (federation.Login, error) {
	switch {
	case c.o.named && cb.Issuer != "" && cb.Issuer != c.o.Issuer:
		return federation.Login{}, distrust("iss of the answer", nil) // RFC 9207 §2.4
	case cb.Error != "":
		return federation.Login{}, refusal(cb)
	case cb.Code == "":
		return federation.Login{}, distrust("code", nil)
	case !c.o.AssumeAnew && (a.Anew() || a.MaxAge >= 0):
		return federation.Login{}, stale() // the configuration changed meanwhile
	}
	got, err := c.caller.redeem(ctx, a, cb.Code)
	if err != nil {
		return federation.Login{}, exchangeFailed(err)
	}
	now := c.o.Now()
	login := keep(federation.Login{
		Upstream: c.o.ID, Issuer: c.o.Issuer, AuthTime: now, AuthTimeUntold: !c.o.AssumeAnew, At: now,
	}, got, now)
	if login.Subject, login.Claims, err = c.who(ctx, got.access); err != nil {
		return federation.Login{}, err
	}
	return c.o.Assurance.assured(login, a)
}

// Recheck implements federation.Rechecker: with the refresh token if there is
// one, and with the access token if that is still good.
func (c *OAuth2) Recheck(ctx context.Context, l federation.Login) (federation.Login, error) {
	switch {
	case l.RefreshToken != "":
		got, err := c.caller.renew(ctx, l.RefreshToken)
		if err != nil {
			return l, renewFailed(err)
		}
		l = keep(l, got, c.o.Now())
	case !lives(l, c.o.Now()):
		return l, federation.ErrNothingToCheck
	}
	subject, said, err := c.who(ctx, l.AccessToken)
	switch {
	case errors.Is(err, errTokenRefused):
		return l, federation.ErrGone
	case err != nil:
		return l, err
	case subject != l.Subject:
		return l, distrust("sub", nil)
	}
	l.Claims = said
	return l, nil
}

var (
	_ federation.Connector = (*OAuth2)(nil)
	_ federation.Rechecker = (*OAuth2)(nil)
)
