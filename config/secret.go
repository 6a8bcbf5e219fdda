package config

import (
	"crypto/subtle"
	"fmt"
	"log/slog"
)

const hidden = "[secret]"

// Secret is a value that does not print: whatever formats, encodes or logs it,
// also from inside an unexported field of somebody else's struct, sees
// [secret]. Only Reveal gives the value. The zero Secret is "not configured".
type Secret struct {
	// A pointer, because fmt cannot call methods on unexported fields of other
	// types and would print a string held here directly.
	value *string
}

// NewSecret wraps a value.
func NewSecret(value string) Secret { return Secret{value: &value} }

// Reveal returns the value itself, "" where none is configured. Call it where
// the value is used, never to carry it about.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// IsZero reports that no value is configured.
func (s Secret) IsZero() bool { return s.value == nil || *s.value == "" }

// Matches compares in constant time. A Secret that is not configured matches
// nothing, not even the empty string.
func (s Secret) Matches(given string) bool {
	return !s.IsZero() && subtle.ConstantTimeCompare([]byte(*s.value), []byte(given)) == 1
}

// String returns [secret].
func (Secret) String() string { return hidden }

// GoString returns [secret].
func (Secret) GoString() string { return hidden }

// Format writes [secret] for every verb, also for those that do not fit.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(hidden)) }

// LogValue returns [secret].
func (Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText returns [secret]; encoding/json uses MarshalJSON instead.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// MarshalJSON returns "[secret]".
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + hidden + `"`), nil }

// MarshalYAML returns [secret].
func (Secret) MarshalYAML() (any, error) { return hidden, nil }
