package wire

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxText is how many bytes a parameter or a variable of a path may have.
const maxText = 256

// Params are the parameters of a query, each given once.
type Params map[string]string

// Query reads a query that may have only the parameters named, each at most
// once. `;` is no separator and refused, since readers disagree about it. The
// Problem's code is malformed_query, unknown_parameter or repeated_parameter.
func Query(r *http.Request, allowed ...string) (Params, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, Malformed("malformed_query", "The query cannot be read; a semicolon must be written %3B.").Because(err)
	}
	params := make(Params, len(values))
	for name, given := range values {
		switch {
		case !slices.Contains(allowed, name):
			return nil, Malformed("unknown_parameter", "There is no such parameter.").In(join("", strings.ToValidUTF8(name, "")))
		case len(given) > 1:
			return nil, Malformed("repeated_parameter", "The parameter is given twice.").In(name)
		case !ValidText(given[0], maxText):
			return nil, Malformed("malformed_query", "The value is too long or not plain text.").In(name)
		}
		params[name] = given[0]
	}
	return params, nil
}

// Has says whether the parameter was given, even if empty.
func (p Params) Has(name string) bool {
	_, ok := p[name]
	return ok
}

// Int is a parameter that is a number within bounds, or fallback when it was
// not given.
func (p Params) Int(name string, fallback, least, most int) (int, error) {
	if !p.Has(name) {
		return fallback, nil
	}
	n, err := strconv.Atoi(p[name])
	if err != nil || n < least || n > most {
		detail := "The value must be a number from " + strconv.Itoa(least) + " to " + strconv.Itoa(most) + "."
		return 0, Malformed("malformed_query", detail).In(name)
	}
	return n, nil
}

// ValidText says whether s is UTF-8 without control characters and at most so
// many bytes long.
func ValidText(s string, most int) bool {
	return len(s) <= most && utf8.ValidString(s) && strings.IndexFunc(s, unicode.IsControl) < 0
}
