package clientkeys

import (
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/drawbridge-id/drawbridge/federation"
)

// Recipient is somebody to encrypt to, with the key at hand. The zero value
// encrypts nothing: its Encrypt is an error.
type Recipient struct {
	key jose.JSONWebKey
	as  federation.Encryption
}

// To finds the key of a client for what it wants encrypted so. The error is
// temporarily_unavailable: it is the client's to put right, and nothing is said
// in plain instead.
func To(ctx context.Context, c federation.Client, as federation.Encryption) (Recipient, error) {
	fail := func(err error) error {
		return federation.Fail(federation.TemporarilyUnavailable, "The client's key to encrypt with cannot be found at the moment.").Because(err)
	}
	if c.Keys == nil || !slices.Contains(KeyAlgs(), as.Alg) || !slices.Contains(ContentAlgs(), as.Enc) {
		return Recipient{}, fail(errors.New("the client has no keys, or wants what is not offered"))
	}
	found, err := c.Keys.Find(ctx, func(k jose.JSONWebKey) bool { return encrypts(k, as.Alg) })
	if err != nil {
		return Recipient{}, fail(err)
	}
	best := slices.IndexFunc(found, func(k jose.JSONWebKey) bool { return k.Use == "enc" })
	return Recipient{key: found[max(best, 0)], as: as}, nil
}

// KeyAlgs are the algorithms of key management that are offered.
func KeyAlgs() []string {
	return []string{string(jose.RSA_OAEP), string(jose.RSA_OAEP_256), string(jose.ECDH_ES), string(jose.ECDH_ES_A128KW), string(jose.ECDH_ES_A256KW)}
}

// ContentAlgs are the algorithms of content encryption that are offered; the
// first is the default (OpenID Connect Dynamic Client Registration 1.0 §2).
func ContentAlgs() []string {
	return []string{string(jose.A128CBC_HS256), string(jose.A256CBC_HS512), string(jose.A128GCM), string(jose.A256GCM)}
}

// encrypts says whether a key is one to encrypt to with the algorithm.
func encrypts(k jose.JSONWebKey, alg string) bool {
	if k.Use != "" && k.Use != "enc" || k.Algorithm != "" && k.Algorithm != alg {
		return false
	}
	switch k.Key.(type) {
	case *rsa.PublicKey:
		return strings.HasPrefix(alg, "RSA-")
	case *ecdsa.PublicKey:
		return strings.HasPrefix(alg, "ECDH-")
	}
	return false
}

// Encrypts says whether keys of the configuration hold one to encrypt to with an
// algorithm; what is published says so when it is fetched.
func (k *Keys) Encrypts(alg string) bool {
	return slices.ContainsFunc(k.o.Inline, func(key jose.JSONWebKey) bool { return encrypts(key, alg) })
}

// Encrypt makes a JWE in compact serialization. With nested the text is a JWT
// that was signed before, and the header says so (RFC 7519 §5.2).
func (r Recipient) Encrypt(text string, nested bool) (string, error) {
	if r.as.Alg == "" {
		return "", errors.New("clientkeys: nobody to encrypt to")
	}
	o := &jose.EncrypterOptions{}
	if nested {
		o.WithContentType("JWT")
	}
	e, err := jose.NewEncrypter(jose.ContentEncryption(r.as.Enc), jose.Recipient{Algorithm: jose.KeyAlgorithm(r.as.Alg), Key: r.key.Key, KeyID: r.key.KeyID}, o)
	if err != nil {
		return "", fmt.Errorf("encrypt with %s: %w", r.as.Alg, err)
	}
	box, err := e.Encrypt([]byte(text))
	if err != nil {
		return "", fmt.Errorf("encrypt with %s: %w", r.as.Alg, err)
	}
	return box.CompactSerialize()
}
