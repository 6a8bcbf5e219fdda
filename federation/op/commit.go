package op

import (
	"context"
	"net/http"

	"github.com/drawbridge-id/drawbridge/claims"
	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/person"
	"github.com/drawbridge-id/drawbridge/federation/session"
	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/token"
)

// signInPlan is the one commit of a sign-in (DESIGN §3). Its ids are minted
// before, so that planning again keeps them.
type signInPlan struct {
	h        *Handler
	r        *http.Request
	t        federation.Tenant
	v        visit
	u        federation.Upstream
	known    person.Known
	grant    federation.Grant
	verdicts []claims.Verdict
	agreed   agreement
	id       session.ID
	handle   federation.Handle

	// looked says that the consent was read for a planning already.
	looked bool

	// What the last planning found: the person as committed, and the session
	// that begins, nil where one goes on.
	who     federation.Person
	started *session.Started
}

// ops is asked again for every conflict, and reads everything anew.
func (p *signInPlan) ops(ctx context.Context) ([]store.Op, error) {
	all, err := p.person(ctx)
	if err != nil {
		return nil, err
	}
	s, ops, err := p.session(ctx)
	if err != nil {
		return nil, err
	}
	all = append(all, ops...)
	if ops, err = p.keep(ctx, s); err != nil {
		return nil, err
	}
	all = append(all, ops...)
	if p.agreed.asks {
		return all, nil // the code comes with the consent
	}
	permit, err := p.permit(s)
	if err != nil {
		return nil, err
	}
	binding := token.CodeBinding{RedirectURI: p.v.request.RedirectURI, Challenge: p.v.request.Challenge}
	if binding.Challenge != "" {
		binding.ChallengeMethod = "S256"
	}
	if ops, err = p.h.o.Issuer.PlanCode(ctx, p.t, permit, binding, p.handle); err != nil {
		return nil, err
	}
	all = append(all, ops...)
	if ops, err = p.consent(ctx); err != nil {
		return nil, err
	}
	all = append(all, ops...)
	return p.tell(ctx, all, s)
}

// consent remembers one that was given just now, and proves one that was given
// before. Who plans again looks again.
func (p *signInPlan) consent(ctx context.Context) ([]store.Op, error) {
	if p.v.agreed {
		op, err := p.h.rememberConsent(ctx, p.t, p.who.ID, p.v)
		return []store.Op{op}, err
	}
	row := p.agreed.relies
	if row == nil {
		return nil, nil
	}
	if p.looked {
		now, err := p.h.consented(ctx, p.t, p.who.ID, p.v.client.ID)
		if err != nil {
			return nil, err
		}
		if !now.Value.covers(p.v.request) {
			return nil, errAgreedNoLonger
		}
		row = &now
	}
	p.looked = true
	return []store.Op{p.h.consents.Check(row.Place, row.ID, row.Version)}, nil
}

// permit is what the gate says of the code, by what is configured now.
func (p *signInPlan) permit(s federation.Session) (token.Permit, error) {
	g := p.grant
	g.Session = s.ID
	client, _ := p.h.o.Registry().Client(p.t.ID, g.Client) // one that is not there is refused
	return token.AdmitCode(p.t, token.Applicant{Client: client, Type: grantCode, Grant: g, Person: p.who, Session: s})
}

// person counts the sign-in, where there is one.
func (p *signInPlan) person(ctx context.Context) (ops []store.Op, err error) {
	if p.who = p.known.Person; !p.v.fresh {
		return nil, nil
	}
	p.who, ops, err = p.h.o.Persons.PlanSignIn(ctx, p.t, p.u, p.known, p.v.login, origin(p.r))
	return ops, err
}

// session goes on with the browser's session where the person is the same and
// has not stepped up, and begins another where not.
func (p *signInPlan) session(ctx context.Context) (federation.Session, []store.Op, error) {
	p.started = nil
	level := p.t.Level(p.v.login.ACR)
	if p.v.held != nil && p.v.held.Session.Person == p.who.ID && (!p.v.fresh || level <= p.v.held.Session.Level) {
		var login *federation.Login
		if p.v.fresh {
			login = &p.v.login
		}
		return p.h.o.Sessions.PlanResume(ctx, p.t, *p.v.held, p.visit(), login, origin(p.r))
	}
	started, ops, err := p.h.o.Sessions.PlanBegin(ctx, p.t, session.Begin{
		ID: p.id, Person: p.who, Login: p.v.login, Client: p.v.client.ID, Subject: p.grant.Subject, Asks: p.agreed.asks, Request: origin(p.r),
		LoginURL: p.t.URL("/authorize"), FullLoginURL: p.v.request.full(p.t), SuccessURL: p.v.request.RedirectURI, Replaces: p.v.held, Level: level,
	})
	p.started = &started
	return started.Session, ops, err
}

// visit is the client's part in the session, noted with the code: a client that
// has not redeemed it yet is told of the session's end too.
func (p *signInPlan) visit() federation.Visit {
	return federation.Visit{Client: p.v.client.ID, Subject: p.grant.Subject, Pending: p.agreed.asks}
}

// tell adds the events of the sign-in.
func (p *signInPlan) tell(ctx context.Context, all []store.Op, s federation.Session) ([]store.Op, error) {
	now := p.h.o.Now()
	c := federation.Change{Kind: federation.SignedIn, Tenant: p.t, At: now, Detected: now, Person: &p.who, Session: &s,
		Client: p.v.client.ID, Upstream: p.v.login.Upstream, Request: origin(p.r)}
	if p.v.fresh || p.v.agreed {
		c.Login = &p.v.login
	}
	more, err := p.h.o.Plan(ctx, c)
	if err != nil {
		return nil, err
	}
	all = append(all, more...)
	if len(p.verdicts) == 0 {
		return all, nil
	}
	c.Kind, c.Verdicts = federation.ClaimRefused, p.verdicts
	more, err = p.h.o.Plan(ctx, c)
	return append(all, more...), err
}
