package wire

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

func contextThatEnds(r *http.Request) (*http.Request, context.CancelFunc) {
	ctx, cancel := context.WithCancel(r.Context())
	return r.WithContext(ctx), cancel
}

// named answers 200 with the caller's name and what it knows about the call.
func named(w http.ResponseWriter, r *http.Request) error {
	c, _ := CallerFrom(r.Context())
	return WriteJSON(w, 200, map[string]string{
		"name": c.Name, "user": c.AgentUser, "app": c.AgentApp, "addr": c.Addr.String(), "id": c.RequestID,
	})
}

func hashes(secrets ...string) (out [][sha256.Size]byte) {
	for _, s := range secrets {
		out = append(out, sha256.Sum256([]byte(s)))
	}
	return out
}

func door(t *testing.T, o AuthOptions) http.Handler {
	t.Helper()
	auth, err := Authenticate(o)
	if err != nil {
		t.Fatal(err)
	}
	return auth(Endpoint(named))
}

func TestAuthenticate(t *testing.T) {
	h := door(t, AuthOptions{
		Basic: []Credential{{Username: "platform", Secrets: hashes("old", "new")}, {Username: "ünïcode", Secrets: hashes("pässword:with:colons")}},
		Bearer: func(_ context.Context, token string) (Caller, error) {
			switch token {
			case "good":
				return Caller{Name: "machine"}, nil
			case "outage":
				return Caller{}, Unavailable("unavailable", "Keys cannot be read")
			}
			return Caller{}, errors.New("expired")
		},
	})
	basic := func(user, secret string) http.Header {
		r := &http.Request{Header: http.Header{}}
		r.SetBasicAuth(user, secret)
		return r.Header
	}
	bearer := func(s string) http.Header { return http.Header{"Authorization": {s}} }
	for name, tc := range map[string]struct {
		h      http.Header
		status int
		who    string
	}{
		"old secret":      {basic("platform", "old"), 200, "platform"},
		"new secret":      {basic("platform", "new"), 200, "platform"},
		"unicode":         {basic("ünïcode", "pässword:with:colons"), 200, "ünïcode"},
		"bearer":          {bearer("bearer good"), 200, "machine"},
		"wrong secret":    {basic("platform", "OLD"), 401, ""},
		"somebody else's": {basic("ünïcode", "old"), 401, ""},
		"unknown user":    {basic("nobody", "old"), 401, ""},
		"empty":           {basic("", ""), 401, ""},
		"nothing":         {http.Header{}, 401, ""},
		"twice":           {http.Header{"Authorization": {"Bearer good", "Bearer good"}}, 401, ""},
		"bad base64":      {bearer("Basic %%%"), 401, ""},
		"other scheme":    {bearer("Digest x"), 401, ""},
		"expired token":   {bearer("Bearer stale"), 401, ""},
		"no keys":         {bearer("Bearer outage"), 503, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header = tc.h
			res := ask(ProfileProblem, h, r)
			body, _ := bodyOf(t, res)
			if res.StatusCode != tc.status || tc.who != "" && body["name"] != tc.who {
				t.Fatalf("%d %v", res.StatusCode, body)
			}
			if challenges := res.Header.Values("WWW-Authenticate"); tc.status == 401 && (len(challenges) != 2 || body["error_code"] != "2010") {
				t.Errorf("challenges %q, body %v", challenges, body)
			}
		})
	}
}

func TestAuthenticateNeedsSomebody(t *testing.T) {
	for name, o := range map[string]AuthOptions{
		"nobody":        {},
		"colon":         {Basic: []Credential{{Username: "a:b", Secrets: hashes("x")}}},
		"no secret":     {Basic: []Credential{{Username: "a"}}},
		"three secrets": {Basic: []Credential{{Username: "a", Secrets: hashes("x", "y", "z")}}},
	} {
		if _, err := Authenticate(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestCallerIsCompleted(t *testing.T) {
	h := door(t, AuthOptions{Basic: []Credential{{Username: "p", Secrets: hashes("s")}}})
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.SetBasicAuth("p", "s")
	r.Header.Set("x-onegini-api-agent-user", " Ada\x7f\tLovelace\xff ")
	r.Header.Set("x-onegini-api-agent-app", strings.Repeat("ü", 300))
	body, _ := bodyOf(t, ask(ProfileProblem, h, known(r, "r7", netip.MustParseAddr("192.0.2.9"))))
	if body["user"] != "AdaLovelace" || body["app"] != strings.Repeat("ü", 256) || body["addr"] != "192.0.2.9" || body["id"] != "r7" {
		t.Errorf("%v", body)
	}
}

func TestFailuresPerAddress(t *testing.T) {
	now := time.Unix(0, 0)
	l, err := NewLimiter(LimiterOptions{Burst: 3, Every: time.Minute, Keys: 100, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	h := door(t, AuthOptions{Basic: []Credential{{Username: "p", Secrets: hashes("s")}}, Failures: l})
	call := func(addr, secret string) int {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = addr
		if secret != "" {
			r.SetBasicAuth("p", secret)
		}
		return ask(ProfileProblem, h, r).StatusCode
	}
	var got []int
	for range 3 {
		got = append(got, call("192.0.2.1:1", ""), call("192.0.2.1:1", "wrong"))
	}
	got = append(got, call("192.0.2.1:2", "wrong"), call("192.0.2.1:2", "s"), call("192.0.2.2:1", "s"))
	now = now.Add(time.Minute)
	got = append(got, call("192.0.2.1:1", "s"))
	if want := []int{401, 401, 401, 401, 401, 401, 429, 429, 200, 200}; !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	for i := range 3 { // one /64, three addresses
		call(fmt.Sprintf("[2001:db8::%d]:1", i), "wrong")
	}
	if a, b := call("[2001:db8::ffff]:1", "s"), call("[2001:db8:0:1::1]:1", "s"); a != 429 || b != 200 {
		t.Errorf("same /64: %d, another: %d", a, b)
	}
}

func TestLimiter(t *testing.T) {
	now := time.Unix(0, 0)
	l, err := NewLimiter(LimiterOptions{Burst: 2, Every: 10 * time.Second, Keys: 50, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []time.Duration{0, 0, 10 * time.Second, 10 * time.Second} {
		if got := l.Take("a"); got != want {
			t.Errorf("take %d: wait %v, want %v", i, got, want)
		}
	}
	now = now.Add(4 * time.Second)
	if got := l.Wait("a"); got != 6*time.Second {
		t.Errorf("wait %v, want 6s", got)
	}
	now = now.Add(6 * time.Second)
	if l.Take("a") != 0 || l.Take("a") == 0 {
		t.Error("one use came back, not two")
	}
	for i := range 10_000 {
		l.Take(fmt.Sprint(i))
	}
	if n := l.Keys(); n != 50 {
		t.Errorf("%d keys remembered, room is for 50", n)
	}
	now = now.Add(time.Hour)
	for range 10 {
		l.Wait("z")
	}
	if n := l.Keys(); n != 0 {
		t.Errorf("%d keys remembered after their rest", n)
	}
	if _, err := NewLimiter(LimiterOptions{Burst: 0, Every: 1, Keys: 1, Now: time.Now}); err == nil {
		t.Error("a limiter that allows nothing was made")
	}
}

func TestSameOrigin(t *testing.T) {
	ok := SameOrigin("console.example:8081")(Endpoint(func(w http.ResponseWriter, _ *http.Request) error { NoContent(w); return nil }))
	for name, tc := range map[string]struct {
		method, host, origin, site, mode string
		status                           int
	}{
		"no browser":             {"POST", "anything.example", "", "", "", 204},
		"same host":              {"POST", "console.example:8081", "https://console.example:8081", "same-origin", "cors", 204},
		"usual port left out":    {"POST", "console.example:443", "https://console.example", "", "", 204},
		"loopback":               {"POST", "127.0.0.1:8081", "http://127.0.0.1:8081", "", "", 204},
		"IPv6 loopback":          {"POST", "[::1]:8081", "http://[::1]:8081", "", "", 204},
		"localhost":              {"POST", "localhost:8081", "http://LOCALHOST:8081", "", "", 204},
		"other port":             {"POST", "127.0.0.1:8081", "http://127.0.0.1:9100", "same-site", "cors", 403},
		"other site":             {"POST", "console.example:8081", "https://evil.example", "cross-site", "cors", 403},
		"null origin":            {"POST", "127.0.0.1:8081", "null", "", "", 403},
		"rebound name":           {"POST", "evil.example:8081", "http://evil.example:8081", "same-origin", "cors", 403},
		"rebound name, GET":      {"GET", "evil.example:8081", "", "same-origin", "cors", 403},
		"other scheme":           {"POST", "127.0.0.1", "file://127.0.0.1", "", "", 403},
		"link followed":          {"GET", "127.0.0.1:8081", "", "cross-site", "navigate", 204},
		"address typed in":       {"GET", "127.0.0.1:8081", "", "none", "navigate", 204},
		"image of a stranger":    {"GET", "127.0.0.1:8081", "", "cross-site", "no-cors", 403},
		"form without an origin": {"POST", "127.0.0.1:8081", "", "cross-site", "navigate", 403},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(tc.method, "/", nil)
			r.Host = tc.host
			for header, value := range map[string]string{"Origin": tc.origin, "Sec-Fetch-Site": tc.site, "Sec-Fetch-Mode": tc.mode} {
				if value != "" {
					r.Header.Set(header, value)
				}
			}
			if res := ask(ProfileProblem, ok, r); res.StatusCode != tc.status {
				t.Errorf("%d, want %d", res.StatusCode, tc.status)
			}
		})
	}
}

func TestAllows(t *testing.T) {
	c := Caller{Tenants: []string{"acme"}, Scopes: []string{"users:read", "events"}}
	all := Caller{Tenants: []string{EveryTenant}, Scopes: []string{"users"}}
	for name, tc := range map[string]struct{ got, want bool }{
		"the very scope":   {c.Allows("users:read", "acme"), true},
		"another scope":    {c.Allows("users:delete", "acme"), false},
		"the whole family": {c.Allows("users", "acme"), false},
		"part of a family": {c.Allows("events:read", "acme"), true},
		"another tenant":   {c.Allows("events", "beta"), false},
		"every tenant":     {all.Allows("users:mail", "beta"), true},
		"nobody":           {Caller{}.Allows("users", ""), false},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: %v", name, tc.got)
		}
	}
}
