package oracle

import "time"

// Session is what was seen of one session from outside.
type Session struct {
	ID string
	// Began is the sign-in. Certain says that it was answered: otherwise there
	// may never have been a session.
	Began   Span
	Certain bool
	// Idle and Max are its lifetimes.
	Idle, Max time.Duration
	Sights    []Sight
	Asks      []Ask
}

// Sight is a call that a session must be alive for. One that finds it alive is
// activity.
type Sight struct {
	Span  Span
	Found State
}

// State is what a call found.
type State string

// What a call can find; Unclear where its answer was lost or said nothing.
const (
	Alive   State = "alive"
	Over    State = "over"
	Unclear State = "unclear"
)

// Ask is a call that wants a session to end.
type Ask struct {
	Cause   string
	Span    Span
	Outcome Outcome
}

// Outcome is what became of an Ask.
type Outcome string

const (
	// Ended says that this call ended it.
	Ended Outcome = "ended"
	// Gone says that it is over, by this call or otherwise.
	Gone Outcome = "gone"
	// Unknown says that the answer was lost, or was an error.
	Unknown Outcome = "unknown"
)

// The causes of an ending that are judged by what was seen.
const (
	IdleTimeout = "IDLE_TIMEOUT"
	MaxTimeout  = "MAX_TIMEOUT"
)

// Ending is a terminal event of a session.
type Ending struct {
	Session string
	// ID is the event's own; two endings with one ID are the same event.
	ID, Cause string
	// Occurred is the deadline of a timeout, otherwise the moment itself; zero is
	// unknown. Detected is when it was noticed, or at the latest was known.
	Occurred, Detected time.Time
}

// moment is when the session ended at the latest, as far as is known.
func (e Ending) moment() time.Time {
	if e.Occurred.IsZero() {
		return e.Detected
	}
	return e.Occurred
}
