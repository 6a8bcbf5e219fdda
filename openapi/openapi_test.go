package openapi_test

import (
	"errors"
	"io/fs"
	"slices"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/drawbridge-id/drawbridge/openapi"
)

func TestDocumentsAreValid(t *testing.T) {
	names := openapi.Names()
	if want := []string{"claims-hook", "management", "provider", "session-webhooks", "users"}; !slices.Equal(names, want) {
		t.Fatalf("documents %v, want %v", names, want)
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			doc := load(t, name)
			if !doc.IsOpenAPI31OrLater() {
				t.Errorf("version %q", doc.OpenAPI)
			}
			if doc.Paths.Len() == 0 && len(doc.Webhooks) == 0 {
				t.Error("it describes nothing")
			}
		})
	}
}

func load(t *testing.T, name string) *openapi3.T {
	t.Helper()
	text, err := openapi.Document(name)
	if err != nil {
		t.Fatal(err)
	}
	loader := openapi3.NewLoader()
	doc, err := loader.LoadFromData(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(loader.Context); err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestOperationsAreNamedOnce(t *testing.T) {
	for _, name := range openapi.Names() {
		seen := map[string]bool{}
		for path, item := range load(t, name).Paths.Map() {
			for method, op := range item.Operations() {
				if op.OperationID == "" || op.Summary == "" || seen[op.OperationID] {
					t.Errorf("%s: %s %s has the operation id %q", name, method, path, op.OperationID)
				}
				seen[op.OperationID] = true
			}
		}
	}
}

// Each path of the management document exists with the tenant in the path and
// without, with the same methods.
func TestEveryTenantPathHasItsTwin(t *testing.T) {
	const long, short = "/v1/tenants/{tenant}/", "/v1/"
	paths := load(t, "management").Paths
	twins := 0
	for path, item := range paths.Map() {
		if len(path) <= len(long) || path[:len(long)] != long {
			continue
		}
		twin := paths.Value(short + path[len(long):])
		if twin == nil {
			t.Errorf("%s has no twin", path)
			continue
		}
		for method := range item.Operations() {
			if twin.GetOperation(method) == nil {
				t.Errorf("the twin of %s has no %s", path, method)
			}
		}
		twins++
	}
	if twins != 15 {
		t.Errorf("%d paths with a tenant, want 15", twins)
	}
}

func TestNoSuchDocument(t *testing.T) {
	for _, name := range []string{"", "nothing", "../openapi", "users.yaml", `..\users`} {
		if _, err := openapi.Document(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: %v", name, err)
		}
	}
}
