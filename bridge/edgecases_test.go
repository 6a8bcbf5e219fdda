package bridge_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/bridge"
)

// step is one call of a case and what must come back.
type step struct {
	call
	status int
	code   string
	check  func(*testing.T, *house, answer)
}

const users = "/v1/tenants/acme/users"

func get(target string, status int, code string, check ...func(*testing.T, *house, answer)) step {
	return as("platform", http.MethodGet, target, "", status, code, check...)
}

func as(who, method, target, body string, status int, code string, check ...func(*testing.T, *house, answer)) step {
	s := step{call: call{who: who, method: method, target: target, body: body}, status: status, code: code}
	if len(check) > 0 {
		s.check = check[0]
	}
	return s
}

func with(s step, headers ...string) step {
	s.headers = append(s.headers, headers...)
	return s
}

func post(target, body string, status int, code string, check ...func(*testing.T, *house, answer)) step {
	return as("platform", http.MethodPost, target, body, status, code, check...)
}

func put(target, body string, status int, code string, check ...func(*testing.T, *house, answer)) step {
	return as("platform", http.MethodPut, target, body, status, code, check...)
}

func del(target string, status int, code string, check ...func(*testing.T, *house, answer)) step {
	return as("platform", http.MethodDelete, target, "", status, code, check...)
}

// has demands members of the body.
func has(members ...any) func(*testing.T, *house, answer) {
	return func(t *testing.T, _ *house, a answer) {
		t.Helper()
		for i := 0; i < len(members); i += 2 {
			name, _ := members[i].(string)
			if a.body[name] != members[i+1] {
				t.Errorf("%s is %v, want %v", name, a.body[name], members[i+1])
			}
		}
	}
}

// header demands that a header is there; and, when given, what it is.
func header(name string, value ...string) func(*testing.T, *house, answer) {
	return func(t *testing.T, _ *house, a answer) {
		t.Helper()
		got := a.Header.Get(name)
		if got == "" || len(value) > 0 && got != value[0] {
			t.Errorf("%s is %q, want %q", name, got, value)
		}
	}
}

// mailed demands how many mails of a kind were queued so far.
func mailed(kind bridge.MailKind, n int) func(*testing.T, *house, answer) {
	return func(t *testing.T, h *house, _ answer) {
		t.Helper()
		count := 0
		for _, m := range h.mails("acme") {
			if m.Kind == kind {
				count++
			}
		}
		if count != n {
			t.Errorf("%d %s mails were queued, want %d", count, kind, n)
		}
	}
}

// untouched demands that the directory was not asked at all.
func untouched(t *testing.T, h *house, _ answer) {
	t.Helper()
	if n := h.people.calls(); n != 0 {
		t.Errorf("the directory was asked %d times", n)
	}
}

// TestEdgeCases are the rows of the acceptance table that a local directory can
// show, over HTTP. Their numbers are the table's. Rows 14, 19, 26 to 30 and 45
// are about remote directories, 24 and 44 about ways to call that are not
// served yet.
func TestEdgeCases(t *testing.T) {
	doc := document(t)
	for _, tc := range slices.Concat(selecting(), changing(), calling(), strictness()) {
		t.Run(tc.name, func(t *testing.T) {
			tc.knobs.doc = doc
			h := open(t, tc.knobs)
			for i, s := range tc.steps {
				a := h.do(s.call)
				if a.StatusCode != s.status || a.code() != s.code {
					t.Fatalf("step %d, %s %.80s: %d %s, want %d %s\n%s", i+1, s.method, s.target, a.StatusCode, a.code(), s.status, s.code, a.raw)
				}
				if s.check != nil {
					s.check(t, h, a)
				}
			}
		})
	}
}

// edgeCase is a row, or one reading of it.
type edgeCase struct {
	name  string
	knobs knobs
	steps []step
}

const reset = "/v1/tenants/acme/password-reset-emails"

// sameForAll are resets for every kind of person there is and is not: their
// answers must be one answer.
func sameForAll(target string) (steps []step) {
	seen := map[string]bool{}
	addresses := []string{"ada@example.org", "bob@example.org", "twin@example.org", "nobody@example.org", "vera@example.org"}
	for i, email := range addresses {
		steps = append(steps, post(target, `{"email":"`+email+`"}`, 202, "", func(t *testing.T, h *house, a answer) {
			a.Header.Del("X-Request-Id")
			a.Header.Del("Date")
			var all strings.Builder
			if err := a.Header.Write(&all); err != nil {
				t.Fatal(err)
			}
			seen[all.String()+string(a.raw)] = true
			if len(seen) != 1 || h.people.calls() != 0 {
				t.Errorf("%s can be told from the others, or was looked up", email)
			}
			mailed("reset", i+1)(t, h, a)
		}))
	}
	return steps
}

func failures(n int) []step {
	wrong := "Authorization: Basic cGxhdGZvcm06d3Jvbmc="
	steps := make([]step, 0, n+2)
	for range n {
		steps = append(steps, with(as("", http.MethodGet, users+"/"+ada, "", 401, "unauthenticated"), wrong))
	}
	return append(steps, with(as("", http.MethodGet, users+"/"+ada, "", 429, "too_many_requests", header("Retry-After")), wrong), get(users+"/"+ada, 429, "too_many_requests", untouched))
}

// deliversNothing runs the mail worker's part and demands that no mail leaves.
func deliversNothing(t *testing.T, h *house, _ answer) {
	t.Helper()
	for _, m := range h.mails("acme") {
		if err := h.service.Deliver(t.Context(), place("acme"), "job", m); err != nil {
			t.Errorf("%s: %v", m, err)
		}
	}
	if last := h.audit.last(); last.Outcome != string(bridge.KindBlocked) {
		t.Errorf("the audit says %q", last.Outcome)
	}
}

func abilities(want ...string) func(*testing.T, *house, answer) {
	names := []string{"get_by_id", "get_by_email", "get_by_customer", "delete", "mark_email_verified", "send_verification_email", "send_password_reset_email"}
	return func(t *testing.T, _ *house, a answer) {
		t.Helper()
		said, _ := a.body["operations"].(map[string]any)
		got := make([]string, len(names))
		for i, name := range names {
			got[i], _ = said[name].(string)
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}

// uncounted answers as a directory that counts nothing.
func uncounted[K any](find func(context.Context, K, string) (bridge.User, error)) func(context.Context, K, string) (bridge.User, error) {
	return func(ctx context.Context, at K, customer string) (bridge.User, error) {
		u, err := find(ctx, at, customer)
		u.LoginsCount = nil
		return u, err
	}
}
