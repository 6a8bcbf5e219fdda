package hook

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// Bounds of one call.
const (
	MaxRequest = 64 << 10 // bytes
	MaxAnswer  = 64 << 10 // bytes

	DefaultTimeout       = 1500 * time.Millisecond
	MinTimeout           = 100 * time.Millisecond
	MaxTimeout           = 10 * time.Second
	DefaultMaxConcurrent = 64
)

// OnFailure says what a malfunction of the hook means. There is no default: it
// must be said.
type OnFailure string

// The policies.
const (
	Deny     OnFailure = "deny"      // the issuance fails, temporarily
	Keep     OnFailure = "keep"      // it goes on with the claims of an allow-list
	LastGood OnFailure = "last_good" // it goes on as the hook last had it, or else fails
)

// Options describe one hook.
type Options struct {
	ID     string       // names the hook in verdicts, audit and metrics
	URL    string       // base URL and path
	Auth   Auth         // nil for none
	Client *http.Client // guarded and pooled by the caller; used without its cookies and redirects
	Now    func() time.Time

	Timeout       time.Duration // 0 is DefaultTimeout
	MaxConcurrent int           // 0 is DefaultMaxConcurrent
	Breaker       Breaker       // zero fields take the defaults written there

	OnFailure  OnFailure
	KeepClaims []string      // with Keep: what may be released without the hook; nil is not "none"
	MaxAge     time.Duration // with LastGood: how old an answer may be
	Remember   Remember      // with LastGood: nil is a Memory of this node

	// SigningSecrets make requests carry Standard Webhooks headers, one
	// signature for each secret, so that a secret can be changed without a gap.
	SigningSecrets []Secret
	Observe        Observer // nil for nobody
}

// check reports everything that is wrong.
func (o Options) check() error {
	var problems []error
	bad := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if o.ID == "" {
		bad("id: must be given")
	}
	if u, err := url.Parse(o.URL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		bad("url: must be an absolute http or https URL without credentials and fragment")
	}
	if o.Client == nil || o.Now == nil {
		bad("client and clock: must be given")
	}
	if o.Timeout != 0 && (o.Timeout < MinTimeout || o.Timeout > MaxTimeout) {
		bad("timeout: must be from %s to %s", MinTimeout, MaxTimeout)
	}
	if o.MaxConcurrent < 0 {
		bad("max_concurrent: must be positive")
	}
	switch o.OnFailure {
	case Deny:
	case Keep:
		if o.KeepClaims == nil {
			bad("keep_claims: on_failure keep needs the claims that may be released without the hook")
		}
	case LastGood:
		if o.MaxAge <= 0 {
			bad("max_age: on_failure last_good needs the age up to which an answer may be used")
		}
	default:
		bad("on_failure: must be one of deny, keep, last_good")
	}
	for i, secret := range o.SigningSecrets {
		if _, err := secret.key(); err != nil {
			bad("signing_secret[%d]: %w", i, err)
		}
	}
	if err := o.Breaker.check(); err != nil {
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}
