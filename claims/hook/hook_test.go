package hook_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/claims"
	"github.com/drawbridge-id/drawbridge/claims/hook"
)

// service is an operator's hook on a loopback port.
func service(t testing.TB, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// answers writes a document as the contract asks.
func answers(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, body)
	}
}

// observed collects what an Observer hears.
type observed struct {
	mu   sync.Mutex
	seen []hook.Observation
}

func (o *observed) hear(_ context.Context, seen hook.Observation) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.seen = append(o.seen, seen)
}

func (o *observed) last(t testing.TB) hook.Observation {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.seen) == 0 {
		t.Fatal("nothing was observed")
	}
	return o.seen[len(o.seen)-1]
}

// options are good ones; a test changes what it is about. The deadline is
// generous, since nothing but its own tests should depend on it.
func options(url string) hook.Options {
	return hook.Options{
		ID: "enrich", URL: url, Client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
		Now: time.Now, Timeout: hook.MaxTimeout, OnFailure: hook.Deny,
	}
}

func build(t testing.TB, o hook.Options) *hook.Hook {
	t.Helper()
	h, err := hook.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func input() claims.Input {
	return claims.Input{
		Tenant: "default", Client: "shop", User: "u-1", Upstream: "corp", Scopes: []string{"openid", "profile"},
		Grant: "authorization_code", Minted: claims.Set{"sub": "u-1"},
	}
}

func set(t testing.TB, text string) claims.Set {
	t.Helper()
	out, err := claims.DecodeObject([]byte(text), claims.UpstreamLimits())
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return out
}

func same(t testing.TB, got claims.Set, want string) {
	t.Helper()
	if !got.Equal(set(t, want)) {
		text, _ := json.Marshal(got)
		t.Fatalf("got  %s\nwant %s", text, want)
	}
}

// outcome is the Reason of a Malfunction, "denied" of a refusal.
func outcome(t testing.TB, err error) hook.Outcome {
	t.Helper()
	if refusal, ok := errors.AsType[*claims.Denied](err); ok && refusal.Step == "enrich" {
		return hook.Denied
	}
	m, ok := errors.AsType[*claims.Malfunction](err)
	if !ok || m.Step != "enrich" {
		t.Fatalf("neither a refusal nor a malfunction: %v", err)
	}
	return hook.Outcome(m.Reason)
}

func TestNewReportsEverything(t *testing.T) {
	_, err := hook.New(hook.Options{
		URL: "ftp://x", Timeout: time.Millisecond, MaxConcurrent: -1, OnFailure: "open",
		SigningSecrets: []hook.Secret{"", "whsec_?"}, Breaker: hook.Breaker{Share: 2},
	})
	const want = `hook "": id: must be given
url: must be an absolute http or https URL without credentials and fragment
client and clock: must be given
timeout: must be from 100ms to 10s
max_concurrent: must be positive
on_failure: must be one of deny, keep, last_good
signing_secret[0]: must not be empty
signing_secret[1]: must be base64 after whsec_
breaker: share must be from 0 to 1, the rest not negative`
	if err == nil || err.Error() != want {
		t.Fatalf("got\n%v", err)
	}
	for name, change := range map[string]func(*hook.Options){
		"url with credentials":   func(o *hook.Options) { o.URL = "https://a:b@hooks.example/x" },
		"url with fragment":      func(o *hook.Options) { o.URL = "https://hooks.example/x#y" },
		"url without host":       func(o *hook.Options) { o.URL = "https:///x" },
		"relative url":           func(o *hook.Options) { o.URL = "/x" },
		"keep without a list":    func(o *hook.Options) { o.OnFailure = hook.Keep },
		"last_good without age":  func(o *hook.Options) { o.OnFailure = hook.LastGood },
		"nothing said":           func(o *hook.Options) { o.OnFailure = "" },
		"a deadline of a minute": func(o *hook.Options) { o.Timeout = time.Minute },
	} {
		o := options("http://127.0.0.1/x")
		change(&o)
		if _, err := hook.New(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestAnswers(t *testing.T) {
	for name, tc := range map[string]struct {
		handler http.HandlerFunc
		want    string // "" for unchanged
		outcome hook.Outcome
	}{
		"claims":          {answers(`{"claims":{"a":9007199254740993}}`), `{"a":9007199254740993}`, hook.OK},
		"no claims left":  {answers(`{"claims":{}}`), `{}`, hook.OK},
		"other members":   {answers(`{"version":1,"claims":{"a":1},"trace":{"x":[]}}`), `{"a":1}`, hook.OK},
		"claims in depth": {answers(`{"claims":{"a":[[[[[[[1]]]]]]]}}`), `{"a":[[[[[[[1]]]]]]]}`, hook.OK},
		"unchanged":       {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, "", hook.Unchanged},
		"a json dialect": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", `application/vnd.corp+json; charset="UTF-8"`)
			w.Header().Set("Content-Encoding", "identity")
			_, _ = io.WriteString(w, `{"claims":{"a":1}}`)
		}, `{"a":1}`, hook.OK},
	} {
		t.Run(name, func(t *testing.T) {
			var heard observed
			o := options(service(t, tc.handler).URL)
			o.Observe = heard.hear
			got, err := build(t, o).Apply(t.Context(), input(), set(t, `{"sub":"u-1","name":"A"}`))
			if err != nil {
				t.Fatal(err)
			}
			if got.Unchanged != (tc.want == "") {
				t.Fatalf("unchanged: %t", got.Unchanged)
			}
			if tc.want != "" {
				same(t, got.Claims, tc.want)
			}
			seen := heard.last(t)
			if seen.Outcome != tc.outcome || seen.Attempts != 1 || seen.Policy != "" || seen.Hook != "enrich" || seen.Cause != nil {
				t.Errorf("observed %+v", seen)
			}
		})
	}
}

// Without openid there is nobody to tell claims to, and nobody is asked.
func TestNoCallWithoutOpenID(t *testing.T) {
	h := build(t, options(service(t, func(http.ResponseWriter, *http.Request) { t.Error("called") }).URL))
	in := input()
	in.Scopes = []string{"profile"}
	if got, err := h.Apply(t.Context(), in, nil); err != nil || !got.Unchanged {
		t.Fatal(got, err)
	}
}

// A recorded answer stands in for the call and is read the same way.
func TestRecorded(t *testing.T) {
	h := build(t, options(service(t, func(http.ResponseWriter, *http.Request) { t.Error("called") }).URL))
	in := input()
	for body, want := range map[string]hook.Outcome{
		``:                          hook.Unchanged,
		`{"claims":{"a":1}}`:        hook.OK,
		`{"claims":{"a":1,"a":2}}`:  hook.Duplicate,
		`{"claims":{"a":1,"A":2}}`:  hook.Duplicate,
		`{"a":1}`:                   hook.NoClaims,
		`<html>`:                    hook.NotJSON,
		`{"claims":{"a":"\ud800"}}`: hook.Invalid,
		`{"claims":{"":1}}`:         hook.Invalid,
	} {
		in.Recorded = map[string]json.RawMessage{"enrich": json.RawMessage(body)}
		got, err := h.Apply(t.Context(), in, nil)
		switch want {
		case hook.Unchanged:
			if err != nil || !got.Unchanged {
				t.Errorf("%s: %v, %v", body, got, err)
			}
		case hook.OK:
			if err != nil {
				t.Errorf("%s: %v", body, err)
			}
			same(t, got.Claims, `{"a":1}`)
		default:
			if o := outcome(t, err); o != want {
				t.Errorf("%s: %s, want %s", body, o, want)
			}
		}
	}
	in.Recorded = map[string]json.RawMessage{}
	if got, err := h.Apply(t.Context(), in, nil); err != nil || !got.Unchanged {
		t.Errorf("no recording: %v, %v", got, err)
	}
}

// The whole way: a service that adds, filters and tries to forge, behind the
// guard of a client's pipeline.
func TestInAPipeline(t *testing.T) {
	s := service(t, func(w http.ResponseWriter, r *http.Request) {
		var asked struct{ Claims map[string]json.RawMessage }
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
			t.Error(err)
		}
		if got := string(asked.Claims["sub"]) + string(asked.Claims["group_permissions"]); got != `"u-1"["read"]` {
			t.Errorf("shown %s", got)
		}
		answers(`{"claims":{"ſub":"admin","group_permissions":["root"],"loyalty":"gold","name":"A","email":"a@x"}}`)(w, r)
	})
	rules, err := claims.Compile([]claims.Rule{{Claim: "group_permissions", From: []string{"perms"}}})
	if err != nil {
		t.Fatal(err)
	}
	guard, err := claims.NewGuard(nil, false)
	if err != nil {
		t.Fatal(err)
	}
	p, err := claims.NewPipeline(guard, claims.Options{Mapping: rules, Stages: []claims.Stage{build(t, options(s.URL))}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := p.Run(t.Context(), input(), set(t, `{"sub":"corp-7","name":"A","perms":["read"],"secret":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	same(t, got.Snapshot().Userinfo(claims.Set{"sub": "u-1"}), `{"sub":"u-1","name":"A","loyalty":"gold","group_permissions":["read"]}`)
	want := []claims.Verdict{
		{Step: "enrich", Claim: "group_permissions", Class: claims.Protected, What: claims.Changed},
		{Step: "enrich", Claim: "ſub", Class: claims.Minted, What: claims.Added},
	}
	if !slices.Equal(got.Verdicts, want) {
		t.Errorf("verdicts %v", got.Verdicts)
	}
}

// Examples run through the stage of production without a call.
func TestExamples(t *testing.T) {
	h := build(t, options(service(t, func(http.ResponseWriter, *http.Request) { t.Error("called") }).URL))
	p, err := claims.NewPipeline(&claims.Guard{}, claims.Options{Stages: []claims.Stage{h}})
	if err != nil {
		t.Fatal(err)
	}
	example := claims.Example{
		Claims: set(t, `{"name":"A"}`), Scopes: []string{"openid", "profile"},
		HookAnswer: json.RawMessage(`{"claims":{"name":"B","sub":"forged"}}`), Expect: claims.Set{"name": "B"},
	}
	if errs := p.Check([]claims.Example{example}); errs != nil {
		t.Error(errs)
	}
	example.HookAnswer = json.RawMessage(`{"name":"B"}`)
	if errs := p.Check([]claims.Example{example}); len(errs) != 1 {
		t.Error(errs)
	}
}
