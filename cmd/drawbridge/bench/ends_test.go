//go:build bench

package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/claims"
	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/person"
	"github.com/drawbridge-id/drawbridge/federation/session"
	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/boltstore"
	"github.com/drawbridge-id/drawbridge/sessionhooks"
	"github.com/drawbridge-id/drawbridge/sessionhooks/delivery"
)

// ending is the part of Drawbridge that ends sessions, in this process: the session manager, the event log and the
// delivery queue over the bolt engine, planned together as the program does it.
type ending struct {
	t        *testing.T
	engine   *boltstore.Engine
	tenant   federation.Tenant
	log      *sessionhooks.Log
	queue    *delivery.Queue
	people   []federation.Person
	sessions *session.Manager
}

func TestSessionEnds(t *testing.T) {
	e := newEnding(t)
	figures := newTable(t, "Session ends with event, sign-out and delivery, bolt engine")
	var alone, many, least, p50, p99 []float64
	var commits, syncs uint64
	ended := 0
	for range rounds {
		least = append(least, e.puts(4096))
		one := e.begin(200)
		took := e.end(1, one)
		alone = append(alone, middle(took))
		crowded := e.begin(4096)
		before, began := e.engine.Stats(), time.Now()
		took = e.end(64, crowded)
		many = append(many, float64(len(took))/time.Since(began).Seconds())
		after := e.engine.Stats()
		commits, syncs = commits+after.Commits-before.Commits, syncs+after.Batches-before.Batches
		p50, p99 = append(p50, middle(took)), append(p99, part(took, 0.99))
		ended += len(one) + len(crowded)
	}
	e.told(ended)
	figures.add("64 writers", "per s", "at least 4000", many...)
	figures.add("64 writers: commits of one record of 600 bytes", "per s", "", least...)
	figures.add("64 writers: ends / commits of one record", "ratio", "", ratios(many, least)...)
	figures.add("64 writers: one end, p50", "ms", "", p50...)
	figures.add("64 writers: one end, p99", "ms", "", p99...)
	figures.add("64 writers: commits per sync", "", "", float64(commits)/float64(syncs))
	figures.add("1 writer: one end, p50", "ms", "", alone...)
}

func newEnding(t *testing.T) *ending {
	t.Helper()
	engine, err := boltstore.Open(boltstore.Options{Path: filepath.Join(t.TempDir(), "store.db"), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := engine.Close(); err != nil {
			t.Error(err)
		}
	})
	e := &ending{
		t: t, engine: engine, log: sessionhooks.NewLog(engine, nil, 30*24*time.Hour), queue: delivery.NewQueue(engine, nil),
		tenant: federation.Tenant{ID: federation.DefaultTenant, UUID: sessionhooks.NewID(), Issuer: "http://127.0.0.1:8080", Place: engine.Layout().Place(federation.DefaultTenant)},
	}
	persons, err := person.New(person.Options{
		Engine: engine, EndSessions: func(context.Context, federation.Tenant, string, federation.Cause, federation.Request) error {
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	pin := func(federation.Session) []string { return []string{"tell-crm"} }
	if e.sessions, err = session.New(session.Options{
		Engine: engine, Plan: e.plan, Person: persons.Get, Node: "bench",
		Policy: func(federation.Tenant) session.Policy {
			return session.Policy{Idle: 30 * time.Minute, Max: 8 * time.Hour, Webhooks: pin}
		},
	}); err != nil {
		t.Fatal(err)
	}
	e.people = make([]federation.Person, 256)
	crowd(t, browsers, len(e.people), func(i int) error {
		login := loginOf(i)
		known, err := persons.Resolve(t.Context(), e.tenant, login)
		if err != nil {
			return err
		}
		_, err = store.Update(t.Context(), engine, func(ctx context.Context) (ops []store.Op, err error) {
			up := federation.Upstream{ID: "corp", EmailFrom: []string{"email"}, Domains: []string{"corp.example"}}
			e.people[i], ops, err = persons.PlanSignIn(ctx, e.tenant, up, known, login, federation.Request{})
			return ops, err
		})
		return err
	})
	return e
}

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
// pinned, and the event of the sign-out.
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
	out := e.event(c, sessionhooks.StreamUser, sessionhooks.UserSignedOut)
	var err error
	if ended.Data, err = json.Marshal(map[string]any{"Sid": s.ID, "Cause": c.Cause, "Values": values, "FromIpAddress": c.Request.Addr}); err != nil {
		return nil, err
	}
	if out.Data, err = json.Marshal(map[string]any{"Metadata": map[string]string{"upstream": c.Upstream}, "FromIpAddress": c.Request.Addr}); err != nil {
		return nil, err
	}
	ops := e.log.Append(c.Tenant.Place, ended)
	ops = append(ops, e.queue.Enqueue(c.Tenant.Place, delivery.Job{
		Sender: delivery.SessionWebhooks, Target: s.Webhooks[0], Event: ended.ID, Kind: string(c.Cause), Occurred: c.At, Created: c.Detected, Next: c.Detected,
	})...)
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
		b := session.Begin{
			ID: e.sessions.NewID(), Person: e.people[i%len(e.people)], Login: loginOf(i), Client: "shop",
			Request:  federation.Request{ID: sessionhooks.NewID(), Addr: "192.0.2.7", Host: "127.0.0.1:8080", UserAgent: "bench"},
			LoginURL: "http://127.0.0.1:8080/authorize", FullLoginURL: "http://127.0.0.1:8080/authorize?client_id=shop", SuccessURL: redirectURI,
		}
		_, err := store.Update(e.t.Context(), e.engine, func(ctx context.Context) ([]store.Op, error) {
			started, ops, err := e.sessions.PlanBegin(ctx, e.tenant, b)
			ids[i] = started.Session.ID
			return ops, err
		})
		return err
	})
	return ids
}

// end ends sessions with so many writers, and says how long each end took.
func (e *ending) end(writers int, ids []string) []time.Duration {
	e.t.Helper()
	return crowd(e.t, writers, len(ids), func(i int) error {
		return e.sessions.End(e.t.Context(), e.tenant, ids[i], federation.Logout, federation.Request{ID: "bench", Addr: "192.0.2.7"})
	})
}

// puts is how many commits of one small record the engine makes in a second, under the same load: the floor of an end.
func (e *ending) puts(n int) float64 {
	e.t.Helper()
	record, began := make([]byte, 600), time.Now()
	crowd(e.t, 64, n, func(int) error {
		_, err := e.engine.Commit(e.t.Context(), store.Put(e.tenant.Place.Key("bench", sessionhooks.NewID()), record, time.Time{}))
		return err
	})
	return float64(n) / time.Since(began).Seconds()
}

// told fails the test unless the log has one event for each end.
func (e *ending) told(want int) {
	e.t.Helper()
	var after store.Position
	n := 0
	for {
		some, err := e.log.Read(e.t.Context(), e.tenant.Place.Partition, after, 1000, 0)
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
	if n != want {
		e.t.Errorf("%d sessions ended and %d events tell of it", want, n)
	}
}
