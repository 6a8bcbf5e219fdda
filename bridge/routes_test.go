package bridge_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/gorilla/mux"
)

// Every route that is mounted is in the document, under both of its servers,
// and every operation of the document is mounted.
func TestRoutesAndDocumentAgree(t *testing.T) {
	h := open(t, knobs{})
	mounted := map[string]int{}
	err := h.router.Walk(func(route *mux.Route, _ *mux.Router, _ []*mux.Route) error {
		template, err := route.GetPathTemplate()
		if err != nil {
			return err
		}
		methods, err := route.GetMethods()
		if err != nil {
			return err
		}
		for _, method := range methods {
			mounted[method+" "+documentPath(template)]++
		}
		if name := route.GetName(); name == "" || !slices.ContainsFunc(methods, func(m string) bool {
			item := h.doc.Paths.Value(documentPath(template))
			return item != nil && item.GetOperation(m) != nil && item.GetOperation(m).OperationID == name
		}) {
			t.Errorf("the route %s %v is named %q", template, methods, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	documented := 0
	for path, item := range h.doc.Paths.Map() {
		for method := range item.Operations() {
			documented++
			if n := mounted[method+" "+path]; n != len(h.doc.Servers) {
				t.Errorf("%s %s is mounted %d times, want %d", method, path, n, len(h.doc.Servers))
			}
		}
	}
	if documented != len(mounted) || documented == 0 {
		t.Errorf("%d operations are documented, %d are mounted", documented, len(mounted))
	}
}

// The handler leaves authentication to the door around it, and answers nobody
// who did not come through it.
func TestWithoutADoorNobodyComesIn(t *testing.T) {
	h := open(t, knobs{})
	r, err := http.NewRequest(http.MethodGet, users+"/"+ada, nil)
	if err != nil {
		t.Fatal(err)
	}
	w := record(h.router, r)
	if w.Code != http.StatusUnauthorized || h.people.calls() != 0 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
