package token

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/claims"
	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/session"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

// accessTokenType is the typ of JWT access tokens (RFC 9068 §2.1).
const accessTokenType = "at+jwt"

// recordName names the record of an access token, and is the token's jti: worth
// nothing without a signature around it.
type recordName struct {
	at store.Place
	id string
}

func (n recordName) String() string {
	return n.at.Tenant + "." + strconv.FormatUint(uint64(n.at.Partition), 10) + "." + n.id
}

// parseName reads what String wrote.
func parseName(s string) (n recordName, ok bool) {
	tenant, rest, found := strings.Cut(s, ".")
	number, id, more := strings.Cut(rest, ".")
	p, err := strconv.ParseUint(number, 10, 16)
	if !found || !more || err != nil || number != strconv.FormatUint(p, 10) || !federation.ValidSlug(tenant) || !federation.ValidHandleID(id) {
		return n, false
	}
	return recordName{at: store.Place{Tenant: tenant, Partition: store.Partition(p)}, id: id}, true
}

// accessClaims are what a JWT access token and introspection say alike (RFC 9068
// §2.2, RFC 7662 §2.2): what the client wants resource servers to know of the
// snapshot, and what we assert.
func accessClaims(issuer string, g federation.Grant, n recordName, issued, expires time.Time) claims.Set {
	minted := authentication(g)
	minted["iss"], minted["sub"], minted["aud"] = issuer, g.Subject, audience(g.Audience(issuer))
	minted["client_id"], minted["jti"] = g.Client, n.String()
	minted["iat"], minted["exp"] = seconds(issued), seconds(expires)
	if len(g.Scopes) > 0 {
		minted["scope"] = strings.Join(g.Scopes, " ")
	}
	return minted
}

// authentication is how and when the user signed in, and the session that the
// grant ends with.
func authentication(g federation.Grant) claims.Set {
	out := claims.Set{}
	if !g.AuthTime.IsZero() {
		out["auth_time"] = seconds(g.AuthTime)
	}
	if g.ACR != "" {
		out["acr"] = g.ACR
	}
	if len(g.AMR) > 0 {
		out["amr"] = list(g.AMR)
	}
	if sid := g.Binding(); sid != "" {
		out["sid"] = sid
	}
	return out
}

// audience is one as text, several as a list (RFC 7519 §4.1.3).
func audience(all []string) any {
	if len(all) == 1 {
		return all[0]
	}
	return list(all)
}

func list(all []string) []any {
	out := make([]any, len(all))
	for n, text := range all {
		out[n] = text
	}
	return out
}

// accessText is the access token as the client gets it.
func (i *Issuer) accessText(ctx context.Context, t federation.Tenant, is issuance, life time.Duration) (string, error) {
	c, g := is.permit.client, is.permit.aimed()
	if !c.Tokens.JWT {
		return accessToken{is.access, g.Binding()}.String(), nil
	}
	alg := c.Tokens.Alg
	if alg == "" {
		alg = federation.RS256 // every resource server can verify it (RFC 9068 §2.1)
	}
	n := recordName{at: is.access.Place, id: is.access.ID()}
	payload := g.Snapshot.AccessToken(accessClaims(t.Issuer, g, n, is.at, is.at.Add(life)))
	text, err := i.o.Keyring.Sign(ctx, t, alg, accessTokenType, payload)
	if err != nil {
		return "", fmt.Errorf("sign access token: %w", err)
	}
	return text, nil
}

// accessName is an access token that somebody shows, told apart: where its record
// is, the sid that it names, and whether it is a JWT.
type accessName struct {
	recordName
	sid string
	jwt bool
}

// errNoName is a store.ErrNotFound for texts that lead to no record.
var errNoName = fmt.Errorf("token: not an access token of this tenant: %w", store.ErrNotFound)

// named reads the text of an access token; errNoName for any that is none of
// this tenant. A JWT counts by its signature and type alone: what it stands
// for, and whether it still does, is in its record.
func (i *Issuer) named(ctx context.Context, t federation.Tenant, text string) (n accessName, err error) {
	if !looksLikeJWT(text) {
		shown, ok := parseAccess(text)
		if !ok || !t.Owns(shown.Place) {
			return n, errNoName
		}
		return accessName{recordName: recordName{at: shown.Place, id: shown.ID()}, sid: shown.sid}, nil
	}
	payload, err := i.o.Keyring.verifyAccess(ctx, t, text)
	if errors.Is(err, ErrNotOurs) {
		return n, fmt.Errorf("%w: %w", errNoName, err)
	}
	if err != nil {
		return n, err
	}
	said, ok := readAccessJWT(payload)
	if !ok || !t.Owns(said.at) {
		return n, errNoName
	}
	return said, nil
}

// looksLikeJWT tells a JWT, whose header is an object, from a handle, which
// begins with a tenant's name: no slug has a capital letter.
func looksLikeJWT(text string) bool { return strings.HasPrefix(text, "eyJ") }

// readAccessJWT finds in a payload what leads to the record.
func readAccessJWT(payload []byte) (n accessName, ok bool) {
	var said struct {
		ID  string `json:"jti"`
		SID string `json:"sid"`
	}
	if json.Unmarshal(payload, &said) != nil || said.SID != "" && !session.ValidID(said.SID) {
		return n, false
	}
	n.sid, n.jwt = said.SID, true
	n.recordName, ok = parseName(said.ID)
	return n, ok
}

// tenantOfJWT is the tenant that a JWT access token says it is of, which nobody
// has verified.
func tenantOfJWT(text string) (slug string, ok bool) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 || len(text) > maxJWT {
		return "", false
	}
	payload, err := base64.RawURLEncoding.Strict().DecodeString(parts[1])
	if err != nil {
		return "", false
	}
	n, ok := readAccessJWT(payload)
	return n.at.Tenant, ok
}
