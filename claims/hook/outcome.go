package hook

import (
	"context"
	"time"
)

// Outcome names how a call ended: a metric label and a word in the audit. It is
// also the Reason of the claims.Malfunction that a failed call becomes.
type Outcome string

// The outcomes. The first three are answers, Canceled is nobody's fault, and
// every other is a malfunction.
const (
	OK        Outcome = "ok"        // 200 with claims
	Unchanged Outcome = "unchanged" // 204
	Denied    Outcome = "denied"    // 403
	Canceled  Outcome = "canceled"  // the issuance was given up by its caller

	Timeout         Outcome = "timeout"           // the deadline passed, wherever the call was
	Connect         Outcome = "connect"           // no connection, or it broke before an answer began
	Truncated       Outcome = "truncated"         // it broke within the answer
	Redirect        Outcome = "redirect"          // any 3xx
	Status          Outcome = "status"            // any other status
	Encoding        Outcome = "encoding"          // a compressed answer
	ContentType     Outcome = "content_type"      // not JSON, or not in UTF-8
	TooLarge        Outcome = "too_large"         // more than MaxAnswer bytes
	NotJSON         Outcome = "not_json"          // not one JSON object
	Duplicate       Outcome = "duplicate"         // a name twice, or two that fold together
	NoClaims        Outcome = "no_claims"         // an object without the object "claims"
	Invalid         Outcome = "invalid"           // too many claims, too deep, a name or value that is none
	Bulkhead        Outcome = "bulkhead"          // MaxConcurrent calls are in flight already
	BreakerOpen     Outcome = "breaker_open"      // the service failed too often of late
	Unauthorized    Outcome = "auth"              // we have no credentials to send
	RequestTooLarge Outcome = "request_too_large" // the claims known exceed MaxRequest bytes
)

// sick reports whether an outcome speaks of the service's health, for the breaker.
func (o Outcome) sick() bool {
	switch o {
	case Timeout, Connect, Truncated, Redirect, Status, Encoding, ContentType:
		return true
	}
	return false
}

// malfunction reports whether OnFailure applies.
func (o Outcome) malfunction() bool {
	switch o {
	case OK, Unchanged, Denied, Canceled:
		return false
	}
	return true
}

// Observation is what is known about one call, for metrics and audit. It holds
// no claims.
type Observation struct {
	Hook     string
	Outcome  Outcome
	Policy   OnFailure     // what a malfunction led to: Deny, Keep or LastGood; "" where there was none
	Status   int           // of the last answer, 0 without one
	Attempts int           // 0 when no call was made
	Duration time.Duration // of the whole, retry included
	Breaker  BreakerState  // as the call left it, on this node
	Cause    error         // private: for a log, never for a caller
}

// Observer hears of every call, before Apply returns. It must be quick.
type Observer func(ctx context.Context, o Observation)
