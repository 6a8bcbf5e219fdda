package claims

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestDecodeObjectRefuses(t *testing.T) {
	many := make([]string, 201)
	for i := range many {
		many[i] = fmt.Sprintf(`"c%d":1`, i)
	}
	for name, tc := range map[string]struct {
		in   string
		want Reason
	}{
		"nothing":                {"", NotJSON},
		"spaces":                 {"  ", NotJSON},
		"html":                   {"<html>", NotJSON},
		"trailing data":          {`{"a":1} {"b":2}`, NotJSON},
		"trailing brace":         {`{"a":1}}`, NotJSON},
		"trailing comma":         {`{"a":1,}`, NotJSON},
		"cut short":              {`{"a":`, NotJSON},
		"comment":                {`{/**/"a":1}`, NotJSON},
		"byte order mark":        {"\ufeff{}", NotJSON},
		"single quotes":          {`{'a':1}`, NotJSON},
		"leading zero":           {`{"a":007}`, NotJSON},
		"NaN":                    {`{"a":NaN}`, NotJSON},
		"raw control character":  {"{\"a\":\"\n\"}", NotJSON},
		"invalid utf-8 value":    {"{\"a\":\"\xff\"}", NotJSON},
		"invalid utf-8 name":     {"{\"\xc3\":1}", NotJSON},
		"overlong utf-8":         {"{\"\xc1\xb3ub\":1}", NotJSON},
		"array":                  {`[{"a":1}]`, NotObject},
		"string":                 {`"a"`, NotObject},
		"null":                   {`null`, NotObject},
		"duplicate":              {`{"a":1,"a":1}`, Duplicate},
		"duplicate by escape":    {`{"sub":1,"\u0073ub":2}`, Duplicate},
		"duplicate nested":       {`{"a":{"b":[{"c":1,"c":2}]}}`, Duplicate},
		"twins":                  {`{"sub":"alice","SUB":"eve"}`, Twins},
		"twins long s":           {`{"sub":"alice","ſub":"mallory"}`, Twins},
		"twins escaped":          {`{"sub":1,"\u017fub":2}`, Twins},
		"twins without original": {`{"ſub":1,"Sub":2}`, Twins},
		"twins kelvin":           {`{"k":1,"\u212a":2}`, Twins},
		"twins beyond ascii":     {`{"é":1,"É":2}`, Twins},
		"free twins":             {`{"Nick":1,"nick":2}`, Twins},
		"empty name":             {`{"":1}`, BadName},
		"nul in name":            {`{"sub\u0000":1}`, BadName},
		"delete in name":         {`{"sub\u007f":1}`, BadName},
		"half surrogate":         {`{"a":"\ud800"}`, BadValue},
		"low surrogate alone":    {`{"a":"\udc00"}`, BadValue},
		"high twice":             {`{"a":"\ud800\ud800"}`, BadValue},
		"high then letter":       {`{"a":"\ud800x"}`, BadValue},
		"half surrogate name":    {`{"\udead":1}`, BadValue},
		"half after backslash":   {`{"a":"\\\ud800"}`, BadValue},
		"number beyond float64":  {`{"a":1e999}`, BadValue},
		"long number":            {`{"a":` + strings.Repeat("9", 400) + `}`, BadValue},
		"201 claims":             {"{" + strings.Join(many, ",") + "}", TooMany},
		"depth 9":                {`{"a":` + strings.Repeat("[", 8) + strings.Repeat("]", 8) + `}`, TooDeep},
		"depth 9 of objects":     {strings.Repeat(`{"a":`, 9) + "1" + strings.Repeat("}", 9), TooDeep},
		"depth 5000":             {`{"a":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`, TooDeep},
		"depth beyond the std":   {`{"a":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`, NotJSON},
		"64 KiB and one":         {`{"a":"` + strings.Repeat("x", 64<<10-7) + `"}`, TooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := DecodeObject([]byte(tc.in), HookLimits())
			refused, ok := errors.AsType[*DecodeError](err)
			if !ok || refused.Reason != tc.want || got != nil {
				t.Fatalf("got %v, %v; want %s", got, err, tc.want)
			}
		})
	}
}

func TestDecodeObjectAccepts(t *testing.T) {
	for name, in := range map[string]string{
		"empty":                `{}`,
		"space":                " \t\r\n{ \"a\" : [ 1 , 2 ] , \"b\" : { } }\n",
		"values":               `{"s":"x","t":true,"f":false,"n":null,"a":[],"o":{}}`,
		"numbers":              `{"a":9007199254740993,"b":-0,"c":1.50,"d":1e3,"e":1E-400,"f":123456789012345678901234567890}`,
		"escapes":              `{"a":"\"\\\/\b\f\n\r\t\u0041\ud83d\ude00","\u0062":"\\ud800"}`,
		"nested empty name":    `{"a":{"":1}}`,
		"nested twins":         `{"a":{"b":1,"B":2}}`,
		"same name elsewhere":  `{"a":{"a":{"a":1}},"b":{"a":1}}`,
		"prototype":            `{"__proto__":{"isAdmin":true},"constructor":1}`,
		"lookalikes":           `{"sub":1,"ｓｕｂ":2,"ѕub":3,"su\u0062\u0301":4,"sub\u200b":5}`,
		"composed, decomposed": `{"é":1,"e\u0301":2}`,
		"depth 8":              `{"a":` + strings.Repeat("[", 7) + strings.Repeat("]", 7) + `}`,
		"64 KiB":               `{"a":"` + strings.Repeat("x", 64<<10-8) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			got, err := DecodeObject([]byte(in), HookLimits())
			if err != nil {
				t.Fatal(err)
			}
			sameAsStandard(t, []byte(in), got)
		})
	}
}

// sameAsStandard compares with encoding/json, which keeps number text as well.
func sameAsStandard(t *testing.T, data []byte, got Set) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var want map[string]any
	if err := dec.Decode(&want); err != nil {
		t.Fatalf("encoding/json refuses what we accepted: %v", err)
	}
	wantText, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	gotText, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(gotText, wantText) {
		t.Fatalf("got %s\nwant %s", gotText, wantText)
	}
	var again Set
	if err := json.Unmarshal(gotText, &again); err != nil || !again.Equal(got) {
		t.Fatalf("does not survive a round trip: %v", err)
	}
}

func FuzzDecodeObject(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"sub":"alice","SUB":"eve"}`, `{"a":[1,{"b":"\ud83d\ude00"}],"n":1e5}`, `{"a":"\\\u005c\"","b":null}`,
		`{"a":9007199254740993,"ſ":true}`, `{"a" : { } , "b":[ ] }`, "{\"a\":\"\xff\"}", `{"a":"\ud800"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := DecodeObject(data, HookLimits())
		if err != nil {
			if _, ok := errors.AsType[*DecodeError](err); !ok || got != nil {
				t.Fatalf("refused with %v, %v", got, err)
			}
			return
		}
		sameAsStandard(t, data, got)
		if len(got) > 200 {
			t.Fatalf("%d claims", len(got))
		}
	})
}

func TestLimits(t *testing.T) {
	in := []byte(`{"a":[[1]],"b":2,"c":3}`)
	for name, tc := range map[string]struct {
		lim  Limits
		want Reason
	}{
		"exactly enough":         {Limits{Bytes: len(in), Claims: 3, Depth: 3}, ""},
		"a byte short":           {Limits{Bytes: len(in) - 1, Claims: 3, Depth: 3}, TooLarge},
		"a claim short":          {Limits{Bytes: len(in), Claims: 2, Depth: 3}, TooMany},
		"a level short":          {Limits{Bytes: len(in), Claims: 3, Depth: 2}, TooDeep},
		"nothing said":           {Limits{}, ""},
		"an upstream may more":   {UpstreamLimits(), ""},
		"only the claims limits": {Limits{Claims: 1}, TooMany},
	} {
		_, err := DecodeObject(in, tc.lim)
		var got Reason
		if e, ok := errors.AsType[*DecodeError](err); ok {
			got = e.Reason
		}
		if got != tc.want {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
}

func TestDecodeErrorTellsNoValue(t *testing.T) {
	_, err := DecodeObject([]byte(`{"a":{"pin":"s3cret","pin":"s3cret"}}`), HookLimits())
	if err == nil || strings.Contains(err.Error(), "s3cret") || !strings.Contains(err.Error(), `"pin"`) {
		t.Fatalf("%v", err)
	}
	_, err = DecodeObject([]byte(`{"`+strings.Repeat("x", 5000)+`":1,"`+strings.Repeat("x", 5000)+`":1}`), HookLimits())
	if err == nil || len(err.Error()) > 200 {
		t.Fatalf("a long name makes a long message: %d", len(err.Error()))
	}
}
