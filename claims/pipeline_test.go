package claims

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// stage is a step whose answer the test writes. Its claims are what a
// careless program could return, so they may be anything.
type stage struct {
	name  string
	apply func(in Input, have Set) (Answer, error)
}

func (s stage) Name() string { return s.name }

func (s stage) Apply(_ context.Context, in Input, have Set) (Answer, error) { return s.apply(in, have) }

// says is a stage that answers with a fixed document, as a hook does.
func says(t testing.TB, answer string) stage {
	claims := set(t, answer)
	return stage{"hook", func(Input, Set) (Answer, error) { return Answer{Claims: claims}, nil }}
}

// edits is a stage that changes what it was shown in place.
func edits(change func(have Set)) stage {
	return stage{"hook", func(_ Input, have Set) (Answer, error) {
		change(have)
		return Answer{Claims: have}, nil
	}}
}

func pipeline(t testing.TB, o Options) *Pipeline {
	t.Helper()
	p, err := NewPipeline(&Guard{}, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func mapping(t testing.TB, rules ...Rule) *Mapping {
	t.Helper()
	m, err := Compile(rules)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// standing is the situation most tests of the guard are about: an upstream that
// says a lot, a mapping that lets one protected claim in, a provider that
// asserts five minted ones.
const standing = `{
	"iss":"https://evil.example","sub":"upstream-sub","aud":"drawbridge","nonce":"n","exp":1,"acr":"3","cnf":{"jkt":"x"},
	"name":"Alice","email":"alice@corp.example","email_verified":true,"dept":"Sales","id":9007199254740993,
	"permissions":{"admin":[{"on":false}]},"verified_claims":{"forged":true},"urn:onegini.com:oidc:level":9
}`

func standingMinted() Set {
	return Set{"iss": "https://id.example", "sub": "u-1", "aud": []string{"shop"}, "auth_time": 1700000000, "acr": "1", "nonce": nil}
}

func standingRules() []Rule {
	return []Rule{
		{Claim: "group_permissions", From: []string{"permissions"}},
		{Claim: "department", From: []string{"dept"}},
	}
}

func stand(t testing.TB, g *Guard, stages ...Stage) (Result, error) {
	t.Helper()
	p, err := NewPipeline(g, Options{Mapping: mapping(t, standingRules()...), Stages: stages, IDToken: []string{"department", "email"}})
	if err != nil {
		t.Fatal(err)
	}
	return p.Run(t.Context(), Input{Scopes: []string{"openid", "profile"}, Minted: standingMinted()}, set(t, standing))
}

func TestWithoutStages(t *testing.T) {
	got, err := stand(t, &Guard{})
	if err != nil {
		t.Fatal(err)
	}
	same(t, got.Bag, `{"name":"Alice","email":"alice@corp.example","email_verified":true,"dept":"Sales","id":9007199254740993,
		"permissions":{"admin":[{"on":false}]},"group_permissions":{"admin":[{"on":false}]},"department":"Sales"}`)
	same(t, got.Released, `{"name":"Alice","group_permissions":{"admin":[{"on":false}]},"department":"Sales"}`)
	same(t, got.IDToken, `{"department":"Sales"}`)
	if want := []string{"urn:onegini.com:oidc:level", "verified_claims"}; !reflect.DeepEqual(got.Withheld, want) {
		t.Errorf("withheld %v", got.Withheld)
	}
	if got.Origin["department"] != "mapping" || len(got.Origin) != 2 {
		t.Errorf("origin %v", got.Origin)
	}
	if len(got.Verdicts)+len(got.Problems) != 0 {
		t.Errorf("verdicts %v, problems %v", got.Verdicts, got.Problems)
	}
}

// A stage sees the bag and what the provider asserts, nothing of the upstream
// that was stripped.
func TestWhatAStageIsShown(t *testing.T) {
	shown := Set{}
	_, err := stand(t, &Guard{}, stage{"look", func(_ Input, have Set) (Answer, error) {
		shown = have.Clone()
		return Answer{Unchanged: true}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	same(t, shown, `{"iss":"https://id.example","sub":"u-1","aud":["shop"],"auth_time":1700000000,"acr":"1",
		"name":"Alice","email":"alice@corp.example","email_verified":true,"dept":"Sales","id":9007199254740993,
		"permissions":{"admin":[{"on":false}]},"group_permissions":{"admin":[{"on":false}]},"department":"Sales"}`)
}

func TestGuardTable(t *testing.T) {
	const kept = `"group_permissions":{"admin":[{"on":false}]}`
	for name, tc := range map[string]struct {
		answer   string
		released string
		verdicts []string // claim class what
	}{
		"leaves everything out": {`{}`, `{` + kept + `}`, nil},
		"adds":                  {`{"loyalty":"gold"}`, `{"loyalty":"gold",` + kept + `}`, nil},
		"changes free":          {`{"name":"Bob","department":"B"}`, `{"name":"Bob","department":"B",` + kept + `}`, nil},
		"repeats minted and protected": {
			`{"iss":"https://id.example","sub":"u-1","aud":["shop"],"auth_time":1700000000.0,"acr":"1",` + kept + `,"name":"Alice"}`,
			`{"name":"Alice",` + kept + `}`, nil,
		},
		"changes minted": {
			`{"sub":"admin","iss":"x","aud":["shop","other"],"auth_time":1700000001,"acr":1}`, `{` + kept + `}`,
			[]string{"acr minted changed", "aud minted changed", "auth_time minted changed", "iss minted changed", "sub minted changed"},
		},
		"adds minted": {
			`{"nonce":"n","exp":9999999999,"cnf":{},"sid":"s","scope":"admin","events":{},"client_id":"c","amr":[],"azp":null}`, `{` + kept + `}`,
			[]string{"amr minted added", "azp minted added", "client_id minted added", "cnf minted added", "events minted added", "exp minted added", "nonce minted added", "scope minted added", "sid minted added"},
		},
		"folds minted":        {`{"SUB":"u-1"}`, `{` + kept + `}`, []string{"SUB minted added"}},
		"folds minted, ſ":     {`{"ſub":"admin","iſs":"x"}`, `{` + kept + `}`, []string{"iſs minted added", "ſub minted added"}},
		"changes protected":   {`{"group_permissions":{"admin":[{"on":true}]}}`, `{` + kept + `}`, []string{"group_permissions protected changed"}},
		"empties protected":   {`{"group_permissions":null}`, `{` + kept + `}`, []string{"group_permissions protected changed"}},
		"truncates protected": {`{"group_permissions":{}}`, `{` + kept + `}`, []string{"group_permissions protected changed"}},
		"folds protected": {
			`{"GROUP_PERMISSIONS":{"admin":[{"on":false}]}}`, `{` + kept + `}`,
			[]string{"GROUP_PERMISSIONS protected added"},
		},
		"adds protected": {
			`{"verified_claims":{},"urn:onegini.com:oidc:x":1,"URN:ONEGINI.COM:OIDC:Y":2,"urn:onegini.com:oidc:":3}`, `{` + kept + `}`,
			[]string{"URN:ONEGINI.COM:OIDC:Y protected added", "urn:onegini.com:oidc: protected added", "urn:onegini.com:oidc:x protected added", "verified_claims protected added"},
		},
		"restores what was stripped": {
			`{"cnf":{"jkt":"x"},"nonce":"n","verified_claims":{"forged":true}}`, `{` + kept + `}`,
			[]string{"cnf minted added", "nonce minted added", "verified_claims protected added"},
		},
		"nests names": {`{"o":{"sub":"x","group_permissions":{}}}`, `{"o":{"sub":"x","group_permissions":{}},` + kept + `}`, nil},
		"lookalikes":  {`{"ｓｕｂ":"x","ѕub":"y","__proto__":{"sub":"z"}}`, `{"ｓｕｂ":"x","ѕub":"y","__proto__":{"sub":"z"},` + kept + `}`, nil},
		"points elsewhere": {
			`{"_claim_names":{"group_permissions":"s","SUB":"s","groups":"s"},"_claim_sources":{"s":{"endpoint":"https://evil.example"}}}`,
			`{"_claim_names":{"groups":"s"},"_claim_sources":{"s":{"endpoint":"https://evil.example"}},` + kept + `}`,
			[]string{"_claim_names.SUB minted added", "_claim_names.group_permissions protected added"},
		},
		"points elsewhere in capitals": {
			`{"_CLAIM_NAMES":{"verified_claims":"s"}}`, `{"_CLAIM_NAMES":{},` + kept + `}`,
			[]string{"_CLAIM_NAMES.verified_claims protected added"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := stand(t, &Guard{}, says(t, tc.answer))
			if err != nil {
				t.Fatal(err)
			}
			same(t, got.Released, tc.released)
			for _, v := range got.Verdicts {
				if v.Step != "hook" {
					t.Errorf("verdict names step %q", v.Step)
				}
			}
			if said := spoken(got.Verdicts); !reflect.DeepEqual(said, tc.verdicts) {
				t.Errorf("verdicts %q\nwant     %q", said, tc.verdicts)
			}
			strict, err := NewGuard(nil, true)
			if err != nil {
				t.Fatal(err)
			}
			result, err := stand(t, strict, says(t, tc.answer))
			malfunction, failed := errors.AsType[*Malfunction](err)
			if failed != (len(tc.verdicts) > 0) || failed && (malfunction.Step != "hook" || malfunction.Reason != ReasonGuard) {
				t.Fatalf("strict: %v", err)
			}
			if said := spoken(result.Verdicts); !reflect.DeepEqual(said, tc.verdicts) || failed && result.Released != nil {
				t.Errorf("strict: verdicts %q, released %v", said, result.Released)
			}
		})
	}
}

// A hook that cannot hold a number did not repeat it.
func TestRoundingIsAChange(t *testing.T) {
	p := pipeline(t, Options{
		Mapping: mapping(t, Rule{Claim: "group_permissions", From: []string{"p"}}),
		Stages:  []Stage{says(t, `{"group_permissions":{"id":9007199254740992},"acr":9007199254740992,"auth_time":1.7e9}`)},
	})
	minted := Set{"acr": json.Number("9007199254740993"), "auth_time": 1700000000}
	got, err := p.Run(t.Context(), Input{Minted: minted}, set(t, `{"p":{"id":9007199254740993}}`))
	if err != nil {
		t.Fatal(err)
	}
	same(t, Set{"gp": got.Released["group_permissions"]}, `{"gp":{"id":9007199254740993}}`)
	if want := []string{"acr minted changed", "group_permissions protected changed"}; !reflect.DeepEqual(spoken(got.Verdicts), want) {
		t.Errorf("verdicts %q", spoken(got.Verdicts))
	}
}

func spoken(verdicts []Verdict) []string {
	var out []string
	for _, v := range verdicts {
		out = append(out, fmt.Sprintf("%s %s %s", v.Claim, v.Class, v.What))
	}
	return out
}

// Changing in place what one was shown changes nothing but one's own answer,
// however deep it lies.
func TestAStageCannotReachTheBag(t *testing.T) {
	got, err := stand(t, &Guard{}, edits(func(have Set) {
		have["group_permissions"].(map[string]any)["admin"].([]any)[0].(map[string]any)["on"] = true
		have["aud"].([]any)[0] = "other"
		have["permissions"] = "gone"
	}))
	if err != nil {
		t.Fatal(err)
	}
	same(t, Set{"gp": got.Bag["group_permissions"]}, `{"gp":{"admin":[{"on":false}]}}`)
	if want := []string{"aud minted changed", "group_permissions protected changed"}; !reflect.DeepEqual(spoken(got.Verdicts), want) {
		t.Errorf("verdicts %q", spoken(got.Verdicts))
	}
	kept := map[string]any{"x": "before"}
	got, err = stand(t, &Guard{}, stage{"hook", func(Input, Set) (Answer, error) { return Answer{Claims: Set{"o": kept}}, nil }})
	if err != nil {
		t.Fatal(err)
	}
	kept["x"] = "after"
	same(t, Set{"o": got.Released["o"]}, `{"o":{"x":"before"}}`)
}

// The second stage cannot bring in what the first left out, nor the other way round.
func TestGuardSpeaksAfterEveryStage(t *testing.T) {
	first, second := edits(func(have Set) { clear(have); have["a"] = "1" }), edits(func(have Set) {
		have["group_permissions"] = "forged"
		have["verified_claims"] = "forged"
		have["b"] = "2"
	})
	second.name = "second"
	got, err := stand(t, &Guard{}, first, second)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got.Released, `{"a":"1","b":"2","group_permissions":{"admin":[{"on":false}]}}`)
	want := []Verdict{
		{"second", "group_permissions", Protected, Changed},
		{"second", "verified_claims", Protected, Added},
	}
	if !reflect.DeepEqual(got.Verdicts, want) {
		t.Errorf("verdicts %v", got.Verdicts)
	}
	if got.Origin["a"] != "hook" || got.Origin["b"] != "second" || got.Origin["group_permissions"] != "mapping" {
		t.Errorf("origin %v", got.Origin)
	}
}

func TestRelease(t *testing.T) {
	const upstream = `{"name":"A","name#ja":"ア","EMAIL":"e@x","phone_number":"1","address":{"country":"NL"},"nickname":"","dept":"S","num":9007199254740993,"gender":null}`
	for name, tc := range map[string]struct {
		scopes string
		rules  []Rule
		answer string // "" for 204
		want   string
	}{
		"openid alone":            {"openid", nil, "", `{}`},
		"profile":                 {"openid profile", nil, "", `{"name":"A","name#ja":"ア"}`},
		"email, oddly spelled":    {"openid email", nil, "", `{"EMAIL":"e@x"}`},
		"phone and address":       {"openid phone address", nil, "", `{"phone_number":"1","address":{"country":"NL"}}`},
		"a scope nobody knows":    {"openid dept", nil, "", `{}`},
		"mapped":                  {"openid", []Rule{{Claim: "dept", From: []string{"dept"}}}, "", `{"dept":"S"}`},
		"mapped standard claim":   {"openid", []Rule{{Claim: "given_name", From: []string{"name"}}}, "", `{"given_name":"A"}`},
		"mapped empty":            {"openid", []Rule{{Claim: "x", Default: ""}}, "", `{}`},
		"hook invents":            {"openid", nil, `{"x":1}`, `{"x":1}`},
		"hook without consent":    {"openid", nil, `{"email":"e@x","PHONE_NUMBER":"1","addreſs":{},"name#en":"A","x":1}`, `{"x":1}`},
		"hook with consent":       {"openid email", nil, `{"email":"new@x"}`, `{"email":"new@x"}`},
		"hook filters":            {"openid profile", nil, `{"dept":"S"}`, `{}`},
		"hook repeats":            {"openid", nil, `{"dept":"S","num":9007199254740993}`, `{}`},
		"hook rounds":             {"openid", nil, `{"num":9007199254740992}`, `{}`},
		"hook changes":            {"openid", nil, `{"dept":"T"}`, `{"dept":"T"}`},
		"hook says null":          {"openid", nil, `{"x":null,"y":""}`, `{}`},
		"hook changes the mapped": {"openid", []Rule{{Claim: "dept", From: []string{"dept"}}}, `{"dept":"T"}`, `{"dept":"T"}`},
		"hook omits the mapped":   {"openid", []Rule{{Claim: "dept", From: []string{"dept"}}}, `{}`, `{}`},
	} {
		t.Run(name, func(t *testing.T) {
			o := Options{Mapping: mapping(t, tc.rules...)}
			if tc.answer != "" {
				o.Stages = []Stage{says(t, tc.answer)}
			}
			got, err := pipeline(t, o).Run(t.Context(), Input{Scopes: strings.Fields(tc.scopes)}, set(t, upstream))
			if err != nil {
				t.Fatal(err)
			}
			same(t, got.Released, tc.want)
		})
	}
}

func TestRunFails(t *testing.T) {
	boom := errors.New("private cause")
	for name, tc := range map[string]struct {
		upstream Set
		minted   Set
		answer   Answer
		err      error
		want     string
	}{
		"refusal":             {err: &Denied{Step: "someone else"}, want: `claims step "hook" refused the user`},
		"wrapped refusal":     {err: fmt.Errorf("call: %w", &Denied{}), want: `claims step "hook" refused the user`},
		"malfunction":         {err: NewMalfunction("x", "timeout", boom), want: `claims step "hook" malfunctioned: timeout`},
		"any error":           {err: boom, want: `claims step "hook" malfunctioned: error`},
		"answer with twins":   {answer: Answer{Claims: Set{"sub": "a", "SUB": "b"}}, want: `claims step "hook" malfunctioned: invalid`},
		"answer without name": {answer: Answer{Claims: Set{"": "a"}}, want: `claims step "hook" malfunctioned: invalid`},
		"answer of no values": {answer: Answer{Claims: Set{"f": func() {}}}, want: `claims step "hook" malfunctioned: invalid`},
		"upstream twins":      {upstream: Set{"sub": "alice", "SUB": "eve"}, want: `claims step "upstream" malfunctioned: invalid`},
		"upstream values":     {upstream: Set{"x": make(chan int)}, want: `claims step "upstream" malfunctioned: invalid`},
		"minted values":       {minted: Set{"sub": make(chan int)}, want: `claims step "minted" malfunctioned: invalid`},
	} {
		t.Run(name, func(t *testing.T) {
			p := pipeline(t, Options{Stages: []Stage{stage{"hook", func(Input, Set) (Answer, error) { return tc.answer, tc.err }}}})
			got, err := p.Run(t.Context(), Input{Minted: tc.minted}, tc.upstream)
			if err == nil || err.Error() != tc.want {
				t.Fatalf("got %v, want %s", err, tc.want)
			}
			if got.Released != nil || got.Bag != nil || got.IDToken != nil {
				t.Error("a failed run has claims")
			}
			if errors.Is(tc.err, boom) && !errors.Is(err, boom) {
				t.Error("the cause is lost")
			}
		})
	}
}

func TestNewPipelineRefuses(t *testing.T) {
	if _, err := NewPipeline(nil, Options{}); err == nil {
		t.Error("a pipeline without a guard")
	}
	for _, names := range [][]string{{"a", "a"}, {"upstream"}, {"mapping"}, {"minted"}, {""}} {
		var stages []Stage
		for _, name := range names {
			stages = append(stages, stage{name: name})
		}
		if _, err := NewPipeline(&Guard{}, Options{Stages: stages}); err == nil {
			t.Errorf("stages %q", names)
		}
	}
	if _, err := NewPipeline(&Guard{}, Options{IDToken: []string{"fine", ""}}); err == nil {
		t.Error("an ID token claim without a name")
	}
}

func TestOperatorsOwnProtectedNames(t *testing.T) {
	g, err := NewGuard([]string{"name", "dep*"}, false)
	if err != nil {
		t.Fatal(err)
	}
	got, err := stand(t, g, says(t, `{"name":"Forged","department":"Forged","Deputy":true}`))
	if err != nil {
		t.Fatal(err)
	}
	same(t, got.Released, `{"department":"Sales","group_permissions":{"admin":[{"on":false}]}}`)
	want := []string{"Deputy protected added", "department protected changed", "name protected added"}
	if !reflect.DeepEqual(spoken(got.Verdicts), want) {
		t.Errorf("verdicts %q", spoken(got.Verdicts))
	}
	if want := []string{"dept", "name", "urn:onegini.com:oidc:level", "verified_claims"}; !reflect.DeepEqual(got.Withheld, want) {
		t.Errorf("withheld %q", got.Withheld)
	}
}

// Neither the caller's sets nor the pipeline's own defaults are touched by a run.
func TestRunLeavesItsInputsAlone(t *testing.T) {
	p := pipeline(t, Options{
		Mapping: mapping(t, Rule{Claim: "o", Default: map[string]any{"x": 1}}, Rule{Claim: "Dept", From: []string{"dept"}}),
		Stages: []Stage{edits(func(have Set) {
			have["o"].(map[string]any)["x"] = "changed"
			have["n"].(map[string]any)["y"] = "changed"
			delete(have, "dept")
		})},
	})
	upstream := set(t, `{"n":{"y":1},"dept":"S"}`)
	for range 2 {
		got, err := p.Run(t.Context(), Input{}, upstream)
		if err != nil {
			t.Fatal(err)
		}
		same(t, got.Bag, `{"o":{"x":"changed"},"n":{"y":"changed"},"Dept":"S"}`)
		got.Bag["n"].(map[string]any)["y"] = "written to a result"
		same(t, upstream, `{"n":{"y":1},"dept":"S"}`)
	}
}

func TestSnapshot(t *testing.T) {
	got, err := stand(t, &Guard{}, says(t, `{"department":"Sales","id2":9007199254740993,"email":"not@consented"}`))
	if err != nil {
		t.Fatal(err)
	}
	stored, err := json.Marshal(got.Snapshot())
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"released":{"department":"Sales","group_permissions":{"admin":[{"on":false}]},"id2":9007199254740993},"in_id_token":["department"]}`
	if string(stored) != want {
		t.Fatalf("stored %s", stored)
	}
	var s Snapshot
	if err := json.Unmarshal(stored, &s); err != nil {
		t.Fatal(err)
	}
	same(t, s.Userinfo(Set{"sub": "u-1"}), `{"sub":"u-1","department":"Sales","group_permissions":{"admin":[{"on":false}]},"id2":9007199254740993}`)
	same(t, s.IDToken(Set{"sub": "u-1", "iss": "i"}), `{"sub":"u-1","iss":"i","department":"Sales"}`)
	same(t, Snapshot{}.Userinfo(Set{"sub": "u-1"}), `{"sub":"u-1"}`)
}

// Even a snapshot that somebody tampered with asserts nothing that is minted.
func TestMint(t *testing.T) {
	said := set(t, `{"ſub":"a","NONCE":"b","EXP":1,"azp":"x","Active":true,"name":"A","sub\u200b":"c"}`)
	same(t, Mint(said, Set{"sub": "u-1", "active": false, "nonce": nil}), `{"sub":"u-1","active":false,"name":"A","sub\u200b":"c"}`)
	same(t, said, `{"ſub":"a","NONCE":"b","EXP":1,"azp":"x","Active":true,"name":"A","sub\u200b":"c"}`)
	same(t, Mint(nil, nil), `{}`)
}
