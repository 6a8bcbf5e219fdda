package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

// Begin is what a session begins with.
type Begin struct {
	// ID comes from NewID, made the person's with For, once per session however
	// often its commit is planned.
	ID     ID
	Person federation.Person
	Login  federation.Login
	// Client is the relying party that is told of the session, if any, Subject
	// the sub that it knows the person as. Asks says that the user has to agree
	// first.
	Client, Subject string
	Asks            bool
	Request         federation.Request
	// The addresses of federation.Session; none may hold a secret.
	LoginURL, FullLoginURL, SuccessURL string
	Level                              int
	// Replaces is the browser's old session, if it has one: it ends in the same
	// commit, with Upgrade where the person is the same and else with Destroy.
	// Where it is over by the time of the commit, nothing is taken over. One in
	// another partition must have made way before; see MakeWay.
	Replaces *Held
}

// Started is a session that begins when the planned commit is made.
type Started struct {
	// Session is as stored. Its ID is that of the replaced session on an
	// upgrade: bind grants to it, not to Begin.ID.
	Session     federation.Session
	CookieValue federation.Secret

	tenant federation.Tenant
	ended  *ended
	// evicted are the sessions that end because the person has too many.
	evicted []ended
}

// PlanBegin is a session's part of a sign-in's commit. It reads anew and has no
// effect, so it belongs inside store.Update; tell the manager with Committed
// once the commit stands. ErrSignedOut when the upstream has ended the login
// meanwhile: that is looked for only once a commit has conflicted, as one does
// that does not know of it.
func (m *Manager) PlanBegin(ctx context.Context, t federation.Tenant, b Begin) (Started, []store.Op, error) {
	if b.ID.Session == "" || b.ID.Secret == "" || b.Person.ID == "" {
		return Started{}, nil, errors.New("session: cannot begin without names and a person")
	}
	at := t.PlaceOf(b.Person.ID)
	if t.PlaceOf(b.ID.Session) != at {
		return Started{}, nil, errors.New("session: the sid was not made for this person")
	}
	now, err := m.now(ctx)
	if err != nil {
		return Started{}, nil, err
	}
	s, err := m.fresh(t, b, now)
	if err != nil {
		return Started{}, nil, err
	}
	look := b.ID.planned == nil || *b.ID.planned
	if b.ID.planned != nil {
		*b.ID.planned = true
	}
	checks, err := m.unbarred(ctx, at, b.Login, look)
	if err != nil {
		return Started{}, nil, err
	}
	st := Started{tenant: t}
	old, err := m.replaced(ctx, t, b)
	if err != nil {
		return Started{}, nil, err
	}
	var ops []store.Op
	if old != nil && old.Place != at {
		return Started{}, nil, errors.New("session: the session to be replaced is in another partition and has not made way")
	}
	if old != nil {
		e := judge(old.Value, now, ending{cause: federation.Destroy, at: now, request: b.Request})
		if e.cause == federation.Destroy && old.Value.Person == s.Person {
			e.cause = federation.Upgrade
			s = inherit(s, old.Value)
		}
		if ops, err = m.planEnd(ctx, t, *old, m.person(ctx, t, old.Value.Person), e, now); err != nil {
			return Started{}, nil, err
		}
		st.ended = &ended{session: old.Value, cause: e.cause}
	}
	surplus, evicted, err := m.quota(ctx, t, s, b, now)
	if err != nil {
		return Started{}, nil, err
	}
	ops, st.evicted = append(ops, surplus...), evicted
	if hooks := m.o.Policy(t).Webhooks; hooks != nil {
		s.Webhooks = union(s.Webhooks, hooks(s))
	}
	s.Due = dueID(t, s)
	ops = append(m.place(at, ops, s, old), checks...)
	st.Session = s
	st.CookieValue = federation.Secret(ticket{place: at, sid: s.ID, secret: b.ID.Secret.Reveal()}.String())
	told := s
	more, err := m.plan(ctx, federation.Change{
		Kind: federation.SessionBegan, Tenant: t, At: now, Detected: now, Person: &b.Person,
		Session: &told, Login: &b.Login, Client: b.Client, Upstream: b.Login.Upstream, Request: b.Request,
	})
	return st, append(ops, more...), err
}

// Committed tells the manager that a planned beginning stands, for observers.
func (m *Manager) Committed(s Started) {
	if s.ended != nil {
		m.observeEnd(s.tenant, *s.ended)
	}
	for _, e := range s.evicted {
		m.observeEnd(s.tenant, e)
	}
	if m.o.Observe.Began != nil {
		m.o.Observe.Began(s.tenant, s.Session)
	}
}

// fresh is a session that takes over nothing.
func (m *Manager) fresh(t federation.Tenant, b Begin, now time.Time) (federation.Session, error) {
	policy := m.o.Policy(t)
	if policy.Idle <= 0 || policy.Max <= 0 {
		return federation.Session{}, fmt.Errorf("session: tenant %q has no lifetimes", t.ID)
	}
	s := federation.Session{
		ID: b.ID.Session, Tenant: t.ID, SecretHash: federation.HashSecret(b.ID.Secret.Reveal()),
		Person: b.Person.ID, Logins: []federation.Login{b.Login},
		Began: now, Active: now, Idle: policy.Idle, Max: policy.Max,
		Level: b.Level, AuditID: b.ID.Audit, Reference: b.ID.Reference,
		Node: m.o.Node, Origin: b.Request,
		LoginURL: b.LoginURL, FullLoginURL: b.FullLoginURL, SuccessURL: b.SuccessURL,
	}
	if b.Client != "" {
		s = s.WithVisit(federation.Visit{Client: b.Client, Subject: b.Subject, Pending: b.Asks}, now)
	}
	return s, nil
}

// replaced reads the session that b replaces, nil when it is gone or another
// has taken its place already.
func (m *Manager) replaced(ctx context.Context, t federation.Tenant, b Begin) (*store.Row[federation.Session], error) {
	if b.Replaces == nil {
		return nil, nil
	}
	row, err := m.read(ctx, t, b.Replaces.Session.ID)
	if errors.Is(err, ErrNotFound) || err == nil && row.Value.AuditID != b.Replaces.Session.AuditID {
		return nil, nil
	}
	return &row, err
}

// inherit is what an upgrade moves to the new session (DESIGN decision 10).
func inherit(s, old federation.Session) federation.Session {
	s.ID, s.Reference = old.ID, old.Reference
	s.Level = max(s.Level, old.Level)
	s.Properties = old.Properties
	s.Webhooks = slices.Clone(old.Webhooks)
	for _, l := range old.Logins {
		if _, newer := s.Login(l.Upstream); !newer {
			s = s.WithLogin(l)
		}
	}
	mine := s.Clients
	s.Clients = old.Clients
	for _, v := range mine {
		s = s.WithVisit(v, v.Last)
	}
	return s
}

// place adds the writes of a session that begins to those of the end of the
// one it replaces, if any. After an upgrade both have the same sid: the one's
// removal and the other's creation are a single replacement.
func (m *Manager) place(at store.Place, ops []store.Op, s federation.Session, old *store.Row[federation.Session]) []store.Op {
	session := m.sessions.Create(at, s.ID, s, time.Time{})
	if old != nil && old.ID == s.ID {
		session = m.sessions.Replace(at, s.ID, s, old.Version, time.Time{})
	}
	writes := append(m.enter(at, s), session,
		m.index.Put(at, indexID(s.Person, s.ID), struct{}{}, time.Time{}),
		m.dues.Put(at.Own(), s.Due, struct{}{}, time.Time{}))
	ops = slices.DeleteFunc(ops, func(op store.Op) bool {
		return slices.ContainsFunc(writes, func(w store.Op) bool { return w.Key == op.Key })
	})
	return append(ops, writes...)
}

// union is a followed by what only b has.
func union(a, b []string) []string {
	for _, s := range b {
		if !slices.Contains(a, s) {
			a = append(a, s)
		}
	}
	return a
}
