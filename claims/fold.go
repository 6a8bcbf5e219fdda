package claims

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// fold returns the one spelling that stands for every name that
// strings.EqualFold, and with it encoding/json, takes for the same: lower case
// for ASCII, the smallest rune of the folding orbit for the rest.
func fold(name string) string {
	if plain(name) {
		return name
	}
	return strings.Map(foldRune, name)
}

func foldRune(r rune) rune {
	if r < utf8.RuneSelf {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}
	// An orbit is a cycle, so following it upwards ends at its smallest rune.
	for next := unicode.SimpleFold(r); ; next = unicode.SimpleFold(r) {
		if next <= r {
			r = next
			break
		}
		r = next
	}
	if 'A' <= r && r <= 'Z' { // U+017F and U+212A fold into ASCII
		r += 'a' - 'A'
	}
	return r
}

// plain reports whether a name is printable ASCII without capitals, which is
// its own folded form and therefore nobody else's twin. Nearly every claim is,
// and the guard relies on that for its speed.
func plain(name string) bool {
	for i := range len(name) {
		if c := name[i]; c < ' ' || c > '~' || 'A' <= c && c <= 'Z' {
			return false
		}
	}
	return name != ""
}

// checkNames refuses a set with a name that is no name or with two names that
// fold together. Control characters are refused because readers disagree about
// where such a name ends ("sub\x00").
func checkNames(set map[string]any) error {
	var folded map[string]struct{}
	for name := range set {
		if plain(name) {
			continue
		}
		if err := checkName(name); err != nil {
			return err
		}
		if folded == nil {
			folded = make(map[string]struct{})
		}
		key := fold(name)
		if _, twin := folded[key]; twin {
			return &DecodeError{Reason: Twins, Name: name}
		}
		if _, twin := set[key]; twin && key != name {
			return &DecodeError{Reason: Twins, Name: name}
		}
		folded[key] = struct{}{}
	}
	return nil
}

func checkName(name string) error {
	if name == "" || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
		return &DecodeError{Reason: BadName, Name: name}
	}
	return nil
}
