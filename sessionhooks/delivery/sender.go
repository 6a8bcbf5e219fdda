package delivery

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// Sender sends one job. It is given a context that ends with the attempt's
// time, keeps to it, and judges what came of it.
type Sender func(ctx context.Context, at store.Place, j Job) Outcome

// Observer hears what is counted. Its functions must not block; those that are
// nil are not called.
type Observer struct {
	// Attempt hears of an attempt by the sender's name and the outcome's reason.
	Attempt func(sender, reason string)
	// Delivered hears how long after its event a job was delivered.
	Delivered func(lag time.Duration)
	// Missing hears of a variable of a webhook whose property a session did not
	// have, at each rendering.
	Missing func(hook, name string)
}

func (o Observer) attempt(sender, reason string) {
	if o.Attempt != nil {
		o.Attempt(sender, reason)
	}
}

func (o Observer) delivered(lag time.Duration) {
	if o.Delivered != nil {
		o.Delivered(lag)
	}
}

func (o Observer) missing(hook string, names []string) {
	if o.Missing == nil {
		return
	}
	for _, name := range names {
		o.Missing(hook, name)
	}
}

// try makes one attempt within its time. Whatever the sender does, there is an
// outcome: a panic is a failure like others, and of this job alone.
func try(ctx context.Context, limit time.Duration, send func(context.Context) Outcome) (o Outcome) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	defer func() {
		if r := recover(); r != nil {
			o = Outcome{Verdict: Retry, Reason: "panic", Cause: fmt.Errorf("sender panicked: %v\n%s", r, debug.Stack())}
		}
	}()
	o = send(ctx)
	switch o.Verdict {
	case Delivered, Retry, Reject:
	default:
		o = Outcome{Verdict: Retry, Status: o.Status, Reason: "no_verdict", Cause: o.Cause}
	}
	return o
}

const maxCause = 2 << 10

// cause is an outcome's cause as a log shows it.
func cause(o Outcome) string {
	if o.Cause == nil {
		return ""
	}
	text := o.Cause.Error()
	return text[:min(len(text), maxCause)]
}
