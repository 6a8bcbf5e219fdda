package claims

import (
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"strconv"
)

// Set is a JSON object of claims: nil, bool, string, json.Number, []any and
// map[string]any, as DecodeObject and NewSet make it. It holds personal data
// and therefore prints its size only.
type Set map[string]any

// NewSet makes a Set of Go values: numbers of any kind, slices, maps, and what
// encoding/json can write. It copies, checks names as DecodeObject does, and
// holds the result to lim except for Bytes.
func NewSet(values map[string]any, lim Limits) (Set, error) {
	if err := Set(values).CheckNames(lim); err != nil {
		return nil, err
	}
	depth := lim.orDefault().Depth
	out := make(Set, len(values))
	for name, value := range values {
		v, err := normal(value, depth-1)
		if err != nil {
			return nil, err
		}
		out[name] = v
	}
	return out, nil
}

// CheckNames holds the names of a set that came out of a larger document, such
// as a hook's answer, to what DecodeObject demands of them and to lim.Claims.
func (s Set) CheckNames(lim Limits) error {
	if len(s) > lim.orDefault().Claims {
		return &DecodeError{Reason: TooMany}
	}
	return checkNames(s)
}

// Merge lays over upon base: userinfo upon ID token. A claim of the same name
// is replaced; two names that fold together are refused.
func Merge(base, over Set) (Set, error) {
	out := make(Set, len(base)+len(over))
	maps.Copy(out, base)
	maps.Copy(out, over)
	if err := checkNames(out); err != nil {
		return nil, err
	}
	return out.Clone(), nil
}

// Clone copies the set and everything in it.
func (s Set) Clone() Set {
	if s == nil {
		return nil
	}
	return cloneMap(s)
}

// Names returns the names in order.
func (s Set) Names() []string { return slices.Sorted(maps.Keys(s)) }

// Equal compares canonically: numbers by exact value, objects regardless of
// order, arrays in order.
func (s Set) Equal(other Set) bool {
	return equal(map[string]any(s), map[string]any(other), sameValue)
}

// Repeats reports whether a stage that says one value merely repeats another
// that it was shown, perhaps with numbers rounded to float64 on the way, as
// JavaScript does. It decides who is the author of a claim, never what the
// guard lets through: there numbers count exactly.
func Repeats(shown, said any) bool { return equal(shown, said, sameRounded) }

// MarshalJSON writes the set deterministically, names in order and numbers as
// they came. It exists so that a foreign encoder (go-jose has its own number
// type) cannot turn numbers into strings. A nil set is an empty object.
func (s Set) MarshalJSON() ([]byte, error) {
	if s == nil {
		return []byte("{}"), nil
	}
	return appendObject(make([]byte, 0, 512), s)
}

// UnmarshalJSON reads what MarshalJSON wrote, as strictly as DecodeObject but
// without its limits: the caller's own store is read, not a stranger's answer.
func (s *Set) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		return nil
	}
	out, err := DecodeObject(data, Limits{Bytes: 1 << 30, Claims: 1 << 20, Depth: 1 << 10})
	if err != nil {
		return err
	}
	*s = out
	return nil
}

// String tells how many claims there are and nothing about them.
func (s Set) String() string { return "[" + strconv.Itoa(len(s)) + " claims]" }

// GoString is String, so that %#v stays silent as well.
func (s Set) GoString() string { return s.String() }

// LogValue is String, so that a log stays silent as well.
func (s Set) LogValue() slog.Value { return slog.StringValue(s.String()) }

func cloneMap(m map[string]any) map[string]any {
	out := make(map[string]any, len(m))
	for name, value := range m {
		out[name] = cloneValue(value)
	}
	return out
}

func cloneValue(value any) any {
	switch v := value.(type) {
	case map[string]any:
		return cloneMap(v)
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = cloneValue(item)
		}
		return out
	}
	return value
}

// equal compares two values of a Set; numbers decides about numbers.
func equal(a, b any, numbers func(a, b json.Number) bool) bool {
	switch x := a.(type) {
	case json.Number:
		y, ok := b.(json.Number)
		return ok && numbers(x, y)
	case map[string]any:
		y, ok := b.(map[string]any)
		return ok && maps.EqualFunc(x, y, func(a, b any) bool { return equal(a, b, numbers) })
	case []any:
		y, ok := b.([]any)
		return ok && slices.EqualFunc(x, y, func(a, b any) bool { return equal(a, b, numbers) })
	case nil, bool, string:
		switch b.(type) {
		case nil, bool, string:
			return a == b
		}
	}
	return false // also for what no Set holds: unknown is never "unchanged"
}
