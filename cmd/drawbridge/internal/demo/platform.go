package demo

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// platformUser is the caller's name at the management API.
const platformUser = "platform"

// platform is the caller of the management API: the seven operations of the
// Users contract, and one of the sessions API.
type platform struct {
	base, password string
	client         *http.Client
	now            func() time.Time
	calls          *journal[call]
}

// call is one call of the management API, as it went.
type call struct {
	Number int
	At     time.Time
	Took   time.Duration
	// Operation is what was called, in words.
	Operation string
	Method    string
	Path      string
	Body      string
	Status    int
	// Answer is the body, laid out for people.
	Answer string
	raw    []byte
}

// StatusText is the status as people read it.
func (c call) StatusText() string { return fmt.Sprintf("%d %s", c.Status, http.StatusText(c.Status)) }

// TookText is how long the call took.
func (c call) TookText() string { return fmt.Sprintf("%.1f ms", float64(c.Took.Microseconds())/1000) }

// Good says that the call did what it was for.
func (c call) Good() bool { return c.Status < 300 }

func newPlatform(base, password string, client *http.Client, now func() time.Time) *platform {
	return &platform{base: base, password: password, client: client, now: now, calls: newJournal[call](20)}
}

// operation is one operation of the Users contract.
type operation struct {
	ID, Title, Text string
	// By is what the operation is given: id, email or customer.
	By      string
	request func(value string) (method, path string, body any)
}

// operations are the seven of the contract, in its order.
func operations() []operation {
	get := func(name string) func(string) (string, string, any) {
		return func(value string) (string, string, any) {
			return http.MethodGet, "/v1/users?" + url.Values{name: {value}}.Encode(), nil
		}
	}
	user := func(method, more string) func(string) (string, string, any) {
		return func(value string) (string, string, any) {
			return method, "/v1/users/" + url.PathEscape(value) + more, nil
		}
	}
	return []operation{
		{"get-by-id", "Get by id", "The person's UUID, or upstream|subject.", "id", user(http.MethodGet, "")},
		{"get-by-email", "Get by e-mail", "Compared without regard to case.", "email", get("email")},
		{"get-by-customer", "Get by customer", "The customer number that the provider gave.", "customer", get("customer")},
		{"delete", "Delete", "Ends all of the person's sessions (DESTROY).", "id", user(http.MethodDelete, "")},
		{"mark-verified", "Mark e-mail verified", "Vouches for the address as it is now.", "id", user(http.MethodPut, "/email-verified")},
		{"verification-mail", "Send verification mail", "A link that is good once; 204 if already verified.", "id", user(http.MethodPost, "/verification-email")},
		{
			"reset-mail", "Send reset mail", "The same answer whether or not anybody has the address.", "email",
			func(value string) (string, string, any) {
				return http.MethodPost, "/v1/password-reset-emails", map[string]string{"email": value}
			},
		},
	}
}

func operationOf(id string) (operation, bool) {
	for _, o := range operations() {
		if o.ID == id {
			return o, true
		}
	}
	return operation{}, false
}

// do calls one operation of the Users contract.
func (p *platform) do(ctx context.Context, id, value string) (call, error) {
	o, ok := operationOf(id)
	if !ok {
		return call{}, fmt.Errorf("there is no operation %q", id)
	}
	method, path, body := o.request(value)
	return p.call(ctx, o.Title, method, path, body)
}

// endSession ends a session, whosever it is.
func (p *platform) endSession(ctx context.Context, sid string) (call, error) {
	return p.call(ctx, "End session", http.MethodDelete, "/v1/sessions/"+url.PathEscape(sid), nil)
}

func (p *platform) call(ctx context.Context, title, method, path string, body any) (call, error) {
	c := call{At: p.now(), Operation: title, Method: method, Path: path}
	var sent io.Reader
	if body != nil {
		c.Body = compact(body)
		sent = bytes.NewReader([]byte(c.Body))
	}
	req, err := http.NewRequestWithContext(ctx, method, p.base+path, sent)
	if err != nil {
		return c, fmt.Errorf("call %s: %w", path, err)
	}
	req.SetBasicAuth(platformUser, p.password)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := p.client.Do(req)
	if err != nil {
		return c, fmt.Errorf("call %s: %w", path, err)
	}
	defer res.Body.Close()
	if c.raw, err = io.ReadAll(io.LimitReader(res.Body, maxBody)); err != nil {
		return c, fmt.Errorf("read the answer of %s: %w", path, err)
	}
	c.Status, c.Answer, c.Took = res.StatusCode, indent(c.raw), p.now().Sub(c.At)
	return p.calls.add(func(n int) call {
		c.Number = n
		return c
	}), nil
}
