package claims

import (
	"strconv"
	"strings"
)

// lookup finds what a path names in a value, nil where there is nothing. The
// longest name that exists wins: "https://corp.example/unit.name" is tried as
// one name, then as "name" in "https://corp.example/unit", and so on.
func lookup(value any, path string) any {
	switch v := value.(type) {
	case map[string]any:
		if found, ok := v[path]; ok {
			return found
		}
		for end := strings.LastIndexByte(path, '.'); end >= 0; end = strings.LastIndexByte(path[:end], '.') {
			if inner, ok := v[path[:end]]; ok {
				if found := lookup(inner, path[end+1:]); found != nil {
					return found
				}
			}
		}
	case []any:
		first, rest, more := strings.Cut(path, ".")
		// Plain digits only: Atoi alone would take "+1" and "-0".
		if strings.Trim(first, "0123456789") != "" {
			return nil
		}
		i, err := strconv.Atoi(first)
		if err != nil || i >= len(v) {
			return nil
		}
		if !more {
			return v[i]
		}
		return lookup(v[i], rest)
	}
	return nil
}

// empty reports whether a source counts as having no value.
func empty(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}
