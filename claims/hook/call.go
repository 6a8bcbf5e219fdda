package hook

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/http"

	"github.com/drawbridge-id/drawbridge/claims"
)

// result is how a call ended.
type result struct {
	outcome  Outcome
	answer   claims.Answer // with OK and Unchanged
	status   int
	attempts int
	cause    error
}

func failure(outcome Outcome, cause error) result { return result{outcome: outcome, cause: cause} }

// call asks the service, if it may be asked.
func (h *Hook) call(ctx context.Context, in claims.Input, have claims.Set) result {
	body, err := encode(in, have)
	if err != nil {
		return failure(Invalid, err)
	}
	if len(body) > MaxRequest {
		return failure(RequestTooLarge, nil)
	}
	select {
	case h.places <- struct{}{}:
		defer func() { <-h.places }()
	default:
		return failure(Bulkhead, nil)
	}
	leave, ok := h.breaker.enter(h.now())
	if !ok {
		return failure(BreakerOpen, nil)
	}
	out := failure(Canceled, nil)
	defer func() { // also when something panics on the way: a lost probe would keep the breaker open
		if out.outcome == Canceled || out.outcome == Unauthorized {
			leave.forget()
		} else {
			leave.done(h.now(), out.outcome.sick())
		}
	}()
	out = h.attempts(ctx, in, body)
	return out
}

// attempts makes one attempt, and a second where that may help.
func (h *Hook) attempts(ctx context.Context, in claims.Input, body []byte) result {
	bounded, cancel := context.WithTimeout(ctx, h.timeout)
	defer cancel()
	began, id := h.now(), ""
	if len(h.keys) > 0 {
		id = "hook_" + rand.Text()
	}
	out := h.attempt(bounded, in, body, id)
	out.attempts = 1
	if out.retryable() && h.now().Sub(began) <= h.timeout*6/10 && bounded.Err() == nil {
		out = h.attempt(bounded, in, body, id)
		out.attempts = 2
	}
	switch {
	case out.outcome.malfunction() && errors.Is(ctx.Err(), context.Canceled):
		out.outcome = Canceled
	case (out.outcome == Connect || out.outcome == Truncated) && bounded.Err() != nil:
		out.outcome = Timeout
	}
	return out
}

func (r result) retryable() bool {
	switch r.status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return r.outcome == Connect
}

// attempt is one exchange of request and answer.
func (h *Hook) attempt(ctx context.Context, in claims.Input, body []byte, id string) result {
	req, err := h.request(ctx, in, body, id)
	if err != nil {
		return failure(Unauthorized, err)
	}
	resp, err := h.client.Do(req)
	if err != nil {
		return failure(Connect, err)
	}
	defer func() { _ = resp.Body.Close() }() // what is left in it is of no interest
	out := result{status: resp.StatusCode, outcome: judge(resp.StatusCode, resp.Header, resp.ContentLength)}
	switch out.outcome {
	case Unchanged:
		out.answer = claims.Answer{Unchanged: true}
	case OK:
		out.answer, out.outcome, out.cause = read(resp.Body)
	}
	return out
}

func (h *Hook) request(ctx context.Context, in claims.Input, body []byte, id string) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Accept-Encoding", "identity") // said by us, so the transport unpacks nothing
	req.Header.Set("User-Agent", "Drawbridge")
	if in.Mode != "" {
		req.Header.Set("Drawbridge-Mode", in.Mode)
	}
	sign(req.Header, h.keys, id, h.now(), body)
	if h.auth != nil {
		if err := h.auth(ctx, req.Header); err != nil {
			return nil, err
		}
	}
	return req, nil
}

// read takes the answer out of the body of a 200.
func read(body io.Reader) (claims.Answer, Outcome, error) {
	data, err := io.ReadAll(io.LimitReader(body, MaxAnswer+1))
	switch {
	case err != nil:
		return claims.Answer{}, Truncated, err
	case len(data) > MaxAnswer:
		return claims.Answer{}, TooLarge, nil
	}
	return decoded(data)
}

func decoded(body []byte) (claims.Answer, Outcome, error) {
	answer, err := Decode(body)
	if e, bad := errors.AsType[*AnswerError](err); bad {
		return claims.Answer{}, e.Outcome, err
	}
	return claims.Answer{Claims: answer}, OK, nil
}

// private is the given one without what would leave the hook's own address or
// carry state from one call to the next.
func private(given *http.Client) *http.Client {
	own := *given
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	own.Jar = nil
	return &own
}
