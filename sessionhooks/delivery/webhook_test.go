package delivery_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drawbridge-id/drawbridge/sessionhooks"
	"github.com/drawbridge-id/drawbridge/sessionhooks/delivery"
)

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
	ops, id := p.job("crm", func(j *delivery.Job) { j.Sender, j.Event, j.Aggregate = delivery.SessionWebhooks, e.ID, e.Aggregate })
	p.commit(append(ops, p.log.Append(p.at, e)...)...)
	if j := p.await(id, 1); j.State != delivery.Pending || j.Attempts[0].Reason != "store" {
		t.Errorf("job is %+v", j)
	}
}

// babble is a body of which there is always more, at once or never.
type babble struct {
	ctx  context.Context
	slow bool
	read int
}

func (b *babble) Read(p []byte) (int, error) {
	if b.slow {
		<-b.ctx.Done()
		return 0, b.ctx.Err()
	}
	b.read += len(p)
	return len(p), nil
}

func (*babble) Close() error { return nil }

func TestABodyWithoutAnEndHoldsNobodyUp(t *testing.T) {
	for _, slow := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			h := newHouse(t)
			body := &babble{slow: slow}
			hook := compile(t, sessionhooks.Webhook{ID: "crm", URL: "https://hook.example/"})
			send := delivery.NewWebhookSender(delivery.WebhookOptions{
				Webhook: func(string, string) (*sessionhooks.Compiled, bool) { return hook, true }, Log: h.log, Now: time.Now,
				Client: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
					body.ctx = r.Context()
					return &http.Response{StatusCode: 200, Header: http.Header{}, Body: body, Request: r}, nil
				})},
			})
			began := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
			defer cancel()
			o := send(ctx, h.at, delivery.Job{ID: "crm_1", Target: "crm", Event: "none", Kind: "LOGOUT"})
			if took := time.Since(began); o.Verdict != delivery.Delivered || took > time.Second || body.read > 64<<10 {
				t.Errorf("slow %v: %s after %v and %d bytes", slow, o.Verdict, took, body.read)
			}
		})
	}
}
