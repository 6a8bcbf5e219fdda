package delivery_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/sessionhooks/delivery"
)

func TestJudgeStatus(t *testing.T) {
	retried := map[int]bool{408: true, 429: true}
	for status := 100; status < 700; status++ {
		want := delivery.Reject
		switch {
		case status >= 200 && status < 300:
			want = delivery.Delivered
		case retried[status] || status >= 500 && status < 600:
			want = delivery.Retry
		}
		reason := fmt.Sprintf("status_%dxx", status/100)
		switch status / 100 {
		case 2:
			reason = "ok"
		case 3:
			reason = "redirect"
		}
		if o := delivery.Judge(status, nil); o.Verdict != want || o.Reason != reason || o.Status != status {
			t.Errorf("%d is %+v, want %s for %s", status, o, want, reason)
		}
	}
}

func TestJudgeErrors(t *testing.T) {
	wrapped := func(err error) error {
		return &url.Error{Op: "Post", URL: "https://hook.example/?user=bjensen", Err: err}
	}
	for name, tc := range map[string]struct {
		err     error
		verdict delivery.Verdict
		reason  string
	}{
		"deadline":          {context.DeadlineExceeded, delivery.Retry, "timeout"},
		"client's deadline": {os.ErrDeadlineExceeded, delivery.Retry, "timeout"},
		"dial timeout":      {&net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}, delivery.Retry, "timeout"},
		"canceled":          {context.Canceled, delivery.Retry, "network"},
		"refused":           {&net.OpError{Op: "dial", Err: errors.New("connection refused")}, delivery.Retry, "network"},
		"no such host":      {&net.DNSError{Err: "no such host", IsNotFound: true}, delivery.Retry, "network"},
		"resolver timeout":  {&net.DNSError{Err: "i/o timeout", IsTimeout: true}, delivery.Retry, "timeout"},
		"TLS alert":         {tls.AlertError(40), delivery.Retry, "network"},
		"unknown authority": {&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, delivery.Reject, "certificate"},
		"wrong name":        {x509.HostnameError{Certificate: &x509.Certificate{}, Host: "x"}, delivery.Reject, "certificate"},
		"expired":           {x509.CertificateInvalidError{Reason: x509.Expired}, delivery.Reject, "certificate"},
		"authority, bare":   {x509.UnknownAuthorityError{}, delivery.Reject, "certificate"},
	} {
		o := delivery.Judge(0, wrapped(tc.err))
		if o.Verdict != tc.verdict || o.Reason != tc.reason || o.Status != 0 {
			t.Errorf("%s is %s for %s, want %s for %s", name, o.Verdict, o.Reason, tc.verdict, tc.reason)
		}
		if !errors.Is(o.Cause, tc.err) && o.Cause.Error() != tc.err.Error() || strings.Contains(o.Cause.Error(), "bjensen") {
			t.Errorf("%s: cause is %v", name, o.Cause)
		}
	}
}

func TestScheduleWait(t *testing.T) {
	s := delivery.Schedule{10 * time.Second, 2 * time.Hour}
	for _, tc := range []struct {
		failed     int
		retryAfter time.Duration
		jitter     float64
		wait       time.Duration
		again      bool
	}{
		{1, 0, 0.5, 10 * time.Second, true},
		{1, 0, 0, 8 * time.Second, true},
		{1, 0, 0.999, 11996 * time.Millisecond, true},
		{2, 0, 0.5, 2 * time.Hour, true},
		{3, 0, 0.5, 0, false},
		{3, time.Minute, 0.5, 0, false}, // what the receiver asks for does not add an attempt
		{0, 0, 0.5, 0, false},
		{-1, 0, 0.5, 0, false},
		{1, time.Minute, 0, time.Minute, true}, // applied after the jitter
		{1, 5 * time.Second, 0.5, 10 * time.Second, true},
		{1, 24 * time.Hour, 0.5, time.Hour, true},     // capped
		{2, 24 * time.Hour, 0.5, 2 * time.Hour, true}, // and never shorter than the schedule
		{1, -time.Hour, 0.5, 10 * time.Second, true},
	} {
		wait, again := s.Wait(tc.failed, tc.retryAfter, tc.jitter)
		if wait.Round(time.Millisecond) != tc.wait || again != tc.again {
			t.Errorf("Wait(%d, %v, %v) = %v, %v, want %v, %v", tc.failed, tc.retryAfter, tc.jitter, wait, again, tc.wait, tc.again)
		}
	}
	if _, again := (delivery.Schedule{}).Wait(1, 0, 0); again {
		t.Error("an empty schedule has a second attempt")
	}
}

func TestTheSchedulesAreThoseThatAreDocumented(t *testing.T) {
	for name, tc := range map[string]struct {
		s     delivery.Schedule
		waits int
		total time.Duration
	}{
		"independent": {delivery.IndependentSchedule(), 8, 22*time.Hour + 42*time.Minute + 35*time.Second},
		"strict":      {delivery.StrictSchedule(), 10, 33*time.Minute + 48*time.Second},
	} {
		var total time.Duration
		for i, w := range tc.s {
			total += w
			if i > 0 && w <= tc.s[i-1] {
				t.Errorf("%s: wait %d is not longer than the one before", name, i)
			}
		}
		if len(tc.s) != tc.waits || total != tc.total {
			t.Errorf("%s: %d waits, %v", name, len(tc.s), total)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "0": 0, "1": time.Second, " 7 ": 7 * time.Second, "3600": time.Hour, "3601": time.Hour, "1000000000": time.Hour,
		"99999999999999999999999999": time.Hour, "-1": 0, "-99999999999999999999999999": 0, "+5": 0, "1.5": 0, "1e3": 0, "0x10": 0, "soon": 0, "7 8": 0,
		"Tue, 06 May 2031 07:09:09 GMT":   time.Minute,
		"Tuesday, 06-May-31 07:09:09 GMT": time.Minute,
		"Tue May  6 07:09:09 2031":        time.Minute,
		"Tue, 06 May 2031 07:08:09 GMT":   0,
		"Fri, 31 Dec 1999 23:59:59 GMT":   0,
		"Fri, 31 Dec 9999 23:59:59 GMT":   time.Hour,
		"2031-05-06T07:09:09Z":            0,
	} {
		if got := delivery.RetryAfter(http.Header{"Retry-After": {text}}, now); got != want {
			t.Errorf("%q is %v, want %v", text, got, want)
		}
	}
	if got := delivery.RetryAfter(nil, now); got != 0 {
		t.Errorf("no header is %v", got)
	}
}

func FuzzWait(f *testing.F) {
	f.Add("120", 1, 0.5)
	f.Add("Tue, 06 May 2031 07:09:09 GMT", 3, 0.0)
	f.Add("-1", 9, 0.999)
	now := time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)
	f.Fuzz(func(t *testing.T, header string, failed int, chance float64) {
		after := delivery.RetryAfter(http.Header{"Retry-After": {header}}, now)
		if after < 0 || after > time.Hour {
			t.Fatalf("%q makes %v", header, after)
		}
		if !(chance >= 0 && chance < 1) {
			return
		}
		s := delivery.IndependentSchedule()
		wait, again := s.Wait(failed, after, chance)
		if again != (failed >= 1 && failed <= len(s)) {
			t.Fatalf("after %d failures: %v", failed, again)
		}
		if again && (wait < s[failed-1]*8/10 || wait < after || wait > max(s[failed-1]*12/10, time.Hour)) {
			t.Fatalf("Wait(%d, %v, %v) = %v", failed, after, chance, wait)
		}
	})
}
