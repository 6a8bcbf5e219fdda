package claims

import (
	"encoding/json"
	"maps"
	"slices"
)

// appendValue writes a value of a Set as encoding/json does, without its
// reflection: claims are the most of what a login stores.
func appendValue(out []byte, value any) ([]byte, error) {
	switch v := value.(type) {
	case nil:
		return append(out, "null"...), nil
	case bool:
		if v {
			return append(out, "true"...), nil
		}
		return append(out, "false"...), nil
	case string:
		return appendText(out, v)
	case map[string]any:
		return appendObject(out, v)
	case []any:
		return appendArray(out, v)
	}
	text, err := json.Marshal(value) // json.Number, whose text it proves
	return append(out, text...), err
}

// appendObject writes the names in order.
func appendObject(out []byte, object map[string]any) (_ []byte, err error) {
	if object == nil {
		return append(out, "null"...), nil
	}
	names := slices.AppendSeq(make([]string, 0, len(object)), maps.Keys(object))
	slices.Sort(names)
	out = append(out, '{')
	for i, name := range names {
		if i > 0 {
			out = append(out, ',')
		}
		if out, err = appendText(out, name); err != nil {
			return nil, err
		}
		out = append(out, ':')
		if out, err = appendValue(out, object[name]); err != nil {
			return nil, err
		}
	}
	return append(out, '}'), nil
}

func appendArray(out []byte, array []any) (_ []byte, err error) {
	if array == nil {
		return append(out, "null"...), nil
	}
	out = append(out, '[')
	for i, item := range array {
		if i > 0 {
			out = append(out, ',')
		}
		if out, err = appendValue(out, item); err != nil {
			return nil, err
		}
	}
	return append(out, ']'), nil
}

// appendText leaves every text that needs an escape, or may, to encoding/json.
func appendText(out []byte, s string) ([]byte, error) {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			text, err := json.Marshal(s)
			return append(out, text...), err
		}
	}
	return append(append(append(out, '"'), s...), '"'), nil
}
