package delivery

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/sessionhooks"
)

// SessionWebhooks is the name of the Sender of session webhooks.
const SessionWebhooks = "session_webhook"

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
	return NewPostSender(PostOptions{Client: o.Client, Now: o.Now, Refused: o.Refused, Request: o.request})
}

// request renders what one attempt sends.
func (o WebhookOptions) request(ctx context.Context, at store.Place, j Job) (*http.Request, Outcome) {
	hook, ok := o.Webhook(at.Tenant, j.Target)
	if !ok {
		return nil, Outcome{Verdict: Reject, Reason: "webhook_removed"}
	}
	values, err := valuesOf(ctx, o.Log, at, j)
	if err != nil {
		return nil, Outcome{Verdict: Retry, Reason: "store", Cause: err}
	}
	r, err := hook.Render(values)
	if err != nil {
		return nil, Outcome{Verdict: Reject, Reason: "render", Cause: err}
	}
	o.Observe.missing(j.Target, r.Missing)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.URL, bytes.NewReader(r.Body))
	if err != nil {
		return nil, Outcome{Verdict: Reject, Reason: "render", Cause: errors.New("rendered address is not valid")}
	}
	maps.Copy(req.Header, r.Header)
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", "Drawbridge-Webhook")
	}
	sessionhooks.Sign(req.Header, j.ID, o.Now(), r.Body)
	return req, Outcome{}
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
