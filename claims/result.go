package claims

import "fmt"

// The names of the steps that are not stages.
const (
	StepUpstream = "upstream" // what passed through from the upstream
	StepMapping  = "mapping"  // the client's rules
	StepMinted   = "minted"   // what the provider asserts itself
	StepRelease  = "release"  // the choice of what the client is told
)

// Result is the outcome of one Run. Its sets share values with each other:
// read them, do not write to them.
type Result struct {
	Bag      Set // all that is known and not minted
	Released Set // what the client is told, at userinfo but for Only
	IDToken  Set // the part of Released that it wants in the ID token too
	// AccessToken are names of Released, but for Only, that access tokens hold too.
	AccessToken []string
	Only        []string          // names of IDToken that it is told there and not at userinfo
	Origin      map[string]string // the step that wrote a claim of Bag; none for what the upstream said
	Verdicts    []Verdict         // changes that the guard refused
	Problems    []Problem         // rules that could not be carried out, standard claims that are none
	Withheld    []string          // protected claims of the upstream that no rule takes up
}

// Verdict is one refused change: it belongs into audit, metrics and events. It
// has the claim's name and never its value.
type Verdict struct {
	Step  string `json:"step"`
	Claim string `json:"claim"` // as the step spelled it
	Class Class  `json:"class"`
	What  What   `json:"what"`
}

// What is what a step tried to do to a claim that it may not write. Leaving
// one out is not among it, since that is neutral.
type What string

// The refused changes.
const (
	Changed What = "changed" // the claim is there and was given another value
	Added   What = "added"   // no claim of that very name is there, or it is spelled otherwise
)

// Problem is a rule that could not be carried out, or a standard claim that is
// none; its claim is left out. It belongs into the audit.
type Problem struct {
	Step  string `json:"step"`
	Claim string `json:"claim"`
	What  string `json:"what"`
}

// NotConvertible is a Problem: the first source that has a value has none of
// the rule's type, or a standard claim has no value of its type.
const NotConvertible = "not_convertible"

// ReasonGuard is the Reason of a Malfunction that a strict guard raised.
const ReasonGuard = "guard"

// Denied is a refusal: a stage answered that this user may not sign in. OAuth
// says access_denied.
type Denied struct {
	Step string
}

func (e *Denied) Error() string { return fmt.Sprintf("claims step %q refused the user", e.Step) }

// Malfunction is a step that did not do its work, which says nothing about the
// user. OAuth says temporarily_unavailable. Its text is safe to show; the cause
// behind Unwrap is not.
type Malfunction struct {
	Step   string
	Reason string // a name fit for a metric label
	cause  error
}

// NewMalfunction makes a Malfunction of a private cause, which may be nil.
func NewMalfunction(step, reason string, cause error) *Malfunction {
	return &Malfunction{Step: step, Reason: reason, cause: cause}
}

func (e *Malfunction) Error() string {
	return fmt.Sprintf("claims step %q malfunctioned: %s", e.Step, e.Reason)
}

// Unwrap returns the private cause.
func (e *Malfunction) Unwrap() error { return e.cause }
