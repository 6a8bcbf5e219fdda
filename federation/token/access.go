package token

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/session"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

// accessRecord is an access token: the grant with the snapshot that userinfo
// is a projection of.
type accessRecord struct {
	Grant   federation.Grant `json:"grant"`
	Issued  time.Time        `json:"issued"`
	Expires time.Time        `json:"expires"`
}

// access is a new access token of a grant that was let through.
func (p Permit) access(now time.Time, l Lifetimes) accessRecord {
	return accessRecord{Grant: p.grant, Issued: now, Expires: now.Add(l.Access)}
}

// Access is what an access token stands for.
type Access struct {
	Grant           federation.Grant
	Issued, Expires time.Time
	// Held is the session behind the token, empty for an offline grant.
	Held session.Held
}

// Inspect reads an access token (RFC 6750 §2) and notes the activity of its
// session. The error is invalid_token for one that is unknown, expired,
// revoked, another tenant's, or whose session is over.
func (i *Issuer) Inspect(ctx context.Context, t federation.Tenant, token string) (Access, error) {
	rec, held, err := i.inspect(ctx, t, token)
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, session.ErrNotFound) {
		return Access{}, badToken(err)
	}
	if err != nil {
		return Access{}, err
	}
	if ended, err := i.outlived(ctx, t, rec.Grant); err != nil || ended {
		if err == nil {
			err = badToken(errors.New("its session was ended"))
		}
		return Access{}, err
	}
	i.touch(ctx, t, rec.Grant, held)
	return Access{Grant: rec.Grant, Issued: rec.Issued, Expires: rec.Expires, Held: held}, nil
}

// inspect reads token and session in one round trip: they are in one partition.
func (i *Issuer) inspect(ctx context.Context, t federation.Tenant, token string) (rec accessRecord, held session.Held, err error) {
	shown, ok := parseAccess(token)
	if !ok || !t.Owns(shown.Place) {
		return rec, held, store.ErrNotFound
	}
	keys := []store.Key{i.accesses.Key(shown.Place, shown.ID())}
	if shown.sid != "" {
		k, ok := i.o.Sessions.Key(t, shown.sid)
		if !ok || k.Partition != shown.Place.Partition {
			return rec, held, store.ErrNotFound
		}
		keys = append(keys, k)
	}
	recs, err := i.o.Engine.GetAll(ctx, keys...)
	if err != nil {
		return rec, held, fmt.Errorf("read access token: %w", err)
	}
	row, err := i.accesses.Row(recs[0])
	if err == nil && row.Value.Grant.Binding() != shown.sid {
		err = store.ErrNotFound // somebody has put another sid to it
	}
	if err != nil || shown.sid == "" {
		return row.Value, held, err
	}
	held, err = i.o.Sessions.LiveRecord(ctx, t, recs[1])
	if err == nil && held.Session.Person != row.Value.Grant.Person {
		err = session.ErrNotFound
	}
	return row.Value, held, err
}

// accessToken is the text of an access token taken apart: its handle and, where
// its grant is bound to a session, the sid: `<handle>.<sid>`.
type accessToken struct {
	federation.Handle
	sid string
}

func (a accessToken) String() string {
	if a.sid == "" {
		return a.Handle.String()
	}
	return a.Handle.String() + "." + a.sid
}

// parseAccess reads what String wrote.
func parseAccess(s string) (a accessToken, ok bool) {
	if strings.Count(s, ".") == 3 {
		last := strings.LastIndexByte(s, '.')
		if a.sid = s[last+1:]; !session.ValidID(a.sid) {
			return a, false
		}
		s = s[:last]
	}
	a.Handle, ok = federation.ParseHandle(s)
	return a, ok
}

// TenantOf is the slug of the tenant that an access token names, which may be
// none of ours; not ok for any text that is no access token.
func TenantOf(token string) (slug string, ok bool) {
	a, ok := parseAccess(token)
	return a.Place.Tenant, ok
}

// readAccess reads the record of an access token; store.ErrNotFound for any
// text that is none of this tenant.
func (i *Issuer) readAccess(ctx context.Context, t federation.Tenant, token string) (store.Row[accessRecord], error) {
	h, ok := parseAccess(token)
	if !ok || !t.Owns(h.Place) {
		return store.Row[accessRecord]{}, store.ErrNotFound
	}
	row, err := i.accesses.Get(ctx, h.Place, h.ID())
	if err == nil && row.Value.Grant.Binding() != h.sid {
		return row, store.ErrNotFound
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return row, fmt.Errorf("read access token: %w", err)
	}
	return row, err
}

func badToken(cause error) error {
	return federation.Fail(federation.InvalidToken, "The access token is unknown, expired or revoked.").Because(cause)
}
