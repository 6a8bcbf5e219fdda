package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/person"
	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/sessionhooks"
	"github.com/drawbridge-id/drawbridge/sessionhooks/delivery"
)

// announcer turns changes into events and deliveries for the same commit: the
// one place where what happens in federation meets who is told of it.
type announcer struct {
	log   *sessionhooks.Log
	queue *delivery.Queue
	// live is the revision whose webhooks are told.
	live func() *revision
}

// plan implements federation.Planner.
func (a *announcer) plan(_ context.Context, c federation.Change) ([]store.Op, error) {
	switch c.Kind {
	case federation.SessionEnded:
		return a.sessionEnded(c)
	case federation.SessionBegan:
		return a.event(c, sessionhooks.StreamSession, sessionhooks.SessionBegan, c.Session.Person, map[string]any{"Sid": c.Session.ID, "PersonId": c.Session.Person})
	case federation.SignedIn:
		return a.signedIn(c)
	case federation.SignInFailed:
		return a.event(c, sessionhooks.StreamUser, sessionhooks.UserSignInFailed, personID(c), map[string]any{"Reason": c.Reason, "Metadata": a.metadata(c)})
	case federation.ClaimRefused:
		return a.claimRefused(c)
	case federation.PersonCreated:
		return a.event(c, sessionhooks.StreamUser, sessionhooks.UserCreated, c.Person.ID, account(c.Person))
	case federation.PersonUpdated:
		return a.event(c, sessionhooks.StreamUser, sessionhooks.UserUpdated, c.Person.ID, account(c.Person))
	case federation.PersonDeleted:
		return a.event(c, sessionhooks.StreamUser, sessionhooks.UserDeleted, c.Person.ID, nil)
	case federation.PersonBlocked:
		return a.event(c, sessionhooks.StreamUser, sessionhooks.UserLockedOut, c.Person.ID, map[string]any{"Metadata": a.metadata(c)})
	case federation.PersonUnblocked:
		return a.event(c, sessionhooks.StreamUser, sessionhooks.UserUnlocked, c.Person.ID, map[string]any{"Metadata": a.metadata(c)})
	case federation.LoginAdded:
		return a.event(c, sessionhooks.StreamUser, sessionhooks.UserLoginAdded, c.Person.ID, map[string]any{"LoginProvider": c.Upstream, "Metadata": a.metadata(c)})
	case federation.LoginRemoved:
		return a.event(c, sessionhooks.StreamUser, sessionhooks.UserLoginRemoved, c.Person.ID, map[string]any{"LoginProvider": c.Upstream, "Metadata": a.metadata(c)})
	case federation.EmailConfirmed:
		return a.event(c, sessionhooks.StreamUser, sessionhooks.UserConfirmedEmail, c.Person.ID, map[string]any{"Metadata": a.metadata(c)})
	}
	return nil, fmt.Errorf("change %q has no event", c.Kind)
}

// event is the operations of one event. What describes the request is added
// where there is one.
func (a *announcer) event(c federation.Change, stream, kind, aggregate string, data map[string]any) ([]store.Op, error) {
	e := sessionhooks.Event{
		ID: sessionhooks.NewID(), Stream: stream, Type: kind, Tenant: c.Tenant.ID, Owner: c.Tenant.UUID, Aggregate: aggregate,
		Occurred: c.At.UTC(), Detected: c.Detected.UTC(), CausedBy: c.Request.CausedBy, Trace: c.Request.ID,
	}
	if c.Request.CausedBy == "" && c.Request.ID != "" {
		e.CausedByPerson = personID(c)
	}
	return a.put(c, e, data)
}

func (a *announcer) put(c federation.Change, e sessionhooks.Event, data map[string]any) ([]store.Op, error) {
	if data != nil {
		if c.Request.Addr != "" {
			data["FromIpAddress"] = c.Request.Addr
		}
		if c.Request.UserAgent != "" {
			data["UserAgent"] = c.Request.UserAgent
		}
		var err error
		if e.Data, err = json.Marshal(data); err != nil {
			return nil, fmt.Errorf("encode %s: %w", e.Type, err)
		}
	}
	return a.log.Append(c.Place(), e), nil
}

// The kinds of a UserSignedIn, as the events API numbers them.
const (
	interactiveSignIn = 0
	automaticSignIn   = 1
)

func (a *announcer) signedIn(c federation.Change) ([]store.Op, error) {
	data := map[string]any{"Kind": automaticSignIn, "Metadata": a.metadata(c)}
	if c.Login != nil {
		data["Kind"] = interactiveSignIn
		data["AuthenticationRequirement"] = requirement(c.Login.AMR)
		data["AuthenticationMethod"] = c.Upstream
	}
	return a.event(c, sessionhooks.StreamUser, sessionhooks.UserSignedIn, c.Person.ID, data)
}

// requirement says 2FA where the upstream named several factors (RFC 8176).
func requirement(amr []string) string {
	if len(amr) > 1 {
		return "2FA"
	}
	if slices.Contains(amr, "mfa") {
		return "2FA"
	}
	return "1FA"
}

func (a *announcer) claimRefused(c federation.Change) ([]store.Op, error) {
	refused := make([]map[string]string, 0, len(c.Verdicts))
	for _, v := range c.Verdicts {
		refused = append(refused, map[string]string{"Step": v.Step, "Claim": v.Claim, "Class": string(v.Class), "What": string(v.What)})
	}
	return a.event(c, sessionhooks.StreamSession, sessionhooks.ClaimRefused, personID(c), map[string]any{"Refused": refused, "Metadata": a.metadata(c)})
}

// sessionEnded is the event, a sign-out event where the user asked for it, and
// one delivery for each webhook that the session has pinned and that wants it,
// and for each relying party that is to be told.
func (a *announcer) sessionEnded(c federation.Change) ([]store.Op, error) {
	e := sessionhooks.Event{
		ID: sessionhooks.NewID(), Stream: sessionhooks.StreamSession, Type: sessionhooks.SessionEnded, Tenant: c.Tenant.ID, Owner: c.Tenant.UUID,
		Aggregate: c.Session.Person, Occurred: c.At.UTC(), Detected: c.Detected.UTC(), CausedBy: c.Request.CausedBy, Trace: c.Request.ID,
	}
	ops, err := a.put(c, e, map[string]any{"Sid": c.Session.ID, "Cause": c.Cause, "Values": endValues(c)})
	if err != nil {
		return nil, err
	}
	live := a.live()
	for _, id := range c.Session.Webhooks {
		hook, ok := live.webhook(c.Tenant.ID, id)
		if ok && !hook.Wants(sessionhooks.EndEvent(c.Cause)) {
			continue
		}
		ops = append(ops, a.queue.Enqueue(c.Place(), delivery.Job{
			Sender: delivery.SessionWebhooks, Target: id, Event: e.ID, Aggregate: e.Aggregate, Kind: string(c.Cause), About: c.Session.ID,
			Occurred: c.At, Created: c.Detected, Next: c.Detected,
		})...)
	}
	farewells, err := a.farewells(c, e.ID)
	if err != nil {
		return nil, err
	}
	if ops = append(ops, farewells...); c.Cause != federation.Logout {
		return ops, nil
	}
	more, err := a.event(c, sessionhooks.StreamUser, sessionhooks.UserSignedOut, c.Session.Person, map[string]any{"Metadata": a.metadata(c)})
	return append(ops, more...), err
}

func (a *announcer) metadata(c federation.Change) map[string]string {
	m := map[string]string{}
	if c.Client != "" {
		m["clientId"] = c.Client
		if client, ok := a.live().registry.Client(c.Tenant.ID, c.Client); ok && client.Name != "" {
			m["clientName"] = client.Name
		}
	}
	if c.Upstream != "" {
		m["upstream"] = c.Upstream
	}
	return m
}

func personID(c federation.Change) string {
	if c.Person != nil {
		return c.Person.ID
	}
	if c.Session != nil {
		return c.Session.Person
	}
	return ""
}

// account is what UserCreated and UserUpdated tell of a person.
func account(p *federation.Person) map[string]any {
	return map[string]any{"Username": p.Email, "Email": p.Email, "EmailConfirmed": person.EmailVerified(*p), "IsSystemUser": false, "SendInvitation": false,
		"ValidFrom": p.Created.UTC().Format(time.RFC3339)}
}

// endValues is what each session property holds when a session has ended
// (DESIGN §6C; package sessionhooks documents each).
func endValues(c federation.Change) sessionhooks.Values {
	s := c.Session
	who := sessionhooks.UniversalIdentifier(s.Person, s.Tenant)
	service := ""
	if len(s.Logins) > 0 {
		service = s.Logins[0].Upstream
	}
	values := map[sessionhooks.Property]string{
		sessionhooks.PropertyWebhookEventType: string(c.Cause), sessionhooks.PropertyAMCtxID: s.AuditID,
		sessionhooks.PropertyAMLBCookie: s.Node, sessionhooks.PropertyAuthInstant: s.Began.UTC().Format(time.RFC3339),
		sessionhooks.PropertyAuthLevel: fmt.Sprint(s.Level), sessionhooks.PropertyFullLoginURL: s.FullLoginURL,
		sessionhooks.PropertyHost: s.Origin.Addr, sessionhooks.PropertyHostName: s.Origin.Host, sessionhooks.PropertyLocale: s.Origin.Locale,
		sessionhooks.PropertyLoginURL: loginPath(s.LoginURL), sessionhooks.PropertyOidcSid: s.ID, sessionhooks.PropertyOrganization: s.Tenant,
		sessionhooks.PropertyPrincipal: who, sessionhooks.PropertyUniversalIdentifier: who, sessionhooks.PropertyService: service,
		sessionhooks.PropertySuccessURL: s.SuccessURL, sessionhooks.PropertyUserID: s.Person, sessionhooks.PropertyUserToken: userToken(c),
		sessionhooks.PropertyXUSRef: s.Reference,
	}
	for name, value := range values {
		if value == "" {
			delete(values, name) // not known is absent, not empty
		}
	}
	return sessionhooks.NewValues(values, s.Properties)
}

// loginPath is the path of the page at which sign-in began.
func loginPath(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.EscapedPath()
}

// userToken is the name that the user is known by.
func userToken(c federation.Change) string {
	if c.Person != nil && c.Person.Email != "" {
		return c.Person.Email
	}
	return c.Session.Person
}
