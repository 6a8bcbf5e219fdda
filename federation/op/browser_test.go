package op_test

import (
	"context"
	"crypto/tls"
	"maps"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// browser keeps cookies and follows redirects, as far as this machine.
type browser struct {
	t    testing.TB
	h    *house
	jar  *cookiejar.Jar
	http *http.Client
}

// landing is where a browser came to: a page of ours, or an address of a
// relying party.
type landing struct {
	url    *url.URL
	away   bool // the address is a relying party's, and was not visited
	status int
	header http.Header
	page   string
	hops   []string
}

// client reaches every host at our listener, but for those of this machine.
func (h *house) client() *http.Client {
	var d net.Dialer
	tr := &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if host, _, err := net.SplitHostPort(addr); err == nil && host == soloHost {
				addr = h.addr()
			}
			return d.DialContext(ctx, network, addr)
		},
	}
	h.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func (h *house) browser() *browser {
	h.t.Helper()
	jar, err := cookiejar.New(nil)
	must(h.t, err)
	b := &browser{t: h.t, h: h, jar: jar, http: h.client()}
	b.http.Jar = jar
	return b
}

// reachable says whether an address is of this machine.
func (h *house) reachable(u *url.URL) bool {
	hosts := []string{h.addr(), soloHost + ":" + h.Listener.Addr().(*net.TCPAddr).AddrPort().String()[len("127.0.0.1:"):]}
	for _, p := range []string{h.corp.URL, h.partnerURL()} {
		if parsed, err := url.Parse(p); err == nil {
			hosts = append(hosts, parsed.Host)
		}
	}
	return slices.Contains(hosts, u.Host)
}

func (h *house) partnerURL() string {
	if h.partner == nil {
		return h.corp.URL
	}
	return h.partner.URL
}

// get visits an address and follows where it leads.
func (b *browser) get(address string) landing {
	b.t.Helper()
	r := b.request(http.MethodGet, address, nil)
	if !b.h.reachable(r.URL) {
		return landing{url: r.URL, away: true}
	}
	return b.walk(r)
}

// post sends a form and follows where it leads.
func (b *browser) post(address string, form url.Values) landing {
	b.t.Helper()
	return b.walk(b.request(http.MethodPost, address, form))
}

func (b *browser) request(method, address string, form url.Values) *http.Request {
	b.t.Helper()
	var r *http.Request
	var err error
	if form != nil {
		r, err = http.NewRequestWithContext(b.t.Context(), method, address, strings.NewReader(form.Encode()))
		if err == nil {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
	} else {
		r, err = http.NewRequestWithContext(b.t.Context(), method, address, http.NoBody)
	}
	must(b.t, err)
	r.Header.Set("User-Agent", "Test/1.0")
	r.Header.Set("Accept-Language", "nl-NL,nl;q=0.9")
	return r
}

// step sends one request and answers where it leads, without following.
func (b *browser) step(r *http.Request) landing {
	b.t.Helper()
	res, err := b.http.Do(r)
	must(b.t, err)
	l := landing{url: r.URL, status: res.StatusCode, header: res.Header, page: body(b.t, res)}
	if to := res.Header.Get("Location"); to != "" {
		l.url, err = r.URL.Parse(to)
		must(b.t, err)
	}
	return l
}

func (b *browser) walk(r *http.Request) landing {
	b.t.Helper()
	var hops []string
	for range 12 {
		l := b.step(r)
		l.hops = append(hops, l.url.String())
		hops = l.hops
		if l.header.Get("Location") == "" {
			return l
		}
		if l.away = !b.h.reachable(l.url); l.away {
			return l
		}
		if l.status != http.StatusFound && l.status != http.StatusSeeOther {
			b.t.Fatalf("redirected with %d", l.status)
		}
		r = b.request(http.MethodGet, l.url.String(), nil)
	}
	b.t.Fatalf("too many redirects: %q", hops)
	return landing{}
}

// element finds the element with an id on a page.
func (l landing) element(t testing.TB, id string) *html.Node {
	t.Helper()
	if found := l.find(t, id); found != nil {
		return found
	}
	t.Fatalf("no element %q at %s (%d):\n%s", id, l.url, l.status, l.main())
	return nil
}

func (l landing) find(t testing.TB, id string) *html.Node {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(l.page))
	must(t, err)
	for n := range doc.Descendants() {
		if n.Type == html.ElementNode && attr(n, "id") == id {
			return n
		}
	}
	return nil
}

// main is a page without its head, for messages.
func (l landing) main() string {
	if _, after, found := strings.Cut(l.page, "</head>"); found {
		return after
	}
	return l.page
}

// shows fails unless the page has an element with the id.
func (l landing) shows(t testing.TB, id string, status int) landing {
	t.Helper()
	l.element(t, id)
	if l.status != status {
		t.Fatalf("status %d, want %d", l.status, status)
	}
	return l
}

// text is what an element says.
func (l landing) text(t testing.TB, id string) string {
	t.Helper()
	var words strings.Builder
	for n := range l.element(t, id).Descendants() {
		if n.Type == html.TextNode {
			words.WriteString(n.Data)
		}
	}
	return strings.TrimSpace(words.String())
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// click follows a link.
func (b *browser) click(l landing, id string) landing {
	b.t.Helper()
	to, err := l.url.Parse(attr(l.element(b.t, id), "href"))
	must(b.t, err)
	return b.get(to.String())
}

// press sends the form that a button is in.
func (b *browser) press(l landing, id string) landing {
	b.t.Helper()
	to, form := l.form(b.t, id)
	return b.post(to, form)
}

// form is what pressing a button would send.
func (l landing) form(t testing.TB, id string) (string, url.Values) {
	t.Helper()
	button := l.element(t, id)
	form := button.Parent
	for form != nil && form.Data != "form" {
		form = form.Parent
	}
	if form == nil || attr(form, "method") != "post" {
		t.Fatalf("%q is in no form that is posted", id)
	}
	to, err := l.url.Parse(attr(form, "action"))
	must(t, err)
	values := url.Values{attr(button, "name"): {attr(button, "value")}}
	for n := range form.Descendants() {
		if n.Type == html.ElementNode && n.Data == "input" {
			values.Set(attr(n, "name"), attr(n, "value"))
		}
	}
	return to.String(), values
}

// cookies are those that the browser would send to an address.
func (b *browser) cookies(address string) map[string]string {
	u, err := url.Parse(address)
	must(b.t, err)
	all := map[string]string{}
	for _, c := range b.jar.Cookies(u) {
		all[c.Name] = c.Value
	}
	return all
}

// session is the session cookie of a tenant, empty without one.
func (b *browser) session(tenant string) string {
	name := "drawbridge-" + tenant
	if b.h.tls {
		name = "__Host-" + name
	}
	return b.cookies(b.h.issuer(tenant))[name]
}

// transactions are the names of the open ones of a tenant.
func (b *browser) transactions(tenant string) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(b.cookies(b.h.issuer(tenant)))), func(name string) bool {
		return !strings.HasPrefix(strings.TrimPrefix(name, "__Host-"), "drawbridge-"+tenant+".tx.")
	})
}

// set puts a cookie into the browser.
func (b *browser) set(address, name, value string) {
	u, err := url.Parse(address)
	must(b.t, err)
	b.jar.SetCookies(u, []*http.Cookie{{Name: name, Value: value, Path: "/"}})
}
