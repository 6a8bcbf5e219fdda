package federation

import (
	"context"

	"github.com/go-jose/go-jose/v4"
)

// ClientKeys are a client's public keys, wherever it keeps them.
type ClientKeys interface {
	// Find are the keys that fit, in the order of the set. Where none of those
	// known does it looks again, though not too often. It is an error if none does.
	Find(ctx context.Context, fits func(jose.JSONWebKey) bool) ([]jose.JSONWebKey, error)
}

// Encryption is how something that a client is told is encrypted: JWE algorithms
// of key management and of content encryption (RFC 7518 §4.1 and §5.1). It is not
// where Alg is empty.
type Encryption struct{ Alg, Enc string }

// Wanted says whether something is to be encrypted.
func (e Encryption) Wanted() bool { return e.Alg != "" }
