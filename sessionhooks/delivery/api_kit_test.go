package delivery_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/gorilla/mux"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/openapi"
	"github.com/drawbridge-id/drawbridge/openapi/wire"
	"github.com/drawbridge-id/drawbridge/sessionhooks"
	"github.com/drawbridge-id/drawbridge/sessionhooks/delivery"
)

const (
	password    = "s3cret-s3cret-s3cret-s3cret-s3cret"
	defaultUUID = "0192f5a4-7b1e-7c3a-9d55-2f1c8a0b6e77"
)

// door is the management door over a real queue, with credentials of every
// kind. Every answer is held to the document.
type door struct {
	*house
	doc      *openapi3.T
	router   *mux.Router
	server   *httptest.Server
	replayed int
}

func openDoor(t *testing.T) *door {
	t.Helper()
	d := &door{house: newHouse(t), doc: document(t), router: wire.NewRouter()}
	api, err := delivery.NewAPI(delivery.APIOptions{
		Queue: d.queue, Engine: d.bolt, Log: slog.New(slog.NewJSONHandler(d.logs, nil)), Replayed: func() { d.replayed++ },
		Places: func(tenant string) ([]store.Place, bool) {
			return []store.Place{d.bolt.Layout().Place(tenant)}, tenant != "ghost"
		},
		Client: func(tenant, id string) bool {
			return tenant == "default" && (id == "shop" || id == "https://rp.example/a_b")
		},
		Order: func(string) string { return "tenant" },
		Tenancy: wire.Tenancy{
			Known: func(slug string) bool { return slug == "default" || slug == "other" || slug == "ghost" },
			Slug:  func(uuid string) (string, bool) { return "default", uuid == defaultUUID },
		},
		Webhooks: func(tenant string) []delivery.Described {
			if tenant != "default" {
				return nil
			}
			return []delivery.Described{
				{ID: "crm", Host: "hook.example", Mode: "independent", Events: sessionhooks.EndEvents()},
				{ID: "crm_2", Host: "127.0.0.1:9300", Mode: "independent"},
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	api.Mount(d.router)
	credential := func(name, scope string, tenants ...string) wire.Credential {
		return wire.Credential{Username: name, Secrets: [][32]byte{sha256.Sum256([]byte(password))}, Tenants: tenants, Scopes: []string{scope}}
	}
	auth, err := wire.Authenticate(wire.AuthOptions{Basic: []wire.Credential{
		credential("platform", "webhooks", "default"), credential("both", "webhooks", "default", "other"), credential("other", "webhooks", "other"),
		credential("reader", delivery.ScopeRead, "default"), credential("users", "users", "default"), credential("ghost", "webhooks", "ghost"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	d.server = httptest.NewServer(wire.Speak(wire.ProfileProblem)(auth(d.router)))
	t.Cleanup(d.server.Close)
	return d
}

func document(t *testing.T) *openapi3.T {
	t.Helper()
	text, err := openapi.Document("management")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// call makes a call as somebody and holds the answer to the document.
func (d *door) call(who, method, path string, body ...string) (int, map[string]any) {
	d.Helper()
	req, err := http.NewRequestWithContext(d.Context(), method, d.server.URL+path, strings.NewReader(strings.Join(body, "")))
	if err != nil {
		d.Fatal(err)
	}
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	if who != "" {
		req.SetBasicAuth(who, password)
	}
	req.Header.Set("x-onegini-api-agent-user", "grace")
	res, err := d.server.Client().Do(req)
	if err != nil {
		d.Fatal(err)
	}
	defer res.Body.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(res.Body); err != nil {
		d.Fatal(err)
	}
	if method != http.MethodHead {
		d.documented(req, res, text.Bytes())
	}
	var told map[string]any
	if text.Len() > 0 {
		if err := json.Unmarshal(text.Bytes(), &told); err != nil {
			d.Fatalf("%s %s: %s: %v", method, path, text.Bytes(), err)
		}
	}
	return res.StatusCode, told
}

func (d *door) documented(req *http.Request, res *http.Response, body []byte) {
	d.Helper()
	var match mux.RouteMatch
	if !d.router.Match(req, &match) || match.MatchErr != nil {
		return
	}
	template, err := match.Route.GetPathTemplate()
	if err != nil {
		d.Fatal(err)
	}
	item := d.doc.Paths.Value(documentPath(template))
	if item == nil || item.GetOperation(req.Method) == nil {
		d.Fatalf("%s %s is not in the document", req.Method, template)
	}
	input := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: req, Route: &routers.Route{
			Spec: d.doc, PathItem: item, Method: req.Method, Operation: item.GetOperation(req.Method),
		}},
		Status: res.StatusCode, Header: res.Header, Options: &openapi3filter.Options{IncludeResponseStatus: true},
	}
	if err := openapi3filter.ValidateResponse(d.Context(), input.SetBodyBytes(body)); err != nil {
		d.Errorf("%s %s: %d %s is not as documented: %v", req.Method, req.URL.Path, res.StatusCode, body, err)
	}
}

// documentPath is the path of the document that a route's template stands for.
func documentPath(template string) string {
	return strings.NewReplacer("{id:[^/]*}", "{id}", "{delivery:[^/]*}", "{delivery}", "{tenant:[0-9a-z-]+}", "{tenant}").Replace(template)
}
