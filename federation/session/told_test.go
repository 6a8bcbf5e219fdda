package session

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
)

// told is what the log keeps of a change.
type told struct {
	Kind         federation.ChangeKind
	Session      federation.Session
	Cause        federation.Cause
	At, Detected time.Time
	Request      federation.Request
	Person       string
	Upstream     string
}

func encode(t testing.TB, c federation.Change) []byte {
	e := told{Kind: c.Kind, Session: *c.Session, Cause: c.Cause, At: c.At, Detected: c.Detected, Request: c.Request, Upstream: c.Upstream}
	if c.Person != nil {
		e.Person = c.Person.ID
	}
	b, err := json.Marshal(e)
	if err != nil {
		t.Error(err)
	}
	return b
}

func decode(t testing.TB, b []byte) (e told) {
	if err := json.Unmarshal(b, &e); err != nil {
		t.Error(err)
	}
	return e
}
