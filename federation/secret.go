package federation

import (
	"crypto/sha256"
	"crypto/subtle"
	"log/slog"
)

// Secret is text that does not print: not with any verb, not in a log, not in
// JSON by accident. Reveal is the one way to its value.
type Secret string

const redacted = "[secret]"

// String hides the value.
func (Secret) String() string { return redacted }

// GoString hides the value from %#v.
func (Secret) GoString() string { return redacted }

// LogValue hides the value from log/slog.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText hides the value from encoders. Stored shapes hold Sealed text or
// hashes, never a Secret.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Reveal is the value.
func (s Secret) Reveal() string { return string(s) }

// Matches compares in constant time. An empty secret matches nothing.
func (s Secret) Matches(given string) bool {
	if s == "" {
		return false
	}
	a, b := sha256.Sum256([]byte(s)), sha256.Sum256([]byte(given))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}
