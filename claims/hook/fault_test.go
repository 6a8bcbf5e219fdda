package hook_test

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/claims/hook"
)

// fault is one way for a service to misbehave.
type fault struct {
	handler  http.HandlerFunc
	outcome  hook.Outcome
	status   int
	attempts int           // 0 stands for 1
	timeout  time.Duration // 0 is generous
}

// raw takes the connection over and writes bytes as they are.
func raw(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = io.WriteString(conn, text)
		_ = conn.Close()
	}
}

// typed answers 200 under a content type.
func typed(contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = nil
		if contentType != "" {
			w.Header().Set("Content-Type", contentType)
		}
		_, _ = io.WriteString(w, body)
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "1")
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_, _ = io.WriteString(w, `{"claims":{"a":1}}`) // a body must not make it a success
	}
}

// stall writes a beginning and then nothing, until the caller has gone.
func stall(begin string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // or the server would not notice that the caller went
		if begin != "" {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, begin)
			_ = http.NewResponseController(w).Flush()
		}
		<-r.Context().Done()
	}
}

func endless(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"claims":{"a":"`)
	for r.Context().Err() == nil {
		if _, err := io.WriteString(w, strings.Repeat("x", 4096)); err != nil {
			return
		}
	}
}

func redirect(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/elsewhere" {
		answers(`{"claims":{"followed":true}}`)(w, r)
		return
	}
	http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
}

func gzipped(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Encoding", "gzip")
	z := gzip.NewWriter(w)
	_, _ = io.WriteString(z, `{"claims":{"a":"`+strings.Repeat("0", 10<<20)+`"}}`)
	_ = z.Close()
}

func faults() map[string]fault {
	many := strings.Builder{}
	for i := range 201 {
		fmt.Fprintf(&many, `"c%d":1,`, i)
	}
	const head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	json := func(body string) http.HandlerFunc { return typed("application/json", body) }
	const short = hook.MinTimeout
	return map[string]fault{
		"silent":                  {handler: stall(""), outcome: hook.Timeout, timeout: short},
		"stalls in the body":      {handler: stall(`{"claims":{"a":`), outcome: hook.Timeout, status: 200, timeout: short},
		"closes at once":          {handler: raw(""), outcome: hook.Connect, attempts: 2},
		"closes in the header":    {handler: raw("HTTP/1.1 200 OK\r\nContent-"), outcome: hook.Connect, attempts: 2},
		"speaks no HTTP":          {handler: raw("SSH-2.0-x\r\n\r\n"), outcome: hook.Connect, attempts: 2},
		"floods with 1xx":         {handler: raw(strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 1000)), outcome: hook.Connect, attempts: 2},
		"closes in the body":      {handler: raw(head + "Content-Length: 100\r\n\r\n{\"claims\":{"), outcome: hook.Truncated, status: 200},
		"cuts a chunk":            {handler: raw(head + "Transfer-Encoding: chunked\r\n\r\nff\r\n{\"claims\":{"), outcome: hook.Truncated, status: 200},
		"redirects":               {handler: redirect, outcome: hook.Redirect, status: 307},
		"says not modified":       {handler: status(304), outcome: hook.Redirect, status: 304},
		"compresses":              {handler: gzipped, outcome: hook.Encoding, status: 200},
		"is endless":              {handler: endless, outcome: hook.TooLarge, status: 200},
		"announces too much":      {handler: raw(head + "Content-Length: 65537\r\n\r\n{}"), outcome: hook.TooLarge, status: 200},
		"is a byte too long":      {handler: json(`{"claims":{}` + strings.Repeat(" ", hook.MaxAnswer-12) + "}"), outcome: hook.TooLarge, status: 200},
		"is HTML":                 {handler: typed("text/html", "<html>"), outcome: hook.ContentType, status: 200},
		"is JSON said to be HTML": {handler: typed("text/html", `{"claims":{"a":1}}`), outcome: hook.ContentType, status: 200},
		"has no type":             {handler: typed("", `{"claims":{"a":1}}`), outcome: hook.ContentType, status: 200},
		"has a bad type":          {handler: typed("application/json; charset", `{"claims":{"a":1}}`), outcome: hook.ContentType, status: 200},
		"is in another charset":   {handler: typed("application/json; charset=utf-16", `{"claims":{"a":1}}`), outcome: hook.ContentType, status: 200},
		"has two types":           {handler: raw(head + "Content-Type: text/html\r\nConnection: close\r\n\r\n{\"claims\":{}}"), outcome: hook.ContentType, status: 200},
		"is HTML said to be JSON": {handler: json("<html>"), outcome: hook.NotJSON, status: 200},
		"is empty":                {handler: json(""), outcome: hook.NotJSON, status: 200},
		"is an array":             {handler: json(`[{"claims":{}}]`), outcome: hook.NotJSON, status: 200},
		"is followed by more":     {handler: json(`{"claims":{}}{"claims":{}}`), outcome: hook.NotJSON, status: 200},
		"is not UTF-8":            {handler: json("{\"claims\":{\"a\":\"\xff\"}}"), outcome: hook.NotJSON, status: 200},
		"has no claims":           {handler: json(`{"claim":{}}`), outcome: hook.NoClaims, status: 200},
		"has null claims":         {handler: json(`{"claims":null}`), outcome: hook.NoClaims, status: 200},
		"has a list of claims":    {handler: json(`{"claims":[]}`), outcome: hook.NoClaims, status: 200},
		"spells Claims":           {handler: json(`{"Claims":{}}`), outcome: hook.NoClaims, status: 200},
		"has claims twice":        {handler: json(`{"claims":{"a":1},"claims":{"a":2}}`), outcome: hook.Duplicate, status: 200},
		"has claims and Claims":   {handler: json(`{"claims":{"a":1},"claimſ":{"a":2}}`), outcome: hook.Duplicate, status: 200},
		"has a claim twice":       {handler: json(`{"claims":{"sub":"u-1","sub":"eve"}}`), outcome: hook.Duplicate, status: 200},
		"has a member twice":      {handler: json(`{"claims":{"a":{"b":1,"b":2}}}`), outcome: hook.Duplicate, status: 200},
		"has folded twins":        {handler: json(`{"claims":{"sub":"u-1","ſub":"eve"}}`), outcome: hook.Duplicate, status: 200},
		"is too deep":             {handler: json(`{"claims":{"a":[[[[[[[[1]]]]]]]]}}`), outcome: hook.Invalid, status: 200},
		"has too many claims":     {handler: json(`{"claims":{` + strings.TrimSuffix(many.String(), ",") + `}}`), outcome: hook.Invalid, status: 200},
		"has an empty name":       {handler: json(`{"claims":{"":1}}`), outcome: hook.Invalid, status: 200},
		"says 201":                {handler: status(201), outcome: hook.Status, status: 201},
		"says 400":                {handler: status(400), outcome: hook.Status, status: 400},
		"says 401":                {handler: status(401), outcome: hook.Status, status: 401},
		"says 404":                {handler: status(404), outcome: hook.Status, status: 404},
		"says 429":                {handler: status(429), outcome: hook.Status, status: 429},
		"says 500":                {handler: status(500), outcome: hook.Status, status: 500},
		"says 502":                {handler: status(502), outcome: hook.Status, status: 502, attempts: 2},
		"says 503":                {handler: status(503), outcome: hook.Status, status: 503, attempts: 2},
		"says 504":                {handler: status(504), outcome: hook.Status, status: 504, attempts: 2},
		"says 999":                {handler: raw("HTTP/1.1 999 No\r\nContent-Length: 0\r\n\r\n"), outcome: hook.Status, status: 999},
		"refuses the user":        {handler: status(403), outcome: hook.Denied, status: 403},
		"adds to a 204":           {handler: raw("HTTP/1.1 204 No Content\r\nContent-Length: 18\r\n\r\n{\"claims\":{\"a\":1}}"), outcome: hook.Unchanged, status: 204},
	}
}

// Every fault has one outcome, and every policy one answer to it.
func TestFaults(t *testing.T) {
	const shown = `{"sub":"u-1","name":"A","email":"a@x","extra":"only today"}`
	good := service(t, answers(`{"claims":{"sub":"u-1","name":"A","tier":"gold"}}`))
	for name, f := range faults() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := service(t, f.handler)
			for _, policy := range []hook.OnFailure{hook.Deny, hook.Keep, hook.LastGood} {
				memory := hook.NewMemory(0, 0)
				warm := options(good.URL)
				warm.OnFailure, warm.MaxAge, warm.Remember = hook.LastGood, time.Hour, memory
				if _, err := build(t, warm).Apply(t.Context(), input(), set(t, shown)); err != nil {
					t.Fatal(err)
				}
				var heard observed
				o := options(s.URL)
				o.OnFailure, o.KeepClaims, o.MaxAge, o.Remember, o.Observe = policy, []string{"email", "missing"}, time.Hour, memory, heard.hear
				if f.timeout > 0 {
					o.Timeout = f.timeout
				}
				got, err := build(t, o).Apply(t.Context(), input(), set(t, shown))

				seen := heard.last(t)
				wantPolicy := policy
				if f.outcome == hook.Denied || f.outcome == hook.Unchanged {
					wantPolicy = ""
				}
				if seen.Outcome != f.outcome || seen.Status != f.status || seen.Attempts != max(f.attempts, 1) || seen.Policy != wantPolicy {
					t.Errorf("%s: observed %+v", policy, seen)
				}
				switch {
				case f.outcome == hook.Unchanged:
					if err != nil || !got.Unchanged {
						t.Errorf("%s: %v, %v", policy, got, err)
					}
				case wantPolicy == hook.Keep:
					same(t, got.Claims, `{"email":"a@x"}`)
				case wantPolicy == hook.LastGood:
					same(t, got.Claims, `{"sub":"u-1","name":"A","tier":"gold"}`)
				default:
					if outcome(t, err) != f.outcome || got.Claims != nil || got.Unchanged {
						t.Errorf("%s: %v, %v", policy, got, err)
					}
				}
				if (err == nil) != (f.outcome == hook.Unchanged || wantPolicy == hook.Keep || wantPolicy == hook.LastGood) {
					t.Errorf("%s: %v", policy, err)
				}
			}
		})
	}
}

// Nobody listens: the same as a broken connection.
func TestNobodyListens(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	var heard observed
	o := options("http://" + address)
	o.Observe = heard.hear
	_, err = build(t, o).Apply(t.Context(), input(), nil)
	if outcome(t, err) != hook.Connect || heard.last(t).Attempts != 2 {
		t.Errorf("%v, %+v", err, heard.last(t))
	}
	if strings.Contains(err.Error(), address) {
		t.Errorf("the error talks: %v", err)
	}
}

func TestUntrustedCertificate(t *testing.T) {
	s := httptest.NewTLSServer(answers(`{"claims":{}}`))
	t.Cleanup(s.Close)
	_, err := build(t, options(s.URL)).Apply(t.Context(), input(), nil)
	if outcome(t, err) != hook.Connect {
		t.Error(err)
	}
}

// A second attempt that succeeds makes the call a success.
func TestRetrySucceeds(t *testing.T) {
	for name, first := range map[string]http.HandlerFunc{"503": status(503), "broken": raw("")} {
		calls, ids := make(chan struct{}, 2), make(chan string, 2)
		s := service(t, func(w http.ResponseWriter, r *http.Request) {
			ids <- r.Header.Get("webhook-id")
			calls <- struct{}{}
			if len(calls) == 1 {
				first(w, r)
				return
			}
			answers(`{"claims":{"a":1}}`)(w, r)
		})
		var heard observed
		o := options(s.URL)
		o.Observe, o.SigningSecrets = heard.hear, []hook.Secret{"s"}
		got, err := build(t, o).Apply(t.Context(), input(), nil)
		if err != nil {
			t.Fatal(name, err)
		}
		same(t, got.Claims, `{"a":1}`)
		if seen := heard.last(t); seen.Outcome != hook.OK || seen.Attempts != 2 || seen.Status != 200 {
			t.Errorf("%s: %+v", name, seen)
		}
		if a, b := <-ids, <-ids; a != b || a == "" {
			t.Errorf("%s: the retry is another message: %q, %q", name, a, b)
		}
	}
}

func TestRequestTooLarge(t *testing.T) {
	s := service(t, func(http.ResponseWriter, *http.Request) { t.Error("called") })
	_, err := build(t, options(s.URL)).Apply(t.Context(), input(), set(t, `{"a":"`+strings.Repeat("x", hook.MaxRequest)+`"}`))
	if outcome(t, err) != hook.RequestTooLarge {
		t.Error(err)
	}
}

// Who gives up an issuance does not make the service sick, and gets no claims
// by policy either.
func TestCanceledByTheCaller(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := service(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		cancel()
		<-r.Context().Done()
	})
	var heard observed
	o := options(s.URL)
	o.OnFailure, o.KeepClaims, o.Observe = hook.Keep, []string{"name"}, heard.hear
	_, err := build(t, o).Apply(ctx, input(), set(t, `{"name":"A"}`))
	if outcome(t, err) != hook.Canceled || heard.last(t).Outcome != hook.Canceled || heard.last(t).Policy != "" {
		t.Errorf("%v, %+v", err, heard.last(t))
	}
}

// A caller whose own time runs out has met a slow hook.
func TestDeadlineOfTheCaller(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	o := options(service(t, stall("")).URL)
	o.OnFailure, o.KeepClaims = hook.Keep, []string{"name"}
	var heard observed
	o.Observe = heard.hear
	got, err := build(t, o).Apply(ctx, input(), set(t, `{"name":"A","x":1}`))
	if err != nil || heard.last(t).Outcome != hook.Timeout {
		t.Fatalf("%v, %+v", err, heard.last(t))
	}
	same(t, got.Claims, `{"name":"A"}`)
}
