package claims

import (
	"errors"
	"strings"
	"testing"
)

func TestCompileReportsEverything(t *testing.T) {
	_, err := Compile([]Rule{
		{Claim: "sub", From: []string{"uid"}},
		{Claim: "ſub", From: []string{"uid"}},
		{Claim: "AUTH_TIME", Default: 1},
		{Claim: "", From: []string{"a"}},
		{Claim: "dept", From: []string{"a"}},
		{Claim: "DEPT", From: []string{"b"}},
		{Claim: "x"},
		{Claim: "y", From: []string{""}},
		{Claim: "z", From: []string{"a"}, Type: "date"},
		{Claim: "n", Default: "seven", Type: Int},
		{Claim: "m", Default: func() {}},
		{Claim: "r", From: []string{"a"}, Remove: true},
		{Claim: "verified_claims", From: []string{"verified_claims"}}, // explicit, so allowed
		{Claim: "URN:onegini.com:oidc:level", Default: 2},
	})
	want := []string{
		`mapping[0].claim: "sub" is set by the provider alone`,
		`mapping[1].claim: "ſub" is set by the provider alone`,
		`mapping[2].claim: "AUTH_TIME" is set by the provider alone`,
		`mapping[3].claim: "" is no claim name`,
		`mapping[5].claim: "DEPT" already has a rule: mapping[4]`,
		`mapping[6].from: needs a source or a default`,
		`mapping[7].from: "" is no path`,
		`mapping[8].type: "date" is none of string, int, bool, array, json`,
		`mapping[9].default: is not a value of type int`,
		`mapping[10].default: is not a value of type `,
		`mapping[11].remove: excludes from, default and type`,
	}
	if err == nil || err.Error() != strings.Join(want, "\n") {
		t.Fatalf("got\n%v\nwant\n%s", err, strings.Join(want, "\n"))
	}
	if rule, ok := errors.AsType[*RuleError](err); !ok || rule.Index != 0 || rule.Field != "claim" {
		t.Fatalf("no RuleError: %v", rule)
	}
}

func TestMapping(t *testing.T) {
	const upstream = `{
		"sub":"u1","dept":"Sales","department":"Old","empty":"","null":null,"none":[],"nothing":{},"zero":0,"no":false,
		"org":{"unit":{"name":"East"},"a.b":"dotted","list":[{"id":7},{"id":8}]},
		"https://corp.example/org":{"name":"URL","unit.name":"deep"},
		"https://corp.example/org.name":"literal",
		"big":9007199254740993,"whole":5.0,"half":0.5,"text":" 42 ","word":"abc","yes":"TRUE","one":1,
		"doc":"{\"k\":[1,2],\"n\":9007199254740993}","twice":"{\"k\":1,\"k\":2}","groups":["a","b"],
		"verified_claims":{"v":1},"1":"numeric name"
	}`
	for name, tc := range map[string]struct {
		rule Rule
		want string // the claim "out", null when it must be absent
	}{
		"first source":            {Rule{From: []string{"dept", "department"}}, `"Sales"`},
		"second source":           {Rule{From: []string{"missing", "department"}}, `"Old"`},
		"empty is no value":       {Rule{From: []string{"empty", "null", "none", "nothing", "dept"}}, `"Sales"`},
		"zero is a value":         {Rule{From: []string{"zero", "dept"}}, `0`},
		"false is a value":        {Rule{From: []string{"no", "dept"}}, `false`},
		"no source":               {Rule{From: []string{"missing"}}, `null`},
		"default":                 {Rule{From: []string{"missing"}, Default: "none"}, `"none"`},
		"default not needed":      {Rule{From: []string{"dept"}, Default: "none"}, `"Sales"`},
		"constant":                {Rule{Default: []string{"a", "b"}}, `["a","b"]`},
		"constant false":          {Rule{Default: false}, `false`},
		"nested":                  {Rule{From: []string{"org.unit.name"}}, `"East"`},
		"nested object":           {Rule{From: []string{"org.unit"}}, `{"name":"East"}`},
		"name with a dot inside":  {Rule{From: []string{"org.a.b"}}, `"dotted"`},
		"array index":             {Rule{From: []string{"org.list.1.id"}}, `8`},
		"array index whole":       {Rule{From: []string{"groups.0"}}, `"a"`},
		"array index too high":    {Rule{From: []string{"groups.2"}}, `null`},
		"array index negative":    {Rule{From: []string{"groups.-1"}}, `null`},
		"array index signed":      {Rule{From: []string{"groups.+1"}}, `null`},
		"array index endless":     {Rule{From: []string{"groups.99999999999999999999"}}, `null`},
		"array index empty":       {Rule{From: []string{"groups."}}, `null`},
		"numeric name":            {Rule{From: []string{"1"}}, `"numeric name"`},
		"literal before path":     {Rule{From: []string{"https://corp.example/org.name"}}, `"literal"`},
		"path below a url":        {Rule{From: []string{"https://corp.example/org.unit.name"}}, `"deep"`},
		"path through a scalar":   {Rule{From: []string{"dept.name"}}, `null`},
		"names are exact":         {Rule{From: []string{"DEPT"}}, `null`},
		"minted source":           {Rule{From: []string{"sub"}}, `"u1"`},
		"protected source":        {Rule{From: []string{"verified_claims.v"}}, `1`},
		"precision":               {Rule{From: []string{"big"}}, `9007199254740993`},
		"to string":               {Rule{From: []string{"big"}, Type: String}, `"9007199254740993"`},
		"bool to string":          {Rule{From: []string{"no"}, Type: String}, `"false"`},
		"string to string":        {Rule{From: []string{"dept"}, Type: String}, `"Sales"`},
		"text to int":             {Rule{From: []string{"text"}, Type: Int}, `42`},
		"whole to int":            {Rule{From: []string{"whole"}, Type: Int}, `5`},
		"big to int":              {Rule{From: []string{"big"}, Type: Int}, `9007199254740993`},
		"text to bool":            {Rule{From: []string{"yes"}, Type: Bool}, `true`},
		"number to bool":          {Rule{From: []string{"one"}, Type: Bool}, `true`},
		"zero to bool":            {Rule{From: []string{"zero"}, Type: Bool}, `false`},
		"bool to bool":            {Rule{From: []string{"no"}, Type: Bool}, `false`},
		"to array":                {Rule{From: []string{"dept"}, Type: Array}, `["Sales"]`},
		"array to array":          {Rule{From: []string{"groups"}, Type: Array}, `["a","b"]`},
		"object to array":         {Rule{From: []string{"org.unit"}, Type: Array}, `[{"name":"East"}]`},
		"text to json":            {Rule{From: []string{"doc"}, Type: JSON}, `{"k":[1,2],"n":9007199254740993}`},
		"json stays":              {Rule{From: []string{"groups"}, Type: JSON}, `["a","b"]`},
		"default is converted":    {Rule{Default: "7", Type: Int}, `7`},
		"default is not a string": {Rule{Default: 7, Type: String}, `"7"`},
	} {
		t.Run(name, func(t *testing.T) {
			tc.rule.Claim = "out"
			got := mapped(t, tc.rule, upstream)
			if len(got.Problems) != 0 {
				t.Fatalf("problems: %v", got.Problems)
			}
			want := set(t, `{"out":`+tc.want+`}`)["out"]
			if value := got.Bag["out"]; !equal(value, want, sameValue) {
				t.Fatalf("got %v, want %s", value, tc.want)
			}
			if _, released := got.Released["out"]; released != (want != nil) {
				t.Fatalf("released: %t", released)
			}
		})
	}
}

func mapped(t *testing.T, rule Rule, upstream string) Result {
	t.Helper()
	m, err := Compile([]Rule{rule})
	if err != nil {
		t.Fatal(err)
	}
	got, err := pipeline(t, Options{Mapping: m}).Run(t.Context(), Input{Scopes: []string{"openid"}}, set(t, upstream))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// What cannot be converted is reported and left out; neither the default, nor a
// later source, nor the upstream's own claim of that name stands in for it.
func TestNotConvertible(t *testing.T) {
	for name, tc := range map[string]struct {
		value string
		to    Type
	}{
		"word to int":             {`"abc"`, Int},
		"half to int":             {`0.5`, Int},
		"half text to int":        {`"0.5"`, Int},
		"exponent text to int":    {`"1e3"`, Int},
		"blank to int":            {`" "`, Int},
		"sign to int":             {`"-"`, Int},
		"bool to int":             {`true`, Int},
		"array to int":            {`[1]`, Int},
		"endless to int":          {`1e300`, Int},
		"word to bool":            {`"maybe"`, Bool},
		"two to bool":             {`2`, Bool},
		"object to bool":          {`{"a":1}`, Bool},
		"array to string":         {`["a"]`, String},
		"object to string":        {`{"a":1}`, String},
		"no json":                 {`"{"`, JSON},
		"json with duplicates":    {`"{\"a\":1,\"a\":2}"`, JSON},
		"json with trailing data": {`"1 2"`, JSON},
	} {
		t.Run(name, func(t *testing.T) {
			got := mapped(t, Rule{Claim: "out", From: []string{"in", "other"}, Default: defaultOf(tc.to), Type: tc.to},
				`{"in":`+tc.value+`,"other":1,"out":"upstream's own"}`)
			if _, there := got.Bag["out"]; there {
				t.Fatalf("left in: %v", got.Bag["out"])
			}
			want := Problem{Step: "mapping", Claim: "out", What: "not_convertible"}
			if len(got.Problems) != 1 || got.Problems[0] != want {
				t.Fatalf("problems: %v", got.Problems)
			}
		})
	}
}

func defaultOf(to Type) any {
	return map[Type]any{Int: 1, Bool: true, String: "x", JSON: "{}"}[to]
}

func TestARuleOwnsItsClaim(t *testing.T) {
	got := mapped(t, Rule{Claim: "department", From: []string{"dept"}}, `{"department":"spoofed","Dept":"x"}`)
	same(t, got.Bag, `{"Dept":"x"}`)
	got = mapped(t, Rule{Claim: "Department", From: []string{"dept"}}, `{"department":"spoofed","dept":"Sales"}`)
	same(t, got.Bag, `{"Department":"Sales","dept":"Sales"}`)
	got = mapped(t, Rule{Claim: "secret", Remove: true}, `{"SECRET":"x","kept":1}`)
	same(t, got.Bag, `{"kept":1}`)
	same(t, got.Released, `{}`)
}
