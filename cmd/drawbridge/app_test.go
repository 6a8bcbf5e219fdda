package main

import (
	"context"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/federation/upstream/upstreamtest"
)

// secrets are what the configuration of a test refers to.
func secrets(name string) (string, bool) {
	value, ok := map[string]string{
		"CORP_SECRET": "upstream-secret", "SHOP_SECRET": "shop-secret-Zk39xQw83Lm", "PLATFORM_PASSWORD": "pL4tf0rm-9fKq2-xx8Zr-b7",
	}[name]
	return value, ok
}

// file is the configuration of DESIGN §5 for a test: any free port, and the
// upstream and the store of the test.
func file(t *testing.T, upstream, more string) string {
	t.Helper()
	return `
issuer: http://127.0.0.1:8080
listen: 127.0.0.1:0
management:
  listen: 127.0.0.1:0
  credentials:
    - {username: platform, password: "${env:PLATFORM_PASSWORD}", tenants: [default], scopes: [users, sessions, webhooks]}
store: {engine: bolt, path: "` + filepath.ToSlash(filepath.Join(t.TempDir(), "drawbridge.db")) + `"}
upstreams:
  - {id: corp, type: oidc, issuer: "` + upstream + `", client_id: drawbridge, client_secret: "${env:CORP_SECRET}", domains: [corp.example]}
clients:
  - client_id: shop
    client_secret: "${env:SHOP_SECRET}"
    redirect_uris: [http://127.0.0.1:9100/callback]
    upstreams: [corp]
    consent: skip
egress: {upstreams: [127.0.0.0/8], hooks: [127.0.0.0/8], webhooks: [127.0.0.0/8]}
` + more
}

func load(t *testing.T, text string) config.Config {
	t.Helper()
	cfg, problems := config.Load("test.yaml", []byte(text), config.Options{Env: secrets})
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return cfg
}

// start runs an app until the test ends, and holds it to a clean end.
func start(t *testing.T, text string) *App {
	t.Helper()
	app, err := New(load(t, text), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- app.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("the app ended with %v", err)
			}
		case <-time.After(30 * time.Second):
			t.Error("the app does not end")
		}
	})
	return app
}

func get(t *testing.T, address string) (int, http.Header) {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode, res.Header
}

func TestTheAppServesBothListeners(t *testing.T) {
	p := upstreamtest.New(t)
	app := start(t, file(t, p.URL, ""))
	for address, want := range map[string]int{
		"http://" + app.PublicAddr() + "/.well-known/openid-configuration": 200, "http://" + app.PublicAddr() + "/jwks": 200,
		"http://" + app.PublicAddr() + "/healthz": 404, "http://" + app.PublicAddr() + "/metrics": 404, "http://" + app.PublicAddr() + "/v1/users": 404,
		"http://" + app.ManagementAddr() + "/healthz": 200, "http://" + app.ManagementAddr() + "/readyz": 200, "http://" + app.ManagementAddr() + "/metrics": 200,
		"http://" + app.ManagementAddr() + "/openapi/users.yaml": 200, "http://" + app.ManagementAddr() + "/openapi/nothing.yaml": 404,
		"http://" + app.ManagementAddr() + "/v1/users?email=a@b.example": 401, "http://" + app.ManagementAddr() + "/v1/sessions": 401,
	} {
		if got, _ := get(t, address); got != want {
			t.Errorf("%s: %d, want %d", address, got, want)
		}
	}
}

func authorizeAt(app *App, client string) string {
	return "http://" + app.PublicAddr() + "/authorize?response_type=code&scope=openid&client_id=" + client + "&redirect_uri=http://127.0.0.1:9100/callback"
}

func TestReloadIsWholeOrNotAtAll(t *testing.T) {
	p := upstreamtest.New(t)
	text := file(t, p.URL, "")
	app := start(t, text)
	if status, _ := get(t, authorizeAt(app, "desk")); status != http.StatusBadRequest {
		t.Fatalf("a client that is not configured: %d", status)
	}
	desk := `  - {client_id: desk, token_endpoint_auth_method: none, redirect_uris: ["http://127.0.0.1:9100/callback"], consent: skip}
`
	more := strings.Replace(text, "egress:", desk+"egress:", 1)
	broken := load(t, strings.Replace(more, "egress:", `session_webhooks: [{id: x, url: "http://127.0.0.1:1/", body: "{", headers: {Content-Type: application/json}}]`+"\negress:", 1))
	before := app.live.Load()
	app.Reload(t.Context(), broken)
	if app.live.Load() != before {
		t.Fatal("a configuration that cannot be built was put in force")
	}
	app.Reload(t.Context(), load(t, more))
	status, h := get(t, authorizeAt(app, "desk")+"&code_challenge_method=S256&code_challenge="+"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")
	if status != http.StatusSeeOther || !strings.HasPrefix(h.Get("Location"), p.URL+"/authorize?") {
		t.Fatalf("a new client is sent to %d %s", status, h.Get("Location"))
	}
	if app.live.Load().connectors["default/corp"].oidc != before.connectors["default/corp"].oidc {
		t.Error("a connector that did not change was made anew")
	}
	if n := p.Hits("/.well-known/openid-configuration"); n != 1 {
		t.Errorf("%d discoveries, want 1", n)
	}
}

func TestStartUpRefusesWhatOnlyBuildingShows(t *testing.T) {
	p := upstreamtest.New(t)
	for name, more := range map[string]string{
		"template":     `session_webhooks: [{id: x, url: "http://127.0.0.1:1/", body: '{"a":"${nope}"}', headers: {Content-Type: application/json}}]`,
		"unknown type": `session_webhooks: [{id: x, url: "http://127.0.0.1:1/", body: "a${b}", headers: {}}]`,
	} {
		_, err := New(load(t, file(t, p.URL, more)), slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), "session_webhooks[0].body") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTwoProcessesDoNotShareOneStore(t *testing.T) {
	p := upstreamtest.New(t)
	text := file(t, p.URL, "")
	start(t, text)
	if _, err := New(load(t, text), slog.New(slog.DiscardHandler)); err == nil {
		t.Fatal("a second process opened the store")
	}
}
