//go:build faults

package faults

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/cmd/drawbridge/internal/oracle"
	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/boltstore"
	"github.com/drawbridge-id/drawbridge/sessionhooks"
)

// logged is an event as the store's log has it. The last three are those of a
// SessionEnded.
type logged struct {
	sessionhooks.Stored
	partition        int
	user, sid, cause string
}

// bolt is one node over one file.
func bolt() topology {
	return topology{name: "bolt", nodes: 1, begin: func(*testing.T) stage {
		return stage{config: "{engine: bolt, path: data.db}", read: func(t *testing.T, folder string) []logged {
			t.Helper()
			engine, err := boltstore.Open(boltstore.Options{Path: folder + "/data.db", Now: time.Now})
			if err != nil {
				t.Fatal(err)
			}
			defer engine.Close()
			return readLog(t, engine, engine.Layout().Partitions)
		}}
	}}
}

// readLog reads every partition's log from its beginning.
func readLog(t *testing.T, engine store.Engine, partitions int) (all []logged) {
	t.Helper()
	log := sessionhooks.NewLog(engine, nil, time.Hour)
	for p := range partitions {
		var after store.Position
		for {
			some, err := log.Read(t.Context(), store.Partition(p), after, 1000, 0)
			if err != nil {
				t.Fatalf("read the log of partition %d: %v", p, err)
			}
			if len(some) == 0 {
				break
			}
			for _, s := range some {
				after = s.Position
				l := logged{Stored: s, partition: p}
				if err := l.describe(t.Context(), log); err != nil {
					t.Fatal(err)
				}
				all = append(all, l)
			}
		}
	}
	return all
}

// describe reads whom a SessionEnded is about.
func (l *logged) describe(ctx context.Context, log *sessionhooks.Log) error {
	if l.Event.Type != sessionhooks.SessionEnded {
		return nil
	}
	data, err := log.Data(ctx, store.Place{Tenant: l.Event.Tenant, Partition: store.Partition(l.partition)}, l.Event.Aggregate, l.Event.ID)
	if err != nil {
		return err
	}
	if data == nil {
		return nil // erased
	}
	var told struct {
		Sid, Cause string
		Values     sessionhooks.Values
	}
	if err := json.Unmarshal(data, &told); err != nil {
		return err
	}
	mail, ok := told.Values.Lookup(string(sessionhooks.PropertyUserToken))
	if !ok {
		return errors.New("an ending without a user")
	}
	l.user, l.sid, l.cause = strings.TrimSuffix(mail, mailOf("")), told.Sid, told.Cause
	return nil
}

// ledger is what the oracle is given: the journal, the store's own log, and the
// attempts that the program shows.
func (h *house) ledger(log []logged, recorded []shown) oracle.Ledger {
	j := h.journal
	j.mu.Lock()
	defer j.mu.Unlock()
	l := oracle.Ledger{
		Webhooks: []oracle.Webhook{
			{ID: hookAll, Revisions: []oracle.Revision{{Topics: []string{"LOGOUT", "UPGRADE", "DESTROY", oracle.IdleTimeout, oracle.MaxTimeout}}}},
			{ID: hookSome, Revisions: []oracle.Revision{{Topics: []string{"LOGOUT", "DESTROY"}}}},
		},
		Faults: j.faults, Sessions: j.sessions, Controls: j.controls, Erasures: j.erasures, End: time.Now(),
		Margins: oracle.Margins{Clock: 100 * time.Millisecond, Commit: 1500 * time.Millisecond, Timeout: 15 * time.Second, Flight: time.Second, Sweep: 10 * time.Second},
	}
	n := namesOf(log, recorded, j.sids, j.subs)
	l.Events, l.Endings = n.events(log)
	if h.stage.redis != nil {
		l.Events = append(l.Events, h.stage.redis.follower.withdrawn(log)...)
	}
	for _, a := range j.arrivals {
		l.Arrivals = append(l.Arrivals, n.complete(a))
	}
	for _, r := range recorded {
		shown := oracle.Recorded{Webhook: r.Webhook, Event: n.sids[r.Session], Capped: len(r.Attempts) >= 50}
		for _, a := range r.Attempts {
			shown.Statuses = append(shown.Statuses, a.Status)
		}
		l.Recorded = append(l.Recorded, shown)
	}
	return l
}

// names tell what is about whom, also where the name was erased.
type names struct {
	// sids, subs and deliveries are the users of sessions, persons and deliveries,
	// causes why a user's session ended.
	sids, subs, deliveries, causes map[string]string
}

func namesOf(log []logged, recorded []shown, sids, subs map[string]string) names {
	n := names{sids: sids, subs: subs, deliveries: map[string]string{}, causes: map[string]string{}}
	for _, e := range log {
		if e.user != "" {
			n.sids[e.sid] = n.user(e.user)
		}
	}
	for _, r := range recorded {
		n.deliveries[r.ID], n.causes[n.sids[r.Session]] = n.sids[r.Session], r.Type
	}
	return n
}

// user is the user by name, where a webhook has named the person: a session that
// ends with its person has no address to be named by.
func (n names) user(name string) string {
	if user, known := n.subs[name]; known {
		return user
	}
	return name
}

// complete names what an arrival is about whose name was erased. Its body may
// then differ from that of an attempt before.
func (n names) complete(a oracle.Arrival) oracle.Arrival {
	if a.Event = n.user(a.Event); a.Event == "" {
		a.Event = n.deliveries[a.Delivery]
	}
	if strings.HasSuffix(a.Event, forgottenSuffix) {
		a.Body = ""
	}
	return a
}

// events are what the log has, the ends of sessions under the name of their user.
func (n names) events(log []logged) (events []oracle.Event, endings []oracle.Ending) {
	ended := map[string]bool{}
	for _, e := range log {
		event := oracle.Event{
			ID: e.Event.ID, Topic: e.Event.Type, Acknowledged: true, Partition: e.partition, Position: e.Position,
			Span: oracle.Span{From: e.Event.Detected, To: e.At},
		}
		e.user = n.user(e.user)
		if e.Event.Type == sessionhooks.SessionEnded && e.user == "" {
			e.user = n.subs[e.Event.Aggregate]
			e.cause = n.causes[e.user]
		}
		if e.user != "" {
			endings = append(endings, oracle.Ending{Session: e.user, ID: e.Event.ID, Cause: e.cause, Occurred: e.Event.Occurred, Detected: e.Event.Detected})
			if ended[e.user] {
				continue // the second ending is what O7 is about
			}
			ended[e.user] = true
			event.ID, event.Topic = e.user, e.cause
		}
		events = append(events, event)
	}
	return events, endings
}
