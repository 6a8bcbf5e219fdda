//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"
)

// visitor is somebody at a browser without scripts: it keeps cookies, follows redirects and fills in forms.
type visitor struct {
	client *http.Client
}

// webpage is where a visitor has come to.
type webpage struct {
	url    *url.URL
	status int
	header http.Header
	body   string
}

func newVisitor(t *testing.T) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &visitor{client: &http.Client{Jar: loopbackJar{jar}, Timeout: patience}}
}

// loopbackJar sends secure cookies to this machine without TLS, as browsers do.
type loopbackJar struct{ http.CookieJar }

func (j loopbackJar) SetCookies(at *url.URL, cookies []*http.Cookie) {
	for _, c := range cookies {
		c.Secure = c.Secure && at.Hostname() != "127.0.0.1"
	}
	j.CookieJar.SetCookies(at, cookies)
}

// get goes to an address, redirects included.
func (v *visitor) get(t *testing.T, address string) webpage {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	return v.do(t, request)
}

// submit fills in the first form of a page and presses its first button, or the one whose value `values` has under the
// button's name. Fields that `values` does not name keep what the page put there.
func (v *visitor) submit(t *testing.T, from webpage, values map[string]string) webpage {
	t.Helper()
	request, err := fill(t.Context(), from, values)
	if err != nil {
		t.Fatal(err)
	}
	return v.do(t, request)
}

// fill is the request that submitting a page's first form makes.
func fill(ctx context.Context, from webpage, values map[string]string) (*http.Request, error) {
	filled, ok := firstForm(from.body, values)
	if !ok {
		return nil, fmt.Errorf("no form at %s (%d): %s", from.url, from.status, from.body)
	}
	action, err := from.url.Parse(filled.action)
	if err != nil {
		return nil, err
	}
	if filled.method != http.MethodPost {
		action.RawQuery = filled.fields.Encode()
		return http.NewRequestWithContext(ctx, http.MethodGet, action.String(), nil)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, action.String(), strings.NewReader(filled.fields.Encode()))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Origin", from.url.Scheme+"://"+from.url.Host)
	request.Header.Set("Referer", from.url.String())
	return request, nil
}

// walk goes to start and submits form after form until it comes to an address that begins with until, and returns that
// page. A page that answers 400 or more on the way fails the test.
func (v *visitor) walk(t *testing.T, start, until string, values map[string]string) webpage {
	t.Helper()
	at := v.get(t, start)
	for range 8 {
		if strings.HasPrefix(at.url.String(), until) {
			return at
		}
		if at.status >= http.StatusBadRequest {
			t.Fatalf("stopped at %s (%d): %s", at.url, at.status, at.body)
		}
		at = v.submit(t, at, values)
	}
	t.Fatalf("still at %s after 8 forms, want %s", at.url, until)
	return webpage{}
}

func (v *visitor) do(t *testing.T, request *http.Request) webpage {
	t.Helper()
	at, err := fetch(v.client, request)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// fetch makes a request and reads the whole answer.
func fetch(client *http.Client, request *http.Request) (webpage, error) {
	answer, err := client.Do(request)
	if err != nil {
		return webpage{}, fmt.Errorf("%s %s: %w", request.Method, request.URL.Redacted(), err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return webpage{}, fmt.Errorf("read %s: %w", answer.Request.URL, err)
	}
	return webpage{url: answer.Request.URL, status: answer.StatusCode, header: answer.Header, body: string(body)}, nil
}

// decode reads the page as JSON; a status other than want fails the test.
func (p webpage) decode(t *testing.T, want int, into any) {
	t.Helper()
	if p.status != want {
		t.Fatalf("%s answers %d, want %d: %s", p.url, p.status, want, p.body)
	}
	if err := json.Unmarshal([]byte(p.body), into); err != nil {
		t.Fatalf("%s is not JSON: %v: %s", p.url, err, p.body)
	}
}

// callJSON asks a program's control address and decodes its answer where into is not nil.
func callJSON(t *testing.T, method, address string, body, into any) {
	t.Helper()
	var sent io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		sent = strings.NewReader(string(encoded))
	}
	request, err := http.NewRequestWithContext(t.Context(), method, address, sent)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := (&http.Client{Timeout: 10 * time.Second}).Do(request)
	if err != nil {
		t.Fatalf("%s %s: %v", method, address, err)
	}
	defer answer.Body.Close()
	if answer.StatusCode > 299 {
		t.Fatalf("%s %s answers %s", method, address, answer.Status)
	}
	if into == nil {
		return
	}
	if err := json.NewDecoder(answer.Body).Decode(into); err != nil {
		t.Fatalf("%s %s: %v", method, address, err)
	}
}
