package delivery

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Verdict says what becomes of a job after an attempt.
type Verdict string

// The three verdicts.
const (
	Delivered Verdict = "delivered"
	// Retry: the failure may pass.
	Retry Verdict = "retry"
	// Reject: trying again would bring the same.
	Reject Verdict = "reject"
)

// Outcome is what one attempt came to.
type Outcome struct {
	Verdict Verdict
	// Status is the receiver's status code, 0 when there was none.
	Status int
	// Reason is a word of ours, for metrics and for the attempt's record.
	Reason string
	// RetryAfter is what the receiver asked for, 0 when nothing.
	RetryAfter time.Duration
	// Cause is for logs. It may quote a receiver, and must not hold a secret
	// or what is personal.
	Cause error
}

// Judge is the table of what is tried again: timeouts, network failures, 408,
// 429 and 5xx are; 3xx and every other status, and certificates that do not
// verify, are not. The error, if any, is that of an http.Client; its address,
// which a template has made, is left out of the cause.
func Judge(status int, err error) Outcome {
	if err != nil {
		return judgeError(err)
	}
	o := Outcome{Status: status, Reason: "status_" + strconv.Itoa(status/100) + "xx", Verdict: Reject}
	switch {
	case status >= 200 && status < 300:
		o.Verdict, o.Reason = Delivered, "ok"
	case status == http.StatusRequestTimeout || status == http.StatusTooManyRequests || status >= 500 && status < 600:
		o.Verdict = Retry
	case status >= 300 && status < 400:
		o.Reason = "redirect"
	}
	return o
}

func judgeError(err error) Outcome {
	if outer, ok := errors.AsType[*url.Error](err); ok {
		err = outer.Err
	}
	o := Outcome{Verdict: Retry, Reason: "network", Cause: err}
	switch {
	case uncertified(err):
		o.Verdict, o.Reason = Reject, "certificate"
	case errors.Is(err, context.DeadlineExceeded) || timeout(err):
		o.Reason = "timeout"
	}
	return o
}

func uncertified(err error) bool {
	_, unverified := errors.AsType[*tls.CertificateVerificationError](err)
	_, authority := errors.AsType[x509.UnknownAuthorityError](err)
	_, hostname := errors.AsType[x509.HostnameError](err)
	_, invalid := errors.AsType[x509.CertificateInvalidError](err)
	return unverified || authority || hostname || invalid
}

func timeout(err error) bool {
	t, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	return ok && t.Timeout()
}

// Schedule is the waits after the first, second … failed attempt. When they are
// used up, the job is dead or the stream stops.
type Schedule []time.Duration

// IndependentSchedule is that of session webhooks and mails: nine attempts in
// about a day.
func IndependentSchedule() Schedule {
	return Schedule{5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute, 2 * time.Hour, 6 * time.Hour, 14 * time.Hour}
}

// StrictSchedule is that of streams: eleven attempts in about half an hour.
func StrictSchedule() Schedule {
	return Schedule{time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second,
		time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute}
}

const (
	jitterSpan    = 0.2
	maxRetryAfter = time.Hour
)

// Wait is how long to wait after a number of failed attempts, and whether there
// is another one. Jitter is in [0,1) and spreads the schedule by a fifth either
// way; what the receiver asked for is a minimum, an hour at most.
func (s Schedule) Wait(failed int, retryAfter time.Duration, jitter float64) (time.Duration, bool) {
	if failed < 1 || failed > len(s) {
		return 0, false
	}
	wait := time.Duration(float64(s[failed-1]) * (1 - jitterSpan + 2*jitterSpan*jitter))
	return max(wait, min(retryAfter, maxRetryAfter)), true
}

// jitter is the chance in schedules.
func jitter() float64 { return rand.Float64() }

// RetryAfter reads the header of the name (RFC 9110 §10.2.3): seconds or a
// date, an hour at most; anything else, or the past, is nothing.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.ParseUint(text, 10, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		return time.Duration(min(seconds, uint64(maxRetryAfter/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, min(at.Sub(now), maxRetryAfter))
	}
	return 0
}
