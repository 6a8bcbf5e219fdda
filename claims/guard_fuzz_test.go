package claims

import (
	"encoding/json"
	"reflect"
	"testing"

	josejson "github.com/go-jose/go-jose/v4/json"
)

// reading is what a relying party that decodes into a struct gets to see: every
// minted name, and the protected ones of the contract, with every digit.
type reading struct {
	Iss      json.RawMessage `json:"iss"`
	Aud      json.RawMessage `json:"aud"`
	Sub      json.RawMessage `json:"sub"`
	Exp      json.RawMessage `json:"exp"`
	Iat      json.RawMessage `json:"iat"`
	Nbf      json.RawMessage `json:"nbf"`
	Jti      json.RawMessage `json:"jti"`
	Nonce    json.RawMessage `json:"nonce"`
	Azp      json.RawMessage `json:"azp"`
	AtHash   json.RawMessage `json:"at_hash"`
	CHash    json.RawMessage `json:"c_hash"`
	SHash    json.RawMessage `json:"s_hash"`
	Sid      json.RawMessage `json:"sid"`
	AuthTime json.RawMessage `json:"auth_time"`
	Acr      json.RawMessage `json:"acr"`
	Amr      json.RawMessage `json:"amr"`
	Cnf      json.RawMessage `json:"cnf"`
	Events   json.RawMessage `json:"events"`
	ClientID json.RawMessage `json:"client_id"`
	Scope    json.RawMessage `json:"scope"`
	Typ      json.RawMessage `json:"typ"`

	VerifiedClaims   json.RawMessage `json:"verified_claims"`
	GroupPermissions json.RawMessage `json:"group_permissions"`
	Level            json.RawMessage `json:"urn:onegini.com:oidc:level"`
}

// readers are parsers that a projection must look the same to: one folds names
// and lets the last one win, the other matches exactly and refuses duplicates.
func readers() map[string]func([]byte, any) error {
	return map[string]func([]byte, any) error{"encoding/json": json.Unmarshal, "go-jose": josejson.Unmarshal}
}

// The protected value and one minted one are beyond what float64 holds.
const protectedValue = `{"admin":[{"id":9007199254740993,"on":false}]}`

func mintedValues() Set {
	return Set{
		"iss": "https://id.example", "sub": "u-1", "aud": []any{"shop"},
		"iat": json.Number("1700000000"), "exp": json.Number("9007199254740993"), "acr": "1",
	}
}

func untouched() reading {
	return reading{
		Iss: json.RawMessage(`"https://id.example"`), Sub: json.RawMessage(`"u-1"`), Aud: json.RawMessage(`["shop"]`),
		Iat: json.RawMessage(`1700000000`), Exp: json.RawMessage(`9007199254740993`), Acr: json.RawMessage(`"1"`),
		GroupPermissions: json.RawMessage(protectedValue),
	}
}

// Whatever a hook answers and whatever an upstream says, no minted and no
// protected claim reads differently in any projection, by any reader.
func FuzzNobodyForges(f *testing.F) {
	for _, seed := range []struct{ upstream, first, second string }{
		{`{}`, `{}`, `{}`},
		{`{"sub":"eve","permissions":1,"name":"A"}`, `{"sub":"eve","SUB":"eve"}`, `{"ſub":"eve"}`},
		{`{"SUB":"eve","group_permissions":1}`, `{"Group_Permissions":{"admin":[]}}`, `{"group_permissionſ":1}`},
		{`{"URN:ONEGINI.COM:OIDC:LEVEL":9}`, `{"urn:onegini.com:oidc:level":9}`, `{"urn:onegini.com:oidc:Level":9}`},
		{`{"nonce":"x","cnf":{}}`, `{"nonce":"x","cnf":{},"x":{"sub":1}}`, `{"Nonce":"x","EXP":9007199254740992}`},
		{`{"exp":1}`, `{"exp":9007199254740992,"group_permissions":{"admin":[{"on":false,"id":9007199254740992}]}}`, `{"exp":9007199254740993.0}`},
		{`{"a":1}`, `{"group_permissions":{"admin":[{"on":false,"id":9007199254740993.0}]}}`, `{"group_permissions":{"admin":[{"on":false,"id":9007199254740993}],"x":1}}`},
		{`{"verified_claims":{}}`, `{"verified_claims":null,"group_permissions":null,"sub":null}`, `{"Verified_Claims":{}}`},
		{`{"__proto__":{"sub":"eve"}}`, `{"__proto__":{"sub":"eve"},"sub\u200b":"x"}`, `{"ｓｕｂ":"x","su\u0062\u0301":"y"}`},
		{`{"_claim_names":{"sub":"s"}}`, `{"_claim_names":{"ſub":"s","verified_claims":"s"}}`, `{"\u212a":1,"k":2}`},
	} {
		f.Add([]byte(seed.upstream), []byte(seed.first), []byte(seed.second), true)
		f.Add([]byte(seed.upstream), []byte(seed.first), []byte(seed.second), false)
	}
	rules := mapping(f, Rule{Claim: "group_permissions", Default: json.RawMessage(protectedValue)}, Rule{Claim: "p", From: []string{"permissions", "sub"}})
	f.Fuzz(func(t *testing.T, upstreamText, firstText, secondText []byte, everything bool) {
		upstream, err := DecodeObject(upstreamText, UpstreamLimits())
		if err != nil {
			return // refused whole: nothing is minted of it
		}
		var stages []Stage
		var listed []string
		for i, text := range [][]byte{firstText, secondText} {
			answer, err := DecodeObject(text, HookLimits())
			if err != nil {
				continue // refused whole
			}
			listed = append(listed, answer.Names()...)
			name := string(rune('a' + i))
			stages = append(stages, stage{name, func(_ Input, have Set) (Answer, error) {
				if everything { // repeats what it was shown and adds its own
					for n, v := range have {
						if _, mine := answer[n]; !mine {
							answer[n] = v
						}
					}
				}
				return Answer{Claims: answer}, nil
			}})
		}
		p := pipeline(t, Options{Mapping: rules, Stages: stages, IDToken: append(listed, "group_permissions")})
		got, err := p.Run(t.Context(), Input{Scopes: []string{"openid", "profile", "email"}, Minted: mintedValues()}, upstream)
		if err != nil {
			if got.Released != nil {
				t.Fatal("a failed run released claims")
			}
			return
		}
		stored, err := json.Marshal(got.Snapshot())
		if err != nil {
			t.Fatal(err)
		}
		var snapshot Snapshot
		if err := json.Unmarshal(stored, &snapshot); err != nil {
			t.Fatalf("a snapshot cannot be read back: %v\n%s", err, stored)
		}
		for place, projection := range map[string]Set{
			"userinfo": snapshot.Userinfo(mintedValues()), "ID token": snapshot.IDToken(mintedValues()),
		} {
			holdsFor(t, place, projection)
		}
	})
}

func holdsFor(t *testing.T, place string, projection Set) {
	t.Helper()
	data, err := json.Marshal(projection)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := DecodeObject(data, UpstreamLimits()); err != nil {
		t.Fatalf("%s is no proper set: %v\n%s", place, err, data)
	}
	for name, read := range readers() {
		var got reading
		if err := read(data, &got); err != nil {
			t.Fatalf("%s does not read with %s: %v\n%s", place, name, err, data)
		}
		if !reflect.DeepEqual(got, untouched()) {
			t.Fatalf("%s reads otherwise with %s: %+v\nof %s", place, name, got, data)
		}
	}
}
