package claims

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// forty is an upstream that says forty things.
func forty(b testing.TB) Set {
	var text strings.Builder
	text.WriteString(`{"iss":"https://corp.example","sub":"u","aud":"drawbridge","exp":1700000000,"name":"Alice","email":"alice@corp.example",
		"email_verified":true,"address":{"country":"NL","locality":"Utrecht"},"groups":["a","b","c"],"org":{"unit":{"name":"East"}}`)
	for i := range 30 {
		fmt.Fprintf(&text, `,"claim_%d":"value %d"`, i, i)
	}
	text.WriteString("}")
	return set(b, text.String())
}

func tenRules(b testing.TB) *Mapping {
	rules := []Rule{
		{Claim: "department", From: []string{"dept", "department", "claim_1"}},
		{Claim: "unit", From: []string{"org.unit.name"}},
		{Claim: "first_group", From: []string{"groups.0"}},
		{Claim: "group_permissions", From: []string{"groups"}},
		{Claim: "country", From: []string{"address.country"}, Default: "NL"},
		{Claim: "expires", From: []string{"exp"}, Type: String},
		{Claim: "tags", From: []string{"claim_2"}, Type: Array},
		{Claim: "tier", Default: "basic"},
		{Claim: "claim_3", Remove: true},
		{Claim: "verified", From: []string{"email_verified"}, Type: Bool},
	}
	return mapping(b, rules...)
}

// The budget is 30 µs and 150 allocations.
func BenchmarkPipelineWithoutHook(b *testing.B) {
	p, upstream := pipeline(b, Options{Mapping: tenRules(b), IDToken: []string{"department"}}), forty(b)
	in := Input{Scopes: []string{"openid", "profile", "email"}, Minted: standingMinted()}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Run(b.Context(), in, upstream); err != nil {
			b.Fatal(err)
		}
	}
}

func TestPipelineAllocations(t *testing.T) {
	p, upstream := pipeline(t, Options{Mapping: tenRules(t), IDToken: []string{"department"}}), forty(t)
	in := Input{Scopes: []string{"openid", "profile", "email"}, Minted: standingMinted()}
	got := testing.AllocsPerRun(100, func() {
		if _, err := p.Run(t.Context(), in, upstream); err != nil {
			t.Error(err)
		}
	})
	if got > 150 {
		t.Errorf("%.0f allocations for a run, the budget is 150", got)
	}
}

func BenchmarkPipelineWithStage(b *testing.B) {
	echo := edits(func(have Set) { have["loyalty"] = "gold" })
	p, upstream := pipeline(b, Options{Mapping: tenRules(b), Stages: []Stage{echo}}), forty(b)
	in := Input{Scopes: []string{"openid", "profile", "email"}, Minted: standingMinted()}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Run(b.Context(), in, upstream); err != nil {
			b.Fatal(err)
		}
	}
}

// The budget for a full answer of 64 KiB is 2 ms, decoded and guarded.
func BenchmarkFullAnswer(b *testing.B) {
	claims := make(map[string]any)
	for i := range 190 {
		claims[fmt.Sprintf("claim_%d", i)] = map[string]any{"list": []any{i, "x", true, strings.Repeat("é\"", 60)}, "n": 1.5}
	}
	body, err := json.Marshal(claims)
	if err != nil || len(body) > 64<<10 || len(body) < 48<<10 {
		b.Fatal(len(body), err)
	}
	guard := &Guard{}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		answer, err := DecodeObject(body, HookLimits())
		if err != nil {
			b.Fatal(err)
		}
		if _, _, err := guard.check("hook", stranger, nil, nil, answer); err != nil {
			b.Fatal(err)
		}
	}
}
