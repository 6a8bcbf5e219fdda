package bridge_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/drawbridge-id/drawbridge/bridge"
	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/boltstore"
	"github.com/drawbridge-id/drawbridge/openapi/wire"
)

// Whatever stands where an id belongs: the answer is one of the contract's, and
// the directory sees an id only if it is 1 to 256 bytes of plain text, and then
// exactly the one that was sent.
func FuzzID(f *testing.F) {
	for _, seed := range []string{ada, "corp|65a1", "..", ".", "", "%2e%2e", "a/b", "a%2Fb", "\x00", "\xff", "a\u0085b", strings.Repeat("x", 257), "x/email-verified", "?", "a b", "%"} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	engine, err := boltstore.Open(boltstore.Options{Path: filepath.Join(f.TempDir(), "store.db"), Now: time.Now})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = engine.Close() })
	var asked []string
	service, err := bridge.New(bridge.Options{
		Engine: engine, Tenant: tenants, Now: time.Now,
		Directory: bridge.Directory{Get: func(_ context.Context, _ store.Place, id string) (bridge.User, error) {
			asked = append(asked, id)
			return bridge.User{}, bridge.Fail(bridge.KindNotFound)
		}},
	})
	if err != nil {
		f.Fatal(err)
	}
	handler, err := bridge.NewHandler(bridge.HandlerOptions{Service: service})
	if err != nil {
		f.Fatal(err)
	}
	router := wire.NewRouter()
	handler.Mount(router)
	f.Fuzz(func(t *testing.T, id string, escape bool) {
		asked = nil
		r := httptest.NewRequest(http.MethodGet, users, nil)
		escaped := users + "/" + id
		if escape {
			escaped = users + "/" + url.PathEscape(id)
		}
		u, err := url.ParseRequestURI(escaped)
		if err != nil {
			return // no server would hand such a request on
		}
		r.URL = u
		r = r.WithContext(wire.WithCaller(r.Context(), wire.Caller{Name: "p", Tenants: []string{"acme"}, Scopes: []string{"users"}}))
		w := record(router, r)
		switch w.Code {
		case http.StatusNotFound, http.StatusBadRequest, http.StatusMethodNotAllowed:
		default:
			t.Fatalf("%q: %d %s", escaped, w.Code, w.Body)
		}
		for _, got := range asked {
			if got == "" || got == "." || got == ".." || len(got) > 256 || !utf8.ValidString(got) || strings.ContainsFunc(got, unicode.IsControl) {
				t.Fatalf("%q reached the directory", got)
			}
			if escape && got != id {
				t.Fatalf("%q was sent, %q reached the directory", id, got)
			}
		}
	})
}
