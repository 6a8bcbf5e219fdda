package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/sync/singleflight"
)

const (
	// keysPause is the least time between two fetches for an unknown key, whether
	// they went well or not: anybody can invent an unknown key.
	keysPause = 5 * time.Second
	// keysLife is how long keys are believed before they are fetched again, so
	// that one which the provider withdrew is not believed for ever. While that
	// fails the old ones stay in use.
	keysLife = time.Hour
	// keysTimeout bounds one fetch of the keys, whoever waits for it.
	keysTimeout = 10 * time.Second
	// maxKeys is how many keys of a set are kept; a token without kid is tried
	// against each.
	maxKeys = 100
)

// keySet is the provider's published keys (go-oidc's KeySet). go-oidc's own one
// fetches for every unknown key, which lets a stranger make us hammer the
// provider. Known keys verify without waiting for a fetch under way, unless they
// are too old.
type keySet struct {
	url  string
	algs []jose.SignatureAlgorithm
	http *http.Client
	now  func() time.Time

	flight singleflight.Group
	known  atomic.Pointer[published]
	failed atomic.Pointer[failure]
	// asked is when keys were last fetched because they lacked one. Only a
	// flight reads and writes it.
	asked time.Time
	// patient is how many wait for a fetch that may not be made yet.
	patient atomic.Int32
}

type published struct {
	keys    []jose.JSONWebKey
	fetched time.Time
}

// failure is the last fetch, if it went wrong.
type failure struct {
	err error
	at  time.Time
}

// VerifySignature checks a JWS against the key it names, or against all keys
// where it names none. A key that is not known is looked for once more.
func (k *keySet) VerifySignature(ctx context.Context, jwt string) ([]byte, error) {
	return k.verify(ctx, jwt, k.algs)
}

// verify is VerifySignature with the algorithms that are accepted.
func (k *keySet) verify(ctx context.Context, jwt string, algs []jose.SignatureAlgorithm) ([]byte, error) {
	jws, err := jose.ParseSignedCompact(jwt, algs)
	if err != nil {
		return nil, fmt.Errorf("parse signature: %w", err)
	}
	have := k.known.Load()
	if have != nil && k.now().Sub(have.fetched) >= keysLife {
		if fresh, err := k.refresh(ctx, have); err == nil {
			have = fresh
		}
	}
	if have != nil {
		if payload, ok := try(have.keys, jws); ok {
			return payload, nil
		}
	}
	// Twice: the first flight may have begun before these keys were known.
	for range 2 {
		fresh, err := k.refresh(ctx, have)
		if err != nil {
			noteOutage(ctx, err)
			return nil, err
		}
		if fresh == have {
			break
		}
		have = fresh
		if payload, ok := try(have.keys, jws); ok {
			return payload, nil
		}
	}
	return nil, errBadSignature
}

var errBadSignature = errors.New("no published key verifies the signature")

// outage carries the news that the keys could not be fetched past go-oidc,
// which turns our errors into text: an outage is not a bad signature.
type outage struct{ cause error }

type outageKey struct{}

func noteOutage(ctx context.Context, err error) {
	if o, ok := ctx.Value(outageKey{}).(*outage); ok {
		o.cause = err
	}
}

// refresh fetches once for all who want it, and goes on when they give up. seen
// is what the caller found wanting, nil where nothing was known. The first fetch
// ever counts for nothing: a provider may change its keys right after it. From
// then on keys that lack one are fetched again at most once per keysPause, and
// the answer is what is known where it is too early for that.
func (k *keySet) refresh(ctx context.Context, seen *published) (*published, error) {
	result := k.flight.DoChan("keys", func() (any, error) {
		now, have := k.now(), k.known.Load()
		if have != nil && have != seen {
			return have, nil // somebody's flight landed meanwhile
		}
		if f := k.failed.Load(); f != nil && now.Sub(f.at) < keysPause {
			return nil, f.err
		}
		if have != nil && now.Sub(have.fetched) < keysLife {
			if now.Sub(k.asked) < keysPause {
				return have, nil
			}
			k.asked = now
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keysTimeout)
		defer cancel()
		keys, err := k.fetch(ctx)
		if err != nil {
			k.failed.Store(&failure{err: err, at: k.now()})
			return nil, err
		}
		have = &published{keys: keys, fetched: k.now()}
		k.known.Store(have)
		k.failed.Store(nil)
		return have, nil
	})
	select {
	case r := <-result:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*published), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (k *keySet) fetch(ctx context.Context) ([]jose.JSONWebKey, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url, nil)
	if err != nil {
		return nil, err
	}
	res, err := k.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("fetch keys: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetch keys: status %d", res.StatusCode)
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.NewDecoder(res.Body).Decode(&set); err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	keys := make([]jose.JSONWebKey, 0, min(len(set.Keys), maxKeys))
	for _, raw := range set.Keys {
		if len(keys) == maxKeys {
			break
		}
		var key jose.JSONWebKey
		// A key of a kind that we do not know is somebody else's (RFC 7517 §5).
		if key.UnmarshalJSON(raw) == nil && key.IsPublic() && key.Use != "enc" {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		// Nobody could sign in with it: a mistake that must not replace what is known.
		return nil, errors.New("read keys: the set holds none that could verify")
	}
	return keys, nil
}

func try(keys []jose.JSONWebKey, jws *jose.JSONWebSignature) ([]byte, bool) {
	header := jws.Signatures[0].Header
	for _, key := range keys {
		if header.KeyID != "" && key.KeyID != header.KeyID || key.Algorithm != "" && key.Algorithm != header.Algorithm {
			continue
		}
		if payload, err := jws.Verify(key); err == nil {
			return payload, true
		}
	}
	return nil, false
}
