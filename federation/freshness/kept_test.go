package freshness

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

func TestKeptLoginsGoWithTheirSession(t *testing.T) {
	h := open(t)
	forget := Forget(h.engine, nil)
	offline := grant("off")
	offline.Offline = true
	h.begin(grant("s"), login("x"))
	h.begin(grant("off"), login("x"))
	if _, err := store.Update(t.Context(), h.engine, func(ctx context.Context) ([]store.Op, error) {
		return h.nodes[0].Begin(ctx, tenant(), offline, nil) // a further grant, without a sign-in
	}); err != nil {
		t.Fatal(err)
	}
	end := func(c federation.Change) {
		t.Helper()
		c.Tenant = tenant()
		if _, err := store.Update(t.Context(), h.engine, func(ctx context.Context) ([]store.Op, error) { return forget(ctx, c) }); err != nil {
			t.Fatal(err)
		}
	}
	there := func(sid string) bool { return h.kept(grant(sid)).Login.Subject != "" }
	session := func(sid string, kept bool) *federation.Session {
		return &federation.Session{ID: sid, Person: "alice", Logins: []federation.Login{{Upstream: "corp", Kept: kept}, {Upstream: "other", Kept: true}}}
	}
	end(federation.Change{Kind: federation.SessionEnded, Session: session("s", true), Cause: federation.Upgrade})
	end(federation.Change{Kind: federation.SessionEnded, Session: session("s", false), Cause: federation.Logout})
	if !there("s") {
		t.Error("an upgrade takes the login away")
	}
	end(federation.Change{Kind: federation.SessionEnded, Session: session("s", true), Cause: federation.Logout})
	end(federation.Change{Kind: federation.SessionEnded, Session: session("off", true), Cause: federation.Logout})
	if there("s") || !there("off") {
		t.Errorf("session: %v, offline: %v", there("s"), there("off"))
	}
	for _, kind := range []federation.ChangeKind{federation.PersonBlocked, federation.PersonDeleted} {
		for i := range 250 {
			h.begin(grant(fmt.Sprint("many", i)), login("x"))
		}
		end(federation.Change{Kind: federation.PersonUpdated, Person: &federation.Person{ID: "alice"}})
		if !there("many0") {
			t.Error("an update takes logins away")
		}
		end(federation.Change{Kind: kind, Person: &federation.Person{ID: "alice"}})
		if there("off") || there("many0") || there("many249") {
			t.Errorf("%s: something is left", kind)
		}
	}
}

// TestLoginsAreSealed: upstream tokens are not to be read in the store.
func TestLoginsAreSealed(t *testing.T) {
	h := open(t)
	sealer, err := store.NewSealer([]store.SealingKey{{ID: "k1", Key: []byte(strings.Repeat("k", 31) + "x")}})
	if err != nil {
		t.Fatal(err)
	}
	m, err := New(Options{Engine: h.engine, Sealer: sealer, Told: func(context.Context, federation.Tenant, string, federation.Login) ([]store.Op, error) {
		return nil, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	l := login("the-secret-token")
	if _, err := store.Update(t.Context(), h.engine, func(ctx context.Context) ([]store.Op, error) { return m.Begin(ctx, tenant(), grant("s"), &l) }); err != nil {
		t.Fatal(err)
	}
	rec, err := h.engine.Get(t.Context(), m.table.Key(tenant().Place, idOf("alice", "s", "corp")))
	if err != nil || strings.Contains(string(rec.Value), "the-secret-token") {
		t.Errorf("%v %s", err, rec.Value)
	}
}
