package token

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/sync/errgroup"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

// ErrNotOurs says that a text is not a token, or not a sealed value, of this
// tenant's published keys.
var ErrNotOurs = errors.New("token: not made with a key of this tenant")

// KeyringOptions say what a Keyring works with. All but Sealer and Log are
// required.
type KeyringOptions struct {
	Engine store.Engine
	// Sealer, when not nil, seals the keys at rest.
	Sealer *store.Sealer
	// Tenants are those that Ensure and Run look after. It may answer otherwise
	// after the configuration was read again.
	Tenants func() []federation.Tenant
	// Now is the clock that says which key signs.
	Now func() time.Time
	// RotateEvery is how long a key signs. The next one is published a quarter
	// of that before, but not more than a day.
	RotateEvery time.Duration
	// Overlap is how long a key stays published once another signs; at least as
	// long as what it signed is believed.
	Overlap time.Duration
	Log     *slog.Logger
}

// Keyring keeps every tenant's keys. Its methods may be called concurrently.
type Keyring struct {
	o     KeyringOptions
	plan  schedule
	every time.Duration // how often the store is read again
	table *store.Table[ringRecord]
	rings sync.Map // tenant id to *ring
}

// ring is a tenant's keys in memory.
type ring struct {
	// mu is held while the store is read or written, never to sign.
	mu      sync.Mutex
	version store.Version
	read    time.Time
	seen    atomic.Pointer[view]
}

const (
	ringKind = "token.keys"
	ringID   = "ring"
	// maxReadEvery bounds how long a node does not know what another published.
	maxReadEvery = time.Minute
)

// NewKeyring makes a keyring. Ensure gives it keys.
func NewKeyring(o KeyringOptions) (*Keyring, error) {
	if o.Engine == nil || o.Tenants == nil || o.Now == nil {
		return nil, errors.New("token: a keyring needs an engine, tenants and a clock")
	}
	if o.RotateEvery <= 0 || o.Overlap <= 0 {
		return nil, errors.New("token: a keyring needs a rotation and an overlap")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	plan := newSchedule(o.RotateEvery, o.Overlap)
	return &Keyring{
		o: o, plan: plan, every: max(min(plan.lead/4, maxReadEvery), time.Millisecond),
		table: store.NewTable[ringRecord](o.Engine, store.TableOptions{Kind: ringKind, Schema: 1, Sealer: o.Sealer}),
	}, nil
}

// Ensure reads the keys of all tenants, makes those that are missing or due,
// and takes away those that are gone. Several nodes may do so at once: they
// end with the same keys. After an error, what was known before still works.
func (k *Keyring) Ensure(ctx context.Context) error {
	tenants := k.o.Tenants()
	failed := make([]error, len(tenants))
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, t := range tenants {
		group.Go(func() error {
			_, failed[i] = k.tend(ctx, t) // one tenant's failure stops no other
			return nil
		})
	}
	return errors.Join(append(failed, group.Wait())...)
}

// Run rotates keys by schedule and learns what other nodes did, until ctx
// ends, which is no error. It goes on over failures of the store.
func (k *Keyring) Run(ctx context.Context) error {
	timer := time.NewTimer(k.every)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		if err := k.Ensure(ctx); err != nil && ctx.Err() == nil {
			k.o.Log.ErrorContext(ctx, "keys could not be read or rotated", "error", err)
		}
		timer.Reset(k.every)
	}
}

// JWKS is the tenant's key set (RFC 7517 §5): the public keys that sign, will
// sign, or may have signed what is still believed.
func (k *Keyring) JWKS(ctx context.Context, t federation.Tenant) ([]byte, error) {
	v, err := k.view(ctx, t)
	if err != nil {
		return nil, err
	}
	return v.jwks, nil
}

// Sign makes a JWT of claims, which are whatever encoding/json writes as an
// object, under the key whose turn it is. typ is the header's typ (RFC 8725
// §3.11), none if empty. The store is read only for a tenant never met before.
func (k *Keyring) Sign(ctx context.Context, t federation.Tenant, alg federation.SigningAlg, typ string, claims any) (string, error) {
	if strings.ContainsFunc(typ, func(c rune) bool { return c <= ' ' || c > '~' || c == '"' || c == '\\' }) {
		return "", fmt.Errorf("token: %q is not a media type", typ)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("encode claims: %w", err)
	}
	signer, err := k.working(ctx, t, use(alg))
	if err != nil {
		return "", err
	}
	return signer.sign(typ, payload)
}

// working is the key of a use whose turn it is.
func (k *Keyring) working(ctx context.Context, t federation.Tenant, u use) (*key, error) {
	v, err := k.view(ctx, t)
	if err != nil {
		return nil, err
	}
	if v.working[u] == nil {
		return nil, fmt.Errorf("token: tenant %q has no key for %q", t.ID, u)
	}
	return v.working[u], nil
}

// maxJWT is longer than any token that a client can hand back in a request.
const maxJWT = 32 << 10

// Verify checks that a JWT was signed by the tenant, and not as a token of
// another type (RFC 8725 §3.11), and returns its payload. What that says, and
// whether it has expired, is the caller's to judge. algs are those accepted,
// all if none is given. ErrNotOurs for everything else.
func (k *Keyring) Verify(ctx context.Context, t federation.Tenant, jwt string, algs ...federation.SigningAlg) ([]byte, error) {
	accepted := []jose.SignatureAlgorithm{jose.RS256, jose.ES256}
	if len(algs) > 0 {
		accepted = accepted[:0]
		for _, alg := range algs {
			accepted = append(accepted, jose.SignatureAlgorithm(alg))
		}
	}
	if len(jwt) > maxJWT {
		return nil, ErrNotOurs
	}
	jws, err := jose.ParseSignedCompact(jwt, accepted)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotOurs, err)
	}
	head := jws.Signatures[0].Protected
	if typ, given := head.ExtraHeaders[jose.HeaderType]; given && typ != idTokenType {
		return nil, fmt.Errorf("%w: its type is %q", ErrNotOurs, typ)
	}
	signer, err := k.find(ctx, t, head.KeyID)
	if err != nil {
		return nil, err
	}
	if signer.signer == nil || string(signer.Use) != head.Algorithm {
		return nil, fmt.Errorf("%w: the key is of another use", ErrNotOurs)
	}
	payload, err := jws.Verify(signer.public.Key)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotOurs, err)
	}
	return payload, nil
}

// find is a published key. One that is not known is looked for in the store,
// at most once per interval, however many ask.
func (k *Keyring) find(ctx context.Context, t federation.Tenant, id string) (*key, error) {
	v, err := k.view(ctx, t)
	if err != nil {
		return nil, err
	}
	if found := v.byID[id]; found != nil {
		return found, nil
	}
	r := k.ring(t)
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := k.o.Now(); now.Sub(r.read) >= k.every || now.Before(r.read) {
		if err := k.read(ctx, t, r); err != nil {
			return nil, err
		}
	}
	if found := k.current(r).byID[id]; found != nil {
		return found, nil
	}
	return nil, fmt.Errorf("%w: no such key", ErrNotOurs)
}
