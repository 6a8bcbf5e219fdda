package wire

import (
	"net/http"
	"net/url"

	"github.com/gorilla/mux"
)

// NewRouter is a router that matches paths as they were sent and redirects
// nobody: `//`, `.` and `..` are not cleaned away, and an escaped slash stays
// within its variable. Read variables with Var only. What it has no route for
// is answered in the listener's dialect, with Allow where the path exists; what
// it has one for is noted by name in RequestInfo.
//
// Routes must be registered on it with their whole path: mux forgets a wrong
// method when a subrouter of the same prefix comes after.
func NewRouter() *mux.Router {
	r := mux.NewRouter().UseEncodedPath().SkipClean(true)
	r.Use(NameRoute)
	r.NotFoundHandler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		WriteError(w, req, NotFound("path_not_found", "There is nothing at this path"))
	})
	r.MethodNotAllowedHandler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		WriteError(w, req, MethodNotAllowed(allowed(r, req)...))
	})
	return r
}

// allowed asks the router for every method, since mux does not say.
func allowed(r *mux.Router, req *http.Request) []string {
	var methods []string
	for _, method := range []string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
	} {
		var match mux.RouteMatch
		probe := *req
		probe.Method = method
		if r.Match(&probe, &match) && match.MatchErr == nil {
			methods = append(methods, method)
		}
	}
	return methods
}

// Var is a variable of the path, unescaped once. It may hold a slash, but is
// never empty, `.` or `..`, longer than 256 bytes, or other than plain text:
// those are a Problem with the code malformed_<name>.
func Var(r *http.Request, name string) (string, error) {
	value, err := url.PathUnescape(mux.Vars(r)[name])
	if err != nil || !ValidName(value) {
		return "", Malformed("malformed_"+name, "The value in the path is empty, too long or not a name.").In(name).Because(err)
	}
	return value, nil
}

// ValidName says whether s can name something in a path: 1 to 256 bytes of
// plain text that is not `.` or `..`.
func ValidName(s string) bool {
	return s != "" && s != "." && s != ".." && ValidText(s, maxText)
}
