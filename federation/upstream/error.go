package upstream

import (
	"errors"
	"net/http"

	"github.com/drawbridge-id/drawbridge/federation"
)

// Distrust is the private cause of an answer that is not to be believed. Check
// is a word for logs and metrics.
type Distrust struct {
	Check string
	cause error
}

// Error names the check and the cause, for logs.
func (d *Distrust) Error() string {
	if d.cause == nil {
		return "upstream answer failed the check of " + d.Check
	}
	return "upstream answer failed the check of " + d.Check + ": " + d.cause.Error()
}

// Unwrap is the cause.
func (d *Distrust) Unwrap() error { return d.cause }

func distrust(check string, cause error) *federation.Error {
	return federation.Fail(federation.ServerError,
		"The identity provider's answer could not be verified.").Because(&Distrust{Check: check, cause: cause})
}

func unreachable(cause error) *federation.Error {
	return federation.Fail(federation.TemporarilyUnavailable,
		"The identity provider cannot be reached at the moment.").Because(cause)
}

// refusal keeps the codes that mean something to a relying party; any other is
// a failure of the provider, not of the user.
func refusal(cb federation.Callback) *federation.Error {
	cause := errors.New("upstream answered " + clip(cb.Error) + ": " + clip(cb.ErrorDescription))
	switch code := federation.Code(cb.Error); code {
	case federation.AccessDenied:
		return federation.Fail(code, "The identity provider denied the sign-in.").Because(cause)
	case federation.LoginRequired, federation.ConsentRequired, federation.InteractionRequired, federation.AccountSelection:
		return federation.Fail(code, "The identity provider needs the user to take part.").Because(cause)
	case federation.UnmetAuthentication:
		return federation.Fail(code, "The identity provider cannot meet the authentication requirements.").Because(cause)
	case federation.TemporarilyUnavailable:
		return unreachable(cause)
	default:
		return federation.Fail(federation.ServerError, "The identity provider answered with an error.").Because(cause)
	}
}

// exchangeFailed tells a provider that is down from one that says no.
func exchangeFailed(err error) *federation.Error {
	answer, ok := errors.AsType[*answerError](err)
	switch {
	case ok && answer.down():
		return unreachable(err)
	case ok && answer.spent():
		return federation.Fail(federation.AccessDenied, "The identity provider did not accept its own code; please sign in again.").Because(err)
	case ok:
		return federation.Fail(federation.ServerError, "The identity provider refused the exchange of its code.").Because(err)
	case errors.Is(err, errTooLarge):
		return distrust("size", err)
	case errors.Is(err, errGarbled):
		return distrust("token answer", err)
	default:
		return unreachable(err)
	}
}

// down: it may say something else another time.
func (e *answerError) down() bool {
	return e.status >= http.StatusInternalServerError || e.status == http.StatusTooManyRequests || e.code == string(federation.TemporarilyUnavailable)
}

// spent: what was shown to it counts no longer. GitHub has words of its own.
func (e *answerError) spent() bool {
	return e.code == string(federation.InvalidGrant) || e.code == "bad_verification_code" || e.code == "bad_refresh_token"
}

// brief is an error whose text repeats a stranger's words, clipped.
type brief struct{ cause error }

// Error is the clipped text.
func (b brief) Error() string { return clip(b.cause.Error()) }

// Unwrap is the error with all of its text.
func (b brief) Unwrap() error { return b.cause }

// clip makes a stranger's words fit for one log line.
func clip(s string) string {
	out := make([]rune, 0, min(len(s), 200))
	for _, r := range s {
		if len(out) == 200 {
			break
		}
		if r < ' ' || r == 0x7f {
			r = ' '
		}
		out = append(out, r)
	}
	return string(out)
}
