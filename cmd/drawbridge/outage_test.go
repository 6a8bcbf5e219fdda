package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/federation/session"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

// downable is an engine whose every call answers an error while there is one.
type downable struct {
	storage
	with atomic.Pointer[error]
}

func (f *downable) err() error {
	if err := f.with.Load(); err != nil {
		return *err
	}
	return nil
}

func (f *downable) fail(err error) { f.with.Store(&err) }
func (f *downable) mend()          { f.with.Store(nil) }

func (f *downable) Get(ctx context.Context, k store.Key) (store.Record, error) {
	if err := f.err(); err != nil {
		return store.Record{}, err
	}
	return f.storage.Get(ctx, k)
}

func (f *downable) GetAll(ctx context.Context, keys ...store.Key) ([]store.Record, error) {
	if err := f.err(); err != nil {
		return nil, err
	}
	return f.storage.GetAll(ctx, keys...)
}

func (f *downable) Scan(ctx context.Context, r store.Range) ([]store.Record, error) {
	if err := f.err(); err != nil {
		return nil, err
	}
	return f.storage.Scan(ctx, r)
}

func (f *downable) Commit(ctx context.Context, ops ...store.Op) (store.Version, error) {
	if err := f.err(); err != nil {
		return 0, err
	}
	return f.storage.Commit(ctx, ops...)
}

func (f *downable) ReadLog(ctx context.Context, p store.Partition, after store.Position, n int, wait time.Duration) ([]store.Entry, error) {
	if err := f.err(); err != nil {
		return nil, err
	}
	return f.storage.ReadLog(ctx, p, after, n, wait)
}

func (f *downable) Now(ctx context.Context) (time.Time, error) {
	if err := f.err(); err != nil {
		return time.Time{}, err
	}
	return f.storage.Now(ctx)
}

// serveDownable runs an app over an engine that can be told to fail.
func serveDownable(t *testing.T, cfg config.Config) (*App, *downable) {
	t.Helper()
	var eng *downable
	app, err := newOver(cfg, slog.New(slog.DiscardHandler), func(cfg config.Config, log *slog.Logger) (storage, error) {
		opened, err := openStorage(cfg, log)
		eng = &downable{storage: opened}
		return eng, err
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- app.Run(ctx) }()
	t.Cleanup(func() {
		eng.mend()
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the app ended with %v", err)
		}
	})
	return app, eng
}

// operator is the configuration with a credential that may do everything.
func operator(cfg config.Config) config.Config {
	password, _ := secrets("PLATFORM_PASSWORD")
	cfg.Management.Credentials = []config.Credential{{
		Username: "operator", Password: config.NewSecret(password), Tenants: []string{"*"},
		Scopes: []string{"users", "events", "sessions", "webhooks", "keys", "nodes", "store"},
	}}
	return cfg
}

// manage makes a management call.
func manage(t *testing.T, app *App, method, path, body string) (int, http.Header, string) {
	t.Helper()
	password, _ := secrets("PLATFORM_PASSWORD")
	return ask(t, "http://"+app.ManagementAddr()+path, method, "operator", password, "application/json", body)
}

func ask(t *testing.T, address, method, user, password, media, body string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", media)
	}
	if user == "bearer" {
		req.Header.Set("Authorization", "Bearer "+password)
	} else {
		req.SetBasicAuth(user, password)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(text)
}

// Whatever an answer needs of a store that cannot give it is 503 with
// Retry-After on both listeners, says nothing of why, and is as it was when the
// store is back. Readiness is red meanwhile.
func TestAnswersWhileTheStoreFails(t *testing.T) {
	t.Parallel()
	app, eng := serveDownable(t, operator(load(t, storeFile(t))))
	b := newBrowser(t, app)
	form := func(code string) url.Values {
		return url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {"http://127.0.0.1:9100/callback"}}
	}
	access, refresh := b.tokens(form(b.authorize("").Get("code")))
	code := b.authorize("").Get("code")
	tenant, _ := app.tenant("default")
	alice, err := app.persons.ByAlias(t.Context(), tenant, "corp", "alice")
	if err != nil {
		t.Fatal(err)
	}
	found, _, err := app.sessions.List(t.Context(), tenant, session.Filter{}, "", 1)
	if err != nil || len(found) != 1 {
		t.Fatalf("%d sessions, %v", len(found), err)
	}
	secret, _ := secrets("SHOP_SECRET")
	public := func(path, user, password string, form url.Values) func() (int, http.Header, string) {
		return func() (int, http.Header, string) {
			method := http.MethodPost
			if form == nil {
				method = http.MethodGet
			}
			return ask(t, "http://"+app.PublicAddr()+path, method, user, password, "application/x-www-form-urlencoded", form.Encode())
		}
	}
	calls := map[string]func() (int, http.Header, string){
		"code":     public("/token", "shop", secret, form(code)),
		"refresh":  public("/token", "shop", secret, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}}),
		"userinfo": public("/userinfo", "bearer", access, nil),
		"revoke":   public("/revoke", "shop", secret, url.Values{"token": {refresh}}),
		"a bearer token": func() (int, http.Header, string) {
			return ask(t, "http://"+app.ManagementAddr()+"/v1/sessions", "GET", "bearer", access, "", "")
		},
	}
	for _, call := range []string{
		"GET /sessions", "GET /sessions/" + found[0].ID, "DELETE /sessions/" + found[0].ID,
		"GET /session-webhooks/crm/deliveries", "GET /deliveries/crm_x", "POST /deliveries/crm_x/replay",
		"GET /keys", "POST /keys/rotate", "DELETE /keys/x",
		"GET /users/" + alice.ID, "GET /users?email=a@corp.example", "GET /users?customer=x", "DELETE /users/" + alice.ID,
		"PUT /users/" + alice.ID + "/email-verified",
	} {
		method, path, _ := strings.Cut(call, " ")
		calls[call] = func() (int, http.Header, string) { return manage(t, app, method, "/v1/tenants/default"+path, "") }
	}
	calls["GET /v1/nodes"] = func() (int, http.Header, string) { return manage(t, app, "GET", "/v1/nodes", "") }
	for _, down := range []error{store.ErrUnavailable, store.ErrUnknown, store.ErrUnsafe, store.ErrLost} {
		eng.fail(fmt.Errorf("a cause that nobody is told: %w", down))
		if status, _ := get(t, "http://"+app.ManagementAddr()+"/readyz"); status != http.StatusServiceUnavailable {
			t.Errorf("%v: readiness is %d", down, status)
		}
		for _, name := range slices.Sorted(maps.Keys(calls)) {
			status, header, body := calls[name]()
			if status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" || strings.Contains(body, "cause") || !strings.Contains(header.Get("Content-Type"), "json") {
				t.Errorf("%v: %s: %d, Retry-After %q: %s", down, name, status, header.Get("Retry-After"), body)
			}
		}
	}
	eng.mend()
	if status, _ := get(t, "http://"+app.ManagementAddr()+"/readyz"); status != http.StatusOK {
		t.Errorf("readiness is %d when the store is back", status)
	}
	if status, _, body := calls["userinfo"](); status != http.StatusOK {
		t.Errorf("userinfo: %d %s", status, body)
	}
	b.tokens(form(code))
	if _, err := app.persons.Get(t.Context(), tenant, alice.ID); err != nil {
		t.Errorf("a call that failed has done something: %v", err)
	}
	if _, err := app.sessions.Live(t.Context(), tenant, found[0].ID); err != nil {
		t.Errorf("a call that failed has done something: %v", err)
	}
}
