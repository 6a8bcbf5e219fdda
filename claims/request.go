package claims

import (
	"errors"
	"slices"
)

// Asked are claims that a client asks for one by one (OpenID Connect Core 1.0
// §5.5). Userinfo and IDToken hold names, each once; those that are minted are
// not among them.
type Asked struct {
	Userinfo []string `json:"userinfo,omitempty"`
	IDToken  []string `json:"id_token,omitempty"`
}

// mayTell says whether a claim is told because it is among those asked for,
// which standard ones are. Whatever else there is needs an author.
func mayTell(name string, asked []string) bool {
	return scopeOf(name) != "" && slices.Contains(asked, name)
}

// Within is what may be asked for by a client that may ask for scopes: a
// standard claim goes with the scope that stands for it, or claims would be a
// way around what the operator allowed.
func (a Asked) Within(scopes []string) Asked {
	beyond := func(name string) bool { s := scopeOf(name); return s != "" && !slices.Contains(scopes, s) }
	return Asked{
		Userinfo: slices.DeleteFunc(slices.Clone(a.Userinfo), beyond),
		IDToken:  slices.DeleteFunc(slices.Clone(a.IDToken), beyond),
	}
}

// Beyond are the standard claims that none of the scopes stands for, in order
// and each once: what a user who agrees to the scopes has not agreed to.
func (a Asked) Beyond(scopes []string) []string {
	var names []string
	for _, name := range slices.Concat(a.Userinfo, a.IDToken) {
		if s := scopeOf(name); s != "" && !slices.Contains(scopes, s) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// None says whether nothing is asked for.
func (a Asked) None() bool { return len(a.Userinfo) == 0 && len(a.IDToken) == 0 }

// Request is a claims parameter, as far as it is understood.
type Request struct {
	Asked Asked
	// Subjects are the values that sub may have; none is any.
	Subjects []string
	// ACR are the authentication contexts that the ID token should name, the most
	// wanted first. ACREssential says that it must be one of them.
	ACR          []string
	ACREssential bool
}

// RequestLimits are those of a claims parameter.
func RequestLimits() Limits { return Limits{Bytes: 4 << 10, Claims: 100, Depth: 6} }

// maxValues is how many values sub and acr may be asked for with, and maxAsked
// how many claims all in all.
const (
	maxValues = 20
	maxAsked  = 100
)

// ParseRequest reads a claims parameter (OpenID Connect Core 1.0 §5.5) strictly:
// sections and members that are not known are ignored, but what is known must be
// of its type. Which value a claim should have is heeded for sub and acr alone;
// what else is known of a user is told as it is. The error is safe to show.
func ParseRequest(text string) (Request, error) {
	all, err := DecodeObject([]byte(text), RequestLimits())
	if err != nil {
		return Request{}, err
	}
	var out Request
	subjects := [][]string{}
	for _, section := range []struct {
		name  string
		names *[]string
	}{{"userinfo", &out.Asked.Userinfo}, {"id_token", &out.Asked.IDToken}} {
		wanted, err := readSection(all, section.name)
		if err != nil {
			return Request{}, err
		}
		for _, w := range wanted {
			switch folded := fold(w.name); {
			case folded == "sub" && len(w.values) > 0:
				subjects = append(subjects, w.values)
			case folded == "acr" && section.name == "id_token":
				out.ACR, out.ACREssential = w.values, w.essential && len(w.values) > 0
			case !minted(folded):
				*section.names = append(*section.names, w.name)
			}
		}
	}
	if len(out.Asked.Userinfo)+len(out.Asked.IDToken) > maxAsked {
		return Request{}, &DecodeError{Reason: TooMany}
	}
	out.Subjects, err = common(subjects)
	return out, err
}

// common are the values that are in all lists. It is an error if there are lists
// that have none in common: no user could be meant.
func common(lists [][]string) ([]string, error) {
	if len(lists) == 0 {
		return nil, nil
	}
	out := slices.DeleteFunc(slices.Clone(lists[0]), func(s string) bool {
		return slices.ContainsFunc(lists, func(list []string) bool { return !slices.Contains(list, s) })
	})
	if len(out) == 0 {
		return nil, errors.New("decode claims: sub is asked for with values that exclude each other")
	}
	return out, nil
}

// wanted is one member of a section.
type wanted struct {
	name      string
	essential bool
	values    []string // for sub and acr
}

// readSection reads userinfo or id_token; null is as if it were not there.
func readSection(all Set, section string) ([]wanted, error) {
	value := all[section]
	if value == nil {
		return nil, nil
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, &DecodeError{Reason: NotObject, Name: section}
	}
	if err := Set(object).CheckNames(RequestLimits()); err != nil {
		return nil, err
	}
	out := make([]wanted, 0, len(object))
	for _, name := range Set(object).Names() {
		w, err := readWanted(name, object[name])
		if err != nil {
			return nil, err
		}
		out = append(out, w)
	}
	return out, nil
}

// readWanted reads how a claim is asked for: null, or essential, value, values.
func readWanted(name string, how any) (wanted, error) {
	w, bad := wanted{name: name}, &DecodeError{Reason: BadValue, Name: name}
	if how == nil {
		return w, nil
	}
	object, ok := how.(map[string]any)
	if !ok {
		return w, bad
	}
	if essential, told := object["essential"]; told {
		if w.essential, ok = essential.(bool); !ok {
			return w, bad
		}
	}
	values, several := object["values"].([]any)
	if _, told := object["values"]; told && !several {
		return w, bad
	}
	if one, told := object["value"]; told {
		values = append([]any{one}, values...)
	}
	if folded := fold(name); folded != "sub" && folded != "acr" {
		return w, nil
	}
	for _, v := range values {
		text, ok := v.(string)
		if !ok || text == "" || len(values) > maxValues {
			return w, bad
		}
		if !slices.Contains(w.values, text) {
			w.values = append(w.values, text)
		}
	}
	return w, nil
}
