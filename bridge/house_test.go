package bridge_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/google/uuid"
	"github.com/gorilla/mux"

	"github.com/drawbridge-id/drawbridge/bridge"
	"github.com/drawbridge-id/drawbridge/bridge/local"
	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/boltstore"
	"github.com/drawbridge-id/drawbridge/openapi"
	"github.com/drawbridge-id/drawbridge/openapi/wire"
)

// house is the contract as it is served: store, directory, service, and the
// management door around the handler.
type house struct {
	t       *testing.T
	people  *people
	service *bridge.Service
	engine  *boltstore.Engine
	router  *mux.Router
	drain   *wire.Drain
	addr    string
	now     func() time.Time
	audit   *trail
	doc     *openapi3.T
}

type trail struct {
	mu      sync.Mutex
	records []bridge.Record
}

func (a *trail) add(_ context.Context, r bridge.Record) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.records = append(a.records, r)
}

// last is the newest record.
func (a *trail) last() bridge.Record {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.records[len(a.records)-1]
}

func place(tenant string) store.Place { return store.Place{Tenant: tenant} }

// outbox keeps mail jobs beside what is committed with them.
type outbox struct{ table *store.Table[bridge.Mail] }

func (o outbox) enqueue(at store.Place, m bridge.Mail) ([]store.Op, error) {
	return []store.Op{o.table.Create(at, string(m.Kind)+"/"+uuid.Must(uuid.NewV7()).String(), m, time.Time{})}, nil
}

type knobs struct {
	directory func(*bridge.Directory)
	options   func(*bridge.Options)
	handler   func(*bridge.HandlerOptions)
	profile   wire.Profile
	pages     map[string]string
	doc       *openapi3.T
}

func tenants(slug string) (bridge.Tenant, bool) {
	if slug != "acme" && slug != "beta" {
		return bridge.Tenant{}, false
	}
	return bridge.Tenant{Place: store.Place{Tenant: slug}, URL: "https://login.example/" + slug + "/"}, true
}

func open(t *testing.T, k knobs) *house {
	t.Helper()
	h := &house{t: t, people: population(), drain: &wire.Drain{}, now: time.Now, audit: &trail{}, doc: k.doc}
	if h.doc == nil {
		h.doc = document(t)
	}
	engine, err := boltstore.Open(boltstore.Options{Path: filepath.Join(t.TempDir(), "store.db"), Now: func() time.Time { return h.now() }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := engine.Close(); err != nil {
			t.Error(err)
		}
	})
	h.engine = engine
	if k.pages == nil {
		k.pages = map[string]string{"corp": "https://corp.example/reset"}
	}
	directory, err := local.New(local.Options{Persons: h.people, ResetPages: func(string) map[string]string { return k.pages }})
	if err != nil {
		t.Fatal(err)
	}
	if k.directory != nil {
		k.directory(&directory)
	}
	o := bridge.Options{
		Directory: directory, Engine: engine, Tenant: tenants, Now: func() time.Time { return h.now() },
		Enqueue: h.outbox().enqueue, Audit: h.audit.add,
		Send: func(context.Context, string, bridge.Mail) error { return nil },
	}
	if k.options != nil {
		k.options(&o)
	}
	if h.service, err = bridge.New(o); err != nil {
		t.Fatal(err)
	}
	h.serve(k)
	return h
}

func (h *house) serve(k knobs) {
	h.t.Helper()
	slugs := map[string]string{acmeUUID: "acme", betaUUID: "beta"}
	o := bridge.HandlerOptions{Service: h.service, Slug: func(uuid string) (string, bool) { slug, ok := slugs[uuid]; return slug, ok }}
	if k.handler != nil {
		k.handler(&o)
	}
	handler, err := bridge.NewHandler(o)
	if err != nil {
		h.t.Fatal(err)
	}
	h.router = wire.NewRouter()
	handler.Mount(h.router)
	credential := func(name string, scopes []string, tenants ...string) wire.Credential {
		return wire.Credential{Username: name, Secrets: [][32]byte{sha256.Sum256([]byte("secret"))}, Tenants: tenants, Scopes: scopes}
	}
	failures, err := wire.NewLimiter(wire.LimiterOptions{Burst: 20, Every: time.Minute, Keys: 100, Now: time.Now})
	if err != nil {
		h.t.Fatal(err)
	}
	auth, err := wire.Authenticate(wire.AuthOptions{Failures: failures, Basic: []wire.Credential{
		credential("platform", []string{"users"}, "acme"), credential("both", []string{"users"}, "acme", "beta"),
		credential("reader", []string{"users:read"}, "acme"),
	}})
	if err != nil {
		h.t.Fatal(err)
	}
	server := httptest.NewServer(wire.Speak(k.profile)(h.drain.Handler(auth(h.router))))
	h.t.Cleanup(server.Close)
	h.addr = server.Listener.Addr().String()
}

func (h *house) outbox() outbox {
	return outbox{store.NewTable[bridge.Mail](h.engine, store.TableOptions{Kind: "outbox", Schema: 1})}
}

// mails are the jobs that were stored, oldest first.
func (h *house) mails(tenant string) (mails []bridge.Mail) {
	h.t.Helper()
	rows, err := h.outbox().table.Scan(h.t.Context(), store.Place{Tenant: tenant}, "", "", 1000)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, row := range rows {
		mails = append(mails, row.Value)
	}
	return mails
}

// call is a request as bytes on the wire.
type call struct {
	who, method, target string
	headers             []string // lines
	body                string
}

type answer struct {
	*http.Response
	raw  []byte
	body map[string]any
}

func (a answer) code() string {
	kind, _ := a.body["type"].(string)
	return strings.TrimPrefix(kind, "urn:bridge:error:")
}

// do sends a request byte for byte and holds the answer to the document.
func (h *house) do(c call) answer {
	h.t.Helper()
	conn, err := net.Dial("tcp", h.addr)
	if err != nil {
		h.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	var request bytes.Buffer
	fmt.Fprintf(&request, "%s %s HTTP/1.1\r\nHost: bridge.example\r\n", c.method, c.target)
	if c.who != "" {
		fmt.Fprintf(&request, "Authorization: Basic %s\r\n", base64.StdEncoding.EncodeToString([]byte(c.who+":secret")))
	}
	if c.body != "" {
		fmt.Fprintf(&request, "Content-Length: %d\r\n", len(c.body))
		if !slices.ContainsFunc(c.headers, func(line string) bool { return strings.HasPrefix(line, "Content-Type:") }) {
			request.WriteString("Content-Type: application/json\r\n")
		}
	} else if c.method == http.MethodPost || c.method == http.MethodPut {
		request.WriteString("Content-Length: 0\r\n")
	}
	for _, line := range c.headers {
		if line != "Content-Type:" {
			request.WriteString(line + "\r\n")
		}
	}
	request.WriteString("\r\n" + c.body)
	if _, err := conn.Write(request.Bytes()); err != nil {
		h.t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: c.method})
	if err != nil {
		h.t.Fatalf("%s %s: %v", c.method, c.target, err)
	}
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	a := answer{Response: res, raw: raw}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &a.body); err != nil {
			h.t.Fatalf("%s %s: %s is no JSON object: %v", c.method, c.target, raw, err)
		}
	}
	h.manners(c, a)
	h.documented(c, a)
	return a
}

// manners are what every answer has.
func (h *house) manners(c call, a answer) {
	h.t.Helper()
	for name, want := range map[string]string{"Cache-Control": "no-store", "Pragma": "no-cache", "X-Content-Type-Options": "nosniff"} {
		if got := a.Header.Get(name); got != want {
			h.t.Errorf("%s %s: %s is %q", c.method, c.target, name, got)
		}
	}
	if a.Header.Get("X-Request-Id") == "" || a.Header.Get("Location") != "" || a.Header.Get("ETag") != "" {
		h.t.Errorf("%s %s: headers %v", c.method, c.target, a.Header)
	}
	media := a.Header.Get("Content-Type")
	if len(a.raw) > 0 && !strings.HasSuffix(media, ";charset=UTF-8") {
		h.t.Errorf("%s %s: Content-Type %q", c.method, c.target, media)
	}
}

// documented holds an answer to users.yaml, if the request is for one of its
// routes.
func (h *house) documented(c call, a answer) {
	h.t.Helper()
	r, err := http.NewRequest(c.method, "http://bridge.example/", nil)
	if err != nil {
		h.t.Fatal(err)
	}
	path, _, _ := strings.Cut(c.target, "?")
	if r.URL, err = r.URL.Parse("http://bridge.example" + path); err != nil {
		return
	}
	var match mux.RouteMatch
	if !h.router.Match(r, &match) || match.MatchErr != nil {
		return
	}
	template, err := match.Route.GetPathTemplate()
	if err != nil {
		h.t.Fatal(err)
	}
	item := h.doc.Paths.Value(documentPath(template))
	if item == nil || item.GetOperation(c.method) == nil {
		h.t.Fatalf("%s %s is not in the document", c.method, template)
	}
	input := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: r, Route: &routers.Route{
			Spec: h.doc, PathItem: item, Method: c.method, Operation: item.GetOperation(c.method),
		}},
		Status: a.StatusCode, Header: a.Header, Options: &openapi3filter.Options{IncludeResponseStatus: true},
	}
	if err := openapi3filter.ValidateResponse(h.t.Context(), input.SetBodyBytes(a.raw)); err != nil {
		h.t.Errorf("%s %s: %d %s is not as documented: %v", c.method, c.target, a.StatusCode, a.raw, err)
	}
}

// documentPath is the path of the document that a route's template stands for.
func documentPath(template string) string {
	path := strings.ReplaceAll(template, "{id:[^/]*}", "{id}")
	for _, base := range []string{"/v1/tenants/{tenant:[0-9a-z-]+}", "/v1"} {
		if rest, ok := strings.CutPrefix(path, base); ok {
			return rest
		}
	}
	return path
}

// document is users.yaml.
func document(t *testing.T) *openapi3.T {
	t.Helper()
	text, err := openapi.Document("users")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}
