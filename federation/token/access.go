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
	// JWT says that the token is one, named by its jti.
	JWT bool `json:"jwt,omitempty"`
}

// access is a new access token of a grant that was let through.
func (p Permit) access(now time.Time, l Lifetimes) accessRecord {
	return accessRecord{Grant: p.aimed(), Issued: now, Expires: now.Add(l.Access), JWT: p.client.Tokens.JWT}
}

// Access is what an access token stands for.
type Access struct {
	Grant           federation.Grant
	Issued, Expires time.Time
	// Held is the session behind the token, empty for an offline grant.
	Held session.Held
	name recordName
}

// Inspect reads an access token that is shown to ourselves (RFC 6750 §2), and
// notes the activity of its session. The error is invalid_token for one that is
// unknown, expired, revoked, another tenant's, meant for other resources than the
// provider, or whose session is over.
func (i *Issuer) Inspect(ctx context.Context, t federation.Tenant, token string) (Access, error) {
	a, err := i.access(ctx, t, token)
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, session.ErrNotFound) {
		return Access{}, badToken(err)
	}
	if err != nil {
		return Access{}, err
	}
	if !a.Grant.For(t.Issuer, t.Issuer) {
		return Access{}, federation.Fail(federation.InvalidToken, "The access token is meant for another resource.")
	}
	i.touch(ctx, t, a.Grant, a.Held)
	return a, nil
}

// access reads an access token, whoever it is meant for.
func (i *Issuer) access(ctx context.Context, t federation.Tenant, text string) (Access, error) {
	name, err := i.named(ctx, t, text)
	if err != nil {
		return Access{}, err
	}
	rec, held, err := i.inspect(ctx, t, name)
	if err != nil {
		return Access{}, err
	}
	ended, err := i.outlived(ctx, t, rec.Grant)
	if err == nil && ended {
		err = session.ErrNotFound
	}
	if err != nil {
		return Access{}, err
	}
	return Access{Grant: rec.Grant, Issued: rec.Issued, Expires: rec.Expires, Held: held, name: name.recordName}, nil
}

// inspect reads token and session in one round trip: they are in one partition.
func (i *Issuer) inspect(ctx context.Context, t federation.Tenant, name accessName) (rec accessRecord, held session.Held, err error) {
	keys := []store.Key{i.accesses.Key(name.at, name.id)}
	if name.sid != "" {
		k, ok := i.o.Sessions.Key(t, name.sid)
		if !ok || k.Partition != name.at.Partition {
			return rec, held, store.ErrNotFound
		}
		keys = append(keys, k)
	}
	recs, err := i.o.Engine.GetAll(ctx, keys...)
	if err != nil {
		return rec, held, fmt.Errorf("read access token: %w", err)
	}
	row, err := i.accesses.Row(recs[0])
	if err == nil && !row.Value.is(name) {
		err = store.ErrNotFound
	}
	if err != nil || name.sid == "" {
		return row.Value, held, err
	}
	held, err = i.o.Sessions.LiveRecord(ctx, t, recs[1])
	if err == nil && held.Session.Person != row.Value.Grant.Person {
		err = session.ErrNotFound
	}
	return row.Value, held, err
}

// is says whether a text that leads to the record is its token: nobody has put
// another sid to it, nor made a handle of a JWT's name or the other way round.
func (a accessRecord) is(name accessName) bool {
	return a.Grant.Binding() == name.sid && a.JWT == name.jwt
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
	if looksLikeJWT(token) {
		return tenantOfJWT(token)
	}
	a, ok := parseAccess(token)
	return a.Place.Tenant, ok
}

// readAccess reads the record of an access token; store.ErrNotFound for any
// text that is none of this tenant.
func (i *Issuer) readAccess(ctx context.Context, t federation.Tenant, token string) (store.Row[accessRecord], error) {
	name, err := i.named(ctx, t, token)
	if err != nil {
		return store.Row[accessRecord]{}, err
	}
	row, err := i.accesses.Get(ctx, name.at, name.id)
	if err == nil && !row.Value.is(name) {
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
