package token

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/claims"
	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

// RefreshRequest is a request to refresh (RFC 6749 §6). It does not print.
type RefreshRequest struct {
	unprinted
	Token string
	// Scope narrows the access token; empty is all that was granted.
	Scope string
	// Resources narrow what it is meant for (RFC 8707 §2.2).
	Resources []string
}

// Renew derives a grant's claims anew. g has the scopes asked for and the
// snapshot of the sign-in; on is what it rests on now. Of the answer count the
// snapshot, and the scopes as far as they are fewer. It is called with nothing
// held.
type Renew func(ctx context.Context, g federation.Grant, on Grounds) (federation.Grant, error)

// Refresh answers a refresh token with new tokens and rotates it. The error is
// invalid_grant for one that is unknown, expired, reused, another's, or whose
// session is over; invalid_scope for scopes that were not granted. Where renew
// refuses it is invalid_grant, and where it malfunctions
// temporarily_unavailable; the token stays as it was in both cases, unless renew
// says federation.ErrGone, which ends the family.
func (i *Issuer) Refresh(ctx context.Context, t federation.Tenant, c VerifiedClient, r RefreshRequest, renew Renew) (Response, error) {
	client, err := c.mayGrant(t, grantRefresh)
	if err != nil {
		return Response{}, err
	}
	shown, row, err := i.readRefresh(ctx, t, client, r.Token)
	if err != nil {
		return Response{}, err
	}
	grant, err := narrow(row.Value.Grant, r.Scope)
	if err != nil {
		return Response{}, err
	}
	permit, held, person, err := i.admit(ctx, t, Applicant{Client: client, Type: grantRefresh, Grant: grant, Renews: true, Resources: r.Resources})
	if err != nil {
		return Response{}, err
	}
	to, err := recipient(ctx, permit.client, permit.grant)
	if err != nil {
		return Response{}, err
	}
	if permit, err = renewed(ctx, permit, Grounds{Session: held.Session, Person: person, Family: row.ID}, renew); err != nil {
		return Response{}, i.disowned(ctx, row, err)
	}
	is, err := i.rotate(ctx, rotation{permit: permit, shown: shown, row: row, end: sessionEnd(held.Session)})
	if err != nil {
		return Response{}, err
	}
	i.touch(ctx, t, permit.grant, held)
	is.to = to
	return i.respond(ctx, t, is)
}

// disowned takes the family of a login away that its upstream stands by no
// longer. Any other error leaves everything as it was.
func (i *Issuer) disowned(ctx context.Context, row store.Row[familyRecord], cause error) error {
	if !errors.Is(cause, federation.ErrGone) {
		return cause
	}
	if err := i.kill(ctx, row.Place, row.ID, ""); err != nil {
		return fmt.Errorf("revoke tokens of a login that is no more: %w", err)
	}
	return cause
}

// readRefresh finds the family of a refresh token that is good. One that was
// reused revokes it.
func (i *Issuer) readRefresh(ctx context.Context, t federation.Tenant, client federation.Client, token string) (shown refreshToken, row store.Row[familyRecord], err error) {
	shown, ok := parseRefresh(token)
	if !ok || !t.Owns(shown.handle.Place) {
		return shown, row, badRefresh(errors.New("not a refresh token of this tenant"))
	}
	now, err := i.now(ctx)
	if err != nil {
		return shown, row, err
	}
	if row, err = i.readFamily(ctx, shown.handle.Place, shown.handle.ID()); err != nil {
		return shown, row, err
	}
	switch row.Value.judge(client.ID, shown, now, i.o.Lifetimes().RefreshGrace) {
	case current:
	case reused:
		return shown, row, i.reused(ctx, t, client, shown, row)
	default:
		return shown, row, badRefresh(errors.New("not a refresh token of the family and the client"))
	}
	return shown, row, nil
}

func (i *Issuer) readFamily(ctx context.Context, at store.Place, id string) (store.Row[familyRecord], error) {
	row, err := i.families.Get(ctx, at, id)
	if errors.Is(err, store.ErrNotFound) {
		return row, badRefresh(err)
	}
	if err != nil {
		return row, fmt.Errorf("read refresh family: %w", err)
	}
	return row, nil
}

// reused revokes a family, one of whose earlier tokens was shown.
func (i *Issuer) reused(ctx context.Context, t federation.Tenant, client federation.Client, shown refreshToken, row store.Row[familyRecord]) error {
	err := i.kill(ctx, row.Place, row.ID, "")
	i.o.Log.WarnContext(ctx, "refresh token reused", "tenant", t.ID, "client", client.ID, "family", row.ID,
		"shown", shown.generation, "current", row.Value.Generation, "revoked", err == nil)
	if err != nil {
		return fmt.Errorf("revoke tokens of a reused refresh token: %w", err)
	}
	return badRefresh(errors.New("reused"))
}

// rotation is one refresh that may go ahead.
type rotation struct {
	permit Permit
	shown  refreshToken
	// row is the family as it was when the token was judged.
	row store.Row[familyRecord]
	// end is when the grant is dead in any case.
	end time.Time
}

// rotate makes the one commit: the next generation, if no rival has begun it,
// and an access token. Who was good when it was shown gets the family's current
// refresh token, whatever happened since.
func (i *Issuer) rotate(ctx context.Context, r rotation) (issuance, error) {
	is := issuance{permit: r.permit, access: federation.NewHandle(r.row.Place), again: true}
	read := &r.row
	err := i.settle(ctx, func(ctx context.Context) ([]store.Op, error) {
		if read == nil {
			again, err := i.readFamily(ctx, r.row.Place, r.row.ID)
			if err != nil {
				return nil, err
			}
			read = &again
		}
		row := *read
		read = nil
		now, err := i.now(ctx)
		if err != nil {
			return nil, err
		}
		f, l := row.Value, i.o.Lifetimes()
		is.at, is.refresh = now, f.token(r.shown.handle)
		if f.has(is.access.ID()) {
			return nil, nil // the commit is ours, and stands
		}
		if f.Generation == r.shown.generation {
			f.Generation, f.Rotated = f.Generation+1, now
			is.refresh = f.token(r.shown.handle)
		}
		token := r.permit.access(now, l)
		surplus := f.issue(issued{ID: is.access.ID(), Expires: token.Expires}, now)
		expires := f.expires(now, l, r.end)
		ops := append(i.list(&f, row.Place, row.ID, expires, l, r.end),
			i.families.Replace(row.Place, row.ID, f, row.Version, expires),
			i.accesses.Create(row.Place, is.access.ID(), token, token.Expires))
		for _, id := range surplus {
			ops = append(ops, i.accesses.Drop(row.Place, id))
		}
		return ops, nil
	})
	return is, err
}

// narrow is the grant with the scopes that a request asks for, in the order in
// which they were granted (RFC 6749 §6).
func narrow(g federation.Grant, scope string) (federation.Grant, error) {
	if scope == "" {
		return g, nil
	}
	asked := strings.Split(scope, " ")
	for _, s := range asked {
		if !g.Has(s) {
			return g, federation.Fail(federation.InvalidScope, "The scope exceeds what was granted.")
		}
	}
	g.Scopes = slices.DeleteFunc(slices.Clone(g.Scopes), func(s string) bool { return !slices.Contains(asked, s) })
	return g, nil
}

// renewed is the permit with the claims, and at most the scopes, that renew
// says.
func renewed(ctx context.Context, p Permit, on Grounds, renew Renew) (Permit, error) {
	answer, err := renew(ctx, p.grant, on)
	if err != nil {
		return p, refusal(err)
	}
	if p = p.renewed(answer); len(p.grant.Scopes) == 0 {
		return p, federation.Fail(federation.InvalidScope, "None of the scopes may be granted any longer.")
	}
	return p, nil
}

// refusal tells a "no" from a malfunction: only the first is said of the grant
// (DESIGN §3).
func refusal(err error) error {
	refused := func() error {
		return federation.Fail(federation.InvalidGrant, "The grant is no longer honoured; the user has to sign in again.").Because(err)
	}
	if _, ok := errors.AsType[*claims.Denied](err); ok {
		return refused()
	}
	if e, ok := errors.AsType[*federation.Error](err); ok {
		switch e.Code {
		case federation.AccessDenied, federation.LoginRequired, federation.ConsentRequired, federation.InteractionRequired,
			federation.AccountSelection, federation.UnmetAuthentication, federation.InvalidGrant:
			return refused()
		case federation.InvalidScope, federation.TemporarilyUnavailable:
			return e
		}
	}
	return federation.Fail(federation.TemporarilyUnavailable, "The user's claims cannot be read now. The refresh token can be used again.").Because(err)
}

func badRefresh(cause error) error {
	return federation.Fail(federation.InvalidGrant, "The refresh token is unknown, expired or already used.").Because(cause)
}
