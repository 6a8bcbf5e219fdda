package op_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/drawbridge-id/drawbridge/claims"
	"github.com/drawbridge-id/drawbridge/claims/hook"
	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/boltstore"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// check is must where there is no test.
func check(err error) {
	if err != nil {
		panic(err)
	}
}

type dir struct{ path string }

func tempDir() dir {
	path, err := os.MkdirTemp("", "drawbridge-op-")
	check(err)
	return dir{path}
}

func (d dir) remove() { check(os.RemoveAll(d.path)) }

// faulty is the engine with faults between it and its caller.
type faulty struct {
	store.Engine
	mu       sync.Mutex
	commits  int
	onCommit func(ops []store.Op) error
	onGet    func(k store.Key) error
}

func (f *faulty) Commit(ctx context.Context, ops ...store.Op) (store.Version, error) {
	f.mu.Lock()
	f.commits++
	hook := f.onCommit
	f.mu.Unlock()
	if hook != nil {
		if err := hook(ops); err != nil {
			return 0, err
		}
	}
	return f.Engine.Commit(ctx, ops...)
}

func (f *faulty) Get(ctx context.Context, k store.Key) (store.Record, error) {
	if err := f.asked(k); err != nil {
		return store.Record{}, err
	}
	return f.Engine.Get(ctx, k)
}

func (f *faulty) GetAll(ctx context.Context, keys ...store.Key) ([]store.Record, error) {
	if err := f.asked(keys...); err != nil {
		return nil, err
	}
	return f.Engine.GetAll(ctx, keys...)
}

func (f *faulty) asked(keys ...store.Key) error {
	f.mu.Lock()
	hook := f.onGet
	f.mu.Unlock()
	for _, k := range keys {
		if hook == nil {
			break
		}
		if err := hook(k); err != nil {
			return err
		}
	}
	return nil
}

// arm sets what goes wrong from now on; nil is nothing.
func (f *faulty) arm(onCommit func([]store.Op) error, onGet func(store.Key) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.onCommit, f.onGet = onCommit, onGet
}

func (f *faulty) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.commits
}

// dump is everything that is in the store.
func (h *house) dump() map[string]string {
	h.t.Helper()
	path := filepath.Join(h.t.TempDir(), "copy.db")
	file, err := os.Create(path)
	must(h.t, err)
	must(h.t, h.engine.Engine.(*boltstore.Engine).Backup(h.t.Context(), file))
	must(h.t, file.Close())
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
	must(h.t, err)
	defer db.Close()
	all := map[string]string{}
	var walk func(prefix string, b *bbolt.Bucket) error
	walk = func(prefix string, b *bbolt.Bucket) error {
		return b.ForEach(func(k, v []byte) error {
			if v == nil {
				return walk(prefix+string(k)+" ", b.Bucket(k))
			}
			all[prefix+string(k)] = string(v)
			return nil
		})
	}
	must(h.t, db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error { return walk(string(name)+" ", b) })
	}))
	return all
}

// unchanged runs f and fails if the store is another afterwards.
func (h *house) unchanged(what string, f func()) {
	h.t.Helper()
	before := h.dump()
	f()
	if after := h.dump(); !maps.Equal(before, after) {
		for k := range after {
			if before[k] != after[k] {
				h.t.Errorf("%s changed the store: %q", what, k)
			}
		}
		for k := range before {
			if _, still := after[k]; !still {
				h.t.Errorf("%s removed from the store: %q", what, k)
			}
		}
	}
}

// hookServer is a real claims hook that tests script.
type hookServer struct {
	*httptest.Server
	mu     sync.Mutex
	answer http.HandlerFunc
	seen   []hookCall
}

// hookCall is what the hook was sent.
type hookCall struct {
	User struct {
		ID string `json:"id"`
	} `json:"user"`
	Scopes  []string            `json:"scopes"`
	Claims  map[string]any      `json:"claims"`
	Context map[string][]string `json:"contextCustomParams"`
}

func newHookServer(t testing.TB) *hookServer {
	s := &hookServer{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var call hookCall
		if err := json.NewDecoder(r.Body).Decode(&call); err != nil {
			t.Errorf("the hook was sent no JSON: %v", err)
		}
		s.mu.Lock()
		s.seen = append(s.seen, call)
		answer := s.answer
		s.mu.Unlock()
		if answer == nil {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// says makes the hook answer with a status and a body.
func (s *hookServer) says(status int, body string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

// does makes the hook answer by a function.
func (s *hookServer) does(answer http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// last is the newest call.
func (s *hookServer) last(t testing.TB) hookCall {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.seen) == 0 {
		t.Fatal("the hook was not called")
	}
	return s.seen[len(s.seen)-1]
}

// lines is the log.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// has says whether one audit line has all the words.
func (l *lines) has(words ...string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.text.String()) {
		found := strings.Contains(line, `"audit":true`)
		for _, w := range words {
			found = found && strings.Contains(line, w)
		}
		if found {
			return true
		}
	}
	return false
}

// clients are those of every tenant.
func (h *house) clients(s *setup) []federation.Client {
	h.t.Helper()
	plain, hooked, strict := h.pipeline(false), h.pipeline(false, h.stage(s.hook)), h.pipeline(true, h.stage(s.hook))
	var all []federation.Client
	tenants := []string{"default", "acme", "solo"}
	if s.late {
		tenants = append(tenants, "late")
	}
	for _, tenant := range tenants {
		shop := federation.Client{
			ID: "shop", Tenant: tenant, Name: "The Shop", AuthMethod: federation.AuthBasic, Secrets: []federation.Secret{"shop secret: 100% & more"},
			RedirectURIs:           []string{"https://shop.example/cb", "https://shop.example/cb?tenant=a%20b"},
			PostLogoutRedirectURIs: []string{"https://shop.example/bye", "https://shop.example/bye?kept=1"},
			GrantTypes:             []string{"authorization_code", "refresh_token"}, IDTokenAlg: federation.RS256,
			Scopes:    []string{"openid", "profile", "email", "address", "phone", "offline_access"},
			Upstreams: []string{"corp"}, DefaultMaxAge: -1, Pipeline: plain,
		}
		with := func(id string, change func(*federation.Client)) {
			c := shop
			c.ID, c.Name, c.RedirectURIs = id, "", []string{"https://" + id + ".example/cb"}
			change(&c)
			all = append(all, c)
		}
		all = append(all, shop)
		with("post", func(c *federation.Client) {
			c.AuthMethod, c.Secrets, c.IDTokenAlg = federation.AuthPost, []federation.Secret{"new", "old"}, federation.ES256
		})
		with("spa", func(c *federation.Client) { c.AuthMethod, c.Secrets = federation.AuthNone, nil })
		with("app", func(c *federation.Client) {
			c.AuthMethod, c.Secrets, c.RedirectURIs = federation.AuthNone, nil, []string{"com.example.app:/cb"}
		})
		with("ask", func(c *federation.Client) { c.AskConsent = true })
		with("wide", func(c *federation.Client) { c.Upstreams = []string{"corp", "partner"} })
		with("partners", func(c *federation.Client) { c.Upstreams = []string{"partner"} })
		with("aged", func(c *federation.Client) { c.DefaultMaxAge = 60 })
		with("hooked", func(c *federation.Client) {
			c.Pipeline, c.HookParams = hooked, []string{"channel", "tier"}
			c.HookContext = map[string][]string{"tier": {"gold"}}
		})
		with("strict", func(c *federation.Client) { c.Pipeline = strict })
		with("once", func(c *federation.Client) { c.GrantTypes = []string{"authorization_code"} })
	}
	return all
}

// pipeline maps one claim into the ID token and asks the stages.
func (h *house) pipeline(strict bool, stages ...claims.Stage) *claims.Pipeline {
	h.t.Helper()
	guard, err := claims.NewGuard(nil, strict)
	must(h.t, err)
	mapping, err := claims.Compile([]claims.Rule{{Claim: "department", From: []string{"dept"}}, {Claim: "group_permissions", From: []string{"groups"}}})
	must(h.t, err)
	p, err := claims.NewPipeline(guard, claims.Options{Mapping: mapping, Stages: stages, IDToken: []string{"department", "group_permissions"}, AccessToken: []string{"department"}})
	must(h.t, err)
	return p
}

func (h *house) stage(change func(*hook.Options)) claims.Stage {
	h.t.Helper()
	o := hook.Options{ID: "enrich", URL: h.hooks.URL + "/v1/customize-token", Client: &http.Client{Timeout: 5 * time.Second},
		Now: h.clock.now, Timeout: 5 * time.Second, OnFailure: hook.Deny}
	if change != nil {
		change(&o)
	}
	s, err := hook.New(o)
	must(h.t, err)
	return s
}

func body(t testing.TB, res *http.Response) string {
	t.Helper()
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	must(t, err)
	return string(text)
}

type (
	storeKey = store.Key
	storeOp  = store.Op
)

var errBroken = errors.New("the disk is on fire")

func contains(text, part string) bool { return strings.Contains(text, part) }

// all is the whole log.
func (l *lines) all() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
