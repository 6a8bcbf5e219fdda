package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/bridge"
	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/freshness"
	"github.com/drawbridge-id/drawbridge/federation/limit"
	"github.com/drawbridge-id/drawbridge/federation/notice"
	"github.com/drawbridge-id/drawbridge/federation/op"
	"github.com/drawbridge-id/drawbridge/federation/person"
	"github.com/drawbridge-id/drawbridge/federation/session"
	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/token"
	"github.com/drawbridge-id/drawbridge/sessionhooks"
	"github.com/drawbridge-id/drawbridge/sessionhooks/delivery"
)

// catalogue knows every table of the program: the rooms make them over it as
// they do over an engine, and none of them is ever used.
func catalogue(sealer *store.Sealer) (*store.Catalogue, error) {
	c := &store.Catalogue{}
	store.NewTable[identity](c, store.TableOptions{Kind: "tenant", Schema: 1})
	newRevisions(revisionsOptions{Engine: c})
	op.ForgetConsents(c, sealer)
	freshness.Forget(c, sealer)
	if _, err := limit.New(limit.Options{Engine: c, Now: time.Now, Keys: 1, Log: slog.New(slog.DiscardHandler)}); err != nil {
		return nil, err
	}
	events := sessionhooks.NewLog(c, sealer, keepEvents)
	delivery.NewQueue(c, sealer)
	if _, err := delivery.NewStream(delivery.StreamOptions{
		Engine: c, Log: events, Name: "check", Wants: func(sessionhooks.Stored) bool { return false },
		Send:   func(context.Context, sessionhooks.Stored) delivery.Outcome { return delivery.Outcome{} },
		Logger: slog.New(slog.DiscardHandler),
	}); err != nil {
		return nil, err
	}
	persons, err := person.New(person.Options{
		Engine: c, Sealer: sealer,
		EndSessions: func(context.Context, federation.Tenant, string, federation.Cause, federation.Request) error {
			return nil
		},
	})
	if err != nil {
		return nil, err
	}
	sessions, err := session.New(session.Options{Engine: c, Sealer: sealer, Policy: func(federation.Tenant) session.Policy { return session.Policy{} }})
	if err != nil {
		return nil, err
	}
	if _, err := notice.New(notice.Options{
		Engine: c, Sealer: sealer, Registry: func() *federation.Registry { return nil }, Persons: persons, Sessions: sessions,
		Log: slog.New(slog.DiscardHandler), Now: time.Now,
	}); err != nil {
		return nil, err
	}
	keys, err := token.NewKeyring(token.KeyringOptions{
		Engine: c, Sealer: sealer, Tenants: func() []federation.Tenant { return nil }, Now: time.Now, RotateEvery: time.Hour, Overlap: time.Hour,
	})
	if err != nil {
		return nil, err
	}
	if _, err := token.New(token.Options{
		Engine: c, Sealer: sealer, Keyring: keys, Sessions: sessions, Persons: persons,
		Lifetimes: func() token.Lifetimes {
			return token.Lifetimes{Code: time.Minute, Access: time.Minute, ID: time.Minute, RefreshIdle: time.Minute, RefreshMax: time.Minute}
		},
	}); err != nil {
		return nil, err
	}
	_, err = bridge.New(bridge.Options{
		Engine: c, Sealer: sealer, Tenant: func(string) (bridge.Tenant, bool) { return bridge.Tenant{}, false }, Now: time.Now,
	})
	return c, err
}

// readEvent says whether an entry of the log is an event.
func readEvent(e store.Entry) error {
	var event sessionhooks.Event
	return json.Unmarshal(e.Value, &event)
}

// demand is what a record counts on.
type demand struct {
	// key is a record that must be there; why is what is wrong where it is not.
	key store.Key
	why string
	// harmless: the program itself notices and tidies up.
	harmless bool
	// wrong: it is wrong whatever else is there.
	wrong bool
}

// demands are what the rooms promise of a record and others:
//
//   - a session has its entry in the index by person and its due time, without
//     which it would never end by itself;
//   - a pending job has its due time, without which it would never be sent;
//   - an alias leads to a person, who may live in another partition;
//   - the cursor of a webhook stands within the log.
//
// What one record may rightly outlive another of, is not here: a refresh family
// stays when its session has ended, and is dead.
func demands(rec store.Record, value any, head store.Head) []demand {
	at, id := rec.Key.Place(), rec.Key.Local()
	one := func(kind, id, why string) []demand { return []demand{{key: at.Key(kind, id), why: why}} }
	switch rec.Key.Kind {
	case "session":
		s, _ := value.(federation.Session)
		return []demand{
			{key: at.Own().Key("session.due", s.Due), why: "a session has no due time: it would never time out by itself"},
			{key: at.Key("session.person", s.Person+"/"+s.ID), why: "a session is not in the index by person: deleting the person would not end it"},
		}
	case "session.person":
		_, sid, _ := strings.Cut(id, "/")
		return one("session", sid, "the index by person names a session that is not there")
	case "session.upstream":
		_, sid, _ := strings.Cut(id, "/")
		return one("session", sid, "the index by upstream names a session that is not there")
	case "session.due":
		return dueDemand(at, id, "session", "a due time is of a session that is not there: the sweeper removes it")
	case "job":
		if j, _ := value.(delivery.Job); j.State == delivery.Pending {
			return []demand{{key: at.Own().Key("job_due", j.Due), why: "a pending delivery has no due time: it would never be sent"}}
		}
	case "job_due":
		return dueDemand(at, id, "job", "a due time is of a delivery that is not there: the worker removes it")
	case "person.alias":
		var a struct {
			Person string `json:"person"`
		}
		text, err := json.Marshal(value)
		if err == nil && json.Unmarshal(text, &a) == nil {
			return one("person", a.Person, "an alias leads to a person who is not there")
		}
	case "person.email", "person.customer":
		_, who, _ := strings.Cut(id, "/")
		// Whoever finds somebody by it looks again at what was found.
		return []demand{{key: at.Key("person", who), why: "an index entry leads to a person who is not there", harmless: true}}
	case "cursor":
		if c, _ := value.(delivery.Cursor); c.Position.Compare(head.Last) > 0 {
			return []demand{{wrong: true, why: "a webhook's cursor stands beyond the end of the log: events were lost"}}
		}
	}
	return nil
}

// dueDemand is of a due record of the partition, which names tenant and record.
func dueDemand(own store.Place, id, kind, why string) []demand {
	_, name, err := store.ParseDueID(id)
	tenant, local, found := strings.Cut(name, "/")
	if err != nil || !found {
		return []demand{{wrong: true, why: "a due time names nothing"}}
	}
	of := store.Place{Tenant: tenant, Partition: own.Partition}
	return []demand{{key: of.Key(kind, local), why: why, harmless: true}}
}
