package admin_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drawbridge-id/drawbridge/claims"
	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/person"
	"github.com/drawbridge-id/drawbridge/federation/session"
	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/boltstore"
)

// rooms are persons and sessions as a program wires them.
type rooms struct {
	eng      *boltstore.Engine
	people   *person.Manager
	sessions *session.Manager
}

// openRooms opens the file; die, while not nil, is what ending sessions runs into.
func openRooms(t *testing.T, path string, now func() time.Time, plan federation.Planner, die error) *rooms {
	t.Helper()
	eng, err := boltstore.Open(boltstore.Options{Path: path, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	r := &rooms{eng: eng}
	r.sessions, err = session.New(session.Options{
		Engine: eng, Tenant: tenant, Plan: plan,
		Policy: func(federation.Tenant) session.Policy { return session.Policy{Idle: time.Hour, Max: 8 * time.Hour} },
		People: func(ctx context.Context, t federation.Tenant, ids ...string) (map[string]federation.Person, error) {
			return r.people.All(ctx, t, ids...)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	r.people, err = person.New(person.Options{
		Engine: eng, Tenant: tenant, Plan: plan,
		EndSessions: func(ctx context.Context, t federation.Tenant, id string, cause federation.Cause, req federation.Request) error {
			if die != nil {
				return die
			}
			_, err := r.sessions.EndAll(ctx, t, id, cause, req)
			return err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// signIn is the one commit of a sign-in: person and session.
func (r *rooms) signIn(t *testing.T) (federation.Person, session.Started) {
	t.Helper()
	org, _ := tenant("default")
	u := federation.Upstream{ID: "corp"}
	l := federation.Login{Upstream: "corp", Subject: "1", Claims: claims.Set{"sub": "1"}}
	k, err := r.people.Resolve(t.Context(), org, l)
	if err != nil {
		t.Fatal(err)
	}
	var p federation.Person
	var st session.Started
	id := r.sessions.NewID()
	_, err = store.Update(t.Context(), r.eng, func(ctx context.Context) ([]store.Op, error) {
		var ops, more []store.Op
		var err error
		if p, ops, err = r.people.PlanSignIn(ctx, org, u, k, l, federation.Request{}); err != nil {
			return nil, err
		}
		st, more, err = r.sessions.PlanBegin(ctx, org, session.Begin{ID: id, Person: p, Login: l, Client: "shop"})
		return append(ops, more...), err
	})
	if err != nil {
		t.Fatal(err)
	}
	return p, st
}

// Deleting a person ends their sessions, also when the process dies right
// after the person is gone: once each, with the cause.
func TestDeletionEndsSessionsOverACrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		org, _ := tenant("default")
		path := filepath.Join(t.TempDir(), "store.db")
		var mu sync.Mutex
		var ends []federation.Change
		plan := func(_ context.Context, c federation.Change) ([]store.Op, error) {
			mu.Lock()
			defer mu.Unlock()
			if c.Kind == federation.SessionEnded {
				ends = append(ends, c)
			}
			return nil, nil
		}
		before := openRooms(t, path, time.Now, plan, errors.New("killed"))
		p, first := before.signIn(t)
		_, second := before.signIn(t)
		if err := before.people.Delete(t.Context(), org, p.ID, federation.Request{ID: "delete"}); err != nil {
			t.Fatal(err)
		}
		if err := before.eng.Close(); err != nil {
			t.Fatal(err)
		}

		after := openRooms(t, path, time.Now, plan, nil)
		defer func() { _ = after.eng.Close() }()
		if _, err := after.people.Get(t.Context(), org, p.ID); !errors.Is(err, person.ErrNotFound) {
			t.Errorf("the person is back: %v", err)
		}
		again, third := after.signIn(t)
		if again.ID == p.ID {
			t.Error("somebody new has the old id")
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 2)
		go func() { done <- after.people.Run(ctx) }()
		go func() { done <- after.sessions.Run(ctx) }()
		time.Sleep(time.Minute)
		synctest.Wait()
		for _, st := range []session.Started{first, second} {
			if _, err := after.sessions.Live(t.Context(), org, st.Session.ID); !errors.Is(err, session.ErrNotFound) {
				t.Errorf("a session of the deleted lives: %v", err)
			}
		}
		if _, err := after.sessions.Live(t.Context(), org, third.Session.ID); err != nil {
			t.Errorf("the session of whoever came after: %v", err)
		}
		if len(ends) != 2 {
			t.Fatalf("%d ends", len(ends))
		}
		for _, e := range ends {
			if e.Cause != federation.Destroy || e.Person != nil || e.Request.ID != "delete" || e.Session.Person != p.ID {
				t.Errorf("ended %+v", e)
			}
		}
		cancel()
		for range 2 {
			if err := <-done; err != nil {
				t.Errorf("Run: %v", err)
			}
		}
	})
}
