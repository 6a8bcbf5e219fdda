package token

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

// CodeBinding is what a code is bound to beside its client.
type CodeBinding struct {
	// RedirectURI is that of the authorization request, empty if it had none.
	RedirectURI string `json:"redirect_uri,omitempty"`
	// Challenge and ChallengeMethod are PKCE's (RFC 7636 §4.3): both empty, or
	// an S256 challenge.
	Challenge       string `json:"challenge,omitempty"`
	ChallengeMethod string `json:"challenge_method,omitempty"`
}

// codeRecord is a code: at first with its grant, then as a tombstone.
type codeRecord struct {
	Client  string            `json:"client"`
	Binding CodeBinding       `json:"binding"`
	Expires time.Time         `json:"expires"`
	Grant   *federation.Grant `json:"grant,omitempty"`
	Spent   *spending         `json:"spent,omitempty"`
}

// spending is what a tombstone remembers.
type spending struct {
	At time.Time `json:"at"`
	// Access is the id of the access token of the commit that spent the code:
	// made for one attempt, so it tells that commit from every other.
	Access string `json:"access"`
	// Family is the id of the refresh family, if there is one.
	Family string `json:"family,omitempty"`
}

// tombstoneLife is how much longer than a code its tombstone lives at least.
const tombstoneLife = 2 * time.Minute

// PlanCode is a code's part of a sign-in's commit. The handle is made once by
// the caller, however often the commit is planned; its text is the code. Only
// S256 challenges are taken.
func (i *Issuer) PlanCode(ctx context.Context, t federation.Tenant, p Permit, b CodeBinding, h federation.Handle) ([]store.Op, error) {
	g := p.grant
	switch {
	case h.Place != t.PlaceOf(g.Person) || g.Tenant != t.ID:
		return nil, errors.New("token: the code is for another tenant than the grant, or for another place than the person's")
	case g.Client == "" || g.Person == "" || g.Subject == "":
		return nil, errors.New("token: a code needs a client and a person")
	case g.Session == "" && !g.Offline:
		return nil, errors.New("token: a grant without a session must be offline")
	case !b.valid():
		return nil, federation.Fail(federation.InvalidRequest, "The code challenge must be one of the method S256.")
	}
	now, err := i.now(ctx)
	if err != nil {
		return nil, err
	}
	g.At = now
	rec := codeRecord{Client: g.Client, Binding: b, Expires: now.Add(i.o.Lifetimes().Code), Grant: &g}
	return []store.Op{i.codes.Create(h.Place, h.ID(), rec, rec.Expires)}, nil
}

// valid says whether there is no challenge, or one that S256 can have made:
// SHA-256 in base64url (RFC 7636 §4.2).
func (b CodeBinding) valid() bool {
	if b.Challenge == "" {
		return b.ChallengeMethod == ""
	}
	sum, err := base64.RawURLEncoding.Strict().DecodeString(b.Challenge)
	return err == nil && len(sum) == sha256.Size && len(b.Challenge) == 43 && b.ChallengeMethod == "S256"
}

// proves says whether a redemption shows what the code is bound to; if not, the
// description of the refusal.
func (b CodeBinding) proves(r Redemption, mustProve bool) (string, bool) {
	if b.RedirectURI == "" && r.RedirectURISent || b.RedirectURI != "" && (!r.RedirectURISent || r.RedirectURI != b.RedirectURI) {
		return "The redirect_uri is not that of the authorization request.", false
	}
	switch {
	case b.Challenge == "" && mustProve:
		return "The authorization request had no code_challenge, which this client must send.", false
	case b.Challenge == "" && r.Verifier != "":
		return "There is a code_verifier, but the authorization request had no code_challenge.", false
	case b.Challenge == "":
		return "", true
	case !validVerifier(r.Verifier) || !b.matches(r.Verifier):
		return "The code_verifier does not match the code_challenge.", false
	}
	return "", true
}

func (b CodeBinding) matches(verifier string) bool {
	sum := sha256.Sum256([]byte(verifier))
	made := base64.RawURLEncoding.EncodeToString(sum[:])
	return b.ChallengeMethod == "S256" && subtle.ConstantTimeCompare([]byte(made), []byte(b.Challenge)) == 1
}

// validVerifier holds a verifier to its grammar (RFC 7636 §4.1).
func validVerifier(v string) bool {
	const unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
	return len(v) >= 43 && len(v) <= 128 && strings.Trim(v, unreserved) == ""
}
