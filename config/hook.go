package config

import "time"

// Hook is an operator's service that is asked while a user waits.
type Hook struct {
	// The name in references, metrics and logs.
	ID string `yaml:"id" validate:"required,name"`
	// What it is asked: `user_details` customises claims.
	Type string `yaml:"type" default:"user_details" validate:"oneof=user_details"`
	// Its address without the path. https, http on a loopback address, or elsewhere with `insecure_http`.
	BaseURL string `yaml:"base_url" validate:"required,baseurl"`
	// The path to post to, appended to `base_url`.
	Path string `yaml:"path" default:"/v1/customize-token" validate:"path"`
	// Allow http to a host that is not a loopback address: claims and credentials travel in the clear.
	InsecureHTTP bool `yaml:"insecure_http" default:"false"`
	// How we authenticate to it.
	Auth HookAuth `yaml:"auth"`
	// Signs requests by Standard Webhooks: `whsec_` and 24 to 64 random bytes as base64.
	SigningSecret Secret `yaml:"signing_secret" validate:"signingsecret"`
	// How long one call may take, a retry included.
	Timeout time.Duration `yaml:"timeout" default:"1500ms" validate:"min=100ms,max=10s"`
	// When it does not answer properly: refuse the sign-in, go on with `keep_claims` only, or with its last good answer for this user.
	OnFailure string `yaml:"on_failure" validate:"required,oneof=deny keep last_good"`
	// With `on_failure: keep`: the claims that may be released without the hook; an empty list for none.
	KeepClaims []string `yaml:"keep_claims" validate:"dive,claim"`
	// With `on_failure: last_good`: how old that answer may be.
	MaxAge time.Duration `yaml:"max_age" validate:"omitempty,min=1s,max=8760h"`
	// Call it only when one of these scopes is granted.
	Scopes []string `yaml:"scopes" otherwise:"any" validate:"dive,scope"`
	// Call it only for these grants.
	Grants []string `yaml:"grants" otherwise:"any" validate:"dive,oneof=authorization_code refresh_token"`
	// Fail the sign-in when this hook tries to change a protected claim.
	Strict bool `yaml:"strict" default:"false"`
	// How many calls may be in flight at once; further ones fail at once.
	MaxConcurrent int `yaml:"max_concurrent" default:"64" validate:"min=1,max=10000"`
}

// HookAuth is how a hook knows that it is us.
type HookAuth struct {
	// None, HTTP Basic, or a signed JWT of ours (typ hook+jwt) as bearer token.
	Type string `yaml:"type" default:"none" validate:"oneof=none basic jwt"`
	// With `type: basic`: the user name.
	Username string `yaml:"username" validate:"omitempty,username"`
	// With `type: basic`: the password.
	Password Secret `yaml:"password"`
}

// SessionWebhook is a notification that a session has ended. Its url, headers
// and body may hold variables, ${name}; what these may be, and how each is
// escaped, is checked where they are rendered.
type SessionWebhook struct {
	// The name by which sessions remember it.
	ID string `yaml:"id" validate:"required,name"`
	// The tenant whose sessions it hears about.
	Tenant string `yaml:"tenant" default:"default"`
	// Where to post to. https, http on a loopback address, or elsewhere with `insecure_http`.
	URL string `yaml:"url" validate:"required,webhookurl"`
	// Allow http to a host that is not a loopback address: the notification travels in the clear.
	InsecureHTTP bool `yaml:"insecure_http" default:"false"`
	// The causes of a session's end it wants to hear of.
	Events []string `yaml:"events" default:"LOGOUT UPGRADE DESTROY MAX_TIMEOUT IDLE_TIMEOUT" validate:"min=1,dive,oneof=LOGOUT UPGRADE DESTROY MAX_TIMEOUT IDLE_TIMEOUT"`
	// Request headers by name: a text, or `{secret: ...}`, or `{value: ..., encoding: ...}`.
	Headers map[string]Header `yaml:"headers"`
	// The body of the request; may have several lines.
	Body string `yaml:"body,multiline"`
	// What stands for a variable that has no value in a session: nothing, a render error, or the variable's own text.
	Missing string `yaml:"missing" default:"empty" validate:"oneof=empty error literal"`
	// Only sessions of these clients.
	Clients []string `yaml:"clients" otherwise:"all of its tenant"`
	// Only sessions that began at these upstreams.
	Upstreams []string `yaml:"upstreams" otherwise:"all of its tenant"`
	// Accept variables that nobody has declared.
	AllowUndeclared bool `yaml:"allow_undeclared" default:"false"`
}

// Header is the value of a request header: a template or a secret.
type Header struct {
	// A text that may hold variables.
	Value string `yaml:"value,scalar"`
	// A secret, which is sent as it is and shown nowhere; instead of `value`.
	Secret Secret `yaml:"secret"`
	// How variables that are not ASCII are written.
	Encoding string `yaml:"encoding" otherwise:"a render error" validate:"oneof=percent base64 rfc8187"`
}
