package token

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/session"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

const offlineAccess = "offline_access"

// Persons reads persons beside other records of theirs.
type Persons interface {
	// Key is where a person is; not ok for any text that is no person's id.
	Key(t federation.Tenant, id string) (k store.Key, ok bool)
	// Record is the person that was read under Key; store.ErrNotFound where there
	// was none.
	Record(rec store.Record) (federation.Person, error)
}

// Applicant is what the gate looks at: a grant that is to be issued, redeemed or
// renewed, and what is known at that moment of those it concerns.
type Applicant struct {
	// Client is as configured now.
	Client federation.Client
	// Type is the grant type that is used (RFC 6749 §4).
	Type  string
	Grant federation.Grant
	// Person and Session are as they were read for this request, or as the same
	// commit writes them; zero where there is none.
	Person  federation.Person
	Session federation.Session
	// Renews says that claims are made anew after the gate. Then scopes that the
	// client may not have any longer are left out; else they are a refusal, since
	// the claims of the grant have them in.
	Renews bool
	// Resources are those that a request at the token endpoint names (RFC 8707
	// §2.2); none is all that were granted.
	Resources []string
}

// Permit is a grant that the gate has let through. Nothing is issued without
// one, and only the gate makes one: the zero value is refused everywhere.
type Permit struct {
	client federation.Client
	grant  federation.Grant
	// target is whom its access token is meant for.
	target []string
}

// Grant is what may be given.
func (p Permit) Grant() federation.Grant { return p.grant }

// AdmitCode is the gate at the authorization endpoint, where a code is issued.
// Its errors are of that endpoint (RFC 6749 §4.1.2.1).
func AdmitCode(t federation.Tenant, a Applicant) (Permit, error) {
	p, why := judge(t, a, true)
	if why.text == "" {
		return p, nil
	}
	return Permit{}, federation.Fail(why.front, why.text)
}

// Admit is the gate at the token endpoint, for every grant type. Its errors are
// of that endpoint (RFC 6749 §5.2).
func Admit(t federation.Tenant, a Applicant) (Permit, error) {
	p, why := judge(t, a, false)
	if why.text == "" {
		return p, nil
	}
	return Permit{}, federation.Fail(why.back, why.text)
}

// refused is why the gate is shut, as each endpoint says it; zero where it is
// open.
type refused struct {
	front, back federation.Code
	text        string
}

// judge is the gate: the one place that says whether a grant may be. How many
// sessions a person may have is judged where one begins (session.PlanBegin).
// first says that the grant is new, so that nothing can have been withdrawn since.
func judge(t federation.Tenant, a Applicant, first bool) (Permit, refused) {
	c, g := a.Client, a.Grant
	kept := slices.DeleteFunc(slices.Clone(g.Scopes), func(s string) bool { return !slices.Contains(c.Scopes, s) })
	g.Offline = g.Offline && slices.Contains(c.Scopes, offlineAccess)
	meant, may := target(t, c, g, a.Resources)
	switch {
	case t.ID == "" || c.ID == "" || c.Tenant != t.ID || g.Tenant != t.ID || g.Client != c.ID:
		return Permit{}, refused{federation.UnauthorizedClient, federation.InvalidGrant, "The grant is not this client's."}
	case !c.MayGrant(a.Type):
		return Permit{}, refused{federation.UnauthorizedClient, federation.UnauthorizedClient, "The client may not use this grant type."}
	case !c.MayUse(g.Upstream):
		return Permit{}, refused{federation.AccessDenied, federation.InvalidGrant, "The client's users cannot come from that identity provider."}
	case len(kept) < len(g.Scopes) && !a.Renews, len(kept) == 0:
		return Permit{}, refused{federation.InvalidScope, federation.InvalidScope, "The client may not have these scopes any longer."}
	case !may:
		return Permit{}, refused{federation.InvalidTarget, federation.InvalidTarget, "The grant does not reach to that resource, or the client may not ask for it."}
	case g.Person == "" || a.Person.ID != g.Person:
		return Permit{}, refused{federation.LoginRequired, federation.InvalidGrant, "The account is no longer there."}
	case a.Person.Blocked:
		return Permit{}, refused{federation.AccessDenied, federation.InvalidGrant, "This account is blocked."}
	case !first && !a.Person.Honours(g):
		return Permit{}, refused{federation.LoginRequired, federation.InvalidGrant, "What the user agreed to was withdrawn; the user has to sign in again."}
	case !g.Offline && (g.Session == "" || a.Session.ID != g.Session || a.Session.Person != g.Person):
		return Permit{}, refused{federation.LoginRequired, federation.InvalidGrant, "The session that the grant comes from is over."}
	}
	g.Scopes = kept
	return Permit{client: c, grant: g, target: meant}, refused{}
}

// renewed is the permit with claims made anew, and at most the scopes that are
// still there. Who the user is, and when and how they authenticated, stays.
func (p Permit) renewed(answer federation.Grant) Permit {
	p.grant.Snapshot = answer.Snapshot
	p.grant.Scopes = slices.DeleteFunc(slices.Clone(p.grant.Scopes), func(s string) bool { return !answer.Has(s) })
	return p
}

// Grounds are who and what a grant rests on, as they are now.
type Grounds struct {
	// Session is empty for an offline grant.
	Session federation.Session
	Person  federation.Person
	// Family is the id of what is refreshed.
	Family string
}

// grounds reads what the gate must know of a grant, session and person, in one
// round trip. What is not there, or over, is zero. Looking at a session may end
// it, so this is no part of a plan.
func (i *Issuer) grounds(ctx context.Context, t federation.Tenant, c federation.Client, g federation.Grant) (person federation.Person, held session.Held, err error) {
	who, ok := i.o.Persons.Key(t, g.Person)
	if !ok {
		return person, held, nil
	}
	keys := []store.Key{who}
	if !g.Offline || !slices.Contains(c.Scopes, offlineAccess) {
		k, ok := i.o.Sessions.Key(t, g.Session)
		if ok && k.Partition == who.Partition {
			keys = append(keys, k)
		}
	}
	recs, err := i.o.Engine.GetAll(ctx, keys...)
	if err != nil {
		return person, held, fmt.Errorf("read person and session: %w", err)
	}
	person, err = i.o.Persons.Record(recs[0])
	if errors.Is(err, store.ErrNotFound) {
		return federation.Person{}, held, nil
	}
	if err != nil || len(recs) == 1 {
		return person, held, err
	}
	held, err = i.o.Sessions.LiveRecord(ctx, t, recs[1])
	if errors.Is(err, session.ErrNotFound) {
		return person, session.Held{}, nil
	}
	return person, held, err
}

// admit is the gate for what was issued before: it reads and judges.
func (i *Issuer) admit(ctx context.Context, t federation.Tenant, a Applicant) (Permit, session.Held, federation.Person, error) {
	person, held, err := i.grounds(ctx, t, a.Client, a.Grant)
	if err != nil {
		return Permit{}, held, person, err
	}
	ended, err := i.outlived(ctx, t, a.Grant)
	if err != nil {
		return Permit{}, held, person, err
	}
	if ended {
		return Permit{}, held, person, federation.Fail(federation.InvalidGrant, "The session that the grant comes from was ended.")
	}
	a.Person, a.Session = person, held.Session
	p, err := Admit(t, a)
	return p, held, person, err
}
