package hook_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drawbridge-id/drawbridge/claims"
	"github.com/drawbridge-id/drawbridge/claims/hook"
)

// flaky is a service whose answer the test sets; nil is a malfunction.
type flaky struct{ answer func() *http.Response }

func (f *flaky) RoundTrip(*http.Request) (*http.Response, error) {
	if f.answer == nil {
		return reply(500, ""), nil
	}
	return f.answer(), nil
}

func (f *flaky) says(code int, body string) {
	f.answer = func() *http.Response { return reply(code, body) }
}

func lastGood(f *flaky) hook.Options {
	o := inBubble(f.RoundTrip)
	o.OnFailure, o.MaxAge = hook.LastGood, time.Hour
	return o
}

// What is done again is done to the claims of today: what the hook repeated
// comes from the upstream's newest word, what it left out stays out.
func TestLastGoodIsDoneAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		service := &flaky{}
		h := build(t, lastGood(service))
		service.says(200, `{"claims":{"sub":"u-1","phone":"1","big":9007199254740992,"tier":"gold","group_permissions":["read"]}}`)
		was := set(t, `{"sub":"u-1","phone":"1","big":9007199254740993,"email":"a@x","group_permissions":["read"]}`)
		if _, err := h.Apply(t.Context(), input(), was); err != nil {
			t.Fatal(err)
		}
		service.answer = nil
		got, err := h.Apply(t.Context(), input(), set(t, `{"sub":"u-1","phone":"2","big":9007199254740995,"email":"a@y","new":1,"group_permissions":["write"]}`))
		if err != nil {
			t.Fatal(err)
		}
		same(t, got.Claims, `{"sub":"u-1","phone":"2","big":9007199254740995,"tier":"gold","group_permissions":["write"]}`)

		service.says(204, "")
		if _, err := h.Apply(t.Context(), input(), was); err != nil {
			t.Fatal(err)
		}
		service.answer = nil
		if got, err := h.Apply(t.Context(), input(), was); err != nil || !got.Unchanged {
			t.Fatal(got, err)
		}
	})
}

func TestLastGoodIsForTheSameIssuanceOnly(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*claims.Input)
		served bool
	}{
		"the same":        {func(*claims.Input) {}, true},
		"scopes in order": {func(in *claims.Input) { in.Scopes = []string{"profile", "openid", "profile"} }, true},
		"another grant":   {func(in *claims.Input) { in.Grant = "refresh_token" }, true},
		"preview":         {func(in *claims.Input) { in.Mode = "preview" }, true},
		"user":            {func(in *claims.Input) { in.User = "u-2" }, false},
		"client":          {func(in *claims.Input) { in.Client = "other" }, false},
		"tenant":          {func(in *claims.Input) { in.Tenant = "other" }, false},
		"upstream":        {func(in *claims.Input) { in.Upstream = "other" }, false},
		"more scopes":     {func(in *claims.Input) { in.Scopes = []string{"openid", "profile", "email"} }, false},
		"glued scopes":    {func(in *claims.Input) { in.Scopes = []string{"openid", `openid","profile`} }, false},
		"context":         {func(in *claims.Input) { in.Context = map[string][]string{"on_behalf_of": {"u-2"}} }, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				service := &flaky{}
				h := build(t, lastGood(service))
				service.says(200, `{"claims":{"a":1}}`)
				if _, err := h.Apply(t.Context(), input(), nil); err != nil {
					t.Fatal(err)
				}
				service.answer = nil
				in := input()
				tc.change(&in)
				_, err := h.Apply(t.Context(), in, nil)
				if (err == nil) != tc.served {
					t.Fatal(err)
				}
			})
		})
	}
}

func TestLastGoodAges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		service := &flaky{}
		h := build(t, lastGood(service))
		if _, err := h.Apply(t.Context(), input(), nil); outcome(t, err) != hook.Status {
			t.Fatal("served before there was anything", err)
		}
		service.says(200, `{"claims":{"a":1}}`)
		if _, err := h.Apply(t.Context(), input(), nil); err != nil {
			t.Fatal(err)
		}
		service.answer = nil
		time.Sleep(time.Hour)
		if _, err := h.Apply(t.Context(), input(), nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Nanosecond)
		if _, err := h.Apply(t.Context(), input(), nil); outcome(t, err) != hook.Status {
			t.Fatal(err)
		}
	})
}

// Who was refused does not get in by the next malfunction.
func TestARefusalEndsTheLastGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		service := &flaky{}
		h := build(t, lastGood(service))
		service.says(200, `{"claims":{"a":1}}`)
		if _, err := h.Apply(t.Context(), input(), nil); err != nil {
			t.Fatal(err)
		}
		service.says(403, "")
		if _, err := h.Apply(t.Context(), input(), nil); outcome(t, err) != hook.Denied {
			t.Fatal(err)
		}
		service.answer = nil
		if _, err := h.Apply(t.Context(), input(), nil); outcome(t, err) != hook.Status {
			t.Fatal(err)
		}
	})
}

func TestPreviewIsNotRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		service := &flaky{}
		h := build(t, lastGood(service))
		service.says(200, `{"claims":{"a":1}}`)
		in := input()
		in.Mode = "preview"
		if _, err := h.Apply(t.Context(), in, nil); err != nil {
			t.Fatal(err)
		}
		service.answer = nil
		if _, err := h.Apply(t.Context(), input(), nil); outcome(t, err) != hook.Status {
			t.Fatal(err)
		}
	})
}

// broken is a store that is down.
type broken struct{ err error }

func (b broken) Load(context.Context, string) (hook.Deed, bool, error) {
	return hook.Deed{}, false, b.err
}

func (b broken) Save(context.Context, string, hook.Deed) error { return b.err }

// A store that is down costs nobody a good answer, and gives nobody a stale one.
func TestLastGoodWithoutItsStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		service, down := &flaky{}, errors.New("store is down")
		o := lastGood(service)
		var heard observed
		o.Remember, o.Observe = broken{down}, heard.hear
		h := build(t, o)
		service.says(200, `{"claims":{"a":1}}`)
		if _, err := h.Apply(t.Context(), input(), nil); err != nil || !errors.Is(heard.last(t).Cause, down) {
			t.Fatal(err, heard.last(t))
		}
		service.answer = nil
		if _, err := h.Apply(t.Context(), input(), nil); outcome(t, err) != hook.Status || heard.last(t).Policy != hook.Deny {
			t.Fatal(err, heard.last(t))
		}
	})
}

func TestMemoryIsBounded(t *testing.T) {
	held := func(m *hook.Memory, key string) bool {
		_, ok, err := m.Load(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	save := func(m *hook.Memory, key, value string) {
		if err := m.Save(t.Context(), key, hook.Deed{Wrote: claims.Set{"v": value}}); err != nil {
			t.Fatal(err)
		}
	}
	m := hook.NewMemory(3, 0)
	for i := range 3 {
		save(m, fmt.Sprint(i), "x")
	}
	if !held(m, "0") { // and with that used
		t.Fatal("forgets too early")
	}
	save(m, "3", "x")
	if held(m, "1") || !held(m, "0") || !held(m, "2") || !held(m, "3") {
		t.Error("what was used longest ago is not what goes")
	}

	m = hook.NewMemory(0, 1000)
	save(m, "a", strings.Repeat("x", 400))
	for range 5 {
		save(m, "b", strings.Repeat("x", 400)) // anew, which must not count twice
	}
	if !held(m, "a") || !held(m, "b") {
		t.Error("counts what it has replaced")
	}
	save(m, "c", strings.Repeat("x", 400))
	if held(m, "a") || !held(m, "b") || !held(m, "c") {
		t.Error("bytes are not bounded")
	}
	save(m, "huge", strings.Repeat("x", 2000))
	if held(m, "huge") || held(m, "b") {
		t.Error("one deed exceeds the bound")
	}
	save(m, "d", "x")
	if !held(m, "d") {
		t.Error("does not recover")
	}
}

func TestDeedKeepsNumbers(t *testing.T) {
	m := hook.NewMemory(0, 0)
	deed := hook.Deed{At: time.Unix(1, 2).UTC(), Left: []string{"a"}, Wrote: set(t, `{"n":9007199254740993}`)}
	if err := m.Save(t.Context(), "k", deed); err != nil {
		t.Fatal(err)
	}
	got, ok, err := m.Load(t.Context(), "k")
	if err != nil || !ok || !got.At.Equal(deed.At) || len(got.Left) != 1 {
		t.Fatal(got, ok, err)
	}
	same(t, got.Wrote, `{"n":9007199254740993}`)
}
