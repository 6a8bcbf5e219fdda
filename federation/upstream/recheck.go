package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/drawbridge-id/drawbridge/claims"
	"github.com/drawbridge-id/drawbridge/federation"
)

// Recheck implements federation.Rechecker: with the refresh token, or else with
// an access token that is still good at the userinfo endpoint.
func (c *OIDC) Recheck(ctx context.Context, l federation.Login) (federation.Login, error) {
	p, err := c.cache.provider(ctx)
	if err != nil {
		return l, err
	}
	if l.RefreshToken == "" {
		if p.meta.Userinfo == "" || !lives(l, c.o.Now()) {
			return l, federation.ErrNothingToCheck
		}
		bag, err := payload(l.IDToken)
		if err != nil {
			return l, distrust("payload", err)
		}
		return c.recheckUserinfo(ctx, p, l, bag)
	}
	got, err := c.call(p).renew(ctx, l.RefreshToken)
	if err != nil {
		return l, renewFailed(err)
	}
	l = keep(l, got, c.o.Now())
	bag, err := c.renewed(ctx, p, l, got)
	if err != nil {
		return l, err
	}
	if got.id != "" {
		l.IDToken = got.id
	}
	if p.meta.Userinfo == "" {
		l.Claims = bag
		return l, nil
	}
	return c.recheckUserinfo(ctx, p, l, bag)
}

// renewed is what the ID token of a refresh says, or that of the sign-in where
// there is none. It must be about the same user and the same sign-in (OpenID
// Connect Core 1.0 §12.2).
func (c *OIDC) renewed(ctx context.Context, p *provider, l federation.Login, got tokens) (claims.Set, error) {
	before, err := payload(l.IDToken)
	if err != nil {
		return nil, distrust("payload", err)
	}
	if got.id == "" {
		return before, nil
	}
	token, bag, err := c.verify(ctx, p, got.id, got.access)
	if err != nil {
		return nil, err
	}
	return bag, same(token, bag, before, l)
}

// same compares the ID token of a refresh with that of the sign-in.
func same(token *oidc.IDToken, bag, before claims.Set, l federation.Login) error {
	if token.Subject != l.Subject {
		return distrust("sub", nil)
	}
	if nonce, has := bag["nonce"]; has && nonce != before["nonce"] {
		return distrust("nonce", nil)
	}
	at, has := instant(bag["auth_time"])
	if was, had := instant(before["auth_time"]); has && had && !at.Equal(was) {
		return distrust("auth_time", nil)
	}
	return nil
}

// recheckUserinfo puts what userinfo says now on top of what an ID token says.
// A token that was good and is refused is the end of the login.
func (c *OIDC) recheckUserinfo(ctx context.Context, p *provider, l federation.Login, bag claims.Set) (federation.Login, error) {
	now := l
	now.Claims = bag
	now, err := c.withUserinfo(ctx, p, now)
	if errors.Is(err, errTokenRefused) {
		return l, federation.ErrGone
	}
	if err != nil {
		return l, err
	}
	return now, nil
}

// lives says whether an access token can still be used. One whose life nobody
// told is tried.
func lives(l federation.Login, now time.Time) bool {
	return l.AccessToken != "" && (l.AccessExpires.IsZero() || now.Before(l.AccessExpires))
}

// renewFailed tells the end of a login from an outage. What is wrong with us or
// with the configuration is no word about the user.
func renewFailed(err error) error {
	if answer, ok := errors.AsType[*answerError](err); ok && !answer.down() &&
		(answer.spent() || answer.code == string(federation.AccessDenied)) {
		return federation.ErrGone
	}
	if errors.Is(err, errGarbled) || errors.Is(err, errTooLarge) {
		return exchangeFailed(err)
	}
	if _, answered := errors.AsType[*answerError](err); !answered && !neverSent(err) {
		err = fmt.Errorf("%w: %w", federation.ErrUnanswered, err)
	}
	return unreachable(err)
}

// neverSent: there was not even a connection.
func neverSent(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

var _ federation.Rechecker = (*OIDC)(nil)
