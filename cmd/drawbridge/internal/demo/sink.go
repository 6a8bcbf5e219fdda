package demo

import (
	"crypto/subtle"
	"encoding/json"
	"io"
	"net/http"
	"time"
)

const (
	sinkPath         = "/session-ended"
	sinkSecretHeader = "X-Sink-Secret"
)

// delivery is a session webhook as it arrived.
type delivery struct {
	Number int
	At     time.Time
	// ID is the event's id, the same when it is delivered again.
	ID string
	// Event, User and Session are what the template of the demo's configuration
	// says of the session's end.
	Event, User, Session string
	// Body is the whole of it, for people.
	Body string
}

// sink receives session webhooks.
type sink struct {
	secret   string
	now      func() time.Time
	received *journal[delivery]
}

func newSink(secret string, now func() time.Time) *sink {
	return &sink{secret: secret, now: now, received: newJournal[delivery](50)}
}

// ServeHTTP implements http.Handler. It takes what carries its secret.
func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path != sinkPath || r.Method != http.MethodPost:
		http.NotFound(w, r)
		return
	case subtle.ConstantTimeCompare([]byte(r.Header.Get(sinkSecretHeader)), []byte(s.secret)) != 1:
		http.Error(w, "unauthorized", http.StatusUnauthorized)
		return
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var told struct {
		Event   string `json:"event"`
		User    string `json:"user"`
		Session string `json:"session"`
	}
	if err == nil {
		err = json.Unmarshal(raw, &told)
	}
	if err != nil {
		http.Error(w, "the body is not what was configured", http.StatusBadRequest)
		return
	}
	s.received.add(func(n int) delivery {
		return delivery{
			Number: n, At: s.now(), ID: r.Header.Get("Webhook-Id"), Event: told.Event, User: told.User, Session: told.Session, Body: indent(raw),
		}
	})
	w.WriteHeader(http.StatusNoContent)
}

// endOf is how a session ended, if the webhook has said so.
func (s *sink) endOf(session string) (delivery, bool) {
	if session == "" {
		return delivery{}, false
	}
	return s.received.last(func(d delivery) bool { return d.Session == session })
}
