package delivery

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/sessionhooks"
)

// SessionWebhooks is the name of the Sender of session webhooks.
const SessionWebhooks = "session_webhook"

const (
	// maxAnswer is how much of a receiver's answer is read, and drainTime for how
	// long, so that the connection can be used again. What it says does not
	// matter, nor does it matter whether it ends.
	maxAnswer = 16 << 10
	drainTime = time.Second
)

// WebhookOptions are what the sender of session webhooks is made of. All but
// Refused and Observe are required.
type WebhookOptions struct {
	// Webhook finds the newest revision of a tenant's webhook.
	Webhook func(tenant, id string) (*sessionhooks.Compiled, bool)
	Log     *sessionhooks.Log
	// Client is the guarded client for webhooks. Whatever it says about
	// redirects, none is followed.
	Client *http.Client
	Now    func() time.Time
	// Refused says that an error of the client means that an address is not
	// allowed, which trying again does not change.
	Refused func(error) bool
	Observe Observer
}

// NewWebhookSender makes the Sender that renders and posts session webhooks.
// Each request carries webhook-id, the job's ID, and webhook-timestamp, so that
// a receiver can tell a second arrival.
func NewWebhookSender(o WebhookOptions) Sender {
	if o.Refused == nil {
		o.Refused = func(error) bool { return false }
	}
	client := *o.Client
	client.Transport = staying{client.Transport}
	o.Client = &client
	return func(ctx context.Context, at store.Place, j Job) Outcome {
		hook, ok := o.Webhook(at.Tenant, j.Target)
		if !ok {
			return Outcome{Verdict: Reject, Reason: "webhook_removed"}
		}
		values, err := valuesOf(ctx, o.Log, at, j)
		if err != nil {
			return Outcome{Verdict: Retry, Reason: "store", Cause: err}
		}
		rendered, err := hook.Render(values)
		if err != nil {
			return Outcome{Verdict: Reject, Reason: "render", Cause: err}
		}
		o.Observe.missing(j.Target, rendered.Missing)
		return post(ctx, o, j, rendered)
	}
}

// staying is a transport whose answers lead nowhere: a redirect is an answer
// like others, however its Location is written.
type staying struct{ base http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (s staying) RoundTrip(r *http.Request) (*http.Response, error) {
	base := s.base
	if base == nil {
		base = http.DefaultTransport
	}
	res, err := base.RoundTrip(r)
	if res != nil {
		res.Header.Del("Location")
	}
	return res, err
}

// valuesOf reads the session's values from the event's data. Where they were
// erased, the event's type is all that is left to tell.
func valuesOf(ctx context.Context, log *sessionhooks.Log, at store.Place, j Job) (sessionhooks.Values, error) {
	data, err := log.Data(ctx, at, j.Aggregate, j.Event)
	if err != nil {
		return sessionhooks.Values{}, err
	}
	var told struct {
		Values *sessionhooks.Values
	}
	if data != nil {
		if err := json.Unmarshal(data, &told); err != nil {
			return sessionhooks.Values{}, err
		}
	}
	if told.Values == nil {
		return sessionhooks.NewValues(map[sessionhooks.Property]string{sessionhooks.PropertyWebhookEventType: j.Kind}, nil), nil
	}
	return *told.Values, nil
}

func post(ctx context.Context, o WebhookOptions, j Job, r sessionhooks.Rendered) Outcome {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.URL, bytes.NewReader(r.Body))
	if err != nil {
		return Outcome{Verdict: Reject, Reason: "render", Cause: errors.New("rendered address is not valid")}
	}
	maps.Copy(req.Header, r.Header)
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", "Drawbridge-Webhook")
	}
	sessionhooks.Sign(req.Header, j.ID, o.Now(), r.Body)
	res, err := o.Client.Do(req)
	if err != nil {
		out := Judge(0, err)
		if o.Refused(err) {
			out.Verdict, out.Reason = Reject, "address_refused"
		}
		return out
	}
	defer res.Body.Close()
	slow := time.AfterFunc(drainTime, cancel)
	defer slow.Stop()
	_, _ = io.CopyN(io.Discard, res.Body, maxAnswer) // the status has said it all
	out := Judge(res.StatusCode, nil)
	out.RetryAfter = RetryAfter(res.Header, o.Now())
	return out
}
