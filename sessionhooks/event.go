package sessionhooks

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Event is something that happened, as it stands in the log. What describes it
// (who, where) is its Data, kept apart so that it can be erased while the rest
// stays.
type Event struct {
	// ID is a UUID (version 7): the EventId of receivers, for de-duplication.
	ID string `json:"id"`
	// Stream and Type name it: user/UserSignedIn.
	Stream string `json:"stream"`
	Type   string `json:"type"`
	// Tenant is the slug, Owner the tenant's UUID.
	Tenant string `json:"tenant"`
	Owner  string `json:"owner"`
	// Aggregate is the id of what the event is about.
	Aggregate string `json:"aggregate"`
	// Occurred is when it happened, Detected when it was noticed.
	Occurred time.Time `json:"occurred"`
	Detected time.Time `json:"detected"`
	// CausedByPerson and CausedBy name who caused it, Trace the request.
	CausedByPerson string `json:"caused_by_person,omitempty"`
	CausedBy       string `json:"caused_by,omitempty"`
	Trace          string `json:"trace,omitempty"`
	// Data is the event's own properties; nil once erased.
	Data json.RawMessage `json:"-"`
}

// NewID mints the id of an event or a delivery: ids sort by the time of minting.
func NewID() string {
	return uuid.Must(uuid.NewV7()).String()
}

// The streams and types of the events that Drawbridge emits so far.
const (
	StreamUser    = "user"
	StreamSession = "session"

	UserCreated        = "UserCreated"
	UserUpdated        = "UserUpdated"
	UserDeleted        = "UserDeleted"
	UserLockedOut      = "UserLockedout" // spelled so
	UserUnlocked       = "UserUnlocked"
	UserConfirmedEmail = "UserConfirmedEmail"
	UserLoginAdded     = "UserLoginAdded"
	UserLoginRemoved   = "UserLoginRemoved"
	UserSignedIn       = "UserSignedIn"
	UserSignedOut      = "UserSignedOut"
	UserSignInFailed   = "UserSignInFailed"
	SessionBegan       = "SessionBegan"
	SessionEnded       = "SessionEnded"
	ClaimRefused       = "ClaimRefused"
)

// Topic is the event's topic: the stream, and the type under its full name in
// lower case, as subscribers write it.
func (e Event) Topic() string {
	return e.Stream + "/irm.aspnetcore.identity.events." + strings.ToLower(e.Type)
}
