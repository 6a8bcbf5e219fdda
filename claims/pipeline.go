package claims

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// Input is what an issuance knows beside the upstream's claims. Stages read it.
type Input struct {
	Tenant   string
	Client   string
	User     string // the person's public identifier
	Upstream string // id of the upstream that spoke
	Scopes   []string
	Grant    string              // authorization_code, refresh_token ...
	Context  map[string][]string // the hook contract's contextCustomParams
	Minted   Set                 // what the provider will assert itself, shown to stages read-only
	Mode     string              // "" in service, otherwise told to the hook: "preview"
	Asked    Asked               // claims that the client asked for one by one

	// Recorded, when not nil, holds recorded answers by the name of a stage and
	// forbids every stage to call out. A stage without one leaves the claims.
	Recorded map[string]json.RawMessage
}

// Answer is what a stage says.
type Answer struct {
	Claims    Set  // replaces the free claims; what is missing is filtered out
	Unchanged bool // leaves all as it is; Claims is not looked at
}

// Stage is a step that may filter, change and introduce free claims. have holds
// all that is known: free and protected claims and the minted ones; it is the
// stage's own copy. A *Denied is a refusal, every other error a malfunction.
// Apply is called concurrently. Where in.Recorded is not nil it must do no I/O.
type Stage interface {
	Name() string
	Apply(ctx context.Context, in Input, have Set) (Answer, error)
}

// Options shape the pipeline of one client.
type Options struct {
	Mapping *Mapping // nil for none
	Stages  []Stage  // in order, with distinct names
	IDToken []string // released claims that the client wants in the ID token as well
	// AccessToken are released claims for resource servers: in JWT access tokens
	// and at introspection.
	AccessToken []string
}

// Pipeline makes a client's claims. It is safe for concurrent use.
type Pipeline struct {
	guard   *Guard
	mapping *Mapping
	stages  []Stage
	idToken []string
	access  []string
}

// NewPipeline builds a pipeline whose guard speaks after every step.
func NewPipeline(g *Guard, o Options) (*Pipeline, error) {
	if g == nil {
		return nil, errors.New("claims pipeline: no guard")
	}
	names := []string{"", StepUpstream, StepMapping, StepMinted, StepRelease}
	for _, stage := range o.Stages {
		if slices.Contains(names, stage.Name()) {
			return nil, fmt.Errorf("claims pipeline: a stage cannot be named %q here", stage.Name())
		}
		names = append(names, stage.Name())
	}
	for list, names := range map[string][]string{"id_token": o.IDToken, "access_token": o.AccessToken} {
		for _, name := range names {
			if err := checkName(name); err != nil {
				return nil, fmt.Errorf("claims pipeline: %s: %q is no claim name", list, name)
			}
		}
	}
	return &Pipeline{g, o.Mapping, slices.Clone(o.Stages), slices.Clone(o.IDToken), slices.Clone(o.AccessToken)}, nil
}

// Run derives the claims of one issuance from what an upstream said. The error
// is a *Denied when a stage refuses the user and a *Malfunction otherwise; the
// Result then holds no claims, but the verdicts and problems met so far.
func (p *Pipeline) Run(ctx context.Context, in Input, upstream Set) (Result, error) {
	r := &run{pipeline: p, in: in}
	if err := r.all(ctx, upstream); err != nil {
		return Result{Verdicts: r.verdicts, Problems: r.problems, Withheld: r.withheld}, err
	}
	return r.result(), nil
}

// run is the state of one Run.
type run struct {
	pipeline *Pipeline
	in       Input
	bag      Set               // free and protected claims, never minted ones
	origin   map[string]string // who wrote what did not come from the upstream
	verdicts []Verdict
	problems []Problem
	withheld []string
}

func (r *run) all(ctx context.Context, upstream Set) error {
	if err := r.begin(upstream); err != nil {
		return err
	}
	if err := r.rules(upstream); err != nil {
		return err
	}
	for _, stage := range r.pipeline.stages {
		if err := r.stage(ctx, stage); err != nil {
			return err
		}
	}
	return nil
}

// begin fills the bag with what may pass through from an upstream: free claims.
func (r *run) begin(upstream Set) error {
	if err := r.readMinted(); err != nil {
		return err
	}
	if err := checkNames(upstream); err != nil {
		return &Malfunction{Step: StepUpstream, Reason: "invalid", cause: err}
	}
	r.bag = make(Set, len(upstream))
	r.origin = make(map[string]string)
	for name, value := range upstream {
		value, err := normal(value, UpstreamLimits().Depth)
		if err != nil {
			return &Malfunction{Step: StepUpstream, Reason: "invalid", cause: err}
		}
		switch r.pipeline.guard.Class(name) {
		case Free:
			if value, _ = r.pipeline.guard.pointers(name, value); value != nil {
				r.bag[name] = value
			}
		case Protected:
			if !r.pipeline.mapping.sets(name) {
				r.withheld = append(r.withheld, name)
			}
		}
	}
	slices.Sort(r.withheld)
	return nil
}

// readMinted keeps of Input.Minted what is minted, so that a caller's slip
// cannot show a stage anything under a free name.
func (r *run) readMinted() error {
	own := make(Set, len(r.in.Minted))
	for name, value := range r.in.Minted {
		value, err := normal(value, UpstreamLimits().Depth)
		if err != nil {
			return &Malfunction{Step: StepMinted, Reason: "invalid", cause: err}
		}
		if r.pipeline.guard.Class(name) == Minted && value != nil {
			own[name] = value
		}
	}
	r.in.Minted = own
	return nil
}

// rules carries out the mapping. It is an overlay, so only what it wrote needs
// the guard.
func (r *run) rules(upstream Set) error {
	m := r.pipeline.mapping
	if m == nil {
		return nil
	}
	written, problems := m.apply(upstream)
	r.problems = append(r.problems, problems...)
	after, err := r.guarded(StepMapping, operator, nil, written)
	if err != nil {
		return err
	}
	m.clear(r.bag)
	for name, value := range after {
		r.bag[name] = value
		r.origin[name] = StepMapping
	}
	return nil
}

// stage asks one stage and guards what it says.
func (r *run) stage(ctx context.Context, stage Stage) error {
	have := r.bag.Clone()
	for name, value := range r.in.Minted {
		have[name] = cloneValue(value)
	}
	answer, err := stage.Apply(ctx, r.in, have)
	if err != nil {
		return failed(stage.Name(), err)
	}
	if answer.Unchanged {
		return nil
	}
	after, err := r.guarded(stage.Name(), stranger, r.bag, answer.Claims)
	if err != nil {
		return err
	}
	for name, value := range after {
		if had, ok := r.bag[name]; !ok || !Repeats(had, value) {
			r.origin[name] = stage.Name()
		}
	}
	r.bag = after
	return nil
}

// guarded returns what the guard lets through of an answer.
func (r *run) guarded(step string, who authority, before, answer Set) (Set, error) {
	after, verdicts, err := r.pipeline.guard.check(step, who, before, r.in.Minted, answer)
	if err != nil {
		return nil, &Malfunction{Step: step, Reason: "invalid", cause: err}
	}
	r.verdicts = append(r.verdicts, verdicts...)
	if len(verdicts) > 0 && r.pipeline.guard.strict {
		return nil, &Malfunction{Step: step, Reason: ReasonGuard}
	}
	return after, nil
}

// failed names the step in whatever a stage returned as its error.
func failed(step string, err error) error {
	if _, ok := errors.AsType[*Denied](err); ok {
		return &Denied{Step: step}
	}
	if m, ok := errors.AsType[*Malfunction](err); ok {
		return &Malfunction{Step: step, Reason: m.Reason, cause: m.cause}
	}
	return &Malfunction{Step: step, Reason: "error", cause: err}
}

func (r *run) result() Result {
	released, only := r.release()
	out := Result{
		Bag: r.bag, Released: released, IDToken: Set{}, Only: only, Origin: r.origin,
		Verdicts: r.verdicts, Problems: r.problems, Withheld: r.withheld,
	}
	for _, names := range [][]string{r.pipeline.idToken, r.in.Asked.IDToken} {
		for _, name := range names {
			if value, ok := released[name]; ok {
				out.IDToken[name] = value
			}
		}
	}
	for _, name := range r.pipeline.access {
		if _, ok := released[name]; ok && !slices.Contains(only, name) && !slices.Contains(out.AccessToken, name) {
			out.AccessToken = append(out.AccessToken, name)
		}
	}
	for name := range r.origin {
		if _, ok := r.bag[name]; !ok {
			delete(r.origin, name)
		}
	}
	return out
}
