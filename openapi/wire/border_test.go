package wire

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// ask serves one request through a listener that speaks a dialect.
func ask(p Profile, h http.Handler, r *http.Request) *http.Response {
	w := httptest.NewRecorder()
	Speak(p)(h).ServeHTTP(w, r)
	return w.Result()
}

// known is the request as an ingress passes it on.
func known(r *http.Request, id string, from netip.Addr) *http.Request {
	return r.WithContext(WithRequestInfo(r.Context(), &RequestInfo{ID: id, Addr: from}))
}

func bodyOf(t *testing.T, res *http.Response) (map[string]any, string) {
	t.Helper()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var body map[string]any
	if err := json.Unmarshal(raw, &body); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	return body, string(raw)
}

func TestDialects(t *testing.T) {
	fail := Endpoint(func(http.ResponseWriter, *http.Request) error {
		return NotFound("user_not_found", "User not found").Because(errors.New("ldap://secret"))
	})
	bad := Endpoint(func(http.ResponseWriter, *http.Request) error { return Malformed("malformed_id", "Too long.").In("id") })
	for name, tc := range map[string]struct {
		profile     Profile
		accept      string
		h           http.Handler
		media, body string
	}{
		"problem": {"", "", fail, mediaProblem,
			`{"type":"urn:bridge:error:user_not_found","title":"User not found","status":404,"instance":"urn:request:r1","error_code":"2001","error_message":"User not found","message":"User not found","details":[]}`},
		"problem, malformed": {ProfileProblem, "application/json", bad, mediaProblem,
			`{"type":"urn:bridge:error:malformed_id","title":"Malformed request","status":400,"detail":"Too long.","instance":"urn:request:r1","error_code":"1041","error_message":"The request received by the server was invalid or malformed","message":"Malformed request: Too long.","details":[{"@type":"type.googleapis.com/google.rpc.BadRequest","field_violations":[{"field":"id","description":"Too long."}]}]}`},
		"onegini":  {ProfileOnegini, "application/json", fail, mediaJSON, `{"error_code":"2001","error_message":"User not found"}`},
		"enpowerx": {ProfileEnpowerx, "*/*", fail, mediaJSON, `{"message":"User not found","details":[]}`},
		"refined": {ProfileOnegini, "application/problem+json, application/json;q=0.9", fail, mediaProblem,
			`{"type":"urn:bridge:error:user_not_found","title":"User not found","status":404,"instance":"urn:request:r1","error_code":"2001","error_message":"User not found","message":"User not found","details":[]}`},
		"not refined": {ProfileOnegini, "application/problem+json;q=0.9, application/json", fail, mediaJSON, `{"error_code":"2001","error_message":"User not found"}`},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			if tc.accept != "" {
				r.Header.Set("Accept", tc.accept)
			}
			res := ask(tc.profile, tc.h, known(r, "r1", netip.Addr{}))
			_, raw := bodyOf(t, res)
			if got := res.Header.Get("Content-Type"); got != tc.media+";charset=UTF-8" {
				t.Errorf("media type %q", got)
			}
			if strings.TrimSpace(raw) != tc.body {
				t.Errorf("got  %s\nwant %s", raw, tc.body)
			}
			for name, want := range map[string]string{
				"Cache-Control": "no-store", "Pragma": "no-cache", "X-Content-Type-Options": "nosniff", "Vary": "Accept",
			} {
				if got := res.Header.Get(name); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
		})
	}
}

func TestParseProfile(t *testing.T) {
	for name, want := range map[string]Profile{"": ProfileProblem, "problem": ProfileProblem, "onegini": ProfileOnegini, "enpowerx": ProfileEnpowerx} {
		if got, err := ParseProfile(name); got != want || err != nil {
			t.Errorf("%q: %q, %v", name, got, err)
		}
	}
	if _, err := ParseProfile("soap"); err == nil {
		t.Error("soap is no profile")
	}
}

func TestAccept(t *testing.T) {
	ok := Endpoint(func(w http.ResponseWriter, _ *http.Request) error {
		return WriteJSON(w, 200, map[string]string{"a": "<ü>"})
	})
	for accept, status := range map[string]int{
		"": 200, "*/*": 200, "application/*": 200, "application/json": 200, "text/html, application/json;q=0.1": 200, "text/html, *; q=.2, */*; q=.2": 200,
		"text/html": 406, "application/json;q=0": 406, "application/json;q=0, */*": 406, "application/problem+json": 406, "nonsense": 406,
		"application/json;q=2": 406,
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		if accept != "" {
			r.Header.Set("Accept", accept)
		}
		res := ask(ProfileProblem, ok, r)
		if res.StatusCode != status {
			t.Errorf("Accept %q: %d, want %d", accept, res.StatusCode, status)
		}
		if _, raw := bodyOf(t, res); status == 200 && raw != `{"a":"<ü>"}`+"\n" {
			t.Errorf("body %q", raw)
		}
	}
}

func TestPublicTellsNothingInternal(t *testing.T) {
	r := known(httptest.NewRequest(http.MethodGet, "/", nil), "r1", netip.Addr{})
	cause := errors.New("pq: password of 10.0.0.7 expired")
	res := ask("", Endpoint(func(http.ResponseWriter, *http.Request) error { return cause }), r)
	_, raw := bodyOf(t, res)
	if res.StatusCode != 500 || strings.Contains(raw, "10.0.0.7") {
		t.Errorf("%d %s", res.StatusCode, raw)
	}
	notes := RequestInfoFrom(r.Context()).Notes()
	if len(notes) != 1 || !strings.Contains(notes[0].String(), "10.0.0.7") {
		t.Errorf("the log line lost the cause: %v", notes)
	}
}

func TestSpeakNamesTheRequest(t *testing.T) {
	res := ask("", Endpoint(func(http.ResponseWriter, *http.Request) error { return Internal() }), httptest.NewRequest(http.MethodGet, "/", nil))
	body, _ := bodyOf(t, res)
	if id := res.Header.Get("X-Request-Id"); id == "" || body["instance"] != "urn:request:"+id {
		t.Errorf("X-Request-Id %q, body %v", id, body)
	}
}

func TestPublicKnowsCommonErrors(t *testing.T) {
	unencodable := Endpoint(func(w http.ResponseWriter, _ *http.Request) error { return WriteJSON(w, 200, func() {}) })
	cut := Endpoint(func(_ http.ResponseWriter, r *http.Request) error { return r.Context().Err() })
	large := Endpoint(func(w http.ResponseWriter, r *http.Request) error {
		_, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 2))
		return err
	})
	gone := httptest.NewRequest(http.MethodGet, "/", nil)
	ctx, cancel := contextThatEnds(gone)
	cancel()
	for name, tc := range map[string]struct {
		h      http.Handler
		r      *http.Request
		status int
	}{
		"cannot be encoded": {unencodable, httptest.NewRequest(http.MethodGet, "/", nil), 500},
		"caller has gone":   {cut, ctx, 503},
		"body above bound":  {large, httptest.NewRequest(http.MethodPost, "/", strings.NewReader("four")), 413},
	} {
		if res := ask(ProfileProblem, tc.h, tc.r); res.StatusCode != tc.status {
			t.Errorf("%s: %d, want %d", name, res.StatusCode, tc.status)
		}
	}
}

func TestRetryAfterIsRoundedUp(t *testing.T) {
	h := Endpoint(func(http.ResponseWriter, *http.Request) error { return TooMany(1200 * time.Millisecond) })
	res := ask(ProfileProblem, h, httptest.NewRequest(http.MethodGet, "/", nil))
	if got := res.Header.Get("Retry-After"); res.StatusCode != 429 || got != "2" {
		t.Errorf("%d, Retry-After %q", res.StatusCode, got)
	}
}

func TestHeadersTooLarge(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("X-Long", strings.Repeat("x", 33<<10))
	h := Endpoint(func(w http.ResponseWriter, _ *http.Request) error { NoContent(w); return nil })
	res := ask(ProfileProblem, h, r)
	if body, _ := bodyOf(t, res); res.StatusCode != 431 || body["error_code"] != "1041" {
		t.Errorf("%d %v", res.StatusCode, body)
	}
	r.Header.Set("X-Long", strings.Repeat("x", 31<<10))
	if res := ask(ProfileProblem, h, r); res.StatusCode != 204 {
		t.Errorf("31 KiB of headers: %d", res.StatusCode)
	}
}

func TestDrain(t *testing.T) {
	var d Drain
	h := d.Handler(Endpoint(func(w http.ResponseWriter, _ *http.Request) error { NoContent(w); return nil }))
	if res := ask(ProfileProblem, h, httptest.NewRequest(http.MethodGet, "/", nil)); res.StatusCode != 204 {
		t.Errorf("before: %d", res.StatusCode)
	}
	d.Begin()
	res := ask(ProfileProblem, h, httptest.NewRequest(http.MethodGet, "/", nil))
	if res.StatusCode != 503 || res.Header.Get("Connection") != "close" || res.Header.Get("Retry-After") == "" {
		t.Errorf("after: %d %v", res.StatusCode, res.Header)
	}
}

// What the border refuses is an audit line; who was let in is named.
func TestTheLogLineOfARequest(t *testing.T) {
	auth, err := Authenticate(AuthOptions{Basic: []Credential{{Username: "platform", Secrets: hashes("secret")}}})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		secret string
		err    error
		want   map[string]bool
	}{
		"wrong secret":   {"guess", nil, map[string]bool{"audit": true, "caller": false, "error": true}},
		"let in":         {"secret", nil, map[string]bool{"audit": false, "caller": true, "error": false}},
		"not allowed":    {"secret", Forbidden("no"), map[string]bool{"audit": true, "caller": true, "error": true}},
		"too often":      {"secret", TooMany(time.Second), map[string]bool{"audit": true, "caller": true, "error": true}},
		"merely missing": {"secret", NotFound("x_not_found", "X"), map[string]bool{"audit": false, "caller": true, "error": true}},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.SetBasicAuth("platform", c.secret)
		info := &RequestInfo{ID: "1"}
		h := Named("the route", auth(Endpoint(func(http.ResponseWriter, *http.Request) error { return c.err })))
		h.ServeHTTP(httptest.NewRecorder(), r.WithContext(WithRequestInfo(r.Context(), info)))
		got := map[string]bool{}
		for _, note := range info.Notes() {
			got[note.Key] = true
		}
		for key, want := range c.want {
			if got[key] != want {
				t.Errorf("%s: %s is there: %v", name, key, got[key])
			}
		}
		if info.Route() != "the route" {
			t.Errorf("%s: route %q", name, info.Route())
		}
	}
}
