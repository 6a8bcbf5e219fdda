package token

import (
	"log/slog"
	"time"
)

// unprinted keeps a value that holds tokens out of logs and messages, whatever
// verb they are printed with.
type unprinted struct{}

// String hides the value.
func (unprinted) String() string { return "[secret]" }

// GoString hides the value from %#v.
func (unprinted) GoString() string { return "[secret]" }

// LogValue hides the value from log/slog.
func (unprinted) LogValue() slog.Value { return slog.StringValue("[secret]") }

// Response is the answer of the token endpoint (RFC 6749 §5.1, OpenID Connect
// Core 1.0 §3.1.3.3). It does not print.
type Response struct {
	unprinted
	AccessToken string `json:"access_token"`
	// TokenType is always Bearer.
	TokenType string `json:"token_type"`
	// ExpiresIn is the access token's life in seconds.
	ExpiresIn    int    `json:"expires_in"`
	RefreshToken string `json:"refresh_token,omitempty"`
	// IDToken is there when the scope openid was granted.
	IDToken string `json:"id_token,omitempty"`
	Scope   string `json:"scope,omitempty"`
}

// Lifetimes are how long things live.
type Lifetimes struct {
	Code, Access, ID time.Duration
	// RefreshIdle is how long a refresh token may lie unused, RefreshMax how
	// long a grant can be refreshed in all.
	RefreshIdle, RefreshMax time.Duration
	// RefreshGrace is how long a refresh token that was rotated still answers.
	RefreshGrace time.Duration
}
