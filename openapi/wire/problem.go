package wire

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Problem is an error that may be told to a caller: everything in it but its
// cause is safe to show to anybody.
type Problem struct {
	// Status is the HTTP status.
	Status int
	// Code is the kind of error in snake_case, the end of the problem's type.
	Code string
	// Title says in English what kind of error it is, always in the same words.
	Title string
	// Detail, when set, says what is special about this one. It never repeats
	// personal data or an upstream's words.
	Detail string
	// ErrorCode is the error's number in the older dialects, digits.
	ErrorCode string
	// RetryAfter, when above zero, is told in whole seconds, rounded up.
	RetryAfter time.Duration
	// Violations name the parts of the request that are at fault.
	Violations []Violation
	header     http.Header
	cause      error
}

// Violation is one part of a request that breaks a rule.
type Violation struct {
	// Field is the member or parameter, as a path of names and indexes.
	Field string `json:"field"`
	// Description says what is wrong with it.
	Description string `json:"description"`
}

// Error is for logs: it shows the cause.
func (p *Problem) Error() string {
	text := fmt.Sprintf("%d %s", p.Status, p.Code)
	if p.Detail != "" {
		text += ": " + p.Detail
	}
	if p.cause != nil {
		text += ": " + p.cause.Error()
	}
	return text
}

// Unwrap is the private cause.
func (p *Problem) Unwrap() error { return p.cause }

// Because keeps the private cause and returns the same problem.
func (p *Problem) Because(err error) *Problem {
	p.cause = err
	return p
}

// with adds a header to the answer.
func (p *Problem) with(name, value string) *Problem {
	if p.header == nil {
		p.header = make(http.Header)
	}
	p.header.Add(name, value)
	return p
}

// Public is what may be told of any error: the Problem in it, or one that says
// nothing but that the call failed.
func Public(err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return TooLarge(tooLarge.Limit).Because(err)
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return Unavailable("unavailable", "The call was cut short").Because(err)
	}
	return Internal().Because(err)
}

// Malformed is 400 with the number 1041. Code names the rule that was broken.
func Malformed(code, detail string) *Problem {
	return &Problem{Status: http.StatusBadRequest, Code: code, ErrorCode: malformedCode, Title: "Malformed request", Detail: detail}
}

// In names the part of the request that is at fault and returns the same problem.
func (p *Problem) In(field string) *Problem {
	p.Violations = append(p.Violations, Violation{Field: field, Description: p.Detail})
	return p
}

const malformedCode = "1041"

// Unauthenticated is 401. Authenticate adds the challenges.
func Unauthenticated() *Problem {
	return &Problem{Status: http.StatusUnauthorized, Code: "unauthenticated", ErrorCode: "2010", Title: "Authentication failed"}
}

// Forbidden is 403: the caller is known and may not do this.
func Forbidden(detail string) *Problem {
	return &Problem{Status: http.StatusForbidden, Code: "forbidden", ErrorCode: "2011", Title: "Not allowed", Detail: detail}
}

// TenantRefused is 403 for a tenant that the caller may not name, and, so that
// they cannot be told apart, for one that does not exist.
func TenantRefused() *Problem {
	return &Problem{Status: http.StatusForbidden, Code: "tenant_refused", ErrorCode: "2012", Title: "Not allowed for this tenant"}
}

// NotFound is 404 for something that a request names, like `user_not_found`.
func NotFound(code, title string) *Problem {
	return &Problem{Status: http.StatusNotFound, Code: code, ErrorCode: "2001", Title: title}
}

// MethodNotAllowed is 405 with the methods that are.
func MethodNotAllowed(allow ...string) *Problem {
	p := &Problem{Status: http.StatusMethodNotAllowed, Code: "method_not_allowed", ErrorCode: malformedCode, Title: "Method not allowed"}
	return p.with("Allow", strings.Join(allow, ", "))
}

// NotAcceptable is 406: the caller accepts no JSON.
func NotAcceptable() *Problem {
	return &Problem{
		Status: http.StatusNotAcceptable, Code: "not_acceptable", ErrorCode: malformedCode,
		Title: "Not acceptable", Detail: "Answers are application/json.",
	}
}

// Conflict is 409: the state of something forbids the call.
func Conflict(code, errorCode, title string) *Problem {
	return &Problem{Status: http.StatusConflict, Code: code, ErrorCode: errorCode, Title: title}
}

// TooLarge is 413 for a body above a limit in bytes.
func TooLarge(limit int64) *Problem {
	return &Problem{
		Status: http.StatusRequestEntityTooLarge, Code: "body_too_large", ErrorCode: malformedCode,
		Title: "Body too large", Detail: fmt.Sprintf("The body may have at most %d bytes.", limit),
	}
}

// HeadersTooLarge is 431.
func HeadersTooLarge() *Problem {
	return &Problem{
		Status: http.StatusRequestHeaderFieldsTooLarge, Code: "headers_too_large", ErrorCode: malformedCode,
		Title: "Headers too large", Detail: fmt.Sprintf("The headers may have at most %d bytes.", headerLimit),
	}
}

// UnsupportedMedia is 415.
func UnsupportedMedia(detail string) *Problem {
	return &Problem{
		Status: http.StatusUnsupportedMediaType, Code: "unsupported_media_type", ErrorCode: malformedCode,
		Title: "Unsupported media type", Detail: detail,
	}
}

// TooMany is 429: this caller, or this person, was asked about too often.
func TooMany(wait time.Duration) *Problem {
	return &Problem{Status: http.StatusTooManyRequests, Code: "too_many_requests", ErrorCode: "2007", Title: "Too many requests", RetryAfter: wait}
}

// Internal is 500 and says nothing more.
func Internal() *Problem {
	return &Problem{Status: http.StatusInternalServerError, Code: "internal", ErrorCode: "2000", Title: "The server could not complete the call"}
}

// NotSupported is 501: the call is right and cannot be done here.
func NotSupported(code, detail string) *Problem {
	return &Problem{Status: http.StatusNotImplemented, Code: code, ErrorCode: "2009", Title: "Not supported", Detail: detail}
}

// Unavailable is 503 with a wait of five seconds: something the call needs does
// not answer. Set RetryAfter where more is known.
func Unavailable(code, title string) *Problem {
	return &Problem{Status: http.StatusServiceUnavailable, Code: code, ErrorCode: "2008", Title: title, RetryAfter: 5 * time.Second}
}
