package bridge_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/bridge"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

// Row 25 of the acceptance table: while one call changes a person, another
// about the same person waits, and in the end is told to come back; calls about
// others and reads are not held up.
func TestOneCallPerPerson(t *testing.T) {
	h := open(t, knobs{options: func(o *bridge.Options) { o.Patience = 50 * time.Millisecond }})
	h.people.enter, h.people.leave = make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	var first answer
	wg.Go(func() { first = h.do(del(users+"/"+ada, 204, "").call) })
	<-h.people.enter
	for _, s := range []step{
		put(users+"/"+ada+"/email-verified", "", 409, "concurrent_request"), put(users+"/corp%7C65a1/email-verified", "", 409, "concurrent_request"),
		del(users+"/"+ada, 409, "concurrent_request"), post(users+"/"+ada+"/verification-email", "", 409, "concurrent_request"),
		get(users+"/"+ada, 200, ""), get(users+"?email=ada@example.org", 200, ""), put(users+"/"+plus+"/email-verified", "", 204, ""),
	} {
		a := h.do(s.call)
		if a.StatusCode != s.status || a.code() != s.code {
			t.Errorf("%s %s: %d %s, want %d", s.method, s.target, a.StatusCode, a.code(), s.status)
		}
		if s.status == 409 && (a.Header.Get("Retry-After") != "1" || a.body["error_code"] != "2006") {
			t.Errorf("%s %s: Retry-After %q, %v", s.method, s.target, a.Header.Get("Retry-After"), a.body)
		}
	}
	close(h.people.leave)
	wg.Wait()
	if first.StatusCode != 204 {
		t.Errorf("the first call: %d", first.StatusCode)
	}
}

// What a caller is answered when the store or the directory fails.
func TestMalfunctions(t *testing.T) {
	for name, tc := range map[string]struct {
		err    error
		status int
		code   string
	}{
		"directory is down":        {bridge.Fail(bridge.KindUnavailable).After(30 * time.Second), 503, "upstream_unavailable"},
		"our credentials are bad":  {bridge.Fail(bridge.KindCredentials).Because(errors.New("401 from ldap://10.0.0.7")), 500, "upstream_credentials"},
		"something else":           {errors.New("nil pointer at 10.0.0.7"), 500, "internal"},
		"commit of unknown result": {store.ErrUnknown, 503, "unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t, knobs{})
			h.people.fail = tc.err
			a := h.do(get(users+"/"+ada, tc.status, tc.code).call)
			if a.StatusCode != tc.status || a.code() != tc.code {
				t.Fatalf("%d %s", a.StatusCode, a.raw)
			}
			if tc.status == 503 && a.Header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
			if text := string(a.raw); len(text) == 0 || containsAny(text, "10.0.0.7", "ldap", "nil pointer", "store:") {
				t.Errorf("%s tells what is inside", text)
			}
			if last := h.audit.last(); !errors.Is(last.Err, tc.err) || last.Outcome == "done" || last.Caller.Name != "platform" {
				t.Errorf("audit: %+v", last)
			}
		})
	}
}

func containsAny(s string, parts ...string) bool {
	for _, part := range parts {
		if strings.Contains(s, part) {
			return true
		}
	}
	return false
}
