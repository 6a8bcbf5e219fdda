package delivery

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// LogoutTokens is the name of the Sender of logout tokens to relying parties.
const LogoutTokens = "logout_token"

const (
	// maxAnswer is how much of a receiver's answer is read, and drainTime for how
	// long, so that the connection can be used again. What it says does not
	// matter, nor does it matter whether it ends.
	maxAnswer = 16 << 10
	drainTime = time.Second
)

// PostOptions are what a Sender is made of that posts over HTTP. All but Refused
// are required.
type PostOptions struct {
	// Client is the guarded client for the purpose. Whatever it says about
	// redirects, none is followed.
	Client *http.Client
	Now    func() time.Time
	// Request makes the request of one attempt, anew each time. Without one, the
	// outcome says what becomes of the job. Its context is the attempt's.
	Request func(ctx context.Context, at store.Place, j Job) (*http.Request, Outcome)
	// Refused says that an error of the client means that an address is not
	// allowed, which trying again does not change.
	Refused func(error) bool
}

// NewPostSender makes a Sender that posts, and judges by the status alone.
func NewPostSender(o PostOptions) Sender {
	if o.Refused == nil {
		o.Refused = func(error) bool { return false }
	}
	client := *o.Client
	client.Transport = staying{client.Transport}
	o.Client = &client
	return func(ctx context.Context, at store.Place, j Job) Outcome {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		req, instead := o.Request(ctx, at, j)
		if req == nil {
			return instead
		}
		return o.post(req, cancel)
	}
}

func (o PostOptions) post(req *http.Request, cancel func()) Outcome {
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
