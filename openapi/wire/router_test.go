package wire

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

const acmeUUID, betaUUID = "0f8fad5b-d9cb-469f-a165-70867728950e", "7c9e6679-7425-40de-944b-e07fc1f90ae7"

func tenancy() Tenancy {
	slugs := map[string]string{acmeUUID: "acme", betaUUID: "beta"}
	return Tenancy{
		Known: func(slug string) bool { return slug == "acme" || slug == "beta" },
		Slug:  func(uuid string) (string, bool) { slug, ok := slugs[uuid]; return slug, ok },
	}
}

func echo(t *testing.T) http.Handler {
	t.Helper()
	r := NewRouter()
	r.Handle("/v1/users/{id:[^/]*}", Endpoint(func(w http.ResponseWriter, r *http.Request) error {
		id, err := Var(r, "id")
		if err != nil {
			return err
		}
		return WriteJSON(w, 200, map[string]string{"id": id})
	})).Methods(http.MethodGet, http.MethodHead)
	r.Handle("/v1/users/{id:[^/]*}", Endpoint(func(w http.ResponseWriter, _ *http.Request) error { NoContent(w); return nil })).Methods(http.MethodDelete)
	r.Handle("/v1/users/{id:[^/]*}/mark", Endpoint(func(w http.ResponseWriter, _ *http.Request) error { NoContent(w); return nil })).Methods(http.MethodPut)
	return r
}

func TestRouterMatchesPathsAsSent(t *testing.T) {
	for target, want := range map[string]struct {
		status int
		id     string
	}{
		"/v1/users/x":                           {200, "x"},
		"/v1/users/auth0%7C65a1":                {200, "auth0|65a1"},
		"/v1/users/corp|x":                      {200, "corp|x"},
		"/v1/users/x%2Fmark":                    {200, "x/mark"},
		"/v1/users/100%25":                      {200, "100%"},
		"/v1/users/%2525":                       {200, "%25"},
		"/v1/users/":                            {400, "malformed_id"},
		"/v1/users/..":                          {400, "malformed_id"},
		"/v1/users/%2e%2e":                      {400, "malformed_id"},
		"/v1/users/.":                           {400, "malformed_id"},
		"/v1/users/%00":                         {400, "malformed_id"},
		"/v1/users/a%0d%0ab":                    {400, "malformed_id"},
		"/v1/users/%ff":                         {400, "malformed_id"},
		"/v1/users/" + strings.Repeat("x", 257): {400, "malformed_id"},
		"/v1//users/x":                          {404, "path_not_found"},
		"/v1/users/x/":                          {404, "path_not_found"},
		"/v1/../v1/users/x":                     {404, "path_not_found"},
		"//v1/users/x":                          {404, "path_not_found"},
		"/v1/users/x/../y":                      {404, "path_not_found"},
	} {
		res := ask(ProfileProblem, echo(t), httptest.NewRequest(http.MethodGet, target, nil))
		body, _ := bodyOf(t, res)
		said, _ := body["id"].(string)
		if kind, ok := body["type"].(string); ok {
			said = strings.TrimPrefix(kind, "urn:bridge:error:")
		}
		if res.StatusCode != want.status || said != want.id {
			t.Errorf("%s: %d %s, want %d %s", target, res.StatusCode, said, want.status, want.id)
		}
		if res.Header.Get("Location") != "" {
			t.Errorf("%s is redirected", target)
		}
	}
}

func TestRouterNamesTheMethods(t *testing.T) {
	for target, want := range map[string]string{"/v1/users/x": "GET, HEAD, DELETE", "/v1/users/x/mark": "PUT"} {
		res := ask(ProfileOnegini, echo(t), httptest.NewRequest(http.MethodPost, target, nil))
		body, _ := bodyOf(t, res)
		if res.StatusCode != 405 || res.Header.Get("Allow") != want || body["error_code"] != "1041" {
			t.Errorf("%s: %d, Allow %q, %v", target, res.StatusCode, res.Header.Get("Allow"), body)
		}
	}
}

func TestQuery(t *testing.T) {
	for query, want := range map[string]string{
		"email=a%2Bb@x.de&customer=": "", "": "",
		"email=a;customer=b": "malformed_query", "email=%zz": "malformed_query", "email=%ff": "malformed_query", "email=a%00": "malformed_query",
		"email=" + strings.Repeat("x", 257): "malformed_query",
		"email=a&email=a":                   "repeated_parameter", "Email=a": "unknown_parameter", "%ff=a": "unknown_parameter",
	} {
		params, err := Query(httptest.NewRequest(http.MethodGet, "/?"+query, nil), "email", "customer")
		if want == "" {
			if err != nil || params["email"] != "" && params["email"] != "a+b@x.de" || params.Has("customer") != strings.Contains(query, "customer") {
				t.Errorf("%q: %v, %v", query, params, err)
			}
			continue
		}
		if p, ok := errors.AsType[*Problem](err); !ok || p.Code != want || p.Status != 400 {
			t.Errorf("%q: %v, want %s", query, err, want)
		}
	}
}

func TestParamsInt(t *testing.T) {
	p := Params{"limit": "20", "bad": "x", "most": "101"}
	if n, err := p.Int("limit", 5, 1, 100); n != 20 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if n, err := p.Int("absent", 5, 1, 100); n != 5 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	for _, name := range []string{"bad", "most"} {
		if _, err := p.Int(name, 5, 1, 100); err == nil {
			t.Errorf("%s is no number from 1 to 100", name)
		}
	}
}

func TestTenancy(t *testing.T) {
	both, one := []string{"acme", "beta"}, []string{"acme"}
	for name, tc := range map[string]struct {
		tenants []string
		path    string
		header  []string
		want    string
		status  int
	}{
		"path":                             {both, "/t/beta", nil, "beta", 0},
		"header":                           {both, "/", []string{strings.ToUpper(betaUUID)}, "beta", 0},
		"credential":                       {one, "/", nil, "acme", 0},
		"every tenant":                     {[]string{EveryTenant}, "/t/beta", nil, "beta", 0},
		"all agree":                        {one, "/t/acme", []string{acmeUUID}, "acme", 0},
		"none named":                       {both, "/", nil, "", 400},
		"none named, every tenant":         {[]string{EveryTenant}, "/", nil, "", 400},
		"path and header differ":           {both, "/t/acme", []string{betaUUID}, "", 400},
		"path and a foreign header":        {one, "/t/acme", []string{betaUUID}, "", 400},
		"path and an unknown header":       {one, "/t/acme", []string{"00000000-0000-0000-0000-000000000000"}, "", 400},
		"header is no UUID":                {one, "/", []string{"acme"}, "", 400},
		"two headers":                      {one, "/", []string{acmeUUID, acmeUUID}, "", 400},
		"foreign path":                     {one, "/t/beta", nil, "", 403},
		"foreign path with its own header": {one, "/t/beta", []string{betaUUID}, "", 403},
		"path that is not there":           {one, "/t/gamma", nil, "", 403},
		"not there, every tenant":          {[]string{EveryTenant}, "/t/gamma", nil, "", 403},
		"foreign header":                   {one, "/", []string{betaUUID}, "", 403},
		"header that is not there":         {one, "/", []string{"00000000-0000-0000-0000-000000000000"}, "", 403},
		"tenant was removed":               {[]string{"gone"}, "/", nil, "", 403},
	} {
		t.Run(name, func(t *testing.T) {
			router := NewRouter()
			got, err := "", error(nil)
			h := func(_ http.ResponseWriter, r *http.Request) { got, err = tenancy().Resolve(r) }
			router.HandleFunc("/", h)
			router.HandleFunc("/t/{tenant}", h)
			r := httptest.NewRequest(http.MethodGet, tc.path, nil)
			r.Header[http.CanonicalHeaderKey(TenantHeader)] = tc.header
			router.ServeHTTP(httptest.NewRecorder(), r.WithContext(WithCaller(r.Context(), Caller{Tenants: tc.tenants})))
			p, _ := errors.AsType[*Problem](err)
			if got != tc.want || (p == nil) != (tc.status == 0) || p != nil && p.Status != tc.status {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func TestRequire(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	in := r.WithContext(WithCaller(r.Context(), Caller{Name: "p", Tenants: []string{"acme"}, Scopes: []string{"users:read"}}))
	status := func(r *http.Request, scope, tenant string) int {
		_, err := Require(r, scope, tenant)
		if p, ok := errors.AsType[*Problem](err); ok {
			return p.Status
		}
		return 0
	}
	got := []int{status(r, "users:read", "acme"), status(in, "users:read", "acme"), status(in, "users:delete", "acme"), status(in, "users:read", "beta")}
	if want := []int{401, 0, 403, 403}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if _, err := tenancy().Resolve(r); err == nil {
		t.Error("nobody has a tenant")
	}
}
