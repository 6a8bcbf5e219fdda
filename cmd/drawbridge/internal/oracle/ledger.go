package oracle

import (
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// Span is a stretch of time with both its ends.
type Span struct{ From, To time.Time }

// Overlaps says whether the two have a moment in common.
func (s Span) Overlaps(o Span) bool { return !s.From.After(o.To) && !o.From.After(s.To) }

// Ledger is everything that was seen of a run. The program under test cannot
// reach it.
type Ledger struct {
	Webhooks []Webhook
	// Events are P and U.
	Events []Event
	// Arrivals are R.
	Arrivals []Arrival
	// Faults are F.
	Faults   []Fault
	Sessions []Session
	Endings  []Ending
	Controls []Control
	Recorded []Recorded
	Erasures []Erasure
	Margins  Margins
	// End is when the last thing was seen: the faults were over, and the program
	// had had its time.
	End time.Time
}

// Margins is how exact the ledger is, and the times that the program has to
// do things in.
type Margins struct {
	// Clock is how far a time may be off.
	Clock time.Duration
	// Commit is how long after an answer the program may need to record it.
	Commit time.Duration
	// Timeout is how long the program waits for an answer.
	Timeout time.Duration
	// Flight is how long after a stop a request that was under way may arrive.
	Flight time.Duration
	// Sweep is how long after a deadline a session must have ended.
	Sweep time.Duration
}

// Webhook is a receiver of events.
type Webhook struct {
	ID string
	// System is what Controls name; a strict webhook that fails for good stops
	// all of its system.
	System string
	// Strict: one at a time, in the order of the log. Otherwise each event is
	// due by itself.
	Strict bool
	// Since is the position after which it was to be told.
	Since store.Position
	// Revisions are its topics, the oldest first; none is every topic.
	Revisions []Revision
}

// Revision is what a webhook wants of the events after a position.
type Revision struct {
	After  store.Position
	Topics []string
}

// wants says whether an event is one of the webhook's. Without a position,
// which events outside a log do not have, the newest revision decides.
func (w Webhook) wants(e Event) bool {
	if e.placed() && e.Position.Compare(w.Since) <= 0 {
		return false
	}
	wanted := true
	for _, r := range w.Revisions {
		if !e.placed() || r.After.Compare(e.Position) < 0 {
			wanted = slices.Contains(r.Topics, e.Topic)
		}
	}
	return wanted
}

// Event is something that the program was asked to make happen, or was seen to
// have made happen.
type Event struct {
	ID    string
	Topic string
	// Acknowledged says that it happened: the program said so, or its log does.
	// Otherwise it may have happened.
	Acknowledged bool
	// Position is where it stands in the log of its partition; zero is unknown.
	Partition int
	Position  store.Position
	// Span is from when it was asked for to when it was acknowledged, or given up.
	Span Span
}

func (e Event) placed() bool { return e.Position != store.Position{} }

// Arrival is a request that a receiver got.
type Arrival struct {
	Webhook, Event string
	// Delivery is the name that the request gave itself (webhook-id).
	Delivery string
	Arrived  time.Time
	// Answered is when all of the answer was on its way; zero where it was cut or
	// never given.
	Answered time.Time
	Status   int
	// Body stands for what was sent: equal for equal bodies.
	Body string
	// Forged says that the signature was missing or wrong.
	Forged bool
	// Holds are the markers of Erasures that were found in the body.
	Holds []string
}

// Fault is something that was done to the program or its store.
type Fault struct {
	Kind string
	Span Span
	// Explains is when an answer may not have been recorded because of it.
	Explains Span
	// Outage says that activity could not be recorded during Span.
	Outage bool
}

// Control is an order that was given to a webhook system, or to one webhook.
type Control struct {
	Kind ControlKind
	// System is for Stop and Start, Webhook and Event for Skip and Replay.
	System, Webhook, Event string
	// Span is from when it was given to when it was answered.
	Span Span
}

// ControlKind says what an order is.
type ControlKind string

// The orders.
const (
	Stop   ControlKind = "stop"
	Start  ControlKind = "start"
	Skip   ControlKind = "skip"
	Replay ControlKind = "replay"
)

// Recorded is what the program shows of its attempts at one event, the oldest
// first.
type Recorded struct {
	Webhook, Event string
	// Statuses are those of the answers, 0 where there was none.
	Statuses []int
	// Capped says that older attempts are not shown.
	Capped bool
}

// Erasure is an order to forget.
type Erasure struct {
	// Marker is what was in the payload.
	Marker   string
	Returned time.Time
}
