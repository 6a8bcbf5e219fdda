package bridge

import (
	"errors"
	"net/http"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/openapi/wire"
)

// Kind is a kind of failure of the Users contract, and the code of its problem.
type Kind string

// The kinds. What each becomes on the wire is said in one place, Problem.
const (
	// KindNotFound: there is no such user in this tenant.
	KindNotFound Kind = "user_not_found"
	// KindAmbiguous: several users answer to the selector.
	KindAmbiguous Kind = "ambiguous"
	// KindBlocked: the user is blocked.
	KindBlocked Kind = "user_blocked"
	// KindNoEmail: the user has no e-mail address.
	KindNoEmail Kind = "no_email"
	// KindEmailChanged: the address given is not the user's current one.
	KindEmailChanged Kind = "email_changed"
	// KindConcurrent: another call about the same person is still running.
	KindConcurrent Kind = "concurrent_request"
	// KindThrottled: this person or this caller was busy too often.
	KindThrottled Kind = "too_many_requests"
	// KindUnavailable: the directory does not answer.
	KindUnavailable Kind = "upstream_unavailable"
	// KindCredentials: the directory refuses our credentials.
	KindCredentials Kind = "upstream_credentials"
	// KindNotSupported: this directory cannot do that, and neither can we.
	KindNotSupported Kind = "not_supported"
	// KindMailNotSupported: the mail relay cannot carry mail to that address.
	KindMailNotSupported Kind = "mail_not_supported"
	// KindMalformedID, KindMalformedEmail and KindMalformedCustomer: the text
	// cannot be one.
	KindMalformedID       Kind = "malformed_id"
	KindMalformedEmail    Kind = "malformed_email"
	KindMalformedCustomer Kind = "malformed_customer"
	// KindGone: a verification link that was used, replaced or has expired.
	KindGone Kind = "link_gone"
)

// Error is a failure of the Users contract: its kind may be told, its cause
// stays inside.
type Error struct {
	Kind Kind
	// RetryAfter, when above zero, is how long the caller should wait.
	RetryAfter time.Duration
	cause      error
}

// Fail makes an Error.
func Fail(k Kind) *Error { return &Error{Kind: k} }

// Because keeps the private cause and returns the same error.
func (e *Error) Because(err error) *Error {
	e.cause = err
	return e
}

// After says how long the caller should wait and returns the same error.
func (e *Error) After(d time.Duration) *Error {
	e.RetryAfter = d
	return e
}

// Error is for logs: it shows the cause.
func (e *Error) Error() string {
	if e.cause == nil {
		return "bridge: " + string(e.Kind)
	}
	return "bridge: " + string(e.Kind) + ": " + e.cause.Error()
}

// Unwrap is the private cause.
func (e *Error) Unwrap() error { return e.cause }

// KindOf is the kind of an Error anywhere in err, empty for any other error.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return ""
}

// Problem is an error as it is told: the one place where a kind gets its status
// and its number. A store that cannot say yes is 503; other errors that are no
// Error pass through.
func Problem(err error) error {
	for _, down := range []error{store.ErrUnavailable, store.ErrUnknown, store.ErrUnsafe, store.ErrLost, store.ErrClosed} {
		if errors.Is(err, down) {
			return wire.Unavailable("unavailable", "The call may not have been kept").Because(err)
		}
	}
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return err
	}
	p := e.problem()
	if e.RetryAfter > 0 {
		p.RetryAfter = e.RetryAfter
	}
	return p.Because(err)
}

func (e *Error) problem() *wire.Problem {
	code := string(e.Kind)
	switch e.Kind {
	case KindNotFound:
		return wire.NotFound(code, "User not found")
	case KindAmbiguous:
		return wire.Conflict(code, "2002", "Several users match")
	case KindBlocked:
		return wire.Conflict(code, "2003", "The user is blocked")
	case KindNoEmail:
		return wire.Conflict(code, "2004", "The user has no e-mail address")
	case KindEmailChanged:
		return wire.Conflict(code, "2005", "The e-mail address has changed")
	case KindConcurrent:
		return wire.Conflict(code, "2006", "Another call about the same person is running")
	case KindThrottled:
		return wire.TooMany(e.RetryAfter)
	case KindUnavailable:
		return wire.Unavailable(code, "The directory does not answer")
	case KindCredentials:
		p := wire.Internal()
		p.Code, p.Title = code, "The directory refuses to be asked"
		return p
	case KindNotSupported:
		return wire.NotSupported(code, "The directory of this tenant cannot do that.")
	case KindMailNotSupported:
		return wire.NotSupported(code, "Mail to an address with such a local part cannot be sent here.")
	case KindMalformedID:
		return wire.Malformed(code, "An id is 1 to 256 bytes of plain text.").In("id")
	case KindMalformedEmail:
		return wire.Malformed(code, "The value is not an e-mail address.").In("email")
	case KindMalformedCustomer:
		return wire.Malformed(code, "A customer id is 1 to 256 bytes of plain text.").In("customer")
	case KindGone:
		p := wire.NotFound(code, "The link is no longer good")
		p.Status = http.StatusGone
		return p
	default:
		return wire.Internal()
	}
}
