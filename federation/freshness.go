package federation

import "time"

// Freshness says whether an upstream is asked again about a login when a relying
// party refreshes (DESIGN decision 16). The zero value asks never.
type Freshness struct {
	Check FreshnessCheck
	// After is the age of the last good answer from which on CheckAfter asks.
	After time.Duration
	// Unreachable is Allow, Deny or AllowFor; with the last the login is good for
	// that long after the last good answer.
	Unreachable FreshnessRule
	AllowFor    time.Duration
	// Nothing is Allow or Deny: what becomes of logins that the upstream left
	// nothing to ask with.
	Nothing FreshnessRule
}

// FreshnessCheck is when an upstream is asked.
type FreshnessCheck string

// FreshnessRule is what to do where an upstream did not answer.
type FreshnessRule string

// The words of Freshness.
const (
	CheckNever  FreshnessCheck = "never"
	CheckAlways FreshnessCheck = "always"
	CheckAfter  FreshnessCheck = "after"

	Allow    FreshnessRule = "allow"
	Deny     FreshnessRule = "deny"
	AllowFor FreshnessRule = "allow_for"
)

// Asks says whether an upstream is ever asked.
func (f Freshness) Asks() bool { return f.Check != "" && f.Check != CheckNever }

// ForSession is a login as its session has it: without the tokens of the
// upstream, which are kept elsewhere.
func (l Login) ForSession() Login {
	l.RefreshToken, l.AccessToken, l.AccessExpires, l.Kept = "", "", time.Time{}, true
	return l
}
