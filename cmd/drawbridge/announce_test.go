package main

import (
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/claims"
	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/boltstore"
	"github.com/drawbridge-id/drawbridge/sessionhooks"
	"github.com/drawbridge-id/drawbridge/sessionhooks/delivery"
)

func began() time.Time { return time.Date(2026, 5, 4, 3, 2, 1, 987654321, time.UTC) }

func knownPerson() *federation.Person {
	return &federation.Person{ID: "0196a000-0000-7000-8000-000000000001", Tenant: "acme", Upstream: "corp", Subject: "alice", Email: "alice@corp.example", Created: began()}
}

func knownSession() *federation.Session {
	return &federation.Session{
		ID: "the-sid", Tenant: "acme", SecretHash: "the-secret-hash", Person: knownPerson().ID,
		Logins: []federation.Login{{Upstream: "corp", IDToken: "the-id-token", RefreshToken: "the-refresh-token"}, {Upstream: "second"}},
		Began:  began(), Active: began(), Idle: time.Minute, Max: time.Hour, Level: 2, AuditID: "the-audit-id", Reference: "the-reference", Node: "node-1",
		Origin:   federation.Request{Addr: "192.0.2.7", Host: "login.example.org", UserAgent: "Browser/1", Locale: "nl"},
		LoginURL: "https://login.example.org/authorize", FullLoginURL: "https://login.example.org/authorize?client_id=shop", SuccessURL: "https://shop.example/callback",
		Properties: map[string]string{"brand": "blue", "UserId": "forged"}, Webhooks: []string{"tell", "only-logout", "removed"},
	}
}

func TestWhatEachSessionPropertyHolds(t *testing.T) {
	want := map[sessionhooks.Property]string{
		sessionhooks.PropertyAMCtxID: "the-audit-id", sessionhooks.PropertyAMLBCookie: "node-1",
		sessionhooks.PropertyAuthInstant: "2026-05-04T03:02:01Z", sessionhooks.PropertyAuthLevel: "2",
		sessionhooks.PropertyCharSet: "UTF-8", sessionhooks.PropertyClientType: "genericHTML",
		sessionhooks.PropertyFullLoginURL: "https://login.example.org/authorize?client_id=shop",
		sessionhooks.PropertyHost:         "192.0.2.7", sessionhooks.PropertyHostName: "login.example.org",
		sessionhooks.PropertyIndexType: "service", sessionhooks.PropertyLocale: "nl", sessionhooks.PropertyLoginURL: "/authorize",
		sessionhooks.PropertyOidcSid: "the-sid", sessionhooks.PropertyOrganization: "acme",
		sessionhooks.PropertyPrincipal: "id=0196a000-0000-7000-8000-000000000001,ou=user,o=acme", sessionhooks.PropertyService: "corp",
		sessionhooks.PropertySuccessURL:          "https://shop.example/callback",
		sessionhooks.PropertyUniversalIdentifier: "id=0196a000-0000-7000-8000-000000000001,ou=user,o=acme",
		sessionhooks.PropertyUserID:              "0196a000-0000-7000-8000-000000000001", sessionhooks.PropertyUserProfile: "Required",
		sessionhooks.PropertyUserToken: "alice@corp.example", sessionhooks.PropertyXUSRef: "the-reference",
		sessionhooks.PropertyWebhookEventType: "IDLE_TIMEOUT",
	}
	values := endValues(federation.Change{Kind: federation.SessionEnded, Session: knownSession(), Person: knownPerson(), Cause: federation.IdleTimeout})
	for _, p := range sessionhooks.Properties() {
		got, has := values.Lookup(string(p))
		if has != p.Supported() || got != want[p] {
			t.Errorf("%s is %q (%v), want %q", p, got, has, want[p])
		}
	}
	if brand, _ := values.Lookup("brand"); brand != "blue" {
		t.Errorf("the custom property is %q", brand)
	}
}

func TestWhatIsNotKnownIsAbsent(t *testing.T) {
	s := &federation.Session{ID: "sid", Tenant: "acme", Person: "somebody", Began: began()}
	values := endValues(federation.Change{Session: s, Cause: federation.Destroy}) // the person is gone already
	if token, _ := values.Lookup(string(sessionhooks.PropertyUserToken)); token != "somebody" {
		t.Errorf("UserToken is %q", token)
	}
	for _, p := range []sessionhooks.Property{sessionhooks.PropertyLocale, sessionhooks.PropertyService, sessionhooks.PropertyHost,
		sessionhooks.PropertyFullLoginURL, sessionhooks.PropertyXUSRef, sessionhooks.PropertyAMLBCookie} {
		if value, has := values.Lookup(string(p)); has {
			t.Errorf("%s is there: %q", p, value)
		}
	}
}

// announcing is an announcer over a store of its own, with the webhooks of a
// configuration.
func announcing(t *testing.T) (*announcer, *boltstore.Engine) {
	t.Helper()
	eng, err := boltstore.Open(boltstore.Options{Path: filepath.Join(t.TempDir(), "events.db"), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := eng.Close(); err != nil {
			t.Error(err)
		}
	})
	registry, err := federation.NewRegistry([]federation.Tenant{tenantOf()}, nil,
		[]federation.Client{{ID: "shop", Tenant: "acme", Name: "The shop"}})
	if err != nil {
		t.Fatal(err)
	}
	r := &revision{registry: registry, webhooks: map[string][]sessionWebhook{}}
	for id, events := range map[string][]sessionhooks.EndEvent{"tell": nil, "only-logout": {"LOGOUT"}, "not-pinned": nil} {
		compiled, wrong := sessionhooks.Compile(sessionhooks.Webhook{ID: id, URL: "https://crm.example/", Events: events}, nil)
		if len(wrong) > 0 {
			t.Fatal(wrong)
		}
		r.webhooks["acme"] = append(r.webhooks["acme"], sessionWebhook{made: config.SessionWebhook{ID: id}, compiled: compiled})
	}
	return &announcer{log: sessionhooks.NewLog(eng, nil, time.Hour), queue: delivery.NewQueue(eng, nil), live: func() *revision { return r }}, eng
}

func tenantOf() federation.Tenant {
	return federation.Tenant{ID: "acme", UUID: "0196a000-0000-7000-8000-00000000000a", Issuer: "https://login.example.org/t/acme", Place: store.Place{Tenant: "acme"}}
}

// emitted commits what a change adds and reads the events with their data.
func emitted(t *testing.T, a *announcer, eng *boltstore.Engine, c federation.Change) (events []sessionhooks.Event) {
	t.Helper()
	c.Tenant, c.Detected = tenantOf(), time.Now()
	if c.At.IsZero() {
		c.At = c.Detected
	}
	before, err := sessionhooks.Newest(t.Context(), eng, c.Tenant.Place.Partition)
	if err != nil {
		t.Fatal(err)
	}
	ops, err := a.plan(t.Context(), c)
	if err == nil {
		_, err = eng.Commit(t.Context(), ops...)
	}
	if err != nil {
		t.Fatal(err)
	}
	stored, err := a.log.Read(t.Context(), c.Tenant.Place.Partition, before, 10, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range stored {
		if s.Event.Data, err = a.log.Data(t.Context(), c.Tenant.Place, s.Event.Aggregate, s.Event.ID); err != nil {
			t.Fatal(err)
		}
		events = append(events, s.Event)
	}
	return events
}

func TestEventsPerChange(t *testing.T) {
	a, eng := announcing(t)
	p, s := knownPerson(), knownSession()
	login := &s.Logins[0]
	req := federation.Request{ID: "request-1", Addr: "192.0.2.9", UserAgent: "Browser/2"}
	for name, c := range map[string]struct {
		change federation.Change
		types  []string
		data   []string // of the first event
	}{
		"first sign-in":     {federation.Change{Kind: federation.PersonCreated, Person: p}, []string{"UserCreated"}, []string{"Email", "EmailConfirmed", "IsSystemUser", "SendInvitation", "Username", "ValidFrom"}},
		"news of a person":  {federation.Change{Kind: federation.PersonUpdated, Person: p}, []string{"UserUpdated"}, []string{"Email", "EmailConfirmed", "IsSystemUser", "SendInvitation", "Username", "ValidFrom"}},
		"deletion":          {federation.Change{Kind: federation.PersonDeleted, Person: p, Request: req}, []string{"UserDeleted"}, nil},
		"block":             {federation.Change{Kind: federation.PersonBlocked, Person: p, Request: req}, []string{"UserLockedout"}, []string{"FromIpAddress", "Metadata", "UserAgent"}},
		"login added":       {federation.Change{Kind: federation.LoginAdded, Person: p, Upstream: "partner", Request: req}, []string{"UserLoginAdded"}, []string{"FromIpAddress", "LoginProvider", "Metadata", "UserAgent"}},
		"login removed":     {federation.Change{Kind: federation.LoginRemoved, Person: p, Upstream: "partner", Request: req}, []string{"UserLoginRemoved"}, []string{"FromIpAddress", "LoginProvider", "Metadata", "UserAgent"}},
		"end of a block":    {federation.Change{Kind: federation.PersonUnblocked, Person: p, Request: req}, []string{"UserUnlocked"}, []string{"FromIpAddress", "Metadata", "UserAgent"}},
		"confirmed address": {federation.Change{Kind: federation.EmailConfirmed, Person: p, Request: req}, []string{"UserConfirmedEmail"}, []string{"FromIpAddress", "Metadata", "UserAgent"}},
		"interactive":       {federation.Change{Kind: federation.SignedIn, Person: p, Session: s, Login: login, Upstream: "corp", Client: "shop"}, []string{"UserSignedIn"}, []string{"AuthenticationMethod", "AuthenticationRequirement", "Kind", "Metadata"}},
		"silent":            {federation.Change{Kind: federation.SignedIn, Person: p, Session: s, Client: "shop", Request: req}, []string{"UserSignedIn"}, []string{"FromIpAddress", "Kind", "Metadata", "UserAgent"}},
		"failed":            {federation.Change{Kind: federation.SignInFailed, Reason: "access_denied", Client: "shop", Request: req}, []string{"UserSignInFailed"}, []string{"FromIpAddress", "Metadata", "Reason", "UserAgent"}},
		"session":           {federation.Change{Kind: federation.SessionBegan, Person: p, Session: s}, []string{"SessionBegan"}, []string{"PersonId", "Sid"}},
		"sign-out":          {federation.Change{Kind: federation.SessionEnded, Session: s, Person: p, Cause: federation.Logout, Request: req}, []string{"SessionEnded", "UserSignedOut"}, []string{"Cause", "FromIpAddress", "Sid", "UserAgent", "Values"}},
		"idled out":         {federation.Change{Kind: federation.SessionEnded, Session: s, Cause: federation.IdleTimeout}, []string{"SessionEnded"}, []string{"Cause", "Sid", "Values"}},
		"refused claim": {federation.Change{Kind: federation.ClaimRefused, Person: p, Client: "shop", Verdicts: []claims.Verdict{{Step: "hook", Claim: "sub", Class: claims.Minted, What: claims.Changed}}},
			[]string{"ClaimRefused"}, []string{"Metadata", "Refused"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := emitted(t, a, eng, c.change)
			var types []string
			for _, e := range got {
				types = append(types, e.Type)
				if e.Tenant != "acme" || e.Owner != tenantOf().UUID {
					t.Errorf("%s belongs to %s, %s", e.Type, e.Tenant, e.Owner)
				}
				if e.Type != sessionhooks.SessionBegan && e.Aggregate != personID(c.change) {
					t.Errorf("%s is about %q", e.Type, e.Aggregate)
				}
			}
			if !slices.Equal(types, c.types) {
				t.Fatalf("events %q, want %q", types, c.types)
			}
			var data map[string]any
			if len(got[0].Data) > 0 {
				if err := json.Unmarshal(got[0].Data, &data); err != nil {
					t.Fatal(err)
				}
			}
			if names := slices.Sorted(maps.Keys(data)); !slices.Equal(names, c.data) {
				t.Errorf("data %q, want %q", names, c.data)
			}
			for _, e := range got {
				for _, secret := range []string{"the-secret-hash", "the-id-token", "the-refresh-token"} {
					if strings.Contains(string(e.Data), secret) {
						t.Errorf("%s tells %s", e.Type, secret)
					}
				}
			}
		})
	}
	if _, err := a.plan(t.Context(), federation.Change{Kind: "something new"}); err == nil {
		t.Error("a change that nobody thought of was passed over in silence")
	}
}

// A session tells the webhooks that it has pinned: not others, not those that do
// not want the event, but also one that was taken out of the configuration, so
// that its end is seen to be undelivered.
func TestDeliveriesOfASessionsEnd(t *testing.T) {
	a, eng := announcing(t)
	for cause, want := range map[federation.Cause][]string{
		federation.MaxTimeout: {"removed", "tell"}, federation.Logout: {"only-logout", "removed", "tell"},
	} {
		ended := emitted(t, a, eng, federation.Change{Kind: federation.SessionEnded, Session: knownSession(), Cause: cause, At: began()})[0]
		var told []string
		for _, id := range []string{"tell", "only-logout", "not-pinned", "removed"} {
			jobs, _, err := a.queue.List(t.Context(), tenantOf().Place, delivery.SessionWebhooks, id, "", "", 10)
			if err != nil {
				t.Fatal(err)
			}
			for _, j := range jobs {
				if j.Event != ended.ID {
					continue
				}
				told = append(told, id)
				if j.Kind != string(cause) || j.About != "the-sid" || !j.Occurred.Equal(began()) {
					t.Errorf("%s: job %+v", cause, j)
				}
			}
		}
		slices.Sort(told)
		if !slices.Equal(told, want) {
			t.Errorf("%s is told to %q, want %q", cause, told, want)
		}
	}
}
