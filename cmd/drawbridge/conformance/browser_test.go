package conformance

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// browser is a user who signs in and agrees to whatever is asked.
type browser struct {
	t     testing.TB
	http  *http.Client
	party string
	// stop is the beginning of an address that is not visited.
	stop string
	// seen are the addresses that it came to.
	seen []string
}

// landing is where a browser came to.
type landing struct {
	url    *url.URL
	status int
	header http.Header
	page   *html.Node
	// visit is what the relying party saw, if it is there.
	visit *visit
}

func (s *suite) browser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &browser{t: t, party: s.party.URL + "/", http: s.http(t)}
	b.http.Jar = jar
	return b
}

func (b *browser) get(address string) landing {
	b.t.Helper()
	return b.walk(http.MethodGet, address, nil)
}

func (b *browser) post(address string, form url.Values) landing {
	b.t.Helper()
	return b.walk(http.MethodPost, address, form)
}

// walk goes on until there is nothing more to follow, to post or to agree to.
func (b *browser) walk(method, address string, form url.Values) landing {
	b.t.Helper()
	for range 20 {
		l := b.step(method, address, form)
		b.seen = append(b.seen, address)
		if l.visit != nil {
			return l
		}
		if to := l.header.Get("Location"); to != "" {
			next, err := l.url.Parse(to)
			if err != nil || l.status != http.StatusFound && l.status != http.StatusSeeOther {
				b.t.Fatalf("%d to %q: %v", l.status, to, err)
			}
			if method, address, form = http.MethodGet, next.String(), nil; b.stop != "" && strings.HasPrefix(address, b.stop) {
				l.url = next
				return l
			}
			continue
		}
		button := ""
		for page, id := range map[string]string{"consent": "allow", "form-post": "continue"} {
			if l.has(page) {
				button = id
			}
		}
		if button == "" {
			return l
		}
		method = http.MethodPost
		address, form = l.form(b.t, button)
	}
	b.t.Fatalf("it goes on and on: %q", b.seen)
	return landing{}
}

// step sends one request.
func (b *browser) step(method, address string, form url.Values) landing {
	b.t.Helper()
	var body io.Reader = http.NoBody
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(b.t.Context(), method, address, body)
	if err != nil {
		b.t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := b.http.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	l := landing{url: req.URL, status: res.StatusCode, header: res.Header}
	if strings.HasPrefix(address, b.party) {
		l.visit = &visit{}
		err = json.NewDecoder(res.Body).Decode(l.visit)
	} else {
		l.page, err = html.Parse(res.Body)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return l
}

// press sends the form that a button is in.
func (b *browser) press(l landing, id string) landing {
	b.t.Helper()
	to, form := l.form(b.t, id)
	return b.post(to, form)
}

func (l landing) find(id string) *html.Node {
	if l.page == nil {
		return nil
	}
	for n := range l.page.Descendants() {
		if n.Type == html.ElementNode && attr(n, "id") == id {
			return n
		}
	}
	return nil
}

func (l landing) has(id string) bool { return l.find(id) != nil }

// form is where pressing a button would post what.
func (l landing) form(t testing.TB, id string) (string, url.Values) {
	t.Helper()
	button := l.find(id)
	form := button
	for form != nil && form.Data != "form" {
		form = form.Parent
	}
	if form == nil || attr(form, "method") != "post" {
		t.Fatalf("no form with %q at %s", id, l.url)
	}
	to, err := l.url.Parse(attr(form, "action"))
	if err != nil {
		t.Fatal(err)
	}
	values := url.Values{}
	if name := attr(button, "name"); name != "" {
		values.Set(name, attr(button, "value"))
	}
	for n := range form.Descendants() {
		if n.Type == html.ElementNode && n.Data == "input" {
			values.Set(attr(n, "name"), attr(n, "value"))
		}
	}
	return to.String(), values
}

// frames are the addresses that a page loads.
func (l landing) frames() (all []string) {
	for n := range l.page.Descendants() {
		if n.Type == html.ElementNode && n.Data == "iframe" {
			all = append(all, attr(n, "src"))
		}
	}
	return all
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}
