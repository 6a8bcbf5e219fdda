package sessionhooks

import (
	"fmt"
	"log/slog"
)

// EndEvent is why a session ended, as a webhook is told in WebhookEventType.
// A session ends once and emits one of them.
type EndEvent string

// The five events that a session webhook can be told.
const (
	// EndLogout: the user signed out.
	EndLogout EndEvent = "LOGOUT"
	// EndUpgrade: the user stepped up and another session took this one's place.
	EndUpgrade EndEvent = "UPGRADE"
	// EndDestroy: somebody or something other than the user ended the session.
	EndDestroy EndEvent = "DESTROY"
	// EndMaxTimeout: the session reached its maximum lifetime.
	EndMaxTimeout EndEvent = "MAX_TIMEOUT"
	// EndIdleTimeout: the session was not used for its idle time.
	EndIdleTimeout EndEvent = "IDLE_TIMEOUT"
)

// EndEvents lists all five, in a slice of the caller's own.
func EndEvents() []EndEvent {
	return []EndEvent{EndLogout, EndUpgrade, EndDestroy, EndMaxTimeout, EndIdleTimeout}
}

// Missing says what a variable becomes whose property the session does not
// have. In the path of a URL such a variable is always an error, because an
// empty segment addresses another resource.
type Missing string

const (
	// MissingEmpty writes the empty text, and null for a bare JSON value. It is
	// the default, which the zero Missing means too.
	MissingEmpty Missing = "empty"
	// MissingError makes rendering fail with a *RenderError.
	MissingError Missing = "error"
	// MissingLiteral writes the variable as the template has it, escaped like
	// any value.
	MissingLiteral Missing = "literal"
)

// HeaderEncoding says how the value of each variable in a header is written. A
// header carries printable ASCII only, and a value is never altered silently,
// so names such as Zoë need an encoding that the receiver knows to undo.
type HeaderEncoding string

const (
	// EncodeNone writes the value itself, the default; a value with a control
	// or non-ASCII character is a *RenderError.
	EncodeNone HeaderEncoding = ""
	// EncodePercent writes all but the unreserved characters of RFC 3986 §2.3
	// as %XX of their UTF-8 bytes.
	EncodePercent HeaderEncoding = "percent"
	// EncodeBase64 writes the UTF-8 bytes in the base64 of RFC 4648 §4.
	EncodeBase64 HeaderEncoding = "base64"
	// EncodeRFC8187 writes an ext-value of RFC 8187 §3.2.1: UTF-8''Zo%C3%AB.
	EncodeRFC8187 HeaderEncoding = "rfc8187"
)

// Webhook is a session webhook as configured: what is posted where when a
// session ends. URL, Body and the values of Headers are templates in which
// ${name} and $<name> stand for a session property; $${ and $$< write ${ and
// $<. Compile checks a Webhook; nothing else here does.
type Webhook struct {
	ID string
	// URL is absolute, http or https. Variables may stand in its path and query.
	URL string
	// Events are those the webhook is told; none means all five.
	Events  []EndEvent
	Headers []Header
	// Body may be empty. Its variables are escaped as the Content-Type header
	// demands, so variables without that header are refused.
	Body    string
	Missing Missing
	// AllowUndeclared accepts variables that are neither built in nor declared
	// as custom properties, with a warning. It exists for migrations: a
	// mistyped name then goes unnoticed until its value is missed.
	AllowUndeclared bool
}

// Header is one header of the request. Either Value is a template or Secret
// holds a text that is sent as it is.
type Header struct {
	Name  string
	Value string
	// Secret is never treated as a template and never shown.
	Secret   Secret
	Encoding HeaderEncoding
}

// Secret is text that does not print: whatever formats, logs or encodes it,
// also from inside an unexported field, sees [secret]. Reveal is the one way to
// its value. The zero Secret is none at all.
type Secret struct {
	// A pointer, because fmt does not call methods on unexported fields and
	// would print a string held here directly.
	value *string
}

const hidden = "[secret]"

// NewSecret wraps a value.
func NewSecret(value string) Secret { return Secret{value: &value} }

// Reveal returns the value, "" for the zero Secret. Call it where the value is
// used, never to carry it about.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// IsZero reports that there is no secret, which an empty one is not.
func (s Secret) IsZero() bool { return s.value == nil }

// Format writes [secret] for every verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(hidden)) }

// LogValue returns [secret].
func (Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText returns [secret], for encoding/json too.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }
