package notice

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/person"
	"github.com/drawbridge-id/drawbridge/federation/session"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

const (
	// patience bounds the work for one notice, whether or not anybody waits.
	patience = 15 * time.Second
	// remembered is for how long a jti is: longer than a token is taken.
	remembered = 2 * time.Hour
)

// Result is what became of a notice; it is fit for a metric label.
type Result string

// The results of notices.
const (
	// Ended: sessions have ended. Nothing: there were none, or none any more.
	Ended   Result = "ended"
	Nothing Result = "nothing"
	// Repeated: the very same token was carried out before.
	Repeated Result = "repeated"
	// Refused: it is not to be believed.
	Refused Result = "refused"
	// Kept: it will be tried again. GivenUp: it was, in vain, for a day.
	Kept    Result = "kept"
	GivenUp Result = "given_up"
	// Failed: it could not be carried out, and not be kept.
	Failed Result = "failed"
)

// Channel is the way a notice came.
type Channel string

// The two ways.
const (
	Back  Channel = "back"
	Front Channel = "front"
)

// Options say what a Receiver works with. All but Layout, Sealer and Observe
// are required.
type Options struct {
	Engine store.Engine
	// Layout says which partitions Run looks at; zero is one partition.
	Layout store.Layout
	// Sealer, when not nil, seals kept tokens at rest.
	Sealer   *store.Sealer
	Registry func() *federation.Registry
	Persons  *person.Manager
	Sessions *session.Manager
	Log      *slog.Logger
	// Now judges how old tokens are.
	Now func() time.Time
	// Observe hears what became of each notice, for metrics.
	Observe func(upstream string, by Channel, r Result)
}

// Receiver takes notices. Its methods may be called concurrently.
type Receiver struct {
	o    Options
	seen *store.Table[seen]
	kept *store.Table[kept]
	// full has the upstreams, by the prefix of their kept tokens, of which as many
	// are kept as may be, and until when that is believed: to count them is to
	// read them, and strangers ask for it.
	full sync.Map
}

// seen is a token that was carried out.
type seen struct {
	Token string `json:"token"` // its digest
}

// New makes a Receiver.
func New(o Options) (*Receiver, error) {
	if o.Engine == nil || o.Registry == nil || o.Persons == nil || o.Sessions == nil || o.Log == nil || o.Now == nil {
		return nil, errors.New("notice: every part but the layout, the sealer and the observer is needed")
	}
	if o.Observe == nil {
		o.Observe = func(string, Channel, Result) {}
	}
	return &Receiver{o: o,
		seen: store.NewTable[seen](o.Engine, store.TableOptions{Kind: "notice.seen", Schema: 1}),
		kept: store.NewTable[kept](o.Engine, store.TableOptions{Kind: "notice.kept", Schema: 1, Sealer: o.Sealer}),
	}, nil
}

// Token takes a logout token (Back-Channel Logout 1.0 §2.5). It fails with
// invalid_request where the token is not to be believed, which changes nothing,
// and with temporarily_unavailable where it could not be carried out now. The
// upstream is one whose tokens are taken.
func (r *Receiver) Token(ctx context.Context, t federation.Tenant, u federation.Upstream, token string, req federation.Request) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	k := kept{Tenant: t.ID, Upstream: u.ID, Token: token, Received: r.o.Now().UTC(), Request: by(req, u)}
	result, n, err := r.carryOut(ctx, t, u, k)
	switch {
	case err == nil:
		r.tell(ctx, k, result, slog.Int("sessions", n))
		return nil
	case hopeless(err):
		r.tell(ctx, k, Refused, why(err))
		return err
	}
	if lost := r.keep(ctx, t, k); lost != nil {
		r.o.Log.ErrorContext(ctx, "a logout of an upstream could not be carried out, and not be kept", "tenant", t.ID, "upstream", u.ID, "error", err, "kept", lost)
		r.tell(ctx, k, Failed, why(err))
	} else {
		r.tell(ctx, k, Kept, why(err))
	}
	return federation.Fail(federation.TemporarilyUnavailable, "The logout could not be carried out yet.").Because(err)
}

// Frame takes a notice by front channel (Front-Channel Logout 1.0 §3): iss has
// been compared, the sid is what a stranger says.
func (r *Receiver) Frame(ctx context.Context, t federation.Tenant, u federation.Upstream, sid string, req federation.Request) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	req = by(req, u)
	n, err := r.o.Sessions.EndNamed(ctx, t, federation.LogoutNotice{Upstream: u.ID, Issuer: u.Issuer, SID: sid}, "", req)
	k := kept{Tenant: t.ID, Upstream: u.ID, Request: req}
	if err != nil {
		r.announce(ctx, k, Front, Failed, why(err))
		return federation.Fail(federation.TemporarilyUnavailable, "You could not be signed out at the moment.").Because(err)
	}
	result := Nothing
	if n > 0 {
		result = Ended
	}
	r.announce(ctx, k, Front, result, slog.Int("sessions", n))
	return nil
}

// carryOut does what a token says. It may be done again.
func (r *Receiver) carryOut(ctx context.Context, t federation.Tenant, u federation.Upstream, k kept) (Result, int, error) {
	n, err := u.ReadLogout(ctx, k.Token, k.Received)
	if err != nil {
		return "", 0, err
	}
	id := u.ID + "/" + digest(n.Issuer+" "+n.ID)
	if before, err := r.before(ctx, t, id, k); err != nil || before {
		return Repeated, 0, err
	}
	if err := r.o.Sessions.Bar(ctx, t, n); err != nil {
		return "", 0, err
	}
	who := ""
	if n.Subject != "" {
		p, err := r.o.Persons.ByAlias(ctx, t, u.ID, n.Subject)
		if err != nil && !errors.Is(err, person.ErrNotFound) {
			return "", 0, fmt.Errorf("find person: %w", err)
		}
		who = p.ID
	}
	ended, err := r.o.Sessions.EndNamed(ctx, t, n, who, k.Request)
	if err != nil {
		return "", ended, err
	}
	if err := r.remember(ctx, t, id, k); err != nil {
		return "", ended, err
	}
	if ended == 0 {
		return Nothing, 0, nil
	}
	return Ended, ended, nil
}

var errUsed = errors.New("another token had the same jti")

// before says whether the very token was carried out; a refusal where another
// with its jti was.
func (r *Receiver) before(ctx context.Context, t federation.Tenant, id string, k kept) (bool, error) {
	row, err := r.seen.Get(ctx, t.Place, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("read jti: %w", err)
	case row.Value.Token != digest(k.Token):
		return false, federation.Fail(federation.InvalidRequest, "The logout token could not be verified.").Because(errUsed)
	}
	return true, nil
}

// remember notes the jti. Who was faster with the same token has noted it.
func (r *Receiver) remember(ctx context.Context, t federation.Tenant, id string, k kept) error {
	_, err := store.Update(ctx, r.o.Engine, func(ctx context.Context) ([]store.Op, error) {
		if before, err := r.before(ctx, t, id, k); err != nil || before {
			return nil, err
		}
		now, err := r.o.Engine.Now(ctx)
		if err != nil {
			return nil, err
		}
		return []store.Op{r.seen.Create(t.Place, id, seen{Token: digest(k.Token)}, now.Add(remembered))}, nil
	})
	return err
}

// hopeless says whether trying again would change nothing.
func hopeless(err error) bool {
	e, ok := errors.AsType[*federation.Error](err)
	return ok && e.Code == federation.InvalidRequest
}

// by is a request as one that the upstream caused.
func by(req federation.Request, u federation.Upstream) federation.Request {
	req.CausedBy, req.Upstream = "upstream:"+u.ID, u.ID
	return req
}

func (r *Receiver) tell(ctx context.Context, k kept, result Result, more slog.Attr) {
	r.announce(ctx, k, Back, result, more)
}

// announce writes the audit line and counts. A token is never part of it.
func (r *Receiver) announce(ctx context.Context, k kept, by Channel, result Result, more slog.Attr) {
	r.o.Observe(k.Upstream, by, result)
	r.o.Log.LogAttrs(ctx, slog.LevelInfo, "logout by upstream", slog.Bool("audit", true), slog.String("tenant", k.Tenant), slog.String("request_id", k.Request.ID),
		slog.String("upstream", k.Upstream), slog.String("channel", string(by)), slog.String("result", string(result)), more)
}

// why is the private cause of an error, clipped: it may repeat a stranger's words.
func why(err error) slog.Attr {
	text := err.Error()
	return slog.String("cause", text[:min(len(text), 500)])
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
