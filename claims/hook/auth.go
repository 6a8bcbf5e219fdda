package hook

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
)

// Secret is shared with the service. It does not print.
type Secret string

func (Secret) String() string { return "[secret]" }

// GoString is String, so that %#v stays silent as well.
func (Secret) GoString() string { return "[secret]" }

// LogValue is String, so that a log stays silent as well.
func (Secret) LogValue() slog.Value { return slog.StringValue("[secret]") }

// MarshalText is String, so that an encoder stays silent as well.
func (Secret) MarshalText() ([]byte, error) { return []byte("[secret]"), nil }

// key is the HMAC key: what follows "whsec_" in base64, as Standard Webhooks
// has it, or else the bytes of the secret itself.
func (s Secret) key() ([]byte, error) {
	encoded, standard := strings.CutPrefix(string(s), "whsec_")
	if !standard {
		if s == "" {
			return nil, errors.New("must not be empty")
		}
		return []byte(s), nil
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(key) == 0 {
		return nil, errors.New("must be base64 after whsec_")
	}
	return key, nil
}

// Auth puts credentials into a request. It is called for every attempt, within
// the deadline.
type Auth func(ctx context.Context, h http.Header) error

// Basic authenticates with a name and a password (RFC 7617).
func Basic(username string, password Secret) Auth {
	value := "Basic " + base64.StdEncoding.EncodeToString([]byte(username+":"+string(password)))
	return func(_ context.Context, h http.Header) error {
		h.Set("Authorization", value)
		return nil
	}
}

// Bearer authenticates with a token of ours: a JWT of typ hook+jwt whose
// audience is the hook's base URL. The source caches it.
func Bearer(source func(context.Context) (string, error)) Auth {
	return func(ctx context.Context, h http.Header) error {
		token, err := source(ctx)
		if err != nil {
			return fmt.Errorf("make token for hook: %w", err)
		}
		h.Set("Authorization", "Bearer "+token)
		return nil
	}
}
