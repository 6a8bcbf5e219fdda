package claims

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Example is a claim about a pipeline that must hold before it serves
// (DESIGN decision 9).
type Example struct {
	Name       string          // for the error; may be empty
	Claims     Set             // what the upstream says
	Minted     Set             // what the provider asserts, for an answer that repeats it
	Scopes     []string        // the granted scopes
	HookAnswer json.RawMessage // body of the hook's recorded 200; empty stands for its 204
	Expect     Set             // what is released, no more and no less
}

// Check runs examples through the very Run of production, with the recorded
// answer where a stage would call out. It returns an error for each example
// that does not come out as expected, nil when all do.
func (p *Pipeline) Check(examples []Example) []error {
	var out []error
	for i, example := range examples {
		if err := p.holds(example); err != nil {
			out = append(out, &ExampleError{Index: i, label: example.label(i), cause: err})
		}
	}
	return out
}

// ExampleError is an example that does not come out as expected. Its text holds
// the operator's own claims.
type ExampleError struct {
	Index int // position among the examples
	label string
	cause error
}

// Error says which example, and what is different.
func (e *ExampleError) Error() string { return "example " + e.label + ": " + e.cause.Error() }

// Unwrap is what is different.
func (e *ExampleError) Unwrap() error { return e.cause }

func (e Example) label(i int) string {
	if e.Name == "" {
		return fmt.Sprintf("[%d]", i)
	}
	return fmt.Sprintf("[%d] %q", i, e.Name)
}

func (p *Pipeline) holds(e Example) error {
	recorded := make(map[string]json.RawMessage)
	if len(e.HookAnswer) > 0 {
		if len(p.stages) == 0 {
			return errors.New("has a recorded answer, but there is no hook")
		}
		for _, stage := range p.stages {
			recorded[stage.Name()] = e.HookAnswer
		}
	}
	got, err := p.Run(context.Background(), Input{
		User: "example", Scopes: e.Scopes, Minted: e.Minted, Mode: "check", Recorded: recorded,
	}, e.Claims)
	if err != nil {
		// The cause is told here: it is the operator's own example that is wrong.
		return errors.Join(err, errors.Unwrap(err))
	}
	if len(got.Problems) > 0 {
		return fmt.Errorf("claim %q: %s", got.Problems[0].Claim, got.Problems[0].What)
	}
	return difference(got.Released, e.Expect)
}

// difference names each claim that is not as expected.
func difference(got, want Set) error {
	want, err := NewSet(want, UpstreamLimits())
	if err != nil {
		return fmt.Errorf("expected claims: %w", err)
	}
	names := maps.Clone(got)
	maps.Copy(names, want)
	var out []error
	for _, name := range slices.Sorted(maps.Keys(names)) {
		g, released := got[name]
		w, expected := want[name]
		switch {
		case !expected:
			out = append(out, fmt.Errorf("claim %q is released unexpectedly", name))
		case !released:
			out = append(out, fmt.Errorf("claim %q is not released", name))
		case !equal(g, w, sameValue):
			out = append(out, fmt.Errorf("claim %q is %s, expected %s", name, text(g), text(w)))
		}
	}
	return errors.Join(out...)
}

func text(value any) string {
	data, err := json.Marshal(value)
	if err != nil {
		return "unprintable"
	}
	return string(data)
}
