package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/openapi/wire"
)

// keeper is a management listener that serves the store's routes of an app, and
// the configuration of somebody who may use them.
func keeper(t *testing.T, cfg config.Config, app *App) config.Config {
	t.Helper()
	password, _ := secrets("PLATFORM_PASSWORD")
	credential := func(name string, tenants, scopes []string) config.Credential {
		return config.Credential{Username: name, Password: config.NewSecret(password), Tenants: tenants, Scopes: scopes}
	}
	cfg.Management.Credentials = []config.Credential{
		credential("one-tenant", []string{"default"}, []string{"store"}),
		credential("other-scope", []string{"*"}, []string{"users", "sessions"}),
		credential("keeper", []string{"*"}, []string{"store"}),
	}
	o := wire.AuthOptions{}
	for _, c := range cfg.Management.Credentials {
		o.Basic = append(o.Basic, wire.Credential{
			Username: c.Username, Secrets: [][sha256.Size]byte{sha256.Sum256([]byte(password))}, Tenants: c.Tenants, Scopes: c.Scopes,
		})
	}
	authenticate, err := wire.Authenticate(o)
	if err != nil {
		t.Fatal(err)
	}
	api := wire.NewRouter()
	app.mountStore(api)
	server := httptest.NewServer(authenticate(api))
	t.Cleanup(server.Close)
	cfg.Management.Listen = strings.TrimPrefix(server.URL, "http://")
	return cfg
}

// TestBackupWhileTheServerRuns copies the store of a server that goes on
// writing: the copy is sound and can be restored.
func TestBackupWhileTheServerRuns(t *testing.T) {
	t.Parallel()
	cfg := load(t, storeFile(t))
	app, _ := serveOnce(t, cfg)
	newBrowser(t, app).authorize("")
	ctx, stop := context.WithCancel(t.Context())
	wrote := make(chan error, 1)
	go func() {
		for {
			_, err := app.engine.Commit(ctx, store.Mark(app.engine.Layout().Place("default"), "busy", time.Now()))
			if err != nil {
				wrote <- err
				return
			}
		}
	}()
	asked := keeper(t, cfg, app)
	copied := filepath.Join(t.TempDir(), "copy")
	if err := backup(t.Context(), asked, copied, ""); err != nil {
		t.Fatal(err)
	}
	stop()
	if err := <-wrote; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if info, err := os.Stat(copied); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the copy is %v, %v", info, err)
	}
	if report := sound(t, cfg, copied); !strings.Contains(report, "\nsession ") {
		t.Errorf("the copy has no session:\n%s", report)
	}
	cfg.Store.Path = filepath.Join(t.TempDir(), "restored.db")
	if err := restore(t.Context(), cfg, copied); err != nil {
		t.Error(err)
	}
	sound(t, cfg, "")
}

func TestBackupIsForThoseWhoMay(t *testing.T) {
	t.Parallel()
	cfg := load(t, storeFile(t))
	app, _ := serveOnce(t, cfg)
	asked := keeper(t, cfg, app)
	to := filepath.Join(t.TempDir(), "copy")
	for _, name := range []string{"one-tenant", "other-scope"} {
		if err := backup(t.Context(), asked, to, name); err == nil || !strings.Contains(err.Error(), "403") {
			t.Errorf("%s is answered %v", name, err)
		}
	}
	asked.Management.Listen = "127.0.0.1:1"
	if err := backup(t.Context(), asked, to, ""); err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("a server that is not there answers %v", err)
	}
	if left, err := os.ReadDir(filepath.Dir(to)); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestABackupThatEndsEarlyIsNone: the connection is cut, so that nobody takes
// the half for the whole.
func TestABackupThatEndsEarlyIsNone(t *testing.T) {
	t.Parallel()
	cfg := load(t, storeFile(t))
	app, _ := serveOnce(t, cfg)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		r = r.WithContext(wire.WithCaller(ctx, wire.Caller{Tenants: []string{wire.EveryTenant}, Scopes: []string{"store"}}))
		wire.Endpoint(app.backupStore).ServeHTTP(&ending{ResponseWriter: w, end: cancel}, r)
	}))
	defer server.Close()
	asked := keeper(t, cfg, app)
	asked.Management.Listen = strings.TrimPrefix(server.URL, "http://")
	to := filepath.Join(t.TempDir(), "copy")
	if err := backup(t.Context(), asked, to, ""); err == nil {
		t.Error("half a backup is taken for a whole one")
	}
	if left, err := os.ReadDir(filepath.Dir(to)); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// ending ends the request at its first byte.
type ending struct {
	http.ResponseWriter
	end func()
}

func (e *ending) Write(p []byte) (int, error) {
	e.end()
	return e.ResponseWriter.Write(p)
}
