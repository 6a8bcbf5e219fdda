package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// screen is what the demo writes to.
type screen struct {
	mu    sync.Mutex
	text  strings.Builder
	wrote chan struct{}
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() {
		select {
		case s.wrote <- struct{}{}:
		default:
		}
	}()
	return s.text.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// standIn is a management API that knows nobody, in Drawbridge's place.
func standIn(t *testing.T) *Running {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != platformUser || password == "" {
			writeJSON(w, http.StatusUnauthorized, map[string]string{"error_code": "unauthenticated"})
			return
		}
		writeJSON(w, http.StatusNotFound, map[string]string{"error_code": "user_not_found", "path": r.URL.RequestURI()})
	}))
	t.Cleanup(server.Close)
	return &Running{PublicURL: server.URL, ManagementURL: server.URL, Done: make(chan struct{}), Stop: func(context.Context) error { return nil }}
}

// shown runs an interactive demo until the test ends and returns its address.
func shown(t *testing.T, o Options) string {
	t.Helper()
	out := &screen{wrote: make(chan struct{}, 1)}
	o.Out = out
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, o) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the demo ended with %v", err)
		}
	})
	<-out.wrote
	found := regexp.MustCompile(`open (http://127\.0\.0\.1:\d+/)\n`).FindStringSubmatch(out.String())
	if found == nil {
		t.Fatalf("no address in %q", out)
	}
	return found[1]
}

func TestEveryPageIsServedAndFetchesNothingFromElsewhere(t *testing.T) {
	running := standIn(t)
	at := shown(t, Options{Start: func(context.Context, Launch) (*Running, error) { return running, nil }})
	guest, err := newVisitor()
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"", "users", "webhooks", "mail", "audit", "configuration"} {
		page, err := guest.get(t.Context(), at+path)
		if err != nil || page.status != http.StatusOK {
			t.Fatalf("/%s: %d, %v", path, page.status, err)
		}
		for n := range page.root.Descendants() {
			for _, name := range []string{"src", "style", "onclick"} {
				if value := attribute(n, name); value != "" && value != "/icon.svg" {
					t.Errorf("/%s: <%s %s=%q>", path, n.Data, name, value)
				}
			}
			if href := attribute(n, "href"); n.Data == "link" && href != "/icon.svg" {
				t.Errorf("/%s links to %s", path, href)
			}
		}
	}
	res, err := guest.client.Get(at)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	policy := res.Header.Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"} {
		if !strings.Contains(policy, part) {
			t.Errorf("the policy lacks %s: %s", part, policy)
		}
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") {
		t.Errorf("the policy is loose: %s", policy)
	}
}

func TestACallShowsRequestAndAnswer(t *testing.T) {
	running := standIn(t)
	at := shown(t, Options{Start: func(context.Context, Launch) (*Running, error) { return running, nil }})
	guest, err := newVisitor()
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range operations() {
		page, err := guest.get(t.Context(), at+"users?id=corp%7Cx%2Fy&email=a%2Bb@c.example&customer=C-1")
		if err != nil {
			t.Fatal(err)
		}
		page, err = guest.press(t.Context(), page, "op-"+o.ID)
		if err != nil {
			t.Fatal(err)
		}
		text := string(page.body)
		if !strings.Contains(text, "404 Not Found") || !strings.Contains(text, "user_not_found") || !strings.Contains(text, "<b>"+o.Title+"</b>") {
			t.Errorf("%s: the page does not show the call", o.ID)
		}
		if strings.Contains(text, `value="corp|x/y"`) != true {
			t.Errorf("%s: the page forgot whom it was about", o.ID)
		}
	}
}

func TestTheDemoIsNoPlaceForStrangers(t *testing.T) {
	running := standIn(t)
	at := shown(t, Options{Start: func(context.Context, Launch) (*Running, error) { return running, nil }})
	send := func(method, path string, change func(*http.Request)) int {
		req, err := http.NewRequestWithContext(t.Context(), method, at+path, strings.NewReader("op=delete&id=x"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		change(req)
		res, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		return res.StatusCode
	}
	for _, c := range []struct {
		name, method, path string
		change             func(*http.Request)
		want               int
	}{
		{"another name", http.MethodGet, "", func(r *http.Request) { r.Host = "evil.example" }, http.StatusMisdirectedRequest},
		{"another site's form", http.MethodPost, "users", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, http.StatusForbidden},
		{"another origin's form", http.MethodPost, "users", func(r *http.Request) { r.Header.Set("Origin", "http://127.0.0.1:1") }, http.StatusForbidden},
		{"its own form", http.MethodPost, "users", func(r *http.Request) { r.Header.Set("Origin", strings.TrimSuffix(at, "/")) }, http.StatusSeeOther},
		{"no such operation", http.MethodPost, "users?x", func(r *http.Request) { r.Body = http.NoBody; r.ContentLength = 0 }, http.StatusBadRequest},
		{"an answer to nothing", http.MethodGet, "callback?code=x&state=", func(*http.Request) {}, http.StatusSeeOther},
	} {
		if got := send(c.method, c.path, c.change); got != c.want {
			t.Errorf("%s: %d, not %d", c.name, got, c.want)
		}
	}
}

func TestNothingIsLeftBehind(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	left := func() []string {
		found, err := filepath.Glob(filepath.Join(os.TempDir(), "drawbridge-demo-*"))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	broken := errors.New("it rained")
	var at places
	err := Run(t.Context(), Options{Out: &screen{}, Start: func(_ context.Context, l Launch) (*Running, error) {
		if len(left()) != 1 {
			t.Errorf("the store's folder is %v", left())
		}
		at.Shop = regexp.MustCompile(`redirect_uris: \[(.*)/callback\]`).FindStringSubmatch(string(l.Config))[1]
		return nil, broken
	}})
	if !errors.Is(err, broken) {
		t.Errorf("ended with %v", err)
	}
	if len(left()) != 0 {
		t.Errorf("left behind: %v", left())
	}
	if _, err := http.Get(at.Shop + "/"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("the port is still taken: %v", err)
	}
}

func TestATakenPortIsTriedAgain(t *testing.T) {
	tries := map[string]bool{}
	running := standIn(t)
	at := shown(t, Options{Start: func(_ context.Context, l Launch) (*Running, error) {
		tries[regexp.MustCompile(`issuer: (.*)`).FindString(string(l.Config))] = true
		if len(tries) < 3 {
			return nil, fmt.Errorf("listen: %w", syscall.EADDRINUSE)
		}
		return running, nil
	}})
	if len(tries) != 3 {
		t.Errorf("%d tries before %s", len(tries), at)
	}
}

func TestADrawbridgeThatEndsByItselfEndsTheDemo(t *testing.T) {
	running := standIn(t)
	done := make(chan struct{})
	close(done)
	running.Done = done
	err := Run(t.Context(), Options{Out: &screen{}, Start: func(context.Context, Launch) (*Running, error) { return running, nil }})
	if err == nil {
		t.Error("the demo went on without Drawbridge")
	}
}

func TestAJourneyThatFailsIsAnError(t *testing.T) {
	out := &screen{}
	ctx, stop := context.WithCancel(t.Context())
	running := standIn(t)
	running.Stop = func(context.Context) error { return nil }
	stop() // nothing is ready and nothing will be
	err := Run(ctx, Options{Out: out, Once: true, Start: func(context.Context, Launch) (*Running, error) { return running, nil }})
	if !errors.Is(err, ErrJourney) || !strings.Contains(out.String(), "FAIL  Drawbridge is ready") {
		t.Errorf("ended with %v after\n%s", err, out)
	}
}
