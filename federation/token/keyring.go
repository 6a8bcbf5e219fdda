package token

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/sync/errgroup"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

// ErrNotOurs says that a text is not a token, or not a sealed value, of this
// tenant's published keys.
var ErrNotOurs = errors.New("token: not made with a key of this tenant")

// ErrNoKey says that the tenant has no key of that id.
var ErrNoKey = errors.New("token: the tenant has no such key")

const (
	// MaxRefresh bounds how long a node that reaches the store does not know
	// what another one did: how long a key still works after Revoke.
	MaxRefresh = 10 * time.Second
	// MaxTrust bounds how long a node that does not reach the store goes on with
	// the keys it knows. Then it neither signs nor believes: a node that is cut
	// off must not use for ever what was revoked.
	MaxTrust = 5 * time.Minute
	// maxCopied bounds how long others may keep a copy of the key set.
	maxCopied = 5 * time.Minute
	// maxSearch is the least time between two looks for unknown keys, which
	// anybody can invent.
	maxSearch = time.Second
	// firstTenants is how many tenants' keys Ensure looks at: a start must not
	// wait for ten thousand key pairs.
	firstTenants = 100
)

// KeyringOptions say what a Keyring works with. All but Sealer and Log are
// required.
type KeyringOptions struct {
	Engine store.Engine
	// Sealer, when not nil, seals the keys at rest.
	Sealer *store.Sealer
	// Tenants are those that Ensure and Run look after. It may answer otherwise
	// after the configuration was read again.
	Tenants func() []federation.Tenant
	// Algs are what a tenant's clients want to be signed with; nil is what every
	// tenant has keys for. What was wanted once is kept and rotated with the rest,
	// since other nodes may be configured otherwise.
	Algs func(t federation.Tenant) []federation.SigningAlg
	// Now is this node's clock. It measures how old knowledge is; which key
	// signs is a matter of the engine's clock, so it may be wrong, though it
	// should not be set back and forth (time.Now is not: it measures by the
	// monotonic clock).
	Now func() time.Time
	// RotateEvery is how long a key signs. The next one is published a quarter
	// of that before, but not more than a day.
	RotateEvery time.Duration
	// Overlap is how long a key stays published once another signs; at least as
	// long as what it signed is believed. Where nodes differ, the longest that
	// any of them had counts.
	Overlap time.Duration
	Log     *slog.Logger
}

// Keyring keeps every tenant's keys. Its methods may be called concurrently.
//
// Many nodes may each have one over the same store. They have one key set per
// tenant, in one record that changes by version alone: it is made once, and
// rotated by whoever comes first. A node reads the record again when the
// tenant is in use and what it knows is MaxRefresh old, so an idle tenant costs
// nothing; Run looks at each tenant a few times in the lead of a rotation. Where
// the store does not answer a node goes on for MaxTrust. A key waits for its
// turn at least as long as MaxTrust and the life of copies of the key set
// together, so every node and every relying party that obeys max-age knows it
// before anybody signs with it. The first key of a tenant, or of an algorithm
// that a client begins to want, and one that replaces a revoked key when no
// other is left, sign at once: there is nothing to wait
// with.
//
// What a node knows it also puts back into a store that has lost it (a failover,
// a backup). A key that has signed is lost only when the store and all nodes
// that knew it lose it together.
//
// For short rotations (below 80 s: the refresh; below 40 min: the trust and the
// copies) these times are parts of the lead instead.
type Keyring struct {
	o     KeyringOptions
	plan  schedule
	clock *engineClock
	table *store.Table[ringRecord]
	rings sync.Map // tenant id to *ring
}

const (
	ringKind = "token.keys"
	ringID   = "ring"
)

// NewKeyring makes a keyring. It reads nothing: keys are there when Ensure has
// returned, or at their first use.
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
	clock := &engineClock{engine: o.Engine, local: o.Now, life: plan.refresh}
	o.Now = clock.now // from here on the nodes' common one, also for the tokens of hooks
	return &Keyring{
		o: o, plan: plan, clock: clock,
		table: store.NewTable[ringRecord](o.Engine, store.TableOptions{Kind: ringKind, Schema: 1, Sealer: o.Sealer}),
	}, nil
}

// Ensure reads the keys of the first hundred tenants, makes those that are
// missing or due, and takes away those that are gone; what is wrong with store
// or sealing keys shows here. Several nodes may do so at once: they end with the
// same keys. After an error, what was known before still works.
func (k *Keyring) Ensure(ctx context.Context) error {
	tenants := k.o.Tenants()
	return k.visitAll(ctx, tenants[:min(len(tenants), firstTenants)], true)
}

func (k *Keyring) visitAll(ctx context.Context, tenants []federation.Tenant, keep bool) error {
	failed := make([]error, len(tenants))
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, t := range tenants {
		group.Go(func() error {
			failed[i] = k.visit(ctx, t, keep) // one tenant's failure stops no other
			return nil
		})
	}
	return errors.Join(append(failed, group.Wait())...)
}

// Run rotates the keys of tenants that nobody uses, until ctx ends, which is no
// error. It goes on over failures of the store. Each tenant is looked at four
// times in the lead of a rotation, all spread over that time.
func (k *Keyring) Run(ctx context.Context) error {
	timer := time.NewTimer(k.plan.refresh)
	defer timer.Stop()
	for round := 0; ; round = (round + 1) % k.rounds() {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		if err := k.visitAll(ctx, k.share(round), false); err != nil && ctx.Err() == nil {
			k.o.Log.ErrorContext(ctx, "keys could not be read or rotated", "error", err)
		}
		timer.Reset(k.plan.refresh)
	}
}

// rounds is in how many rounds Run has looked at every tenant.
func (k *Keyring) rounds() int { return max(1, int(k.plan.lead/4/k.plan.refresh)) }

// share is what Run looks at in a round.
func (k *Keyring) share(round int) []federation.Tenant {
	tenants, rounds := k.o.Tenants(), k.rounds()
	return tenants[len(tenants)*round/rounds : len(tenants)*(round+1)/rounds]
}

// CopyFor is how long others may keep a copy of the key set (max-age) and still
// know every key before it signs.
func (k *Keyring) CopyFor() time.Duration { return k.plan.copied.Truncate(time.Second) }

// Rotate makes the tenant's next keys sign as soon as every node and everybody
// with a copy of the key set can know them: after MaxTrust and five minutes, or
// at once where they wait already. The keys before them are retired, not
// revoked. Said again before that it changes nothing.
func (k *Keyring) Rotate(ctx context.Context, t federation.Tenant) error {
	err := k.change(ctx, t, func(ring ringRecord, now time.Time) (_ ringRecord, err error) {
		for _, u := range allUses() {
			if u.extra() && len(ofUse(ring.Keys, u)) == 0 {
				continue
			}
			if ring, err = k.plan.hasten(ring, u, now); err != nil {
				return ring, err
			}
		}
		return ring, nil
	})
	if err == nil {
		k.o.Log.InfoContext(ctx, "keys are rotated", "audit", true, "tenant", t.ID)
	}
	return err
}

// Revoke takes a key away for good, from every node within MaxRefresh (MaxTrust
// where one does not reach the store): it is published no more, and what it
// signed or sealed is no longer believed. If it was the one that signs, the next
// one takes over at once if it is published, else a retired one stands in until
// a new one is known, else a new one signs at once, before copies of the key set
// know it. To avoid that, Rotate first. ErrNoKey if there is none of that id;
// one that was revoked before is no error.
func (k *Keyring) Revoke(ctx context.Context, t federation.Tenant, id string) error {
	err := k.change(ctx, t, func(ring ringRecord, now time.Time) (ringRecord, error) {
		if _, before := ring.Revoked[id]; before {
			return ring, nil
		}
		out, found, err := k.plan.revoke(ring, id, now)
		if err == nil && !found {
			err = ErrNoKey
		}
		return out, err
	})
	if err == nil {
		k.o.Log.WarnContext(ctx, "key is revoked", "audit", true, "tenant", t.ID, "kid", id)
	}
	return err
}

func (k *Keyring) change(ctx context.Context, t federation.Tenant, f func(ringRecord, time.Time) (ringRecord, error)) error {
	r := k.ring(t)
	r.mu.Lock()
	defer r.mu.Unlock()
	_, err := k.tend(ctx, t, r, f)
	return err
}

// KeyInfo is what an operator may know of a key. Times are the engine's.
type KeyInfo struct {
	ID string
	// Use is RS256, ES256, PS256, EdDSA or seal.
	Use string
	// Standing is next (published), working (it signs) or retired (published).
	Standing string
	Made     time.Time
	// From is when it takes over, or did.
	From time.Time
	// Gone is when it will be published no more; zero while it has no successor.
	Gone time.Time
}

// Keys lists the tenant's keys as the store has them now, in the order of use
// and turn.
func (k *Keyring) Keys(ctx context.Context, t federation.Tenant) ([]KeyInfo, error) {
	r := k.ring(t)
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, err := k.tend(ctx, t, r, nil); err != nil {
		return nil, err
	}
	now := k.clock.now()
	var all []KeyInfo
	for _, u := range allUses() {
		mine := ofUse(r.known.Keys, u)
		for i, rec := range mine {
			standing := "retired"
			switch at := workingOf(mine, now); {
			case i == at:
				standing = "working"
			case i > at:
				standing = "next"
			}
			all = append(all, KeyInfo{ID: rec.ID, Use: string(u), Standing: standing, Made: rec.Made, From: rec.From, Gone: goneAt(mine, i)})
		}
	}
	return all, nil
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
// §3.11), none if empty. The store is read when what is known is too old.
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
	if v.working[u] == nil && slices.Contains(k.wanted(t), u) {
		if v, err = k.begin(ctx, t, u); err != nil {
			return nil, err
		}
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
	return k.verify(ctx, t, jwt, func(typ any, given bool) bool { return !given || typ == idTokenType }, algs...)
}

// verifyAccess is Verify for JWT access tokens, which always say that they are.
func (k *Keyring) verifyAccess(ctx context.Context, t federation.Tenant, jwt string) ([]byte, error) {
	return k.verify(ctx, t, jwt, func(typ any, given bool) bool { return given && typ == accessTokenType })
}

func (k *Keyring) verify(ctx context.Context, t federation.Tenant, jwt string, accepts func(typ any, given bool) bool, algs ...federation.SigningAlg) ([]byte, error) {
	accepted := []jose.SignatureAlgorithm{jose.RS256, jose.ES256, jose.PS256, jose.EdDSA}
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
	if typ, given := head.ExtraHeaders[jose.HeaderType]; !accepts(typ, given) {
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
	if v, err = k.within(ctx, t, min(k.plan.refresh, maxSearch), true); err != nil {
		return nil, err
	}
	if found := v.byID[id]; found != nil {
		return found, nil
	}
	return nil, fmt.Errorf("%w: no such key", ErrNotOurs)
}
