package main

import (
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/gorilla/mux"

	"github.com/drawbridge-id/drawbridge/federation/upstream/upstreamtest"
	"github.com/drawbridge-id/drawbridge/openapi"
	"github.com/drawbridge-id/drawbridge/openapi/wire"
)

// TestEveryManagementRouteIsDocumentedAndServed holds what is mounted to what
// is published, in both directions.
func TestEveryManagementRouteIsDocumentedAndServed(t *testing.T) {
	app := start(t, file(t, upstreamtest.New(t).URL, ""))
	router := wire.NewRouter()
	if err := app.mountAPI(router, app.live.Load()); err != nil {
		t.Fatal(err)
	}
	mounted := map[string]bool{}
	variable := regexp.MustCompile(`\{([a-z]+):[^}]*\}`)
	err := router.Walk(func(r *mux.Route, _ *mux.Router, _ []*mux.Route) error {
		path, err := r.GetPathTemplate()
		if err != nil {
			return err
		}
		methods, err := r.GetMethods()
		for _, m := range methods {
			if m != "HEAD" && m != "OPTIONS" { // whatever answers GET answers HEAD
				mounted[m+" "+variable.ReplaceAllString(path, "{$1}")] = true
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	documented := operations(t, "users", "management")
	for _, watch := range []string{"GET /healthz", "GET /readyz", "GET /metrics", "GET /openapi/{name}.yaml"} {
		mounted[watch] = true // TestTheAppServesBothListeners asks for them
	}
	for _, route := range slices.Sorted(maps.Keys(mounted)) {
		if !documented[route] {
			t.Errorf("%s is served and not documented", route)
		}
	}
	for _, route := range slices.Sorted(maps.Keys(documented)) {
		if !mounted[route] {
			t.Errorf("%s is documented and not served", route)
		}
	}
}

func operations(t *testing.T, names ...string) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	for _, name := range names {
		text, err := openapi.Document(name)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := openapi3.NewLoader().LoadFromData(text)
		if err != nil {
			t.Fatal(err)
		}
		for path, item := range doc.Paths.Map() {
			for method := range item.Operations() {
				if method == "HEAD" {
					continue
				}
				for _, base := range bases(doc) {
					all[strings.ToUpper(method)+" "+base+path] = true
				}
			}
		}
	}
	return all
}

// bases are the paths of a document's servers, under each of which it holds.
func bases(doc *openapi3.T) []string {
	var all []string
	for _, s := range doc.Servers {
		if strings.HasPrefix(s.URL, "/") {
			all = append(all, strings.TrimSuffix(s.URL, "/"))
		}
	}
	if len(all) == 0 {
		return []string{""}
	}
	return all
}

// TestEverythingDocumentedOfTheProviderIsServed asks for each operation: what
// it answers to a request without parameters is its own, never a page that
// there is nothing here.
func TestEverythingDocumentedOfTheProviderIsServed(t *testing.T) {
	app := start(t, file(t, upstreamtest.New(t).URL, ""))
	for operation := range operations(t, "provider") {
		method, path, _ := strings.Cut(operation, " ")
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+app.PublicAddr()+strings.ReplaceAll(path, "{upstream}", "corp"), nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode == http.StatusNotFound || res.StatusCode == http.StatusMethodNotAllowed || res.StatusCode >= 500 {
			t.Errorf("%s is documented and answers %d", operation, res.StatusCode)
		}
	}
}
