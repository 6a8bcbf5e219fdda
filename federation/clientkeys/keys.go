package clientkeys

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/sync/singleflight"
)

const (
	// pause is the least time between two fetches, and after one that failed while
	// there is something to go on with it is lull.
	pause = 10 * time.Second
	lull  = time.Minute
	// Keys are believed for what the relying party says, within these.
	minLife, usualLife, maxLife = time.Minute, time.Hour, 24 * time.Hour
	// trust is how much longer they are used while they cannot be fetched.
	trust = 24 * time.Hour
	// fetchTimeout bounds one fetch, whoever waits for it.
	fetchTimeout = 5 * time.Second
	// maxBody is the greatest key set that is read, in bytes.
	maxBody = 128 << 10
)

// ErrNone says that a relying party has no key that fits.
var ErrNone = errors.New("clientkeys: no key of the relying party fits")

// Options say where a relying party's keys are: Inline or URI.
type Options struct {
	// Inline are keys that the operator wrote.
	Inline []jose.JSONWebKey
	// URI is where the relying party publishes them.
	URI string
	// HTTP is the guarded client; answers are bounded here.
	HTTP *http.Client
	Now  func() time.Time
	Log  *slog.Logger
}

// Keys are the public keys of one relying party. They may be used concurrently.
type Keys struct {
	o      Options
	flight singleflight.Group
	known  atomic.Pointer[published]
	failed atomic.Pointer[failure]
}

type published struct {
	keys    []jose.JSONWebKey
	fetched time.Time
	life    time.Duration
}

// failure is the last fetch, if it went wrong.
type failure struct {
	err error
	at  time.Time
}

// New makes the keys of a relying party. It fetches nothing.
func New(o Options) (*Keys, error) {
	switch {
	case (len(o.Inline) == 0) == (o.URI == ""):
		return nil, errors.New("clientkeys: either keys or an address is needed")
	case o.URI != "" && (o.HTTP == nil || o.Now == nil || o.Log == nil):
		return nil, errors.New("clientkeys: an HTTP client, a clock and a logger are needed to fetch keys")
	}
	return &Keys{o: o}, nil
}

// Find implements federation.ClientKeys: the keys that fit, in the order of the
// set. Where none of those known does they are fetched once more. The error is
// ErrNone, or says why they could not be fetched.
func (k *Keys) Find(ctx context.Context, fits func(jose.JSONWebKey) bool) ([]jose.JSONWebKey, error) {
	if k.o.URI == "" {
		return pick(k.o.Inline, fits)
	}
	have, err := k.current(ctx)
	if err != nil {
		return nil, err
	}
	found, err := pick(have.keys, fits)
	if err == nil || k.o.Now().Sub(have.fetched) < pause {
		return found, err
	}
	if have, err = k.refresh(ctx); err != nil {
		return nil, err
	}
	return pick(have.keys, fits)
}

func pick(keys []jose.JSONWebKey, fits func(jose.JSONWebKey) bool) ([]jose.JSONWebKey, error) {
	var found []jose.JSONWebKey
	for _, key := range keys {
		if fits(key) {
			found = append(found, key)
		}
	}
	if len(found) == 0 {
		return nil, ErrNone
	}
	return found, nil
}

// current is what is known while it is young enough, or what a fetch finds, or,
// where that fails, what is known for a while yet.
func (k *Keys) current(ctx context.Context) (*published, error) {
	have, now := k.known.Load(), k.o.Now()
	if have != nil && have.younger(have.life, now) {
		return have, nil
	}
	fresh, err := k.refresh(ctx)
	if err == nil {
		return fresh, nil
	}
	if have != nil && have.younger(have.life+trust, now) {
		return have, nil
	}
	return nil, err
}

// younger says whether the keys were fetched less than d ago. A clock that went
// back makes them old.
func (p *published) younger(d time.Duration, now time.Time) bool {
	age := now.Sub(p.fetched)
	return age >= 0 && age < d
}

// refresh fetches once for all who want it, not too often, and goes on when they
// give up.
func (k *Keys) refresh(ctx context.Context) (*published, error) {
	result := k.flight.DoChan("", func() (any, error) {
		have, now := k.known.Load(), k.o.Now()
		// Somebody's flight may have landed between a caller's look and this one.
		if have != nil && have.younger(pause, now) {
			return have, nil
		}
		wait := pause
		if have != nil {
			wait = lull
		}
		if f := k.failed.Load(); f != nil {
			if age := now.Sub(f.at); age >= 0 && age < wait {
				return nil, f.err
			}
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
		defer cancel()
		fresh, err := k.fetch(ctx)
		if err != nil {
			k.failed.Store(&failure{err: err, at: k.o.Now()})
			k.o.Log.WarnContext(ctx, "a relying party's keys cannot be fetched", "uri", k.o.URI, "known", have != nil, "error", err)
			return nil, err
		}
		k.known.Store(fresh)
		k.failed.Store(nil)
		return fresh, nil
	})
	select {
	case r := <-result:
		if r.Err != nil {
			return nil, fmt.Errorf("fetch keys of a relying party: %w", r.Err)
		}
		return r.Val.(*published), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
