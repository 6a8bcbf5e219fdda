package delivery_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/sessionhooks"
	"github.com/drawbridge-id/drawbridge/sessionhooks/delivery"
)

// receivers that are real, and how the sender sees them.

const hookTimeout = 250 * time.Millisecond

func compile(t *testing.T, w sessionhooks.Webhook) *sessionhooks.Compiled {
	t.Helper()
	c, problems := sessionhooks.Compile(w, []string{"team"})
	if c == nil {
		t.Fatal(problems)
	}
	return c
}

// post is a house whose worker sends session webhooks. Finished hears the
// verdict of each attempt, once it is recorded.
type post struct {
	*house
	mu       sync.Mutex
	webhooks map[string]*sessionhooks.Compiled
	missing  map[string]int
	attempts chan string
}

func newPost(t *testing.T, client *http.Client, schedule delivery.Schedule, with ...func(*delivery.WebhookOptions)) *post {
	p := &post{house: newHouse(t), webhooks: map[string]*sessionhooks.Compiled{}, missing: map[string]int{}, attempts: make(chan string, 1000)}
	o := delivery.WebhookOptions{Webhook: p.webhook, Log: p.log, Client: client, Now: time.Now, Observe: delivery.Observer{
		Missing: func(hook, name string) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.missing[hook+" "+name]++
		},
	}}
	for _, f := range with {
		f(&o)
	}
	p.worker(nil, func(w *delivery.Options) {
		w.Senders = map[string]delivery.Sender{delivery.SessionWebhooks: delivery.NewWebhookSender(o)}
		w.Schedule, w.Timeout, w.Now = schedule, hookTimeout, time.Now
		w.Observe = delivery.Observer{Attempt: func(sender, reason string) { p.attempts <- sender + " " + reason }}
	})
	return p
}

func (p *post) webhook(tenant, id string) (*sessionhooks.Compiled, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c, ok := p.webhooks[tenant+" "+id]
	return c, ok
}

func (p *post) configure(w sessionhooks.Webhook) {
	p.Helper()
	c := compile(p.T, w)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.webhooks["default "+w.ID] = c
}

// end is a session that ends: its event and one delivery. Values are those of
// the event's data, nil for data without.
func (p *post) end(hook string, values *sessionhooks.Values) (id string, e sessionhooks.Event) {
	p.Helper()
	e = sessionhooks.Event{ID: sessionhooks.NewID(), Stream: sessionhooks.StreamSession, Type: sessionhooks.SessionEnded, Tenant: "default",
		Aggregate: "person", Occurred: time.Now(), Detected: time.Now(), Data: raw(map[string]any{"Values": values, "Cause": "LOGOUT"})}
	ops, id := p.job(hook, func(j *delivery.Job) { j.Sender, j.Event, j.About = delivery.SessionWebhooks, e.ID, "sid" })
	p.commit(append(ops, p.log.Append(p.at, e)...)...)
	return id, e
}

// await waits for attempts and returns the job as it then is.
func (p *post) await(id string, attempts int) delivery.Job {
	p.Helper()
	for range attempts {
		select {
		case <-p.attempts:
		case <-p.Context().Done():
			p.Fatal("the test ended")
		}
	}
	j, err := p.queue.Get(context.Background(), p.at, delivery.SessionWebhooks, id)
	if err != nil {
		p.Fatal(err)
	}
	return j
}

func values(custom map[string]string) *sessionhooks.Values {
	v := sessionhooks.NewValues(map[sessionhooks.Property]string{
		sessionhooks.PropertyUserID: "bjensen", sessionhooks.PropertyWebhookEventType: "LOGOUT", sessionhooks.PropertyAuthLevel: "5",
	}, custom)
	return &v
}

// raw answers of a TCP receiver: it reads the request and then does as told.
func tcp(t *testing.T, do func(c *net.TCPConn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	t.Cleanup(func() { _ = l.Close(); group.Wait() })
	group.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			group.Go(func() {
				defer c.Close()
				if req, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					_, _ = io.Copy(io.Discard, req.Body)
					do(c.(*net.TCPConn))
				}
			})
		}
	})
	return "http://" + l.Addr().String() + "/sink"
}

func answer(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s.URL + "/sink"
}

func status(code int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
	}
}

func TestWhatReceiversAnswer(t *testing.T) {
	gone := func(t *testing.T) string { // an address where nobody listens
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		return "http://" + l.Addr().String()
	}
	handler := func(h http.HandlerFunc) func(*testing.T) string {
		return func(t *testing.T) string { return answer(t, h) }
	}
	socket := func(do func(*net.TCPConn)) func(*testing.T) string {
		return func(t *testing.T) string { return tcp(t, do) }
	}
	reset := func(c *net.TCPConn) { _ = c.SetLinger(0) }
	say := func(text string) func(*net.TCPConn) {
		return func(c *net.TCPConn) { _, _ = io.WriteString(c, text) }
	}
	until := func(r *http.Request) { <-r.Context().Done() }
	for name, tc := range map[string]struct {
		url     func(*testing.T) string
		verdict delivery.Verdict
		status  int
		reason  string
	}{
		"200":            {handler(status(200)), delivery.Delivered, 200, "ok"},
		"204":            {handler(status(204)), delivery.Delivered, 204, "ok"},
		"299":            {handler(status(299)), delivery.Delivered, 299, "ok"},
		"300":            {handler(status(300)), delivery.Reject, 300, "redirect"},
		"301":            {handler(status(301, "Location", "/moved")), delivery.Reject, 301, "redirect"},
		"302":            {handler(status(302, "Location", "/moved")), delivery.Reject, 302, "redirect"},
		"304":            {handler(status(304)), delivery.Reject, 304, "redirect"},
		"307":            {handler(status(307, "Location", "/moved")), delivery.Reject, 307, "redirect"},
		"308":            {handler(status(308, "Location", "/moved")), delivery.Reject, 308, "redirect"},
		"302 to nowhere": {handler(status(302, "Location", "%zz")), delivery.Reject, 302, "redirect"},
		"400":            {handler(status(400)), delivery.Reject, 400, "status_4xx"},
		"401":            {handler(status(401, "WWW-Authenticate", "Basic")), delivery.Reject, 401, "status_4xx"},
		"408":            {handler(status(408)), delivery.Retry, 408, "status_4xx"},
		"410":            {handler(status(410)), delivery.Reject, 410, "status_4xx"},
		"429":            {handler(status(429)), delivery.Retry, 429, "status_4xx"},
		"500":            {handler(status(500)), delivery.Retry, 500, "status_5xx"},
		"503":            {handler(status(503)), delivery.Retry, 503, "status_5xx"},
		"599":            {handler(status(599)), delivery.Retry, 599, "status_5xx"},
		"999":            {handler(status(999)), delivery.Reject, 999, "status_9xx"},
		"slow head":      {handler(func(_ http.ResponseWriter, r *http.Request) { until(r) }), delivery.Retry, 0, "timeout"},
		"slow body": {handler(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(200)
			_ = http.NewResponseController(w).Flush()
			until(r)
		}), delivery.Delivered, 200, "ok"},
		"endless body":    {handler(endless), delivery.Delivered, 200, "ok"},
		"endless refusal": {handler(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(400); endless(w, r) }), delivery.Reject, 400, "status_4xx"},
		"endless head": {socket(func(c *net.TCPConn) {
			_, _ = io.Copy(c, io.MultiReader(strings.NewReader("HTTP/1.1 200 OK\r\nX-A: "), noise{}))
		}), delivery.Retry, 0, "network"},
		"endless 1xx": {socket(func(c *net.TCPConn) {
			for {
				if _, err := io.WriteString(c, "HTTP/1.1 103 Early Hints\r\n\r\n"); err != nil {
					return
				}
			}
		}), delivery.Retry, 0, "network"},
		"switches protocol": {socket(say("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")), delivery.Reject, 101, "status_1xx"},
		"reset":             {socket(reset), delivery.Retry, 0, "network"},
		"closes":            {socket(func(*net.TCPConn) {}), delivery.Retry, 0, "network"},
		"closes in head":    {socket(say("HTTP/1.1 200 OK\r\nContent-")), delivery.Retry, 0, "network"},
		"closes in body":    {socket(say("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")), delivery.Delivered, 200, "ok"},
		"no HTTP":           {socket(say("SSH-2.0-OpenSSH_9.9\r\n")), delivery.Retry, 0, "network"},
		"nobody listens":    {gone, delivery.Retry, 0, "network"},
		"no such host":      {func(*testing.T) string { return "http://nobody.invalid/" }, delivery.Retry, 0, "network"},
		"untrusted certificate": {func(t *testing.T) string {
			s := httptest.NewUnstartedServer(status(200))
			s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
			s.StartTLS()
			t.Cleanup(s.Close)
			return s.URL
		}, delivery.Reject, 0, "certificate"},
		"no TLS": {func(t *testing.T) string { return strings.Replace(answer(t, status(200)), "http:", "https:", 1) }, delivery.Retry, 0, "network"},
	} {
		t.Run(name, func(t *testing.T) {
			// A transport like that of production, and a client that would follow.
			transport := &http.Transport{MaxResponseHeaderBytes: 64 << 10, DisableCompression: true, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}}
			defer transport.CloseIdleConnections()
			p := newPost(t, &http.Client{Transport: transport}, delivery.Schedule{time.Hour})
			url := tc.url(t)
			p.configure(sessionhooks.Webhook{ID: "crm", URL: url})
			id, _ := p.end("crm", values(nil))
			j := p.await(id, 1)
			want := map[delivery.Verdict]delivery.State{delivery.Delivered: delivery.Done, delivery.Retry: delivery.Pending, delivery.Reject: delivery.Dead}[tc.verdict]
			if len(j.Attempts) != 1 || j.State != want {
				t.Fatalf("job is %+v, want %s", j, want)
			}
			if a := j.Attempts[0]; a.Status != tc.status || a.Reason != tc.reason || a.Result != string(tc.verdict) || a.Took <= 0 || a.Took > 10*time.Second {
				t.Errorf("attempt is %+v, want %s %d %s", a, tc.verdict, tc.status, tc.reason)
			}
			if p.logs.count("/sink") > 0 {
				t.Error("the log shows the address that was rendered")
			}
		})
	}
}

func endless(w http.ResponseWriter, _ *http.Request) { _, _ = io.Copy(w, noise{}) }

type noise struct{}

func (noise) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// The receiver says 200 and resets the connection once the client has seen it.
func TestAnAnswerCountsAlsoWhenTheConnectionBreaksAfterIt(t *testing.T) {
	seen := make(chan struct{})
	url := tcp(t, func(c *net.TCPConn) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
		<-seen
		_ = c.SetLinger(0)
	})
	var once sync.Once
	client := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		res, err := http.DefaultTransport.RoundTrip(r)
		once.Do(func() { close(seen) })
		return res, err
	})}
	p := newPost(t, client, delivery.Schedule{time.Hour})
	p.configure(sessionhooks.Webhook{ID: "crm", URL: url})
	id, _ := p.end("crm", values(nil))
	if j := p.await(id, 1); j.State != delivery.Done {
		t.Errorf("job is %+v", j)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestRetryAfterOfAReceiver(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"120": 2 * time.Minute, "-5": 0, "1000000000": time.Hour, "soon": 0,
		time.Now().Add(10 * time.Minute).UTC().Format(http.TimeFormat): 10 * time.Minute,
		time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat):       0,
	} {
		p := newPost(t, http.DefaultClient, delivery.Schedule{time.Second})
		p.configure(sessionhooks.Webhook{ID: "crm", URL: answer(t, status(429, "Retry-After", header))})
		id, _ := p.end("crm", values(nil))
		j := p.await(id, 1)
		got := j.Next.Sub(j.Attempts[0].At)
		if least := max(want-2*time.Second, 800*time.Millisecond); got < least || got > max(want, 1200*time.Millisecond)+5*time.Second {
			t.Errorf("Retry-After: %s makes it wait %v", header, got)
		}
	}
}

func TestFailuresThenDelivered(t *testing.T) {
	var calls atomic.Int32
	ids := make(chan string, 10)
	url := answer(t, func(w http.ResponseWriter, r *http.Request) {
		ids <- r.Header.Get("webhook-id")
		switch calls.Add(1) {
		case 1:
			w.WriteHeader(500)
		case 2:
			c, _, _ := http.NewResponseController(w).Hijack()
			_ = c.Close()
		case 3:
			w.WriteHeader(429)
		}
	})
	p := newPost(t, http.DefaultClient, delivery.Schedule{time.Millisecond, time.Millisecond, time.Millisecond})
	p.configure(sessionhooks.Webhook{ID: "crm", URL: url})
	id, _ := p.end("crm", values(nil))
	j := p.await(id, 4)
	var got []string
	for _, a := range j.Attempts {
		got = append(got, strconv.Itoa(a.Status)+" "+a.Reason)
	}
	if j.State != delivery.Done || strings.Join(got, ", ") != "500 status_5xx, 0 network, 429 status_4xx, 200 ok" {
		t.Errorf("%s after %v", j.State, got)
	}
	for range 4 {
		if got := <-ids; got != id {
			t.Errorf("webhook-id is %q, want %q on every attempt", got, id)
		}
	}
}

func TestTheRequest(t *testing.T) {
	requests := make(chan *http.Request, 1)
	bodies := make(chan string, 1)
	url := answer(t, func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		requests <- r
		bodies <- string(body)
	})
	p := newPost(t, http.DefaultClient, nil)
	p.configure(sessionhooks.Webhook{
		ID: "crm", URL: url + "/${UserId}?e=$<WebhookEventType>", Body: `{"user":"${UserId}","level":${AuthLevel},"team":"${team}"}`,
		Headers: []sessionhooks.Header{
			{Name: "Content-Type", Value: "application/json"}, {Name: "X-Team", Value: "${team}"},
			{Name: "Authorization", Secret: sessionhooks.NewSecret("Bearer s3cret")},
		},
	})
	id, _ := p.end("crm", values(map[string]string{"team": "blue"}))
	p.await(id, 1)
	r, body := <-requests, <-bodies
	if r.Method != http.MethodPost || r.URL.RequestURI() != "/sink/bjensen?e=LOGOUT" || body != `{"user":"bjensen","level":5,"team":"blue"}` {
		t.Errorf("%s %s with %s", r.Method, r.URL.RequestURI(), body)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/json", "X-Team": "blue", "Authorization": "Bearer s3cret", "User-Agent": "Drawbridge-Webhook",
		"Webhook-Id": id, "Webhook-Signature": "",
	} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	sent, err := strconv.ParseInt(r.Header.Get("webhook-timestamp"), 10, 64)
	if err != nil || time.Since(time.Unix(sent, 0)).Abs() > time.Minute {
		t.Errorf("webhook-timestamp is %q", r.Header.Get("webhook-timestamp"))
	}
	if strings.Contains(id, ".") {
		t.Errorf("the id %q has a full stop", id)
	}
}

func TestTheNewestRevisionIsSent(t *testing.T) {
	got := make(chan string, 4)
	var calls atomic.Int32
	url := answer(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- string(body)
		if calls.Add(1) == 1 {
			w.WriteHeader(503)
		}
	})
	p := newPost(t, http.DefaultClient, delivery.Schedule{300 * time.Millisecond})
	form := []sessionhooks.Header{{Name: "Content-Type", Value: "text/plain"}}
	p.configure(sessionhooks.Webhook{ID: "crm", URL: url, Headers: form, Body: "old ${UserId}"})
	id, _ := p.end("crm", values(nil))
	p.await(id, 1)
	p.configure(sessionhooks.Webhook{ID: "crm", URL: url, Headers: form, Body: "new ${UserId}"})
	p.await(id, 1)
	if a, b := <-got, <-got; a != "old bjensen" || b != "new bjensen" {
		t.Errorf("sent %q and %q", a, b)
	}
}

func TestWebhooksThatCannotBeSent(t *testing.T) {
	var calls atomic.Int32
	url := answer(t, func(http.ResponseWriter, *http.Request) { calls.Add(1) })
	p := newPost(t, http.DefaultClient, nil)
	p.configure(sessionhooks.Webhook{ID: "path", URL: url + "/${team}"})
	for hook, reason := range map[string]string{"removed": "webhook_removed", "path": "render"} {
		id, _ := p.end(hook, values(nil))
		if j := p.await(id, 1); j.State != delivery.Dead || j.Attempts[0].Reason != reason || j.Attempts[0].Status != 0 {
			t.Errorf("%s: job is %+v", hook, j)
		}
	}
	if calls.Load() != 0 {
		t.Error("something was sent")
	}
}

func TestErasedDataLeavesTheEventType(t *testing.T) {
	bodies := make(chan string, 4)
	url := answer(t, func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies <- string(body)
	})
	p := newPost(t, http.DefaultClient, nil)
	p.configure(sessionhooks.Webhook{ID: "crm", URL: url, Body: `{"user":"${UserId}","event":"${WebhookEventType}","set":"${CharSet}"}`,
		Headers: []sessionhooks.Header{{Name: "Content-Type", Value: "application/json"}}})
	id, e := p.end("crm", values(nil))
	p.await(id, 1)
	if got := <-bodies; got != `{"user":"bjensen","event":"LOGOUT","set":"UTF-8"}` {
		t.Errorf("sent %s", got)
	}
	if err := p.log.Erase(t.Context(), p.at, e.Aggregate); err != nil {
		t.Fatal(err)
	}
	if _, err := p.queue.Replay(t.Context(), p.at, delivery.SessionWebhooks, id, time.Now()); err != nil {
		t.Fatal(err)
	}
	if j := p.await(id, 1); j.State != delivery.Done {
		t.Errorf("job is %+v", j)
	}
	if got := <-bodies; got != `{"user":"","event":"LOGOUT","set":"UTF-8"}` {
		t.Errorf("after the erasure sent %s", got)
	}
	id, _ = p.end("crm", nil)
	p.await(id, 1)
	if got := <-bodies; got != `{"user":"","event":"LOGOUT","set":"UTF-8"}` {
		t.Errorf("without values sent %s", got)
	}
}

func TestMissingPropertiesAreCounted(t *testing.T) {
	p := newPost(t, http.DefaultClient, nil)
	p.configure(sessionhooks.Webhook{ID: "crm", URL: answer(t, status(200)) + "?a=${team}&b=${team}&c=${Locale}&d=${UserId}"})
	id, _ := p.end("crm", values(nil))
	p.await(id, 1)
	p.mu.Lock()
	defer p.mu.Unlock()
	if got := fmt.Sprint(p.missing); got != "map[crm Locale:1 crm team:1]" {
		t.Errorf("missing %s", got)
	}
}

func TestARefusedAddressIsFinal(t *testing.T) {
	errGuard := errors.New("address is not allowed")
	dialer := &net.Dialer{ControlContext: nil}
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		if strings.HasPrefix(address, "127.") {
			return nil, &net.OpError{Op: "dial", Err: errGuard}
		}
		return dialer.DialContext(ctx, network, address)
	}}
	p := newPost(t, &http.Client{Transport: transport}, nil, func(o *delivery.WebhookOptions) {
		o.Refused = func(err error) bool { return errors.Is(err, errGuard) }
	})
	p.configure(sessionhooks.Webhook{ID: "crm", URL: answer(t, status(200))})
	id, _ := p.end("crm", values(nil))
	if j := p.await(id, 1); j.State != delivery.Dead || j.Attempts[0].Reason != "address_refused" {
		t.Errorf("job is %+v", j)
	}
}

func TestEventDataOfAnotherShapeIsTriedAgain(t *testing.T) {
	p := newPost(t, http.DefaultClient, delivery.Schedule{time.Hour})
	p.configure(sessionhooks.Webhook{ID: "crm", URL: answer(t, status(200))})
	e := sessionhooks.Event{ID: sessionhooks.NewID(), Detected: time.Now(), Data: json.RawMessage(`{"Values":[1]}`)}
	ops, id := p.job("crm", func(j *delivery.Job) { j.Sender, j.Event = delivery.SessionWebhooks, e.ID })
	p.commit(append(ops, p.log.Append(p.at, e)...)...)
	if j := p.await(id, 1); j.State != delivery.Pending || j.Attempts[0].Reason != "store" {
		t.Errorf("job is %+v", j)
	}
}
