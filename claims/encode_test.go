package claims_test

import (
	"encoding/json"
	"testing"

	"github.com/drawbridge-id/drawbridge/claims"
)

// What a set is written as is what encoding/json writes of the same map.
func TestSetsAreWrittenAsEncodingJSONDoes(t *testing.T) {
	for _, text := range []string{
		`{}`, `{"a":null,"b":true,"c":false,"d":"","e":[],"f":{}}`,
		`{"n":[0,-1,1.50,1e5,12345678901234567890,0.1e-7],"deep":{"z":{"y":[[["x"]]]},"a":[{"b":1},null]}}`,
		`{"quote\"d":"back\\slash","html":"<a href='x'>&amp;</a>","control":"\u0000\n\t\u007f","wide":"ſ é 漢 🙂 \u2028\u2029"}`,
		`{"urn:example:é":1,"Z":1,"a":1,"_":1,"-":1}`,
	} {
		set, err := claims.DecodeObject([]byte(text), claims.Limits{})
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		want, err := json.Marshal(map[string]any(set))
		if err != nil {
			t.Fatal(err)
		}
		got, err := set.MarshalJSON()
		if err != nil || string(got) != string(want) {
			t.Errorf("%s, %v\nwant %s", got, err, want)
		}
	}
	var none claims.Set
	if got, err := none.MarshalJSON(); err != nil || string(got) != "{}" {
		t.Errorf("a nil set is %s, %v", got, err)
	}
	if got, err := (claims.Set{"n": json.Number("1x")}).MarshalJSON(); err == nil {
		t.Errorf("a number that is none was written: %s", got)
	}
	if got, err := (claims.Set{"a": []any(nil), "m": map[string]any(nil), "s": []string{"x"}}).MarshalJSON(); err != nil || string(got) != `{"a":null,"m":null,"s":["x"]}` {
		t.Errorf("%s, %v", got, err)
	}
}
