package op

import (
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/gorilla/mux"

	"github.com/drawbridge-id/drawbridge/openapi"
)

// TestEveryEndpointIsDocumented holds what is mounted to provider.yaml. That
// everything documented is served is asked over HTTP, in cmd/drawbridge.
func TestEveryEndpointIsDocumented(t *testing.T) {
	text, err := openapi.Document("provider")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	err = (&Handler{}).mount().Walk(func(r *mux.Route, _ *mux.Router, _ []*mux.Route) error {
		path, err := r.GetPathTemplate()
		if seen++; doc.Paths.Value(path) == nil {
			t.Errorf("%s is served and not documented", path)
		}
		return err
	})
	if err != nil || seen < 10 {
		t.Errorf("%d endpoints, %v", seen, err)
	}
}
