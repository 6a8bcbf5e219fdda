package claims

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// recorder reads recorded answers, as a calling stage does, and fails when it
// would have to call.
func recorder(t *testing.T) stage {
	return stage{"hook", func(in Input, _ Set) (Answer, error) {
		if in.Recorded == nil {
			t.Error("an example calls out")
		}
		body, ok := in.Recorded["hook"]
		if !ok {
			return Answer{Unchanged: true}, nil
		}
		claims, err := DecodeObject(body, HookLimits())
		if err != nil {
			return Answer{}, NewMalfunction("hook", "not_json", err)
		}
		return Answer{Claims: claims}, nil
	}}
}

func TestCheck(t *testing.T) {
	upstream := set(t, `{"sub":"u","name":"A","dept":"Sales","n":"x"}`)
	hooked := pipeline(t, Options{Mapping: mapping(t, Rule{Claim: "department", From: []string{"dept"}}), Stages: []Stage{recorder(t)}})
	good := Example{Name: "sales", Claims: upstream, Scopes: []string{"openid", "profile"}, Expect: Set{"name": "A", "department": "Sales"}}
	with := func(change func(*Example)) Example {
		e := good
		change(&e)
		return e
	}
	for name, tc := range map[string]struct {
		example Example
		want    string // part of the error, "" for none
	}{
		"holds":                  {good, ""},
		"holds with an answer":   {with(func(e *Example) { e.HookAnswer = json.RawMessage(`{"x":1}`); e.Expect = Set{"x": 1} }), ""},
		"forgery dropped":        {with(func(e *Example) { e.HookAnswer = json.RawMessage(`{"sub":"forged"}`); e.Expect = Set{} }), ""},
		"released unexpectedly":  {with(func(e *Example) { e.Expect = Set{"name": "A"} }), `example [1] "sales": claim "department" is released unexpectedly`},
		"not released":           {with(func(e *Example) { e.Scopes = nil }), `example [1] "sales": claim "name" is not released`},
		"another value":          {with(func(e *Example) { e.Expect = Set{"name": "B", "department": "Sales"} }), `claim "name" is "A", expected "B"`},
		"another type":           {with(func(e *Example) { e.Expect = Set{"name": 1, "department": "Sales"} }), `claim "name" is "A", expected 1`},
		"unreadable answer":      {with(func(e *Example) { e.HookAnswer = json.RawMessage(`{"a":1,"a":2}`) }), `duplicate`},
		"unreadable upstream":    {with(func(e *Example) { e.Claims = Set{"a": 1, "A": 2} }), `twins`},
		"unreadable expectation": {with(func(e *Example) { e.Expect = Set{"a": 1, "A": 2} }), `expected claims`},
	} {
		errs := hooked.Check([]Example{good, tc.example})
		switch {
		case tc.want == "" && len(errs) == 0:
		case tc.want != "" && len(errs) == 1 && strings.Contains(errs[0].Error(), tc.want):
		default:
			t.Errorf("%s: %v, want %q", name, errs, tc.want)
		}
	}

	plain := pipeline(t, Options{Mapping: mapping(t, Rule{Claim: "n", From: []string{"n"}, Type: Int})})
	errs := plain.Check([]Example{
		{Claims: upstream, HookAnswer: json.RawMessage(`{}`)},
		{Claims: upstream},
	})
	if got := errors.Join(errs...); got == nil || got.Error() != "example [0]: has a recorded answer, but there is no hook\nexample [1]: claim \"n\": not_convertible" {
		t.Errorf("%v", got)
	}
}

// A strict guard holds examples to its word, and an answer that repeats what
// the provider asserts is not a forgery.
func TestCheckStrict(t *testing.T) {
	strict, err := NewGuard(nil, true)
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewPipeline(strict, Options{Stages: []Stage{recorder(t)}})
	if err != nil {
		t.Fatal(err)
	}
	answer := json.RawMessage(`{"sub":"u-1","x":1}`)
	errs := p.Check([]Example{
		{HookAnswer: answer, Minted: Set{"sub": "u-1"}, Expect: Set{"x": 1}},
		{HookAnswer: answer, Expect: Set{"x": 1}},
	})
	if len(errs) != 1 || !strings.Contains(errs[0].Error(), "example [1]") || !strings.Contains(errs[0].Error(), "guard") {
		t.Fatal(errs)
	}
}
