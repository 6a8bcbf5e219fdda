package upstream

import (
	"context"
	"errors"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// maxPatient is how many may wait at once for keys to be fetched again.
const maxPatient = 64

var errBusy = errors.New("too many wait for the keys to be fetched again")

// patiently is VerifySignature for what is told only once: where it names a key
// that is not known, and the keys were fetched too short a while ago to be
// fetched again, it waits until they may be. A sign-in need not: the user is
// there and can try again.
func (k *keySet) patiently(ctx context.Context, jwt string) ([]byte, error) {
	before := k.known.Load()
	payload, err := k.VerifySignature(ctx, jwt)
	if !errors.Is(err, errBadSignature) || before == nil || before != k.known.Load() || !k.stranger(before, jwt) {
		return payload, err
	}
	if k.patient.Add(1) > maxPatient {
		k.patient.Add(-1)
		return nil, errBusy
	}
	defer k.patient.Add(-1)
	rest := time.NewTimer(keysPause)
	defer rest.Stop()
	select {
	case <-rest.C:
		return k.VerifySignature(ctx, jwt)
	case <-ctx.Done():
		return nil, errBusy
	}
}

// stranger says whether a JWS may be signed by a key that is not among these.
func (k *keySet) stranger(have *published, jwt string) bool {
	jws, err := jose.ParseSignedCompact(jwt, k.algs)
	if err != nil {
		return false
	}
	id := jws.Signatures[0].Header.KeyID
	for _, key := range have.keys {
		if id != "" && key.KeyID == id {
			return false
		}
	}
	return true
}
