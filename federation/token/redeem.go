package token

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/clientkeys"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

// Redemption is a request to redeem a code (RFC 6749 §4.1.3, RFC 7636 §4.5).
// It does not print.
type Redemption struct {
	unprinted
	Code string
	// RedirectURI counts if RedirectURISent says that the parameter was there.
	RedirectURI     string
	RedirectURISent bool
	Verifier        string
	// Resources narrow what the access token is meant for (RFC 8707 §2.2).
	Resources []string
}

// spender is one attempt to redeem: all that it would bring into being was
// made before its commit, so planning again changes nothing.
type spender struct {
	client federation.Client
	permit Permit
	asked  Redemption
	code   federation.Handle
	access federation.Handle
	family federation.Handle
	key    material
	// end is when the grant is dead in any case.
	end time.Time

	// What the plan found:
	at time.Time
	to clientkeys.Recipient
	// replay is the earlier spending that this attempt repeats.
	replay *spending
	// refresh is the refresh token, if the client may use one.
	refresh string
}

// Redeem spends a code for tokens, once. The error is invalid_grant for a code
// that is unknown, expired, spent, another's, or not proven to be the caller's;
// a replay revokes what the code brought into being (see the package doc).
func (i *Issuer) Redeem(ctx context.Context, t federation.Tenant, c VerifiedClient, r Redemption) (Response, error) {
	client, err := c.mayGrant(t, grantCode)
	if err != nil {
		return Response{}, err
	}
	code, ok := federation.ParseHandle(r.Code)
	if !ok || !t.Owns(code.Place) {
		return Response{}, badCode(errors.New("not a code of this tenant"))
	}
	s := &spender{
		client: client, asked: r, code: code, key: newFamilyKey(),
		access: federation.NewHandle(code.Place), family: federation.NewHandle(code.Place),
	}
	if err := i.spend(ctx, t, s); err != nil {
		return Response{}, err
	}
	if s.replay != nil {
		return Response{}, i.replayed(ctx, t, s)
	}
	return i.respond(ctx, t, issuance{permit: s.permit, access: s.access, refresh: s.refresh, at: s.at, to: s.to})
}

// spend makes the one commit, or finds out why not.
func (i *Issuer) spend(ctx context.Context, t federation.Tenant, s *spender) error {
	row, err := i.readCode(ctx, t, s)
	if err != nil {
		return err
	}
	if row.Value.Spent == nil {
		// The client decides how long its keys take to come, so they come before the
		// gate: what it says must not be old by the time of the commit.
		if s.to, err = recipient(ctx, s.client, *row.Value.Grant); err != nil {
			return err // the code is as good as before
		}
		permit, held, _, err := i.admit(ctx, t, Applicant{Client: s.client, Type: grantCode, Grant: *row.Value.Grant, Resources: s.asked.Resources})
		if err != nil {
			return err
		}
		s.permit, s.end = permit, sessionEnd(held.Session)
	}
	read := &row
	return i.settle(ctx, func(ctx context.Context) ([]store.Op, error) {
		if read == nil {
			again, err := i.readCode(ctx, t, s)
			if err != nil {
				return nil, err
			}
			read = &again
		}
		row := *read
		read = nil
		return i.planSpend(ctx, t, s, row)
	})
}

// readCode reads the code of an attempt, if it is the client's, and proven so.
func (i *Issuer) readCode(ctx context.Context, t federation.Tenant, s *spender) (store.Row[codeRecord], error) {
	row, err := i.codes.Get(ctx, s.code.Place, s.code.ID())
	if errors.Is(err, store.ErrNotFound) {
		return row, badCode(err)
	}
	if err != nil {
		return row, fmt.Errorf("read code: %w", err)
	}
	if row.Value.Client != s.client.ID {
		return row, badCode(errors.New("it is another client's"))
	}
	mustProve := s.client.RequirePKCE || s.client.Public()
	if why, ok := row.Value.Binding.proves(s.asked, mustProve); !ok {
		return row, federation.Fail(federation.InvalidGrant, why)
	}
	return row, nil
}

// planSpend is the commit of a code that was not spent: the tombstone in its
// place, the family if the client may refresh, and the access token.
func (i *Issuer) planSpend(ctx context.Context, t federation.Tenant, s *spender, row store.Row[codeRecord]) ([]store.Op, error) {
	rec := row.Value
	if rec.Spent != nil {
		if rec.Spent.Access != s.access.ID() {
			s.replay = rec.Spent
		}
		return nil, nil // else the commit is ours, and stands
	}
	now, err := i.now(ctx)
	if err != nil {
		return nil, err
	}
	if !now.Before(rec.Expires) {
		return nil, badCode(errors.New("expired"))
	}
	l := i.o.Lifetimes()
	s.at, s.refresh = now, ""
	token := s.permit.access(now, l)
	rec.Grant, rec.Spent = nil, &spending{At: now, Access: s.access.ID()}
	ops := []store.Op{i.accesses.Create(row.Place, s.access.ID(), token, token.Expires)}
	if s.client.MayGrant(grantRefresh) {
		family := s.permit.family(s.key, now)
		family.Access = []issued{{ID: s.access.ID(), Expires: token.Expires}}
		rec.Spent.Family = s.family.ID()
		s.refresh = family.token(s.family)
		expires := family.expires(now, l, s.end)
		ops = append(ops, i.list(&family, row.Place, s.family.ID(), expires, l, s.end)...)
		ops = append(ops, i.families.Create(row.Place, s.family.ID(), family, expires))
	}
	life := rec.Expires.Add(max(tombstoneLife, l.Access))
	return append(ops, i.codes.Replace(row.Place, s.code.ID(), rec, row.Version, life)), nil
}

// replayed revokes what the code brought into being, and refuses.
func (i *Issuer) replayed(ctx context.Context, t federation.Tenant, s *spender) error {
	err := i.kill(ctx, s.code.Place, s.replay.Family, s.replay.Access)
	i.o.Log.WarnContext(ctx, "authorization code replayed", "tenant", t.ID, "client", s.client.ID,
		"family", s.replay.Family, "spent", s.replay.At, "revoked", err == nil)
	if err != nil {
		return fmt.Errorf("revoke tokens of a replayed code: %w", err)
	}
	return badCode(errors.New("replayed"))
}

func badCode(cause error) error {
	return federation.Fail(federation.InvalidGrant, "The code is unknown, expired or already used.").Because(cause)
}
