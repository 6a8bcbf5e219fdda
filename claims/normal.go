package claims

import (
	"encoding/json"
	"math"
	"strconv"
	"unicode/utf8"
)

// normal copies a Go value into the types of a Set. depth is how deep arrays
// and objects may still nest, which also ends a cycle.
func normal(value any, depth int) (any, error) {
	switch v := value.(type) {
	case nil, bool:
		return value, nil
	case string:
		if !utf8.ValidString(v) {
			return nil, &DecodeError{Reason: BadValue}
		}
		return value, nil // and not v, which would be boxed anew
	case json.Number:
		if _, ok := exact(v); !ok || !holdable(v) || !json.Valid([]byte(v)) {
			return nil, &DecodeError{Reason: BadValue}
		}
		return value, nil
	case []any:
		return normalArray(v, depth)
	case map[string]any:
		return normalObject(v, depth)
	case Set:
		return normalObject(v, depth)
	case int:
		return json.Number(strconv.Itoa(v)), nil
	case int64:
		return json.Number(strconv.FormatInt(v, 10)), nil
	}
	// Whatever else Go can hold is what encoding/json makes of it.
	data, err := json.Marshal(value)
	if err != nil {
		return nil, &DecodeError{Reason: BadValue}
	}
	return decodeValue(data, depth, math.MaxInt)
}

func normalArray(items []any, depth int) (any, error) {
	if depth < 1 {
		return nil, &DecodeError{Reason: TooDeep}
	}
	out := make([]any, len(items))
	for i, item := range items {
		var err error
		if out[i], err = normal(item, depth-1); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func normalObject(members map[string]any, depth int) (any, error) {
	if depth < 1 {
		return nil, &DecodeError{Reason: TooDeep}
	}
	out := make(map[string]any, len(members))
	for name, member := range members {
		if !utf8.ValidString(name) {
			return nil, &DecodeError{Reason: BadName}
		}
		var err error
		if out[name], err = normal(member, depth-1); err != nil {
			return nil, err
		}
	}
	return out, nil
}
