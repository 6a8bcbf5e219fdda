package hook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drawbridge-id/drawbridge/claims/hook"
)

// transport is a service without sockets, which do not belong in a bubble.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func reply(code int, body string) *http.Response {
	return &http.Response{
		StatusCode: code, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: -1,
	}
}

func inBubble(f transport) hook.Options {
	o := options("https://hooks.example/x")
	o.Client = &http.Client{Transport: f}
	o.Timeout = 0 // the default of 1.5 s
	return o
}

// With 64 calls in flight the next one is answered by policy at once; when they
// are through there is room again.
func TestBulkhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		inFlight, most := 0, 0
		slow := transport(func(r *http.Request) (*http.Response, error) {
			mu.Lock()
			inFlight++
			most = max(most, inFlight)
			mu.Unlock()
			defer func() { mu.Lock(); inFlight--; mu.Unlock() }()
			time.Sleep(time.Second)
			return reply(200, `{"claims":{"a":1}}`), nil
		})
		o := inBubble(slow)
		o.OnFailure, o.KeepClaims = hook.Keep, []string{}
		var heard observed
		o.Observe = heard.hear
		h := build(t, o)
		var all sync.WaitGroup
		for range 1000 {
			all.Go(func() {
				if _, err := h.Apply(t.Context(), input(), nil); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		count := map[hook.Outcome]int{}
		for _, seen := range heard.seen {
			count[seen.Outcome]++
			if seen.Outcome == hook.Bulkhead && (seen.Duration != 0 || seen.Attempts != 0 || seen.Policy != hook.Keep) {
				t.Fatalf("%+v", seen)
			}
		}
		if most != 64 || count[hook.OK] != 64 || count[hook.Bulkhead] != 936 {
			t.Fatalf("%d at once, %v", most, count)
		}
		if got, err := h.Apply(t.Context(), input(), nil); err != nil || len(got.Claims) != 1 {
			t.Fatal("no room afterwards", got, err)
		}
	})
}

// The breaker stops calls to a service that fails, and lets them go on within
// one rest after it is well.
func TestBreakerInService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls, well := 0, false
		o := inBubble(func(*http.Request) (*http.Response, error) {
			calls++
			if well {
				return reply(200, `{"claims":{}}`), nil
			}
			return reply(500, ""), nil
		})
		var heard observed
		o.Observe = heard.hear
		h := build(t, o)
		state := func(want hook.BreakerState) {
			t.Helper()
			if told := heard.last(t).Breaker; told != want || h.Breaker() != want {
				t.Errorf("the breaker is told as %s and asked %s, want %s", told, h.Breaker(), want)
			}
		}
		ask := func() hook.Outcome {
			if _, err := h.Apply(t.Context(), input(), nil); err != nil {
				return outcome(t, err)
			}
			return hook.OK
		}
		for range 20 {
			if got := ask(); got != hook.Status {
				t.Fatal(got)
			}
		}
		state(hook.Open)
		if got := ask(); got != hook.BreakerOpen || calls != 20 {
			t.Fatal(got, calls)
		}
		well = true
		time.Sleep(10*time.Second - time.Millisecond)
		if got := ask(); got != hook.BreakerOpen {
			t.Fatal(got)
		}
		time.Sleep(time.Millisecond)
		if got := h.Breaker(); got != hook.HalfOpen {
			t.Errorf("after the rest it is %s", got)
		}
		for range 3 {
			if got := ask(); got != hook.OK {
				t.Fatal(got)
			}
			state(hook.Closed)
		}
		if n := h.InFlight(); n != 0 {
			t.Errorf("%d calls in flight", n)
		}
	})
}

// Answers about one user that are merely invalid do not close the hook to others.
func TestInvalidAnswersDoNotOpenTheBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := build(t, inBubble(func(*http.Request) (*http.Response, error) { return reply(200, `{"claims":{"a":1,"A":2}}`), nil }))
		for range 100 {
			if _, err := h.Apply(t.Context(), input(), nil); outcome(t, err) != hook.Duplicate {
				t.Fatal(err)
			}
		}
	})
}

// A probe whose issuance is given up leaves the next one its chance.
func TestCanceledProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		well := false
		h := build(t, inBubble(func(r *http.Request) (*http.Response, error) {
			if !well {
				return reply(500, ""), nil
			}
			if err := r.Context().Err(); err != nil {
				return nil, err
			}
			return reply(204, ""), nil
		}))
		for range 20 {
			_, _ = h.Apply(t.Context(), input(), nil)
		}
		time.Sleep(10 * time.Second)
		well = true
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := h.Apply(gone, input(), nil); outcome(t, err) != hook.Canceled {
			t.Fatal(err)
		}
		if _, err := h.Apply(t.Context(), input(), nil); err != nil {
			t.Fatal(err)
		}
	})
}

// The deadline covers the token, the connection, the body and the retry.
func TestDeadline(t *testing.T) {
	wait := func(ctx context.Context, d time.Duration) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for name, tc := range map[string]struct {
		token, answer time.Duration // how long each takes
		code          int
		outcome       hook.Outcome
		attempts      int
		took          time.Duration
	}{
		"within":                   {100, 1300, 200, hook.OK, 1, 1400},
		"slow answer":              {0, 5000, 200, hook.Timeout, 1, 1500},
		"slow together":            {800, 800, 200, hook.Timeout, 1, 1500},
		"slow token":               {5000, 0, 200, hook.Unauthorized, 1, 1500},
		"time for a second try":    {0, 600, 503, hook.Status, 2, 1200},
		"and for a part of it":     {0, 900, 503, hook.Timeout, 2, 1500},
		"no time for a second try": {0, 901, 503, hook.Status, 1, 901},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := inBubble(func(r *http.Request) (*http.Response, error) {
					if err := wait(r.Context(), tc.answer*time.Millisecond); err != nil {
						return nil, err
					}
					return reply(tc.code, `{"claims":{}}`), nil
				})
				o.Auth = hook.Bearer(func(ctx context.Context) (string, error) { return "t", wait(ctx, tc.token*time.Millisecond) })
				var heard observed
				o.Observe = heard.hear
				_, err := build(t, o).Apply(t.Context(), input(), nil)
				seen := heard.last(t)
				if seen.Outcome != tc.outcome || seen.Attempts != tc.attempts || seen.Duration != tc.took*time.Millisecond {
					t.Errorf("%+v, %v", seen, err)
				}
			})
		})
	}
}

// What a transport's panic unwinds, the places and the probe, is given back.
func TestPanicGivesEverythingBack(t *testing.T) {
	o := inBubble(func(*http.Request) (*http.Response, error) { panic("transport") })
	o.MaxConcurrent = 1
	h := build(t, o)
	for range 3 {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic was swallowed")
				}
			}()
			_, _ = h.Apply(t.Context(), input(), nil)
		}()
	}
}

// Neither cookies nor a client's own willingness to follow leave the hook.
func TestClientIsMadePrivate(t *testing.T) {
	o := options(service(t, redirect).URL)
	o.Client.CheckRedirect = func(*http.Request, []*http.Request) error { return nil }
	if _, err := build(t, o).Apply(t.Context(), input(), nil); outcome(t, err) != hook.Redirect {
		t.Fatal(err)
	}
	if o.Client.CheckRedirect(nil, nil) != nil {
		t.Error("the caller's client was changed")
	}

	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	o = options(service(t, func(w http.ResponseWriter, r *http.Request) {
		if len(r.Cookies()) > 0 {
			t.Error("one call's cookie came with the next")
		}
		http.SetCookie(w, &http.Cookie{Name: "user", Value: "u-1"})
		w.WriteHeader(http.StatusNoContent)
	}).URL)
	o.Client.Jar = jar
	h := build(t, o)
	for range 2 {
		if _, err := h.Apply(t.Context(), input(), nil); err != nil {
			t.Fatal(err)
		}
	}
}

func BenchmarkCall(b *testing.B) {
	o := options(service(b, answers(`{"claims":{"name":"A","loyalty":"gold"}}`)).URL)
	o.Client = &http.Client{Transport: &http.Transport{DisableCompression: true}}
	h := build(b, o)
	have := set(b, `{"sub":"u-1","name":"A","email":"a@x","groups":["a","b","c"]}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h.Apply(b.Context(), input(), have); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkBareCall is what the same exchange costs without the hook's care.
func BenchmarkBareCall(b *testing.B) {
	url := service(b, answers(`{"claims":{"name":"A","loyalty":"gold"}}`)).URL
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	have := set(b, `{"sub":"u-1","name":"A","email":"a@x","groups":["a","b","c"]}`)
	b.ReportAllocs()
	for b.Loop() {
		body, err := json.Marshal(map[string]any{"user": map[string]string{"id": "u-1"}, "scopes": []string{"openid"}, "claims": map[string]any(have)})
		if err != nil {
			b.Fatal(err)
		}
		resp, err := client.Post(url, "application/json", bytes.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		var answer struct{ Claims map[string]any }
		err = json.NewDecoder(resp.Body).Decode(&answer)
		if err = errors.Join(err, resp.Body.Close()); err != nil {
			b.Fatal(err)
		}
	}
}
