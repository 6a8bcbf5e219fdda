package claims

import (
	"slices"
	"testing"
)

// TestStandardClaimsHaveTheirTypes: what is well known is converted, and nothing
// that is malformed reaches a relying party, whoever says it.
func TestStandardClaimsHaveTheirTypes(t *testing.T) {
	const none = "left out"
	for name, tc := range map[string]struct{ claim, said, want string }{
		"text":                    {"name", `"Alice"`, `"Alice"`},
		"a number for text":       {"phone_number", `31201234567`, `"31201234567"`},
		"a boolean for text":      {"name", `true`, none},
		"a list of one":           {"email", `["alice@corp.example"]`, `"alice@corp.example"`},
		"a list of two":           {"email", `["a@corp.example","b@corp.example"]`, none},
		"an empty list":           {"email", `[]`, none},
		"a list with no text":     {"email", `[""]`, none},
		"a list in a list":        {"email", `[["a@corp.example"]]`, none},
		"an object for text":      {"locale", `{"country":"NL"}`, none},
		"another language":        {"name#ja", `5`, `"5"`},
		"in capitals":             {"EMAIL_VERIFIED", `"true"`, `true`},
		"a boolean":               {"email_verified", `false`, `false`},
		"text for a boolean":      {"email_verified", `"true"`, `true`},
		"capital text":            {"phone_number_verified", `"False"`, `false`},
		"a number for a boolean":  {"email_verified", `1`, `true`},
		"a word for a boolean":    {"email_verified", `"yes"`, none},
		"an object for a boolean": {"email_verified", `{}`, none},
		"a time":                  {"updated_at", `1311280970`, `1311280970`},
		"a time with a fraction":  {"updated_at", `1311280970.5`, `1311280970.5`},
		"text for a time":         {"updated_at", `"1311280970"`, `1311280970`},
		"a date for a time":       {"updated_at", `"2011-07-21T20:42:50.123Z"`, `1311280970`},
		"a date with a zone":      {"updated_at", `"2011-07-21T22:42:50+02:00"`, `1311280970`},
		"a word for a time":       {"updated_at", `"yesterday"`, none},
		"a boolean for a time":    {"updated_at", `true`, none},
		"an address":              {"address", `{"locality":"Utrecht","country":"NL"}`, `{"locality":"Utrecht","country":"NL"}`},
		"an address in lines":     {"address", `"Main St 1\nUtrecht"`, `{"formatted":"Main St 1\nUtrecht"}`},
		"an address written down": {"address", `"{\"locality\":\"Utrecht\"}"`, `{"locality":"Utrecht"}`},
		"what looks like one":     {"address", `"{not JSON"`, `{"formatted":"{not JSON"}`},
		"an address of spaces":    {"address", `"  "`, none},
		"a postal code in digits": {"address", `{"postal_code":1234,"more":{"a":1}}`, `{"postal_code":"1234","more":{"a":1}}`},
		"a member that is none":   {"address", `{"locality":{"city":"Utrecht"},"region":"UT"}`, `{"region":"UT"}`},
		"an address of nothing":   {"address", `{"locality":null,"region":""}`, none},
		"an address with twins":   {"address", `{"locality":"a","LOCALITY":"b"}`, none},
		"a number for an address": {"address", `5`, none},
		"a list of an address":    {"address", `[{"locality":"Utrecht"}]`, `{"locality":"Utrecht"}`},
		"not a standard claim":    {"emails", `["a",5,{"b":true}]`, `["a",5,{"b":true}]`},
	} {
		t.Run(name, func(t *testing.T) {
			in := Input{Scopes: []string{"openid", "profile", "email", "address", "phone"}}
			said := `{"` + tc.claim + `":` + tc.said + `}`
			r, err := pipeline(t, Options{Stages: []Stage{says(t, said)}}).Run(t.Context(), in, nil)
			if err != nil {
				t.Fatal(err)
			}
			if tc.want != none {
				same(t, r.Released, `{"`+tc.claim+`":`+tc.want+`}`)
			} else if len(r.Released) != 0 || !slices.Contains(r.Problems, Problem{Step: StepRelease, Claim: tc.claim, What: NotConvertible}) {
				t.Errorf("%v %v", r.Released, r.Problems)
			}
			same(t, r.Bag, said) // what is known stays as it was said
		})
	}
}
