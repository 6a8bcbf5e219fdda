package hook

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/claims"
)

// Hook is the user-details hook. It is safe for concurrent use.
type Hook struct {
	id        string
	url       string
	auth      Auth
	client    *http.Client
	now       func() time.Time
	timeout   time.Duration
	keys      [][]byte
	places    chan struct{}
	breaker   breaker
	onFailure OnFailure
	keep      []string
	maxAge    time.Duration
	remember  Remember
	observe   Observer
}

var _ claims.Stage = (*Hook)(nil)

// New checks the options, all of them, and makes the hook. It calls nobody.
func New(o Options) (*Hook, error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("hook %q: %w", o.ID, err)
	}
	h := &Hook{
		id: o.ID, url: o.URL, auth: o.Auth, client: private(o.Client), now: o.Now,
		timeout: o.Timeout, onFailure: o.OnFailure, keep: slices.Clone(o.KeepClaims),
		maxAge: o.MaxAge, remember: o.Remember, observe: o.Observe,
	}
	h.breaker.Breaker = o.Breaker.orDefault()
	if h.timeout == 0 {
		h.timeout = DefaultTimeout
	}
	if o.MaxConcurrent == 0 {
		o.MaxConcurrent = DefaultMaxConcurrent
	}
	h.places = make(chan struct{}, o.MaxConcurrent)
	if h.onFailure == LastGood && h.remember == nil {
		h.remember = NewMemory(0, 0)
	}
	for _, secret := range o.SigningSecrets {
		key, err := secret.key()
		if err != nil {
			return nil, fmt.Errorf("hook %q: signing secret: %w", o.ID, err)
		}
		h.keys = append(h.keys, key)
	}
	return h, nil
}

// Name implements claims.Stage.
func (h *Hook) Name() string { return h.id }

// Breaker is the state of this node's breaker, for metrics that are scraped: an
// open one hears of no call for which an Observer could tell it.
func (h *Hook) Breaker() BreakerState { return h.breaker.state(h.now()) }

// InFlight is how many calls this node has in flight, at most MaxConcurrent.
func (h *Hook) InFlight() int { return len(h.places) }

// Apply implements claims.Stage. The error is a *claims.Denied when the service
// refuses the user and a *claims.Malfunction, with an Outcome as its Reason,
// when it fails and OnFailure has no answer either.
func (h *Hook) Apply(ctx context.Context, in claims.Input, have claims.Set) (claims.Answer, error) {
	if in.Recorded != nil {
		return h.replay(in)
	}
	if !slices.Contains(in.Scopes, "openid") {
		return claims.Answer{Unchanged: true}, nil
	}
	began := h.now()
	called := h.call(ctx, in, have)
	seen := Observation{
		Hook: h.id, Outcome: called.outcome, Status: called.status, Attempts: called.attempts, Cause: called.cause,
	}
	answer, err := h.settle(ctx, in, have, called, &seen)
	if h.observe != nil {
		now := h.now()
		seen.Duration, seen.Breaker = now.Sub(began), h.breaker.state(now)
		h.observe(ctx, seen)
	}
	return answer, err
}

// replay answers from a recording, and leaves the claims where there is none.
func (h *Hook) replay(in claims.Input) (claims.Answer, error) {
	body := in.Recorded[h.id]
	if len(body) == 0 {
		return claims.Answer{Unchanged: true}, nil
	}
	answer, outcome, err := decoded(body)
	if err != nil {
		return claims.Answer{}, claims.NewMalfunction(h.id, string(outcome), err)
	}
	return answer, nil
}

// settle turns the outcome of a call into an answer, by OnFailure where it must.
func (h *Hook) settle(ctx context.Context, in claims.Input, have claims.Set, called result, seen *Observation) (claims.Answer, error) {
	switch called.outcome {
	case OK, Unchanged:
		if h.remembers(in) {
			h.save(ctx, in, deed(h.now(), have, called.answer), seen)
		}
		return called.answer, nil
	case Denied:
		if h.remembers(in) {
			h.save(ctx, in, Deed{At: h.now(), Refused: true}, seen)
		}
		return claims.Answer{}, &claims.Denied{Step: h.id}
	case Canceled:
		return claims.Answer{}, claims.NewMalfunction(h.id, string(Canceled), called.cause)
	}
	switch h.onFailure {
	case Keep:
		seen.Policy = Keep
		return claims.Answer{Claims: h.allowed(have)}, nil
	case LastGood:
		if answer, ok := h.load(ctx, in, have, seen); ok {
			seen.Policy = LastGood
			return answer, nil
		}
	}
	seen.Policy = Deny
	return claims.Answer{}, claims.NewMalfunction(h.id, string(called.outcome), called.cause)
}

// allowed is what Keep lets through. What is protected stays by itself.
func (h *Hook) allowed(have claims.Set) claims.Set {
	out := make(claims.Set, len(h.keep))
	for _, name := range h.keep {
		if value, ok := have[name]; ok {
			out[name] = value
		}
	}
	return out
}

// remembers says whether what the hook did may be needed again. A deed costs
// more than to ask.
func (h *Hook) remembers(in claims.Input) bool { return h.onFailure == LastGood && in.Mode == "" }

// save remembers what the hook did. To fail at it does not spoil this answer,
// only the next malfunction.
func (h *Hook) save(ctx context.Context, in claims.Input, d Deed, seen *Observation) {
	k, err := key(h.id, in)
	if err == nil {
		err = h.remember.Save(ctx, k, d)
	}
	if err != nil {
		seen.Cause = err
	}
}

// load is the last good answer, if it is young enough. A store that cannot tell
// counts as having none.
func (h *Hook) load(ctx context.Context, in claims.Input, have claims.Set, seen *Observation) (claims.Answer, bool) {
	k, err := key(h.id, in)
	if err != nil {
		return claims.Answer{}, false
	}
	d, ok, err := h.remember.Load(ctx, k)
	if err != nil {
		seen.Cause = err
		return claims.Answer{}, false
	}
	// A deed from the future is as unfit as an old one: a clock went back.
	age := h.now().Sub(d.At)
	if !ok || d.Refused || age > h.maxAge || age < -time.Minute {
		return claims.Answer{}, false
	}
	return d.again(have), true
}
