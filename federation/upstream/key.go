package upstream

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/drawbridge-id/drawbridge/federation"
)

// PrivateKeyJWT proves who we are by a signature (OpenID Connect Core 1.0 §9,
// RFC 7523): no secret is ever sent.
const PrivateKeyJWT federation.AuthMethod = "private_key_jwt"

// assertionLife is how long a proof is good: one call.
const assertionLife = time.Minute

// Audience is what a proof is made for.
type Audience string

const (
	// ForTokenEndpoint is what OpenID Connect Core 1.0 §9 says.
	ForTokenEndpoint Audience = "token_endpoint"
	// ForIssuer is what FAPI 2.0 says, and what leaves no doubt where a proof is
	// good.
	ForIssuer Audience = "issuer"
)

// Key is our private key at a provider. It does not print.
type Key struct {
	signer   jose.Signer
	audience Audience
}

// ParseKey reads a private key: PEM (PKCS #8, PKCS #1 or SEC 1) or a JWK. Where
// no id is given it is the JWK's, or else the thumbprint of RFC 7638; where no
// algorithm is given it is the JWK's, or else the one that goes with the kind.
// No error repeats anything of the key.
func ParseKey(text federation.Secret, id, alg string, audience Audience) (*Key, error) {
	jwk, err := readKey([]byte(text.Reveal()))
	if err != nil {
		return nil, err
	}
	if !jwk.Valid() || jwk.IsPublic() {
		return nil, errors.New("it is not a private key")
	}
	if alg == "" {
		alg = jwk.Algorithm
	}
	chosen, err := algorithm(jwk.Key, jose.SignatureAlgorithm(alg))
	if err != nil {
		return nil, err
	}
	if id == "" {
		id = jwk.KeyID
	}
	if id == "" {
		sum, err := jwk.Thumbprint(crypto.SHA256)
		if err != nil {
			return nil, errors.New("it has no thumbprint")
		}
		id = base64.RawURLEncoding.EncodeToString(sum)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: chosen, Key: jose.JSONWebKey{Key: jwk.Key, KeyID: id}}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return nil, errors.New("it cannot sign")
	}
	if audience == "" {
		audience = ForTokenEndpoint
	}
	return &Key{signer: signer, audience: audience}, nil
}

func readKey(text []byte) (jose.JSONWebKey, error) {
	if text = bytes.TrimSpace(text); bytes.HasPrefix(text, []byte("{")) {
		var jwk jose.JSONWebKey
		if jwk.UnmarshalJSON(text) != nil {
			return jwk, errors.New("it is not a JWK")
		}
		return jwk, nil
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return jose.JSONWebKey{}, errors.New("it is neither PEM nor a JWK")
	}
	if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
		return jose.JSONWebKey{Key: key}, nil
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return jose.JSONWebKey{Key: key}, nil
	}
	if key, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
		return jose.JSONWebKey{Key: key}, nil
	}
	return jose.JSONWebKey{}, errors.New("the PEM holds no private key that is not encrypted")
}

// algorithm is the one asked for, if the key can do it.
func algorithm(key any, asked jose.SignatureAlgorithm) (jose.SignatureAlgorithm, error) {
	var able []jose.SignatureAlgorithm
	switch k := key.(type) {
	case *rsa.PrivateKey:
		if k.N.BitLen() < 2048 {
			return "", errors.New("an RSA key needs at least 2048 bits")
		}
		able = []jose.SignatureAlgorithm{jose.RS256, jose.PS256}
	case *ecdsa.PrivateKey:
		if k.Curve != elliptic.P256() {
			return "", errors.New("an EC key must be on P-256")
		}
		able = []jose.SignatureAlgorithm{jose.ES256}
	case ed25519.PrivateKey:
		able = []jose.SignatureAlgorithm{jose.EdDSA}
	default:
		return "", errors.New("it is of a kind that is not supported")
	}
	if asked == "" {
		return able[0], nil
	}
	if !slices.Contains(able, asked) {
		return "", fmt.Errorf("it cannot sign by %s", asked)
	}
	return asked, nil
}

// assertion is a proof of who we are, good once (RFC 7523 §3).
func (k *Key) assertion(client, audience string, now time.Time) (string, error) {
	body, err := json.Marshal(map[string]any{
		"iss": client, "sub": client, "aud": audience, "jti": rand.Text(),
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(assertionLife).Unix(),
	})
	if err != nil {
		return "", err
	}
	jws, err := k.signer.Sign(body)
	if err != nil {
		return "", errors.New("sign client assertion")
	}
	return jws.CompactSerialize()
}
