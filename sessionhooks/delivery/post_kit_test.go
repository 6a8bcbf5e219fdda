package delivery_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/sessionhooks"
	"github.com/drawbridge-id/drawbridge/sessionhooks/delivery"
)

// hookTimeout is how long an attempt at a receiver of these tests may take.
const hookTimeout = 250 * time.Millisecond

func compile(t *testing.T, w sessionhooks.Webhook) *sessionhooks.Compiled {
	t.Helper()
	c, problems := sessionhooks.Compile(w, []string{"team"})
	if c == nil {
		t.Fatal(problems)
	}
	return c
}

// post is a house whose worker sends session webhooks. Attempts tells of each
// attempt once it is recorded.
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
	ops, id := p.job(hook, func(j *delivery.Job) {
		j.Sender, j.Event, j.Aggregate, j.About = delivery.SessionWebhooks, e.ID, e.Aggregate, "sid"
	})
	p.commit(append(ops, p.log.Append(p.at, e)...)...)
	return id, e
}

// await waits for attempts and returns the job as it then is.
func (p *post) await(id string, attempts int) delivery.Job {
	p.Helper()
	for range attempts {
		select {
		case <-p.attempts:
		case <-time.After(30 * time.Second): // not how long it may take, but when to give up
			p.Fatal("no attempt was made")
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

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
