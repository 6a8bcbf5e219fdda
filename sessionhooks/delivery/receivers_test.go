package delivery_test

import (
	"crypto/tls"
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
