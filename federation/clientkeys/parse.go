package clientkeys

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/go-jose/go-jose/v4"
)

// maxKeys is how many keys of a set are kept.
const maxKeys = 50

var (
	errNoSet   = errors.New("is not a JSON Web Key Set (RFC 7517 §5)")
	errNoKeys  = errors.New("holds no key that could be used")
	errTooMany = fmt.Errorf("holds more than %d keys", maxKeys)
)

// members are those of a JWK that go-jose leaves aside.
type members struct {
	Operations []string `json:"key_ops"`
}

// Parse reads a key set that an operator wrote. Every key must be one that could
// be used; the error says which is not, and is safe to show.
func Parse(set []byte) ([]jose.JSONWebKey, error) {
	raw, err := split(set)
	if err != nil {
		return nil, err
	}
	if len(raw) > maxKeys {
		return nil, errTooMany
	}
	keys := make([]jose.JSONWebKey, 0, len(raw))
	for i, one := range raw {
		key, err := parseKey(one)
		if err != nil {
			return nil, fmt.Errorf("keys[%d] %w", i, err)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, errNoKeys
	}
	return keys, nil
}

// usable reads a key set that a relying party publishes: what cannot be used is
// left out.
func usable(set []byte) ([]jose.JSONWebKey, error) {
	raw, err := split(set)
	if err != nil {
		return nil, err
	}
	var keys []jose.JSONWebKey
	for _, one := range raw {
		if key, err := parseKey(one); err == nil && len(keys) < maxKeys {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, errNoKeys
	}
	return keys, nil
}

func split(set []byte) ([]json.RawMessage, error) {
	var raw struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(set, &raw); err != nil || raw.Keys == nil {
		return nil, errNoSet
	}
	return raw.Keys, nil
}

// parseKey reads one key. What key_ops says is said by use from then on.
func parseKey(raw []byte) (jose.JSONWebKey, error) {
	var key jose.JSONWebKey
	var more members
	if key.UnmarshalJSON(raw) != nil || json.Unmarshal(raw, &more) != nil {
		return key, errors.New("is not a key that is understood")
	}
	if !key.IsPublic() {
		return key, errors.New("is not a public key")
	}
	if err := strong(key.Key); err != nil {
		return key, err
	}
	if key.Use == "" && len(more.Operations) > 0 {
		key.Use = "enc"
		if slices.Contains(more.Operations, "verify") {
			key.Use = "sig"
		}
	}
	return key, nil
}

func strong(key any) error {
	switch key := key.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < 2048 || bits > 8192 || key.E < 3 {
			return errors.New("is an RSA key of less than 2048 or more than 8192 bits")
		}
		return nil
	case *ecdsa.PublicKey, ed25519.PublicKey:
		return nil
	}
	return errors.New("is of a kind that is not supported")
}
