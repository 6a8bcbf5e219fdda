package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"

	"golang.org/x/net/html"
)

// visitor is a browser without a window: it keeps cookies, follows redirects
// and presses buttons.
type visitor struct{ client *http.Client }

func newVisitor() (*visitor, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, fmt.Errorf("make a cookie jar: %w", err)
	}
	client := newClient()
	client.Jar = jar
	return &visitor{client: client}, nil
}

// sheet is a page that was loaded.
type sheet struct {
	url    *url.URL
	status int
	body   []byte
	root   *html.Node
}

// get loads a page.
func (v *visitor) get(ctx context.Context, address string) (sheet, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return sheet{}, err
	}
	return v.load(req)
}

// press submits the form that the button with the id is in.
func (v *visitor) press(ctx context.Context, on sheet, id string) (sheet, error) {
	button := on.find(func(n *html.Node) bool { return n.Data == "button" && attribute(n, "id") == id })
	if button == nil {
		return sheet{}, fmt.Errorf("there is no button %q on %s (%d): %s", id, on.url.Path, on.status, on.title())
	}
	form := button.Parent
	for form != nil && form.Data != "form" {
		form = form.Parent
	}
	if form == nil {
		return sheet{}, fmt.Errorf("button %q is in no form", id)
	}
	target, err := on.url.Parse(attribute(form, "action"))
	if err != nil {
		return sheet{}, fmt.Errorf("read the form's action: %w", err)
	}
	filled := fields(form)
	if name := attribute(button, "name"); name != "" {
		filled.Set(name, attribute(button, "value"))
	}
	method, body := strings.ToUpper(attribute(form, "method")), io.Reader(nil)
	if method == http.MethodPost {
		body = strings.NewReader(filled.Encode())
	} else {
		method, target.RawQuery = http.MethodGet, filled.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, target.String(), body)
	if err != nil {
		return sheet{}, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", on.url.Scheme+"://"+on.url.Host)
	}
	return v.load(req)
}

func (v *visitor) load(req *http.Request) (sheet, error) {
	res, err := v.client.Do(req)
	if err != nil {
		return sheet{}, err
	}
	defer res.Body.Close()
	s := sheet{url: res.Request.URL, status: res.StatusCode}
	if s.body, err = io.ReadAll(io.LimitReader(res.Body, 1<<20)); err != nil {
		return sheet{}, fmt.Errorf("read %s: %w", s.url.Path, err)
	}
	if s.root, err = html.Parse(strings.NewReader(string(s.body))); err != nil {
		return sheet{}, fmt.Errorf("read %s: %w", s.url.Path, err)
	}
	if s.status >= http.StatusInternalServerError {
		return s, errors.New(s.url.Path + " answered " + res.Status)
	}
	return s, nil
}

// find is the first node that is wanted.
func (s sheet) find(wanted func(*html.Node) bool) *html.Node {
	for n := range s.root.Descendants() {
		if n.Type == html.ElementNode && wanted(n) {
			return n
		}
	}
	return nil
}

// title says what kind of page it is, for messages.
func (s sheet) title() string {
	n := s.find(func(n *html.Node) bool { return n.Data == "title" })
	if n == nil || n.FirstChild == nil {
		return "a page without a title"
	}
	return n.FirstChild.Data
}

// fields are a form's inputs as they stand.
func fields(form *html.Node) url.Values {
	filled := url.Values{}
	for n := range form.Descendants() {
		if n.Data == "input" && attribute(n, "name") != "" {
			filled.Add(attribute(n, "name"), attribute(n, "value"))
		}
	}
	return filled
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}
