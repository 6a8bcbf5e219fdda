package claims

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestParseRequest(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		want Request
	}{
		"nothing":            {`{}`, Request{}},
		"null":               {`{"userinfo":null,"id_token":null}`, Request{}},
		"the standard's own": {coreExample, Request{Asked: Asked{Userinfo: []string{"email", "email_verified", "given_name", "http://example.info/claims/groups", "nickname", "picture"}}, ACR: []string{"urn:mace:incommon:iap:silver"}}},
		"unknown sections":   {`{"verified":{"a":5},"userinfo":{"name":null}}`, Request{Asked: Asked{Userinfo: []string{"name"}}}},
		"unknown members":    {`{"userinfo":{"name":{"essential":true,"purpose":{"x":[1]}}}}`, Request{Asked: Asked{Userinfo: []string{"name"}}}},
		"a user":             {`{"id_token":{"sub":{"value":"248289761001"}}}`, Request{Subjects: []string{"248289761001"}}},
		"one of two users":   {`{"id_token":{"sub":{"values":["a","b","a"]}},"userinfo":{"sub":{"value":"b"}}}`, Request{Subjects: []string{"b"}}},
		"an acr that must":   {`{"id_token":{"acr":{"essential":true,"values":["2","1"]}}}`, Request{ACR: []string{"2", "1"}, ACREssential: true}},
		"an acr, any":        {`{"id_token":{"acr":{"essential":true}}}`, Request{}},
		"an acr elsewhere":   {`{"userinfo":{"acr":{"essential":true,"value":"2"}}}`, Request{}},
		"what is minted":     {`{"userinfo":{"iss":null,"SUB":null,"exp":{"value":1}},"id_token":{"auth_time":{"essential":true},"sid":null}}`, Request{}},
		"values of others":   {`{"id_token":{"email":{"value":5},"tier":{"values":[{"a":1},null]}}}`, Request{Asked: Asked{IDToken: []string{"email", "tier"}}}},
		"languages":          {`{"userinfo":{"name#ja":null,"name":null}}`, Request{Asked: Asked{Userinfo: []string{"name", "name#ja"}}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseRequest(tc.text)
			if err != nil || !reflect.DeepEqual(got, tc.want) {
				t.Errorf("%+v, %v; want %+v", got, err, tc.want)
			}
		})
	}
}

// coreExample is the example of OpenID Connect Core 1.0 §5.5.
const coreExample = `{"userinfo":{"given_name":{"essential":true},"nickname":null,"email":{"essential":true},"email_verified":{"essential":true},
	"picture":null,"http://example.info/claims/groups":null},
	"id_token":{"auth_time":{"essential":true},"acr":{"values":["urn:mace:incommon:iap:silver"]}}}`

func badRequests() map[string]string {
	many := `{"userinfo":{"x":null`
	for i := range 101 {
		many += `,"c` + strings.Repeat("x", i) + `":null`
	}
	return map[string]string{
		"nothing": ``, "no JSON": `{`, "text": `"userinfo"`, "a list": `[]`, "two values": `{}{}`, "no UTF-8": "{\"\xff\":null}",
		"sections twice": `{"userinfo":{},"userinfo":{}}`, "sections that fold": `{"userinfo":{},"USERINFO":{}}`,
		"claims twice": `{"userinfo":{"name":null,"name":null}}`, "claims that fold": `{"userinfo":{"name":null,"NAME":null}}`,
		"a section of text": `{"userinfo":"name"}`, "a section of a list": `{"id_token":["name"]}`, "a section of false": `{"id_token":false}`,
		"a claim of text": `{"userinfo":{"name":"x"}}`, "a claim of true": `{"userinfo":{"name":true}}`, "essential of text": `{"userinfo":{"name":{"essential":"true"}}}`,
		"essential of null": `{"userinfo":{"name":{"essential":null}}}`, "values of text": `{"id_token":{"acr":{"values":"1"}}}`,
		"acr of a number": `{"id_token":{"acr":{"value":1}}}`, "acr of nothing": `{"id_token":{"acr":{"value":""}}}`, "sub of null": `{"id_token":{"sub":{"value":null}}}`,
		"an empty name": `{"userinfo":{"":null}}`, "a name with NUL": `{"userinfo":{"a\u0000":null}}`, "nobody": `{"id_token":{"sub":{"value":"a"}},"userinfo":{"sub":{"value":"b"}}}`,
		"deep": `{"userinfo":{"x":{"p":{"a":{"b":{"c":{"d":1}}}}}}}`, "many": many + `}}`, "long": `{"userinfo":{"` + strings.Repeat("x", 5000) + `":null}}`,
		"many users": `{"id_token":{"sub":{"values":["0","1","2","3","4","5","6","7","8","9","a","b","c","d","e","f","g","h","i","j","k"]}}}`,
	}
}

func TestParseRequestRefuses(t *testing.T) {
	for name, text := range badRequests() {
		if got, err := ParseRequest(text); err == nil || !reflect.DeepEqual(got, Request{}) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func FuzzParseRequest(f *testing.F) {
	f.Add(coreExample)
	for _, text := range badRequests() {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ParseRequest(text)
		if err != nil && !reflect.DeepEqual(got, Request{}) {
			t.Fatalf("an error and an answer: %+v", got)
		}
		for _, name := range slices.Concat(got.Asked.Userinfo, got.Asked.IDToken) {
			if minted(fold(name)) || checkName(name) != nil {
				t.Fatalf("%q can be asked for", name)
			}
		}
		if len(got.Subjects) > maxValues || len(got.ACR) > maxValues || got.ACREssential && len(got.ACR) == 0 {
			t.Fatalf("%+v", got)
		}
	})
}

// TestAskedForByName: who asks for a claim by name gets what the operator lets
// the client ask for, where it was asked for, and nothing else.
func TestAskedForByName(t *testing.T) {
	p := pipeline(t, Options{
		Mapping: mapping(t, Rule{Claim: "department", From: []string{"dept"}}, Rule{Claim: "group_permissions", From: []string{"groups"}}),
		Stages:  []Stage{edits(func(have Set) { have["tier"] = "gold" })}, IDToken: []string{"tier"},
	})
	upstream := set(t, `{"dept":"r&d","groups":["a"],"email":"a@corp.example","email_verified":"true","phone_number":"1","nickname":"al","salary":9,"verified_claims":{}}`)
	in := Input{Scopes: []string{"openid", "profile"}, Minted: Set{"sub": "p"}}
	run := func(asked Asked, allowed ...string) Snapshot {
		t.Helper()
		in.Asked = asked.Within(allowed)
		r, err := p.Run(t.Context(), in, upstream)
		if err != nil {
			t.Fatal(err)
		}
		return r.Snapshot()
	}
	told := func(s Snapshot, userinfo, idToken string) {
		t.Helper()
		same(t, s.Userinfo(Set{"sub": "p"}), userinfo)
		same(t, s.IDToken(Set{"sub": "p"}), idToken)
	}
	const always = `"sub":"p","department":"r&d","group_permissions":["a"],"nickname":"al","tier":"gold"`
	told(run(Asked{}, "email", "phone"), `{`+always+`}`, `{"sub":"p","tier":"gold"}`)
	told(run(Asked{Userinfo: []string{"email", "salary", "verified_claims", "dept", "sub"}}, "email"), `{`+always+`,"email":"a@corp.example"}`, `{"sub":"p","tier":"gold"}`)
	told(run(Asked{IDToken: []string{"email", "email_verified", "department", "nickname", "salary", "absent"}}, "email", "profile"),
		`{`+always+`}`, `{"sub":"p","tier":"gold","email":"a@corp.example","email_verified":true,"department":"r&d","nickname":"al"}`)
	told(run(Asked{IDToken: []string{"email"}, Userinfo: []string{"email"}}, "email"), `{`+always+`,"email":"a@corp.example"}`, `{"sub":"p","tier":"gold","email":"a@corp.example"}`)
	told(run(Asked{IDToken: []string{"email"}, Userinfo: []string{"phone_number", "EMAIL"}}, "openid"), `{`+always+`}`, `{"sub":"p","tier":"gold"}`)
}

func TestAsked(t *testing.T) {
	a := Asked{Userinfo: []string{"email", "name#ja", "tier"}, IDToken: []string{"email", "phone_number"}}
	if got := a.Beyond([]string{"openid", "profile"}); !slices.Equal(got, []string{"email", "phone_number"}) {
		t.Errorf("%q", got)
	}
	if got := a.Within([]string{"openid", "phone"}); !slices.Equal(got.Userinfo, []string{"tier"}) || !slices.Equal(got.IDToken, []string{"phone_number"}) {
		t.Errorf("%+v", got)
	}
	if a.None() || !(Asked{}).None() || len(a.Userinfo) != 3 {
		t.Errorf("%+v", a)
	}
}
