//go:build bench

package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/claims"
	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/person"
	"github.com/drawbridge-id/drawbridge/federation/session"
	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/sessionhooks"
	"github.com/drawbridge-id/drawbridge/sessionhooks/delivery"
)

// storage is an engine with what only its owner asks it.
type storage interface {
	store.Engine
	Layout() store.Layout
}

// ending is the part of Drawbridge that ends sessions, in this process: the session manager, the event log and the
// delivery queue over an engine, planned together as the program does it.
type ending struct {
	t       *testing.T
	engine  storage
	tenants []federation.Tenant
	log     *sessionhooks.Log
	queue   *delivery.Queue
	persons *person.Manager
	// people are of the tenants by turns.
	people   []federation.Person
	sessions *session.Manager
}

// newEnding closes the engine when the test is over.
func newEnding(t *testing.T, engine storage, tenants int) *ending {
	t.Helper()
	t.Cleanup(func() {
		if err := engine.Close(); err != nil {
			t.Error(err)
		}
	})
	e := &ending{t: t, engine: engine, log: sessionhooks.NewLog(engine, nil, 30*24*time.Hour), queue: delivery.NewQueue(engine, nil)}
	for i := range tenants {
		id := federation.DefaultTenant
		if i > 0 {
			id = fmt.Sprintf("tenant-%d", i)
		}
		e.tenants = append(e.tenants, federation.Tenant{
			ID: id, UUID: sessionhooks.NewID(), Issuer: "http://127.0.0.1:8080", Place: engine.Layout().Place(id),
		})
	}
	var err error
	if e.persons, err = person.New(person.Options{
		Engine: engine, EndSessions: func(context.Context, federation.Tenant, string, federation.Cause, federation.Request) error {
			return nil
		},
	}); err != nil {
		t.Fatal(err)
	}
	e.sessions = e.manager(session.Options{Engine: engine})
	e.people = make([]federation.Person, 256)
	crowd(t, browsers, len(e.people), func(i int) error {
		login, tenant := loginOf(i), e.tenantOf(i)
		known, err := e.persons.Resolve(t.Context(), tenant, login)
		if err != nil {
			return err
		}
		_, err = store.Update(t.Context(), engine, func(ctx context.Context) (ops []store.Op, err error) {
			up := federation.Upstream{ID: "corp", EmailFrom: []string{"email"}, Domains: []string{"corp.example"}}
			e.people[i], ops, err = e.persons.PlanSignIn(ctx, tenant, up, known, login, federation.Request{})
			return ops, err
		})
		return err
	})
	return e
}

// manager is a session manager as the program makes it; what is not said is added.
func (e *ending) manager(o session.Options) *session.Manager {
	e.t.Helper()
	byID := map[string]federation.Tenant{}
	for _, t := range e.tenants {
		byID[t.ID] = t
	}
	o.Plan, o.People, o.Node, o.Layout = e.plan, e.persons.All, "bench", e.engine.Layout()
	o.Tenant = func(id string) (federation.Tenant, bool) {
		t, known := byID[id]
		return t, known
	}
	if o.Policy == nil {
		o.Policy = func(federation.Tenant) session.Policy { return lifetimes(30 * time.Minute) }
	}
	m, err := session.New(o)
	if err != nil {
		e.t.Fatal(err)
	}
	return m
}

// lifetimes are those of sessions that have pinned a webhook.
func lifetimes(idle time.Duration) session.Policy {
	return session.Policy{Idle: idle, Max: 8 * time.Hour, Webhooks: func(federation.Session) []string { return []string{"tell-crm"} }}
}

func (e *ending) tenantOf(i int) federation.Tenant { return e.tenants[i%len(e.tenants)] }

// loginOf is what an upstream says of somebody, of the usual size.
func loginOf(i int) federation.Login {
	subject := userOf(i)
	return federation.Login{
		Upstream: "corp", Issuer: "http://127.0.0.1:9000", Subject: subject, IDToken: fmt.Sprintf("%0900d", i), AuthTime: time.Now(), At: time.Now(),
		Claims: claims.Set{
			"sub": subject, "name": "Ada Lovelace", "email": subject + "@corp.example", "email_verified": true, "locale": "en-GB",
			"groups": []any{"staff", "engineering", "on-call"}, "dept": "engineering", "customer_id": "C-" + subject,
		},
	}
}

// plan adds what the program adds to the commit of an end: its event, the delivery to the webhook that the session has
// pinned, and, where the user signs out, the event of that.
func (e *ending) plan(_ context.Context, c federation.Change) ([]store.Op, error) {
	if c.Kind != federation.SessionEnded {
		return nil, nil
	}
	s := c.Session
	values := sessionhooks.NewValues(map[sessionhooks.Property]string{
		sessionhooks.PropertyWebhookEventType: string(c.Cause), sessionhooks.PropertyAMCtxID: s.AuditID, sessionhooks.PropertyOidcSid: s.ID,
		sessionhooks.PropertyAMLBCookie: s.Node, sessionhooks.PropertyAuthInstant: s.Began.UTC().Format(time.RFC3339), sessionhooks.PropertyAuthLevel: "0",
		sessionhooks.PropertyFullLoginURL: s.FullLoginURL, sessionhooks.PropertyHost: s.Origin.Addr, sessionhooks.PropertyHostName: s.Origin.Host,
		sessionhooks.PropertyLoginURL: s.LoginURL, sessionhooks.PropertyOrganization: s.Tenant, sessionhooks.PropertySuccessURL: s.SuccessURL,
		sessionhooks.PropertyUserID: s.Person, sessionhooks.PropertyUserToken: c.Person.Email, sessionhooks.PropertyXUSRef: s.Reference,
	}, nil)
	ended := e.event(c, sessionhooks.StreamSession, sessionhooks.SessionEnded)
	var err error
	if ended.Data, err = json.Marshal(map[string]any{"Sid": s.ID, "Cause": c.Cause, "Values": values, "FromIpAddress": c.Request.Addr}); err != nil {
		return nil, err
	}
	ops := e.log.Append(c.Tenant.Place, ended)
	ops = append(ops, e.queue.Enqueue(c.Tenant.Place, delivery.Job{
		Sender: delivery.SessionWebhooks, Target: s.Webhooks[0], Event: ended.ID, Kind: string(c.Cause), Occurred: c.At, Created: c.Detected, Next: c.Detected,
	})...)
	if c.Cause != federation.Logout {
		return ops, nil
	}
	out := e.event(c, sessionhooks.StreamUser, sessionhooks.UserSignedOut)
	if out.Data, err = json.Marshal(map[string]any{"Metadata": map[string]string{"upstream": c.Upstream}, "FromIpAddress": c.Request.Addr}); err != nil {
		return nil, err
	}
	return append(ops, e.log.Append(c.Tenant.Place, out)...), nil
}

func (e *ending) event(c federation.Change, stream, kind string) sessionhooks.Event {
	return sessionhooks.Event{
		ID: sessionhooks.NewID(), Stream: stream, Type: kind, Tenant: c.Tenant.ID, Owner: c.Tenant.UUID, Aggregate: c.Session.Person,
		Occurred: c.At.UTC(), Detected: c.Detected.UTC(), CausedByPerson: c.Session.Person, Trace: c.Request.ID,
	}
}

// begin starts sessions, which is not measured.
func (e *ending) begin(n int) []string {
	e.t.Helper()
	ids := make([]string, n)
	crowd(e.t, 64, n, func(i int) error {
		_, err := store.Update(e.t.Context(), e.engine, func(ctx context.Context) (ops []store.Op, err error) {
			ids[i], ops, err = e.planBegin(ctx, e.sessions, i)
			return ops, err
		})
		return err
	})
	return ids
}

// planBegin is the part of a sign-in that begins a session, of a tenant and a person that the number says.
func (e *ending) planBegin(ctx context.Context, m *session.Manager, i int) (id string, ops []store.Op, err error) {
	login := loginOf(i)
	login.Subject += fmt.Sprintf("-%d", i) // a commit of many sessions checks each login once
	started, ops, err := m.PlanBegin(ctx, e.tenantOf(i), session.Begin{
		ID: m.NewID(), Person: e.people[i%len(e.people)], Login: login, Client: "shop",
		Request:  federation.Request{ID: sessionhooks.NewID(), Addr: "192.0.2.7", Host: "127.0.0.1:8080", UserAgent: "bench"},
		LoginURL: "http://127.0.0.1:8080/authorize", FullLoginURL: "http://127.0.0.1:8080/authorize?client_id=shop", SuccessURL: redirectURI,
	})
	return started.Session.ID, ops, err
}

// end ends sessions with so many writers, and says how long each end took.
func (e *ending) end(writers int, ids []string) []time.Duration {
	e.t.Helper()
	return crowd(e.t, writers, len(ids), func(i int) error { return e.endOne(e.sessions, i, ids[i]) })
}

func (e *ending) endOne(m *session.Manager, i int, id string) error {
	return m.End(e.t.Context(), e.tenantOf(i), id, federation.Logout, federation.Request{ID: "bench", Addr: "192.0.2.7"})
}

// puts is how many commits of one small record the engine makes in a second, under the same load: the floor of an end.
func (e *ending) puts(n int) float64 {
	e.t.Helper()
	record, began := make([]byte, 600), time.Now()
	crowd(e.t, 64, n, func(int) error {
		_, err := e.engine.Commit(e.t.Context(), store.Put(e.tenants[0].Place.Key("bench", sessionhooks.NewID()), record, time.Time{}))
		return err
	})
	return float64(n) / time.Since(began).Seconds()
}

// told fails the test unless the logs have one event for each end.
func (e *ending) told(want int) {
	e.t.Helper()
	n := 0
	for p := range e.engine.Layout().Partitions {
		var after store.Position
		for {
			some, err := e.log.Read(e.t.Context(), store.Partition(p), after, 1000, 0)
			if err != nil {
				e.t.Fatal(err)
			}
			if len(some) == 0 {
				break
			}
			for _, s := range some {
				after = s.Position
				if s.Event.Type == sessionhooks.SessionEnded {
					n++
				}
			}
		}
	}
	if n != want {
		e.t.Errorf("%d sessions ended and %d events tell of it", want, n)
	}
}
