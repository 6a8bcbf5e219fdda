package wire

import (
	"encoding"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"unicode"
)

// fold is the least spelling among all that differ only in case, rune by rune,
// so that `ſub`, `SUB` and `sub` are one name.
func fold(name string) string {
	return strings.Map(func(c rune) rune {
		least := c
		for next := unicode.SimpleFold(c); next != c; next = unicode.SimpleFold(next) {
			least = min(least, next)
		}
		return least
	}, name)
}

// plain is the type behind pointers, or nil where a type reads its own JSON.
func plain(t reflect.Type) reflect.Type {
	for t != nil && t.Kind() == reflect.Pointer {
		if reads(t) {
			return nil
		}
		t = t.Elem()
	}
	if t == nil || reads(t) || reads(reflect.PointerTo(t)) {
		return nil
	}
	return t
}

func reads(t reflect.Type) bool {
	return t.Implements(reflect.TypeFor[json.Unmarshaler]()) || t.Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// nullable says whether null means something for the type: nothing there.
func nullable(t reflect.Type) bool {
	if t == nil {
		return true
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Slice, reflect.Interface:
		return true
	default:
		return plain(t) == nil
	}
}

// element is the type of what a container of one of these kinds holds.
func element(t reflect.Type, kinds ...reflect.Kind) reflect.Type {
	if t = plain(t); t == nil || !slices.Contains(kinds, t.Kind()) {
		return nil
	}
	return t.Elem()
}

// members are the names that a struct type gives its members in JSON, with
// their types; nil when the type is not such a struct.
func members(t reflect.Type) map[string]reflect.Type {
	if t = plain(t); t == nil || t.Kind() != reflect.Struct {
		return nil
	}
	known := make(map[string]reflect.Type, t.NumField())
	for _, f := range reflect.VisibleFields(t) {
		tag, tagged := f.Tag.Lookup("json")
		name, _, _ := strings.Cut(tag, ",")
		if !f.IsExported() || tag == "-" || f.Anonymous && name == "" {
			continue
		}
		if !tagged || name == "" {
			name = f.Name
		}
		known[name] = f.Type
	}
	return known
}
