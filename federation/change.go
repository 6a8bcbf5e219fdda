package federation

import (
	"context"
	"time"

	"github.com/drawbridge-id/drawbridge/claims"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

// Request says where a change came from: what audit and events may know of an
// HTTP request. It never holds a credential.
type Request struct {
	// ID is the request id in the logs.
	ID string `json:"id,omitempty"`
	// Addr is the client's address, found behind trusted proxies only.
	Addr string `json:"addr,omitempty"`
	// Host is the host that the request named.
	Host      string `json:"host,omitempty"`
	UserAgent string `json:"user_agent,omitempty"`
	Locale    string `json:"locale,omitempty"`
	// CausedBy names the management caller, AgentUser and AgentApp are what it
	// said of the person and application behind it.
	CausedBy  string `json:"caused_by,omitempty"`
	AgentUser string `json:"agent_user,omitempty"`
	AgentApp  string `json:"agent_app,omitempty"`
	// Upstream is the one that asked for the change, where an upstream did: it
	// knows already, and is not told in turn.
	Upstream string `json:"upstream,omitempty"`
}

// ChangeKind says what happened.
type ChangeKind string

// The changes that others may want to add to a commit.
const (
	// PersonCreated: a first sign-in minted a person. Person is set.
	PersonCreated ChangeKind = "person created"
	// PersonUpdated: an upstream said something new of a person. Person is set.
	PersonUpdated ChangeKind = "person updated"
	// PersonDeleted: Person is as it was.
	PersonDeleted ChangeKind = "person deleted"
	// PersonBlocked and PersonUnblocked: Person is as it is now.
	PersonBlocked   ChangeKind = "person blocked"
	PersonUnblocked ChangeKind = "person unblocked"
	// LoginAdded and LoginRemoved: a login of Upstream is the person's now, or is no
	// longer. Person is as it is now.
	LoginAdded   ChangeKind = "login added"
	LoginRemoved ChangeKind = "login removed"
	// EmailConfirmed: Person is as it is now.
	EmailConfirmed ChangeKind = "e-mail confirmed"
	// SignedIn: a code is on its way to Client. Person and Session are set, and
	// Login where the user took part: a silent sign-in has none.
	SignedIn ChangeKind = "signed in"
	// SignInFailed: Reason says why, in words that are safe to tell. Person is
	// set if it is known.
	SignInFailed ChangeKind = "sign-in failed"
	// SessionBegan: Session and Person are set.
	SessionBegan ChangeKind = "session began"
	// SessionEnded: Session is as it was, Cause says why, At is the deadline
	// for timeouts. Person may be nil where it is gone already.
	SessionEnded ChangeKind = "session ended"
	// ClaimRefused: the guard refused Verdicts.
	ClaimRefused ChangeKind = "claim refused"
)

// Change is something that happened, as told to a Planner.
type Change struct {
	Kind   ChangeKind
	Tenant Tenant
	// At is when it happened, Detected when Drawbridge noticed.
	At, Detected time.Time
	Person       *Person
	Session      *Session
	Login        *Login
	// Client is the id of the relying party, where one is involved.
	Client   string
	Upstream string
	Cause    Cause
	Reason   string
	Verdicts []claims.Verdict
	Request  Request
}

// Planner answers a change with operations for the same commit. It is asked
// again when the commit conflicts, must have no effect of its own, and must
// not name a key that the change itself names.
type Planner func(ctx context.Context, c Change) ([]store.Op, error)

// Planners asks several in turn.
func Planners(all ...Planner) Planner {
	return func(ctx context.Context, c Change) ([]store.Op, error) {
		var ops []store.Op
		for _, p := range all {
			more, err := p(ctx, c)
			if err != nil {
				return nil, err
			}
			ops = append(ops, more...)
		}
		return ops, nil
	}
}
