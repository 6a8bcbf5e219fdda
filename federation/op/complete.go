package op

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/drawbridge-id/drawbridge/claims"
	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/person"
	"github.com/drawbridge-id/drawbridge/federation/session"
	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/openapi/wire"
)

// visit is a sign-in on its way to a code.
type visit struct {
	client  federation.Client
	request request
	// held is the browser's session, nil where there is none.
	held *session.Held
	// login stands behind the sign-in; fresh says that it came in just now.
	login federation.Login
	fresh bool
	// told is a fresh login with the upstream's tokens, where these are kept.
	told *federation.Login
	// agreed says that the user has just consented.
	agreed bool
	// link is a login that this one is to prove an account for; declined is the
	// subject of one that the user wants an account of its own for.
	link     *linking
	declined string
}

// outcome is what one try brought about, or what it found out before it failed.
type outcome struct {
	code    string
	started *session.Started
	// asks says that the user must agree first; there is no code then.
	asks bool
	// person is who signed in, with an id if known.
	person federation.Person
	// joined is the upstream of a login that was added, if one was.
	joined   string
	verdicts []claims.Verdict
}

// retries is how often a sign-in starts over when the person or the session it
// was worked out for has become another meanwhile.
const retries = 5

// complete works out the claims with nothing held, commits, and sends the
// browser back with a code, or to the page that asks for consent.
func (h *Handler) complete(w http.ResponseWriter, r *http.Request, v visit) error {
	if err := h.spendSignIn(r, v.login); err != nil {
		return err
	}
	t := tenantOf(r)
	got, err := h.signIn(r, t, v)
	for try := 0; try < retries && (errors.Is(err, person.ErrMoved) || errors.Is(err, errAgreedNoLonger) || errors.Is(err, session.ErrNotFound) && v.fresh); try++ {
		if errors.Is(err, session.ErrNotFound) {
			v.held = nil // the session ended under way: this login begins another
		}
		got, err = h.signIn(r, t, v)
	}
	if !v.fresh && (errors.Is(err, session.ErrNotFound) || errors.Is(err, person.ErrNotFound)) {
		return h.signInAt(w, r, v.client, v.request, "") // it ended under way, or its person is gone
	}
	if errors.Is(err, session.ErrSignedOut) {
		return h.signedOutMeanwhile(w, r, v, got, err)
	}
	if ask := new(linkableError); errors.As(err, &ask) {
		return h.startLink(w, r, v, ask.linking)
	}
	if errors.Is(err, person.ErrApart) {
		err = errNotLinked(err)
	}
	if err != nil {
		return h.denied(r, t, v, got, err)
	}
	h.linked(r, v, got)
	if got.started != nil {
		h.o.Sessions.Committed(*got.started)
		http.SetCookie(w, h.o.Sessions.Cookie(*got.started, t.Secure()))
	}
	if v.fresh {
		h.remember(w, r, v.login.Upstream)
	}
	if got.asks {
		return h.startConsent(w, r, v, got.person.ID)
	}
	h.o.Observe.SignIn(v.login.Upstream, "ok")
	h.audit(r, "signed in", slog.String("client", v.client.ID), slog.String("upstream", v.login.Upstream),
		slog.String("person", got.person.ID), slog.Bool("silent", !v.fresh && !v.agreed))
	h.send(w, r, v.request.reply(t, url.Values{"code": {got.code}}))
	return nil
}

// signIn is one try: person, claims, and then one commit.
func (h *Handler) signIn(r *http.Request, t federation.Tenant, v visit) (out outcome, err error) {
	ctx := r.Context()
	u, ok := h.o.Registry().Upstream(t.ID, v.login.Upstream)
	if !ok {
		return out, errNoUpstream
	}
	known, err := h.who(ctx, t, v)
	if err != nil {
		return out, err
	}
	if !known.New {
		out.person = known.Person
	}
	if known.Person.Blocked {
		return out, federation.Fail(federation.AccessDenied, "This account is blocked.")
	}
	if meant, err := h.means(ctx, t, v.client, v.request, known.Person.ID, v.login); err != nil {
		return out, err
	} else if !meant {
		return out, federation.Fail(federation.LoginRequired, "Another user signed in than the one asked for.")
	}
	if v.request.unmet(v.login) {
		return out, federation.Fail(federation.UnmetAuthentication, "The user was not authenticated in the way that is required.")
	}
	agreed, err := h.agreement(ctx, t, v, known.Person.ID)
	if err != nil {
		return out, err
	}
	out.asks, v.request.Scopes = agreed.asks, agreed.scopes
	g, err := h.grant(ctx, t, v, known.Person)
	if err != nil {
		return out, err
	}
	result, err := h.run(ctx, t, v.client, g, grantCode, v.login.Claims)
	out.verdicts = result.Verdicts
	h.judged(r, v.client, result)
	if err != nil {
		return out, err
	}
	g.Snapshot = result.Snapshot()
	plan := &signInPlan{h: h, r: r, t: t, v: v, u: u, known: known, grant: g, verdicts: result.Verdicts, agreed: agreed,
		id: h.o.Sessions.NewID().For(t, known.Person.ID), handle: federation.NewHandle(t.PlaceOf(known.Person.ID))}
	if v.held != nil {
		if err := h.o.Sessions.MakeWay(ctx, t, *v.held, known.Person.ID, origin(r)); err != nil {
			return out, err
		}
	}
	if _, err := store.Update(ctx, h.o.Engine, plan.ops); err != nil {
		return out, err
	}
	h.o.Persons.Committed(ctx, t, known)
	out.code, out.started, out.person, out.joined = plan.handle.String(), plan.started, plan.who, known.Joins()
	return out, nil
}

// who is the person of a login, or of the session where there is no new login.
func (h *Handler) who(ctx context.Context, t federation.Tenant, v visit) (person.Known, error) {
	if v.fresh {
		known, err := h.o.Persons.Resolve(ctx, t, v.login)
		if err != nil {
			return known, err
		}
		return h.related(ctx, t, v, known)
	}
	p, err := h.o.Persons.Get(ctx, t, v.held.Session.Person)
	return person.Known{Person: p}, err
}

// denied tells the relying party, the events and the audit of a failed sign-in.
// That a user has to take part is no failure: there is no event of it.
func (h *Handler) denied(r *http.Request, t federation.Tenant, v visit, got outcome, err error) error {
	e := public(err)
	h.o.Observe.SignIn(v.login.Upstream, string(e.Code))
	h.audit(r, "sign-in failed", slog.String("client", v.client.ID), slog.String("upstream", v.login.Upstream),
		slog.String("person", got.person.ID), slog.String("error", string(e.Code)), slog.String("cause", causeText(e)))
	change := federation.Change{Client: v.client.ID, Upstream: v.login.Upstream, Reason: string(e.Code), Verdicts: got.verdicts}
	if got.person.ID != "" {
		change.Person = &got.person
	}
	var told []federation.ChangeKind
	if e.Code != federation.LoginRequired && e.Code != federation.ConsentRequired {
		told = append(told, federation.SignInFailed)
	}
	if len(got.verdicts) > 0 {
		told = append(told, federation.ClaimRefused)
	}
	h.announce(r, change, told...)
	return v.request.fail(t, e)
}

// announce writes the events of what no other commit carries. Who is waiting
// is answered whether or not that works.
func (h *Handler) announce(r *http.Request, c federation.Change, kinds ...federation.ChangeKind) {
	if len(kinds) == 0 {
		return
	}
	c.Tenant, c.At, c.Detected, c.Request = tenantOf(r), h.o.Now(), h.o.Now(), origin(r)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), 5*time.Second)
	defer cancel()
	_, err := store.Update(ctx, h.o.Engine, func(ctx context.Context) (all []store.Op, err error) {
		for _, c.Kind = range kinds {
			ops, err := h.o.Plan(ctx, c)
			if err != nil {
				return nil, err
			}
			all = append(all, ops...)
		}
		return all, nil
	})
	if err != nil {
		h.o.Log.ErrorContext(ctx, "event was not written", "request_id", wire.RequestInfoFrom(ctx).ID, "kinds", kinds, "error", err)
	}
}
