package token

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/drawbridge-id/drawbridge/federation"
)

// use is what a key is for: a signing algorithm, or sealing.
type use string

const (
	useRS256 = use(federation.RS256)
	useES256 = use(federation.ES256)
	usePS256 = use(federation.PS256)
	useEdDSA = use(federation.EdDSA)
	useSeal  = use("seal")
)

// uses are what every tenant has keys for.
func uses() []use { return []use{useRS256, useES256, useSeal} }

// allUses are all that a tenant may have keys for, in the order of the published
// set.
func allUses() []use { return []use{useRS256, useES256, usePS256, useEdDSA, useSeal} }

// extra says whether there are keys of the use only for a tenant that wants them.
func (u use) extra() bool { return !slices.Contains(uses(), u) && slices.Contains(allUses(), u) }

// material is a private key. It does not print; only its stored shape holds it.
type material []byte

func (material) String() string       { return "[secret]" }
func (material) GoString() string     { return "[secret]" }
func (material) LogValue() slog.Value { return slog.StringValue("[secret]") }

// keyRecord is a key as stored. From alone says when it takes over; Made is
// when it was first published.
type keyRecord struct {
	ID   string    `json:"id"`
	Use  use       `json:"use"`
	Made time.Time `json:"made"`
	From time.Time `json:"from"`
	// Overlap is how long the one before stays published once this one signs.
	// It is kept because nodes may be configured differently.
	Overlap  time.Duration `json:"overlap,omitempty"`
	Material material      `json:"material"`
}

// ringRecord is a tenant's keys, those of one use in the order of From.
type ringRecord struct {
	Keys []keyRecord `json:"keys"`
	// Revoked are ids that must not come back, and until when that is remembered.
	Revoked map[string]time.Time `json:"revoked,omitempty"`
}

// key is a key that is ready to work.
type key struct {
	keyRecord
	signer crypto.Signer
	aead   cipher.AEAD
	public jose.JSONWebKey
	// head is the JOSE header up to where typ comes.
	head string
}

// generate makes a new key of 2048 bits of RSA, of P-256, of Ed25519, or of
// AES-256.
func generate(u use, made, from time.Time) (keyRecord, error) {
	rec := keyRecord{Use: u, Made: made, From: from}
	if u == useSeal {
		var id [8]byte
		rand.Read(id[:]) // never fails: crypto/rand ends the program instead
		rec.ID, rec.Material = base64.RawURLEncoding.EncodeToString(id[:]), make(material, 32)
		rand.Read(rec.Material)
		return rec, nil
	}
	signer, err := generateSigner(u)
	if err != nil {
		return rec, fmt.Errorf("generate %s key: %w", u, err)
	}
	if rec.Material, err = x509.MarshalPKCS8PrivateKey(signer); err != nil {
		return rec, fmt.Errorf("encode %s key: %w", u, err)
	}
	rec.ID, err = thumbprint(signer.Public())
	return rec, err
}

func generateSigner(u use) (crypto.Signer, error) {
	switch u {
	case useES256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case useEdDSA:
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	}
	return rsa.GenerateKey(rand.Reader, 2048)
}

// thumbprint is the kid: SHA-256 over the public key's members (RFC 7638).
func thumbprint(public crypto.PublicKey) (string, error) {
	sum, err := (&jose.JSONWebKey{Key: public}).Thumbprint(crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("thumbprint of key: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}

// ready makes a stored key work. RSA keys come out with their CRT values
// computed.
func (rec keyRecord) ready() (*key, error) {
	k := &key{keyRecord: rec}
	if rec.Use == useSeal {
		block, err := aes.NewCipher(rec.Material)
		if err != nil {
			return nil, fmt.Errorf("key %q: %w", rec.ID, err)
		}
		k.aead, err = cipher.NewGCMWithRandomNonce(block)
		return k, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(rec.Material)
	if err != nil {
		return nil, fmt.Errorf("key %q: %w", rec.ID, err)
	}
	k.signer, _ = parsed.(crypto.Signer)
	if !rec.Use.takes(k.signer) {
		return nil, fmt.Errorf("key %q is not of use %q", rec.ID, rec.Use)
	}
	k.public = jose.JSONWebKey{Key: k.signer.Public(), KeyID: rec.ID, Algorithm: string(rec.Use), Use: "sig"}
	k.head = `{"alg":"` + string(rec.Use) + `","kid":"` + rec.ID + `"`
	return k, nil
}

// takes says whether a key is of the kind that the use needs.
func (u use) takes(s crypto.Signer) bool {
	switch s := s.(type) {
	case *rsa.PrivateKey:
		return u == useRS256 || u == usePS256
	case *ecdsa.PrivateKey:
		return u == useES256 && s.Curve == elliptic.P256()
	case ed25519.PrivateKey:
		return u == useEdDSA
	}
	return false
}

// sign makes a JWS in compact serialization (RFC 7515 §7.1). The header is
// alg, kid and typ.
func (k *key) sign(typ string, payload []byte) (string, error) {
	head := k.head + "}"
	if typ != "" {
		head = k.head + `,"typ":"` + typ + `"}`
	}
	const signature = 256 // bytes of RSA-2048, the longest
	b64 := base64.RawURLEncoding
	out := make([]byte, 0, b64.EncodedLen(len(head))+b64.EncodedLen(len(payload))+b64.EncodedLen(signature)+2)
	out = b64.AppendEncode(out, []byte(head))
	out = append(out, '.')
	out = b64.AppendEncode(out, payload)
	sig, err := k.signature(out)
	if err != nil {
		return "", fmt.Errorf("sign with %s: %w", k.Use, err)
	}
	out = append(out, '.')
	return string(b64.AppendEncode(out, sig)), nil
}

func (k *key) signature(text []byte) ([]byte, error) {
	sum := sha256.Sum256(text)
	switch s := k.signer.(type) {
	case *rsa.PrivateKey:
		if k.Use == usePS256 { // with a salt as long as the hash (RFC 7518 §3.5)
			return rsa.SignPSS(rand.Reader, s, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		}
		return rsa.SignPKCS1v15(nil, s, crypto.SHA256, sum[:])
	case ed25519.PrivateKey:
		return ed25519.Sign(s, text), nil
	case *ecdsa.PrivateKey:
		r, v, err := ecdsa.Sign(rand.Reader, s, sum[:])
		if err != nil {
			return nil, err
		}
		var out [64]byte // both numbers in full length (RFC 7518 §3.4)
		r.FillBytes(out[:32])
		v.FillBytes(out[32:])
		return out[:], nil
	}
	return nil, errors.New("not a signing key")
}
