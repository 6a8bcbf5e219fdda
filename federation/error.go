package federation

import (
	"errors"
	"net/http"
	"time"
)

// Code is an error code of RFC 6749 §4.1.2.1 and §5.2, RFC 6750 §3.1 or
// OpenID Connect Core 1.0 §3.1.2.6.
type Code string

// The error codes that Drawbridge answers with.
const (
	InvalidRequest          Code = "invalid_request"
	InvalidClient           Code = "invalid_client"
	InvalidGrant            Code = "invalid_grant"
	InvalidScope            Code = "invalid_scope"
	InvalidTarget           Code = "invalid_target" // RFC 8707 §2
	InvalidToken            Code = "invalid_token"
	InsufficientScope       Code = "insufficient_scope"
	UnauthorizedClient      Code = "unauthorized_client"
	UnsupportedGrantType    Code = "unsupported_grant_type"
	UnsupportedResponseType Code = "unsupported_response_type"
	UnsupportedTokenType    Code = "unsupported_token_type"
	AccessDenied            Code = "access_denied"
	LoginRequired           Code = "login_required"
	ConsentRequired         Code = "consent_required"
	InteractionRequired     Code = "interaction_required"
	AccountSelection        Code = "account_selection_required"
	RequestNotSupported     Code = "request_not_supported"
	RequestURINotSupported  Code = "request_uri_not_supported"
	RegistrationUnsupported Code = "registration_not_supported"
	UnmetAuthentication     Code = "unmet_authentication_requirements"
	TemporarilyUnavailable  Code = "temporarily_unavailable"
	ServerError             Code = "server_error"
)

// Error is a failure that may be told: a code, a description that is safe to
// show to anybody, and a cause that stays inside.
type Error struct {
	Code Code
	// Status is the HTTP status at an endpoint that answers directly.
	Status int
	// Description is error_description: printable ASCII, no quotes of input.
	Description string
	// RetryAfter, when above zero, is told in the Retry-After header.
	RetryAfter time.Duration
	cause      error
}

// Fail makes an Error with the status that the code usually has.
func Fail(c Code, description string) *Error {
	return &Error{Code: c, Status: c.status(), Description: description}
}

// Because keeps the private cause and returns the same error.
func (e *Error) Because(err error) *Error {
	e.cause = err
	return e
}

// Error is for logs: it shows the cause.
func (e *Error) Error() string {
	text := string(e.Code) + ": " + e.Description
	if e.cause != nil {
		text += ": " + e.cause.Error()
	}
	return text
}

// Unwrap is the private cause.
func (e *Error) Unwrap() error { return e.cause }

// Public is what may be told of any error: itself if it is an Error, and
// server_error, which says nothing, if it is not.
func Public(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return Fail(ServerError, "The server could not complete the request.").Because(err)
}

func (c Code) status() int {
	switch c {
	case InvalidClient, InvalidToken:
		return http.StatusUnauthorized
	case InsufficientScope, AccessDenied:
		return http.StatusForbidden
	case TemporarilyUnavailable:
		return http.StatusServiceUnavailable
	case ServerError:
		return http.StatusInternalServerError
	default:
		return http.StatusBadRequest
	}
}
