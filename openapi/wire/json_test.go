package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"
)

type sample struct {
	Email *string            `json:"email,omitempty"`
	Flag  *bool              `json:"flag,omitempty"`
	Inner *sample            `json:"inner,omitempty"`
	List  []sample           `json:"list,omitempty"`
	Map   map[string]*string `json:"map,omitempty"`
}

type required struct {
	Name  string    `json:"name"`
	At    time.Time `json:"at"`
	Other any       `json:"other"`
}

func post(body string, headers ...string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Del(headers[i])
		if headers[i+1] != "" {
			r.Header.Set(headers[i], headers[i+1])
		}
	}
	return r
}

func TestDecodeJSONRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		r      *http.Request
		status int
		field  string
	}{
		"empty":                 {post(""), 400, ""},
		"blank":                 {post("  "), 400, ""},
		"array":                 {post("[]"), 400, ""},
		"null":                  {post("null"), 400, ""},
		"unknown member":        {post(`{"nam":"x"}`), 400, "nam"},
		"another case":          {post(`{"Name":"x"}`), 400, "Name"},
		"twice":                 {post(`{"name":"x","name":"y"}`), 400, "name"},
		"folded twins":          {post(`{"other":{"sub":1,"ſUB":2}}`), 400, "other.ſUB"},
		"twins in an array":     {post(`{"other":[{},{"a":1,"a":1}]}`), 400, "other[1].a"},
		"null for text":         {post(`{"name":null}`), 400, "name"},
		"wrong type":            {post(`{"name":5}`), 400, "name"},
		"trailing data":         {post(`{"name":"x"} {}`), 400, ""},
		"byte order mark":       {post("\xef\xbb\xbf{}"), 400, ""},
		"not UTF-8":             {post("{\"name\":\"\xff\"}"), 400, ""},
		"cut short":             {post(`{"name":"x"`), 400, ""},
		"six levels":            {post(`{"other":[[[[[1]]]]]}`), 400, "other[0][0][0][0]"},
		"no media type":         {post(`{}`, "Content-Type", ""), 415, ""},
		"other media type":      {post(`{}`, "Content-Type", "text/plain"), 415, ""},
		"other charset":         {post(`{}`, "Content-Type", "application/json; charset=latin1"), 415, ""},
		"bad media type":        {post(`{}`, "Content-Type", "application/json; charset"), 415, ""},
		"compressed":            {post(`{}`, "Content-Encoding", "gzip"), 415, ""},
		"too large":             {post(`{"name":"` + strings.Repeat("x", 17<<10) + `"}`), 413, ""},
		"too large, not stated": {unstated(post(strings.Repeat(" ", 17<<10))), 413, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := DecodeJSON[required](tc.r, Limits{})
			p, ok := errors.AsType[*Problem](err)
			if !ok || p.Status != tc.status || p.ErrorCode != "1041" {
				t.Fatalf("got %v, want a problem with status %d", err, tc.status)
			}
			if field := violated(p); field != tc.field {
				t.Errorf("blames %q, want %q", field, tc.field)
			}
		})
	}
}

func unstated(r *http.Request) *http.Request { r.ContentLength = -1; return r }

func violated(p *Problem) string {
	if len(p.Violations) == 0 {
		return ""
	}
	return p.Violations[0].Field
}

func TestDecodeJSONAccepts(t *testing.T) {
	for _, media := range []string{"application/json", "Application/JSON;charset=utf-8", `application/json; charset="UTF-8"`} {
		r := post(`{"name":"ü","at":"2026-11-20T15:07:24Z","other":{"a":[[[1]]],"b":null}}`, "Content-Type", media)
		v, err := DecodeJSON[required](r, Limits{})
		if err != nil || v.Name != "ü" || v.At.Year() != 2026 {
			t.Errorf("%s: got %+v, %v", media, v, err)
		}
	}
}

func TestDecodeOptional(t *testing.T) {
	if _, present, err := DecodeOptional[required](post("", "Content-Type", ""), Limits{}); present || err != nil {
		t.Errorf("nothing: got %v, %v", present, err)
	}
	if v, present, err := DecodeOptional[required](post(`{"name":"x"}`), Limits{}); !present || err != nil || v.Name != "x" {
		t.Errorf("something: got %+v, %v, %v", v, present, err)
	}
}

// Whatever is accepted says the same to a reader who knows nothing of our
// types, with every member there once: nothing was dropped, merged or guessed.
func FuzzDecodeJSON(f *testing.F) {
	for _, seed := range []string{
		`{"email":"a","flag":true,"inner":{"list":[{},{"map":{"x":"y"}}]}}`, `{"email":"a","EMAIL":"b"}`,
		`{"map":{"k":"1","\u006b":"2"}}`, `{"map":{"sub":"1","ſub":"2"}}`, `{"inner":{"inner":{"inner":{"inner":{"inner":{}}}}}}`,
		`{} {}`, `null`, `{"flag":null}`, "\xef\xbb\xbf{}", `{"email":"\ud800"}`, `{"list":[null]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		v, err := DecodeJSON[sample](r, Limits{})
		if err != nil {
			if _, ok := errors.AsType[*Problem](err); !ok {
				t.Fatalf("not a problem: %v", err)
			}
			return
		}
		var said, kept any
		if err := json.Unmarshal(body, &said); err != nil {
			t.Fatalf("accepted what is not JSON: %v", err)
		}
		again, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(again, &kept); err != nil {
			t.Fatal(err)
		}
		if members, depth := measure(said); members != colons(body) || depth > 5 {
			t.Fatalf("accepted %s with a member twice, or %d levels", body, depth)
		}
		if said, kept = lean(said), lean(kept); !reflect.DeepEqual(said, kept) {
			t.Fatalf("%s was read as %s", body, again)
		}
	})
}

// colons counts the members of valid JSON, those given twice twice.
func colons(body []byte) (n int) {
	quoted, escaped := false, false
	for _, c := range body {
		switch {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		case c == ':' && !quoted:
			n++
		}
	}
	return n
}

func measure(v any) (members, depth int) {
	deepest := 0
	visit := func(inner any) {
		m, d := measure(inner)
		members, deepest = members+m, max(deepest, d)
	}
	switch v := v.(type) {
	case map[string]any:
		members = len(v)
		for _, inner := range v {
			visit(inner)
		}
	case []any:
		for _, inner := range v {
			visit(inner)
		}
	default:
		return 0, 0
	}
	return members, deepest + 1
}

// lean leaves out what is empty: nothing given and nothing there are the same.
func lean(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, inner := range v {
			switch x := lean(inner).(type) {
			case nil:
			case map[string]any:
				if len(x) > 0 {
					out[name] = x
				}
			case []any:
				if len(x) > 0 {
					out[name] = x
				}
			default:
				out[name] = x
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			if out[i] = lean(v[i]); out[i] == nil {
				out[i] = map[string]any{} // an element of a struct type
			}
		}
		return out
	default:
		return v
	}
}
