package delivery

import (
	"time"

	"github.com/drawbridge-id/drawbridge/sessionhooks"
)

// Described is a session webhook as the API shows it: nothing secret, and no
// template, since an address may well be a secret and a body what is personal.
type Described struct {
	ID     string                  `json:"id"`
	Events []sessionhooks.EndEvent `json:"events"`
	Host   string                  `json:"host"`
	// Mode is independent: each delivery is due by itself.
	Mode string `json:"mode"`
}

type webhookPage struct {
	Items []Described `json:"items"`
	Order string      `json:"order"`
}

type deliveryPage struct {
	Items []shown `json:"items"`
	Next  string  `json:"next,omitempty"`
}

// shown is a job as the API shows it: what was sent is not part of it.
type shown struct {
	ID string `json:"id"`
	// Webhook or Client is who is told.
	Webhook  string         `json:"webhook,omitempty"`
	Client   string         `json:"client,omitempty"`
	Event    string         `json:"event"`
	Type     string         `json:"type"`
	Session  string         `json:"session,omitempty"`
	State    State          `json:"state"`
	Occurred time.Time      `json:"occurred"`
	Created  time.Time      `json:"created"`
	Next     time.Time      `json:"next_attempt,omitzero"`
	Finished time.Time      `json:"finished,omitzero"`
	Failed   int            `json:"failed"`
	Attempts []shownAttempt `json:"attempts"`
}

type shownAttempt struct {
	At       time.Time `json:"at"`
	Duration int64     `json:"duration_ms"`
	Status   int       `json:"status,omitempty"`
	Result   string    `json:"result"`
	Reason   string    `json:"reason"`
}

func show(j Job) shown {
	s := shown{
		ID: j.ID, Event: j.Event, Type: j.Kind, Session: j.About, State: j.State, Failed: j.Failed,
		Occurred: j.Occurred.UTC(), Created: j.Created.UTC(), Next: utc(j.Next), Finished: utc(j.Finished),
		Attempts: make([]shownAttempt, 0, len(j.Attempts)),
	}
	if j.Sender == LogoutTokens {
		s.Client = j.Target
	} else {
		s.Webhook = j.Target
	}
	for _, a := range j.Attempts {
		s.Attempts = append(s.Attempts, shownAttempt{
			At: a.At.UTC(), Duration: a.Took.Milliseconds(), Status: a.Status, Result: a.Result, Reason: a.Reason,
		})
	}
	return s
}

// utc keeps the zero time, which is left out.
func utc(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC()
}
