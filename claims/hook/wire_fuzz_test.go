package hook_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/drawbridge-id/drawbridge/claims"
	"github.com/drawbridge-id/drawbridge/claims/hook"
)

// What Decode accepts is within the limits, and encoding/json, reading it into
// the obvious struct, finds the same claims.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"claims":{}}`, `{"claims":{"a":1},"Claims":{"a":2}}`, `{"claims":{"sub":"x","SUB":"y"}}`, `{"claims":null}`,
		`{"x":{"claims":{}},"claims":{"a":[{"b":9007199254740993}]}}`, `{"CLAIMS":{"a":1}}`, `{"claimſ":{"a":1},"claims":{}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := hook.Decode(body)
		if err != nil {
			if _, ok := errors.AsType[*hook.AnswerError](err); !ok || got != nil {
				t.Fatalf("%v, %v", got, err)
			}
			return
		}
		var std struct {
			Claims claims.Set `json:"claims"`
		}
		if err := json.Unmarshal(body, &std); err != nil || !std.Claims.Equal(got) {
			t.Fatalf("another reader sees other claims: %v", err)
		}
		if _, err := claims.NewSet(got, claims.HookLimits()); err != nil {
			t.Fatalf("beyond the limits: %v", err)
		}
	})
}
