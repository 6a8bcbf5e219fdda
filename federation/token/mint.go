package token

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"time"

	"github.com/drawbridge-id/drawbridge/claims"
	"github.com/drawbridge-id/drawbridge/federation"
)

// idTokenType is the typ of ID tokens. It keeps other JWTs of ours from being
// shown as one.
const idTokenType = "JWT"

// idToken is an ID token that is about to be signed.
type idToken struct {
	issuer string
	grant  federation.Grant
	// access is the access token that goes with it, if any.
	access string
	at     time.Time
	life   time.Duration
	// again says that it comes of a refresh.
	again bool
	// alg is what it is signed with.
	alg federation.SigningAlg
}

// claims is the payload: what the client wants of the snapshot, and then what
// we assert, which has the last word (OpenID Connect Core 1.0 §2). There is
// one audience, the client, so azp is not called for. A token of a refresh
// carries no nonce and the time of the original authentication (§12.2).
func (i idToken) claims() claims.Set {
	g := i.grant
	minted := authentication(g)
	minted["iss"], minted["sub"], minted["aud"] = i.issuer, g.Subject, g.Client
	minted["iat"], minted["exp"] = seconds(i.at), seconds(i.at.Add(i.life))
	if g.Nonce != "" && !i.again {
		minted["nonce"] = g.Nonce
	}
	if g.Session != "" {
		minted["sid"] = g.Session
	}
	if i.access != "" {
		minted["at_hash"] = leftHalf(i.alg, i.access)
	}
	return g.Snapshot.IDToken(minted)
}

// leftHalf is at_hash (OpenID Connect Core 1.0 §3.1.3.6): by the hash of the
// signature's algorithm, which is SHA-512 inside Ed25519 and SHA-256 elsewhere.
func leftHalf(alg federation.SigningAlg, token string) string {
	if alg == federation.EdDSA {
		sum := sha512.Sum512([]byte(token))
		return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
	}
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
}

// seconds is a NumericDate (RFC 7519 §2), whole.
func seconds(t time.Time) json.Number {
	return json.Number(strconv.FormatInt(t.Unix(), 10))
}
