package person

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/drawbridge-id/drawbridge/claims"
	"github.com/drawbridge-id/drawbridge/federation"
)

// describe is the person with what the newest login says of them.
func describe(p federation.Person, u federation.Upstream, l federation.Login) federation.Person {
	p.Email, p.EmailVouched = emailOf(u, l)
	p.Customer = first(l, u.CustomerFrom, func(s string) bool { return s != "" })
	p.Name = nameOf(l)
	p.Claims = l.Claims.Clone()
	return p
}

// emailOf is the first address that a source of the upstream holds, as it is
// written there, and whether the upstream vouches for it.
func emailOf(u federation.Upstream, l federation.Login) (address string, vouched bool) {
	address = first(l, u.EmailFrom, func(s string) bool { _, err := NormalEmail(s); return err == nil })
	if address == "" || !saysTrue(l.Claims["email_verified"]) {
		return address, false
	}
	if spokenOf, _ := l.Claims["email"].(string); address != spokenOf && !sameEmail(address, spokenOf) {
		return address, false
	}
	normal, err := NormalEmail(address)
	return address, err == nil && (u.Vouches(normal) || u.Vouches(address))
}

// saysTrue also takes the word for the boolean of OpenID Connect Core 1.0 §5.1,
// since well-known providers send it so.
func saysTrue(v any) bool { return v == true || v == "true" }

func nameOf(l federation.Login) string {
	some := func(s string) bool { return s != "" }
	if whole := first(l, []string{"name"}, some); whole != "" {
		return whole
	}
	given, family := first(l, []string{"given_name"}, some), first(l, []string{"family_name"}, some)
	if both := strings.TrimSpace(given + " " + family); both != "" {
		return both
	}
	return first(l, []string{"nickname", "preferred_username"}, some)
}

// first is the text of the first source that has an acceptable one.
func first(l federation.Login, sources []string, accept func(string) bool) string {
	for _, path := range sources {
		found := at(map[string]any(l.Claims), path)
		if found == nil && path == "sub" {
			found = l.Subject
		}
		if s := textOf(found); accept(s) {
			return s
		}
	}
	return ""
}

// textOf reads a value as text: a string, a number as it is written, or the
// first of a list, since some upstreams list what others say once.
func textOf(v any) string {
	switch v := v.(type) {
	case string:
		return strings.ToValidUTF8(v, "\uFFFD")
	case json.Number:
		return v.String()
	case []any:
		if len(v) > 0 {
			if _, nested := v[0].([]any); !nested {
				return textOf(v[0])
			}
		}
	}
	return ""
}

// at finds what a source names: a claim, or a path with dots through objects
// and arrays. A name that holds dots itself goes before its parts, as in the
// mapping of package claims.
func at(v any, path string) any {
	switch v := v.(type) {
	case map[string]any:
		if whole, ok := v[path]; ok {
			return whole
		}
		for i, c := range slices.Backward([]byte(path)) {
			if c != '.' {
				continue
			}
			if inner := at(v[path[:i]], path[i+1:]); inner != nil {
				return inner
			}
		}
	case []any:
		index, rest, deeper := strings.Cut(path, ".")
		n, err := strconv.ParseUint(index, 10, 16)
		if err != nil || n >= uint64(len(v)) {
			return nil
		}
		if deeper {
			return at(v[n], rest)
		}
		return v[n]
	}
	return nil
}

// differs says whether a login told something new: anything but the claims
// that the protocol makes anew each time.
func differs(was, is federation.Person) bool {
	return was.Email != is.Email || was.EmailVouched != is.EmailVouched || was.Customer != is.Customer ||
		was.Name != is.Name || !lasting(was.Claims).Equal(lasting(is.Claims))
}

func lasting(all claims.Set) claims.Set {
	var guard claims.Guard
	kept := make(claims.Set, len(all))
	for name, value := range all {
		if guard.Class(name) != claims.Minted {
			kept[name] = value
		}
	}
	return kept
}
