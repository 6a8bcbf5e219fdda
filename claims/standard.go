package claims

import (
	"encoding/json"
	"strings"
	"time"
)

// form is the type that OpenID Connect Core 1.0 §5.1 gives a standard claim.
type form int

const (
	anyForm form = iota // not a standard claim: whatever it is
	textForm
	boolForm
	timeForm
	addressForm
)

// formOf is the form of a claim, by its name in whatever spelling and language.
func formOf(name string) form {
	switch base, _, _ := strings.Cut(fold(name), "#"); {
	case scopeOf(name) == "":
		return anyForm
	case base == "email_verified" || base == "phone_number_verified":
		return boolForm
	case base == "updated_at":
		return timeForm
	case base == "address":
		return addressForm
	}
	return textForm
}

// standard brings a standard claim into its standard type: relying parties
// reject whole answers over an email_verified that is a text. Providers that are
// well known send text for booleans and for times, numbers for text, lists of one
// and addresses as lines; what else is wrong is no value.
func standard(name string, value any) (any, error) {
	to := formOf(name)
	if to == anyForm {
		return value, nil
	}
	if list, ok := value.([]any); ok {
		if len(list) != 1 {
			return nil, errNotConvertible
		}
		value = list[0]
	}
	switch to {
	case boolForm:
		return toBool(value)
	case timeForm:
		return toTime(value)
	case addressForm:
		return toAddress(value)
	}
	return toText(value)
}

// toText takes numbers for their text, and nothing else for text.
func toText(value any) (any, error) {
	switch v := value.(type) {
	case string:
		if v != "" {
			return value, nil
		}
	case json.Number:
		return string(v), nil
	}
	return nil, errNotConvertible
}

// toTime is seconds since 1970, also of a number that is a text and of RFC 3339.
func toTime(value any) (any, error) {
	switch v := value.(type) {
	case json.Number:
		return value, nil
	case string:
		if at, err := time.Parse(time.RFC3339, v); err == nil {
			return normal(at.Unix(), 1)
		}
		return toInt(v)
	}
	return nil, errNotConvertible
}

// toAddress is the object of OpenID Connect Core 1.0 §5.1.1. Text is the object
// written down, or else the address in lines. A member of the wrong type is left
// out, and an address that has none is none.
func toAddress(value any) (any, error) {
	if text, ok := value.(string); ok {
		parsed, err := toJSON(text)
		object, isObject := parsed.(map[string]any)
		switch {
		case err == nil && isObject:
			value = object
		case strings.TrimSpace(text) != "":
			return map[string]any{"formatted": text}, nil
		}
	}
	object, ok := value.(map[string]any)
	if !ok || checkNames(object) != nil {
		return nil, errNotConvertible
	}
	out := make(map[string]any, len(object))
	for member, held := range object {
		switch fold(member) {
		case "formatted", "street_address", "locality", "region", "postal_code", "country":
			if text, err := toText(held); err == nil {
				out[member] = text
			}
		default:
			if !empty(held) {
				out[member] = held
			}
		}
	}
	if len(out) == 0 {
		return nil, errNotConvertible
	}
	return out, nil
}
