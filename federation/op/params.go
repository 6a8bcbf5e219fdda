package op

import (
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/drawbridge-id/drawbridge/federation"
)

const (
	// maxParams is the greatest size of a request's parameters, in bytes.
	maxParams = 16 << 10
	// maxParam is the greatest size of one parameter. Only what we made
	// ourselves may be longer.
	maxParam = 4 << 10

	formType = "application/x-www-form-urlencoded"
)

// form reads the named parameters of a body, and nothing of the query: what is
// secret must not be in an address (RFC 6749 §2.3.1).
func form(r *http.Request, names ...string) (url.Values, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != formType {
		return nil, federation.Fail(federation.InvalidRequest, "The body must be "+formType+".")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxParams+1))
	if err != nil {
		return nil, federation.Fail(federation.InvalidRequest, "The body could not be read.").Because(err)
	}
	return parse(string(body), names)
}

// query reads the named parameters of the address.
func query(r *http.Request, names ...string) (url.Values, error) {
	return parse(r.URL.RawQuery, names)
}

// params reads query or body by the method.
func params(r *http.Request, names ...string) (url.Values, error) {
	if r.Method == http.MethodPost {
		return form(r, names...)
	}
	return query(r, names...)
}

// parse holds the named parameters to RFC 6749 §3.1: none twice, and one
// without a value is as if it were not there. contextParam names all that
// begin with it, and these may repeat. What is not named is ignored.
//
// Where the text as a whole can be read, the values are answered along with the
// error, so that the caller can find out where the error may be told.
func parse(text string, names []string) (url.Values, error) {
	if len(text) > maxParams {
		return nil, federation.Fail(federation.InvalidRequest, "The request is too large.")
	}
	all, err := url.ParseQuery(text)
	if err != nil {
		return nil, federation.Fail(federation.InvalidRequest, "The parameters are malformed.").Because(err)
	}
	maps.DeleteFunc(all, func(name string, _ []string) bool { return !reads(names, name) })
	var problem error
	for _, name := range slices.Sorted(maps.Keys(all)) {
		values := all[name]
		if e := judge(name, values); e != nil && problem == nil {
			problem = e
		}
		if len(values) == 1 && values[0] == "" {
			delete(all, name)
		}
	}
	return all, problem
}

func reads(names []string, name string) bool {
	return slices.Contains(names, name) || strings.HasPrefix(name, contextParam) && slices.Contains(names, contextParam)
}

// judge says what is wrong with one parameter. The name is one of ours, but for
// what follows contextParam, which is not repeated to anybody.
func judge(name string, values []string) error {
	shown, repeats := name, false
	if strings.HasPrefix(name, contextParam) {
		shown, repeats = "A hook context parameter", true
	}
	repeats = repeats || name == resourceParam
	if len(values) > 1 && !repeats {
		return federation.Fail(federation.InvalidRequest, shown+" is there more than once.")
	}
	limit := maxParam
	if slices.Contains([]string{"id_token_hint", "logout_token", "token", "access_token", sealedParam, "proof"}, name) {
		limit = maxParams
	}
	for _, v := range values {
		switch {
		case len(v) > limit || len(name) > 256:
			return federation.Fail(federation.InvalidRequest, shown+" is too long.")
		case !utf8.ValidString(v) || strings.ContainsRune(v, 0):
			return federation.Fail(federation.InvalidRequest, shown+" is not valid text.")
		}
	}
	return nil
}

// one is a parameter's value if it is there exactly once: for those that are
// looked at although something is wrong with the request.
func one(all url.Values, name string) string {
	if values := all[name]; len(values) == 1 {
		return values[0]
	}
	return ""
}
