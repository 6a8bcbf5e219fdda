package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/boltstore"
	"github.com/drawbridge-id/drawbridge/federation/upstream/upstreamtest"
)

// storeFile is a configuration whose client may refresh and whose webhook
// nobody answers.
func storeFile(t *testing.T) string {
	t.Helper()
	idp := upstreamtest.New(t)
	idp.Set(upstreamtest.Knobs{Claims: map[string]any{"sid": "of-the-upstream"}})
	text := file(t, idp.URL, `session_webhooks: [{id: crm, url: "http://127.0.0.1:1/", body: "{}", headers: {Content-Type: application/json}}]`)
	text = strings.Replace(text, "    consent: skip", "    consent: skip\n    grant_types: [authorization_code, refresh_token]", 1)
	return strings.Replace(text, "store: {", `store: {sealing_keys: [{id: k1, key: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=}], `, 1)
}

// serveOnce runs an app until it is stopped, which may be before the test ends.
func serveOnce(t *testing.T, cfg config.Config) (*App, func()) {
	t.Helper()
	app, err := New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- app.Run(ctx) }()
	stopped := false
	stop := func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the app ended with %v", err)
		}
	}
	t.Cleanup(stop)
	return app, stop
}

// browser keeps its cookies from one app to the next, as for one address.
type browser struct {
	t   *testing.T
	jar http.CookieJar
	app *App
}

func (b *browser) client() *http.Client {
	issuer := "127.0.0.1:8080"
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		if address == issuer {
			address = b.app.PublicAddr()
		}
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
	return &http.Client{Jar: b.jar, Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true},
		CheckRedirect: func(r *http.Request, _ []*http.Request) error {
			if strings.HasSuffix(r.URL.Host, ":9100") {
				return http.ErrUseLastResponse
			}
			return nil
		}}
}

// authorize is what comes back at the relying party.
func (b *browser) authorize(more string) url.Values {
	b.t.Helper()
	res, err := b.client().Get("http://127.0.0.1:8080/authorize?response_type=code&scope=openid+offline_access&state=s&client_id=shop&redirect_uri=http://127.0.0.1:9100/callback" + more)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	back, err := res.Location()
	if err != nil {
		text, _ := io.ReadAll(res.Body)
		b.t.Fatalf("the visitor stands before %s: %s", res.Status, text)
	}
	return back.Query()
}

// tokens asks the token endpoint.
func (b *browser) tokens(form url.Values) (access, refresh string) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, "http://127.0.0.1:8080/token", strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	secret, _ := secrets("SHOP_SECRET")
	req.SetBasicAuth("shop", secret)
	res, err := b.client().Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	var answer struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || answer.Access == "" || answer.Refresh == "" {
		b.t.Fatalf("the token endpoint answers %s, %v", res.Status, err)
	}
	return answer.Access, answer.Refresh
}

func (b *browser) userinfo(access string) int {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, "http://127.0.0.1:8080/userinfo", nil)
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+access)
	res, err := b.client().Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

// signedIn is a store in which somebody signed in, has tokens, and somebody
// else was signed out, whose webhook waits.
func signedIn(t *testing.T, cfg config.Config) (b *browser, access, refresh string) {
	t.Helper()
	app, stop := serveOnce(t, cfg)
	other := newBrowser(t, app)
	other.authorize("")
	tenant, _ := app.tenant("default")
	alice, err := app.persons.ByAlias(t.Context(), tenant, "corp", "alice")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := app.sessions.EndAll(t.Context(), tenant, alice.ID, federation.Destroy, federation.Request{}); err != nil || n != 1 {
		t.Fatalf("%d sessions ended, %v", n, err)
	}
	b = newBrowser(t, app)
	code := b.authorize("").Get("code")
	access, refresh = b.tokens(url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {"http://127.0.0.1:9100/callback"}})
	stop()
	return b, access, refresh
}

func newBrowser(t *testing.T, app *App) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t: t, jar: jar, app: app}
}

// entries is the whole log, with what a new entry would stand behind.
func entries(t *testing.T, cfg config.Config) (all []store.Entry, head store.Position) {
	t.Helper()
	eng, err := openToRead(t.Context(), cfg, "")
	if err != nil {
		t.Fatal(err)
	}
	defer eng.Close()
	for item, err := range eng.Dump(t.Context()) {
		switch {
		case err != nil:
			t.Fatal(err)
		case item.Entry != nil:
			all = append(all, *item.Entry)
		case item.Head != nil:
			head = item.Head.Last
		}
	}
	return all, head
}

func sound(t *testing.T, cfg config.Config, file string) string {
	t.Helper()
	var out bytes.Buffer
	if err := checkStore(t.Context(), cfg, file, &out); err != nil {
		t.Errorf("%v\n%s", err, out.String())
	}
	return out.String()
}

// TestSessionsSurviveTheMove exports a store and imports it under another name:
// who was signed in still is, tokens and refresh tokens are good, no position
// of an event is used twice, and what was to be delivered still is.
func TestSessionsSurviveTheMove(t *testing.T) {
	t.Parallel()
	cfg := load(t, storeFile(t))
	b, access, refresh := signedIn(t, cfg)
	report := sound(t, cfg, "")
	for _, kind := range []string{"session ", "session.due", "session.person", "session.upstream", "person ", "person.alias", "token.family", "token.access", "token.code", "token.keys", "event_data", "job ", "job_due"} {
		if !strings.Contains(report, "\n"+kind) {
			t.Errorf("the store has no %s:\n%s", kind, report)
		}
	}
	before, last := entries(t, cfg)
	dump := filepath.Join(t.TempDir(), "store.dump")
	if _, err := exportStore(t.Context(), cfg, "", dump); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(dump); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the dump is %v, %v", info.Mode(), err)
	}
	text, err := os.ReadFile(dump)
	if err != nil || bytes.Contains(text, []byte("alice")) || !bytes.Contains(text, []byte(`"kind":"session"`)) {
		t.Errorf("what is sealed in the store is not in the dump, %v", err)
	}
	cfg.Store.Path = filepath.Join(t.TempDir(), "new", "drawbridge.db")
	if _, err := importStore(t.Context(), cfg, dump); err != nil {
		t.Fatal(err)
	}
	sound(t, cfg, "")
	after, head := entries(t, cfg)
	if len(after) != len(before) || len(after) == 0 || after[len(after)-1].Position != before[len(before)-1].Position || head.Compare(last) <= 0 || head.Epoch == last.Epoch {
		t.Errorf("the log had %d entries up to %v, and has %d and goes on after %v", len(before), last, len(after), head)
	}
	app, _ := serveOnce(t, cfg)
	b.app = app
	if status := b.userinfo(access); status != http.StatusOK {
		t.Errorf("the access token answers %d", status)
	}
	b.tokens(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}})
	if back := b.authorize("&prompt=none"); back.Get("code") == "" {
		t.Errorf("the session is gone: %v", back)
	}
}

func TestStoreCommandsOverwriteNothing(t *testing.T) {
	t.Parallel()
	cfg := load(t, storeFile(t))
	_, stop := serveOnce(t, cfg)
	stop()
	dir := t.TempDir()
	dump, copied, there := filepath.Join(dir, "dump"), filepath.Join(dir, "copy"), filepath.Join(dir, "there")
	if err := os.WriteFile(there, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := exportStore(t.Context(), cfg, "", dump); err != nil {
		t.Fatal(err)
	}
	if err := backup(t.Context(), cfg, copied, ""); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(cfg.Store.Path)
	if err != nil {
		t.Fatal(err)
	}
	_, err1 := exportStore(t.Context(), cfg, "", there)
	_, err2 := importStore(t.Context(), cfg, dump)
	for what, err := range map[string]error{"export": err1, "import": err2, "backup": backup(t.Context(), cfg, there, ""), "restore": restore(t.Context(), cfg, copied)} {
		if err == nil || !strings.Contains(err.Error(), "is there already") {
			t.Errorf("%s over what is there answers %v", what, err)
		}
	}
	if text, err := os.ReadFile(there); err != nil || string(text) != "precious" {
		t.Errorf("the file is %q, %v", text, err)
	}
	if after, err := os.ReadFile(cfg.Store.Path); err != nil || !bytes.Equal(after, before) {
		t.Errorf("the store was changed, %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 3 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestBadFilesLeaveNoStore(t *testing.T) {
	t.Parallel()
	cfg := load(t, storeFile(t))
	_, stop := serveOnce(t, cfg)
	stop()
	dir := t.TempDir()
	dump, copied := filepath.Join(dir, "dump"), filepath.Join(dir, "copy")
	if _, err := exportStore(t.Context(), cfg, "", dump); err != nil {
		t.Fatal(err)
	}
	if err := backup(t.Context(), cfg, copied, ""); err != nil {
		t.Fatal(err)
	}
	cfg.Store.Path = filepath.Join(t.TempDir(), "new.db")
	for name, use := range map[string]func(path string) error{
		dump:   func(path string) error { _, err := importStore(t.Context(), cfg, path); return err },
		copied: func(path string) error { return restore(t.Context(), cfg, path) },
	} {
		whole, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{0, 1, len(whole) / 2, len(whole) - 1} {
			if err := os.WriteFile(name+".cut", whole[:n], 0o600); err != nil {
				t.Fatal(err)
			}
			if err := use(name + ".cut"); err == nil {
				t.Errorf("%d bytes of %s are taken", n, filepath.Base(name))
			}
		}
		if err := use(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("no file answers %v", err)
		}
		if left, err := os.ReadDir(filepath.Dir(cfg.Store.Path)); err != nil || len(left) != 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	}
}

// TestRestoreBeginsANewEpoch: what was written after the backup is lost, and no
// position of it is used again.
func TestRestoreBeginsANewEpoch(t *testing.T) {
	t.Parallel()
	cfg := load(t, storeFile(t))
	b, _, _ := signedIn(t, cfg)
	copied := filepath.Join(t.TempDir(), "copy")
	if err := backup(t.Context(), cfg, copied, ""); err != nil {
		t.Fatal(err)
	}
	sound(t, cfg, copied)
	_, last := entries(t, cfg)
	cfg.Store.Path = filepath.Join(t.TempDir(), "restored.db")
	if err := restore(t.Context(), cfg, copied); err != nil {
		t.Fatal(err)
	}
	if _, head := entries(t, cfg); head.Epoch <= last.Epoch {
		t.Errorf("the log goes on after %v, and was at %v", head, last)
	}
	app, _ := serveOnce(t, cfg)
	b.app = app
	if back := b.authorize("&prompt=none"); back.Get("code") == "" {
		t.Errorf("the session is gone: %v", back)
	}
}

func TestStoreCommandsBesideAServer(t *testing.T) {
	t.Parallel()
	cfg := load(t, storeFile(t))
	serveOnce(t, cfg)
	_, err1 := exportStore(t.Context(), cfg, "", filepath.Join(t.TempDir(), "dump"))
	err2 := checkStore(t.Context(), cfg, "", io.Discard)
	for i, err := range []error{err1, err2} {
		if !errors.Is(err, boltstore.ErrInUse) || !strings.Contains(err.Error(), "stop the server") {
			t.Errorf("command %d answers %v", i+1, err)
		}
	}
	if err := backup(t.Context(), cfg, filepath.Join(t.TempDir(), "copy"), ""); err == nil || !strings.Contains(err.Error(), "no management credential may") {
		t.Errorf("a backup that nobody may ask for answers %v", err)
	}
	if err := backup(t.Context(), cfg, filepath.Join(t.TempDir(), "copy"), "nobody"); err == nil || !strings.Contains(err.Error(), "nobody") {
		t.Errorf("a credential that is not there answers %v", err)
	}
}
