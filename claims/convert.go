package claims

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
)

var (
	errUnknownType    = errors.New("unknown type")
	errNotConvertible = errors.New("not convertible")
)

// convert turns a value of a Set into the wanted type.
func convert(value any, to Type) (any, error) {
	switch to {
	case "":
		return value, nil
	case String:
		return toString(value)
	case Int:
		return toInt(value)
	case Bool:
		return toBool(value)
	case Array:
		if _, ok := value.([]any); ok {
			return value, nil
		}
		return []any{value}, nil
	case JSON:
		return toJSON(value)
	}
	return nil, errUnknownType
}

func toString(value any) (any, error) {
	switch v := value.(type) {
	case string:
		return value, nil
	case json.Number:
		return string(v), nil
	case bool:
		return strconv.FormatBool(v), nil
	}
	return nil, errNotConvertible
}

func toInt(value any) (any, error) {
	text := ""
	switch v := value.(type) {
	case string:
		text = strings.TrimSpace(v)
		if strings.Trim(strings.TrimPrefix(text, "-"), "0123456789") != "" {
			return nil, errNotConvertible
		}
	case json.Number:
		text = string(v)
	}
	number, ok := exact(json.Number(text))
	if !ok {
		return nil, errNotConvertible
	}
	whole, ok := number.integer()
	if !ok {
		return nil, errNotConvertible
	}
	return whole, nil
}

func toBool(value any) (any, error) {
	switch v := value.(type) {
	case bool:
		return value, nil
	case string:
		switch strings.ToLower(strings.TrimSpace(v)) {
		case "true", "1":
			return true, nil
		case "false", "0":
			return false, nil
		}
	case json.Number:
		switch {
		case sameValue(v, "1"):
			return true, nil
		case sameValue(v, "0"):
			return false, nil
		}
	}
	return nil, errNotConvertible
}

func toJSON(value any) (any, error) {
	text, ok := value.(string)
	if !ok {
		return value, nil
	}
	parsed, err := decodeValue([]byte(text), UpstreamLimits().Depth, UpstreamLimits().Claims)
	if err != nil {
		return nil, errNotConvertible
	}
	return parsed, nil
}
