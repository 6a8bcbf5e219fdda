package conformance

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
)

// party is where the relying parties of the suite are. It says what it was asked,
// so that the browser can tell, and keeps logout tokens.
type party struct {
	*httptest.Server

	mu   sync.Mutex
	told []visit
}

// visit is a request that a relying party had.
type visit struct {
	Method, Path, Query, Type, Body string
	// TLS is the version that was spoken.
	TLS uint16
}

// values are the parameters, wherever they are.
func (v visit) values(t testing.TB) url.Values {
	t.Helper()
	text := v.Query
	if v.Method == http.MethodPost {
		text = v.Body
	}
	all, err := url.ParseQuery(text)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return all
}

func newParty(t *testing.T, cert, key string) *party {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	p := &party{}
	p.Server = httptest.NewUnstartedServer(p)
	p.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	p.StartTLS()
	t.Cleanup(p.Close)
	return p
}

// ServeHTTP implements http.Handler.
func (p *party) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	v := visit{Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery, Type: r.Header.Get("Content-Type"), Body: string(body), TLS: r.TLS.Version}
	if v.Path == "/back" {
		p.mu.Lock()
		p.told = append(p.told, v)
		p.mu.Unlock()
		return
	}
	_ = json.NewEncoder(w).Encode(v)
}

func (p *party) callback(c client) string { return p.URL + "/cb/" + c.id }
func (p *party) bye(c client) string      { return p.URL + "/bye/" + c.id }

// heard are the logout tokens so far.
func (p *party) heard() []visit {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]visit{}, p.told...)
}
