package claims

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"

	josejson "github.com/go-jose/go-jose/v4/json"
)

func set(t testing.TB, text string) Set {
	t.Helper()
	out, err := DecodeObject([]byte(text), UpstreamLimits())
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return out
}

func same(t testing.TB, got Set, want string) {
	t.Helper()
	if !got.Equal(set(t, want)) {
		text, _ := json.Marshal(got)
		t.Fatalf("got  %s\nwant %s", text, want)
	}
}

func TestNumbersCompareByValue(t *testing.T) {
	for _, tc := range []struct {
		a, b           json.Number
		exact, rounded bool
	}{
		{"1", "1.0", true, true},
		{"1", "1e0", true, true},
		{"100", "1E+2", true, true},
		{"0.5", "5e-1", true, true},
		{"0", "-0.0e7", true, true},
		{"-1", "1", false, false},
		{"1", "10", false, false},
		{"9007199254740993", "9007199254740992", false, true},
		{"9007199254740993", "9007199254740993.0", true, true},
		{"12345678901234567890", "12345678901234567000", false, true},
		{"0.1", "0.10000000000000001", false, true},
		{"1", "2", false, false},
		{"1", "x", false, false},
	} {
		if got := sameValue(tc.a, tc.b); got != tc.exact {
			t.Errorf("sameValue(%s, %s) = %t", tc.a, tc.b, got)
		}
		if got := sameRounded(tc.a, tc.b); got != tc.rounded {
			t.Errorf("sameRounded(%s, %s) = %t", tc.a, tc.b, got)
		}
	}
}

func TestEqual(t *testing.T) {
	base := `{"a":[1,{"b":null,"c":"x"}],"d":true}`
	for other, want := range map[string]bool{
		`{"d":true,"a":[1.0,{"c":"x","b":null}]}`: true,
		`{"a":[{"b":null,"c":"x"},1],"d":true}`:   false,
		`{"a":[1,{"c":"x"}],"d":true}`:            false,
		`{"a":[1,{"b":0,"c":"x"}],"d":true}`:      false,
		`{"a":[1,{"b":null,"c":"x"}],"d":"true"}`: false,
		`{"a":[1,{"b":null,"c":"x"}]}`:            false,
		`{"a":["1",{"b":null,"c":"x"}],"d":true}`: false,
	} {
		if got := set(t, base).Equal(set(t, other)); got != want {
			t.Errorf("%s equals %s: %t", other, base, got)
		}
	}
	if !(Set)(nil).Equal(Set{}) {
		t.Error("no claims and no set differ")
	}
	if (Set{"a": 1}).Equal(Set{"a": 1}) {
		t.Error("a value that no Set holds counts as unchanged")
	}
}

func TestCloneSharesNothing(t *testing.T) {
	a := set(t, `{"o":{"p":{"q":1}},"l":[{"m":1}]}`)
	b := a.Clone()
	b["o"].(map[string]any)["p"].(map[string]any)["q"] = "changed"
	b["l"].([]any)[0].(map[string]any)["m"] = "changed"
	b["new"] = true
	same(t, a, `{"o":{"p":{"q":1}},"l":[{"m":1}]}`)
	if Set(nil).Clone() != nil {
		t.Error("a clone of nothing is something")
	}
}

func TestNewSet(t *testing.T) {
	type city struct {
		Name string `json:"name"`
		Zip  uint16
	}
	got, err := NewSet(map[string]any{
		"int": 1 << 62, "neg": int8(-5), "uint": uint64(math.MaxUint64), "float": 1.7e9, "half": float32(0.5),
		"strings": []string{"a", "b"}, "any": []any{nil, true, int64(7)}, "map": map[string]int{"x": 1},
		"set": Set{"y": json.Number("1.0")}, "struct": city{"Oslo", 150}, "raw": json.RawMessage(`{"z":9007199254740993}`),
		"pointer": (*city)(nil),
	}, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, `{"int":4611686018427387904,"neg":-5,"uint":18446744073709551615,"float":1700000000,"half":0.5,
		"strings":["a","b"],"any":[null,true,7],"map":{"x":1},"set":{"y":1},"struct":{"name":"Oslo","Zip":150},
		"raw":{"z":9007199254740993},"pointer":null}`)
}

func TestNewSetRefuses(t *testing.T) {
	cycle := map[string]any{}
	cycle["again"] = cycle
	for name, values := range map[string]map[string]any{
		"a function":      {"a": func() {}},
		"a channel":       {"a": make(chan int)},
		"not a number":    {"a": math.NaN()},
		"infinity":        {"a": []any{math.Inf(1)}},
		"a false number":  {"a": json.Number("1x")},
		"a padded number": {"a": json.Number("007")},
		"an empty number": {"a": json.Number("")},
		"a huge number":   {"a": json.Number("1e999")},
		"bytes as text":   {"a": "\xff"},
		"bytes as name":   {"a": map[string]any{"\xff": 1}},
		"a cycle":         cycle,
		"twins":           {"sub": 1, "SUB": 1},
		"no name":         {"": 1},
		"raw twice":       {"a": json.RawMessage(`{"x":1,"x":2}`)},
	} {
		if got, err := NewSet(values, Limits{}); err == nil {
			t.Errorf("%s: accepted as %#v", name, map[string]any(got))
		}
	}
}

func TestMerge(t *testing.T) {
	base, over := set(t, `{"sub":"a","email":"old","o":{"x":1}}`), set(t, `{"email":"new","name":"A"}`)
	got, err := Merge(base, over)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, `{"sub":"a","email":"new","name":"A","o":{"x":1}}`)
	got["o"].(map[string]any)["x"] = "changed"
	same(t, base, `{"sub":"a","email":"old","o":{"x":1}}`)
	if _, err := Merge(set(t, `{"sub":"alice"}`), set(t, `{"SUB":"eve"}`)); err == nil {
		t.Error("twins from two documents are merged")
	}
}

// Every encoder that a token may pass writes numbers as numbers.
func TestEncoding(t *testing.T) {
	s := set(t, `{"b":9007199254740993,"a":[1.50,{"z":1e3,"y":"<&>"}]}`)
	const want = `{"a":[1.50,{"y":"\u003c\u0026\u003e","z":1e3}],"b":9007199254740993}`
	for name, marshal := range map[string]func(any) ([]byte, error){"encoding/json": json.Marshal, "go-jose": josejson.Marshal} {
		for range 3 {
			if got, err := marshal(s); err != nil || string(got) != want {
				t.Errorf("%s: %s, %v", name, got, err)
			}
		}
	}
	if got, err := json.Marshal(struct{ S Set }{}); err != nil || string(got) != `{"S":{}}` {
		t.Errorf("nil: %s, %v", got, err)
	}
	var back struct{ S Set }
	if err := json.Unmarshal([]byte(`{"S":null}`), &back); err != nil || back.S != nil {
		t.Errorf("null: %v, %v", back, err)
	}
	if err := json.Unmarshal([]byte(`{"S":{"sub":1,"SUB":2}}`), &back); err == nil {
		t.Error("twins are read back")
	}
}

func TestSetPrintsNothingPersonal(t *testing.T) {
	s := set(t, `{"email":"alice@corp.example"}`)
	var out bytes.Buffer
	slog.New(slog.NewTextHandler(&out, nil)).Info("m", "claims", s)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "claims", s)
	fmt.Fprintf(&out, "%v %+v %s %#v %v", s, s, s, s, struct{ S Set }{s})
	if strings.Contains(out.String(), "alice") || strings.Contains(out.String(), "email") {
		t.Fatal(out.String())
	}
}
