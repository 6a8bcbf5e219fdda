package upstream

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/federation"
	"github.com/drawbridge-id/drawbridge/federation/upstream/upstreamtest"
)

func TestMetadataNamesAddresses(t *testing.T) {
	const https, http = "https://id.corp.example", "http://127.0.0.1:9000"
	whole := func(base string) metadata {
		return metadata{Authorization: base + "/a", Token: base + "/t", JWKS: base + "/k", Userinfo: base + "/u", EndSession: base + "/e"}
	}
	for name, c := range map[string]struct {
		issuer string
		change func(*metadata)
		good   bool
	}{
		"all over TLS":             {https, func(*metadata) {}, true},
		"all in the clear":         {http, func(m *metadata) { *m = whole(http) }, true},
		"TLS for more than needed": {http, func(*metadata) {}, true},
		"optional ones left out":   {https, func(m *metadata) { m.Userinfo, m.EndSession = "", "" }, true},
		"no token endpoint":        {https, func(m *metadata) { m.Token = "" }, false},
		"token in the clear":       {https, func(m *metadata) { m.Token = http }, false},
		"keys in the clear":        {https, func(m *metadata) { m.JWKS = http }, false},
		"userinfo in the clear":    {https, func(m *metadata) { m.Userinfo = http }, false},
		"keys from a file":         {https, func(m *metadata) { m.JWKS = "file:///etc/passwd" }, false},
		"userinfo from a file":     {http, func(m *metadata) { m.Userinfo = "file:///etc/passwd" }, false},
		"a script at the end":      {http, func(m *metadata) { m.EndSession = "javascript:alert(1)" }, false},
		"a path":                   {https, func(m *metadata) { m.Authorization = "/authorize" }, false},
		"only MACs":                {https, func(m *metadata) { m.Algs = []string{"HS256", "none"} }, false},
	} {
		m := whole(https)
		c.change(&m)
		if err := m.check(c.issuer); (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An issuer that is not the configured one is a lie, not an outage.
func TestDiscoveryOfAnotherIssuerIsDistrusted(t *testing.T) {
	p := upstreamtest.New(t)
	p.Set(upstreamtest.Knobs{Issuer: "https://evil.example"})
	_, err := connect(t, p, nil).AuthURL(t.Context(), attempt())
	lie, lies := errors.AsType[*Distrust](err)
	if failed, ok := errors.AsType[*federation.Error](err); !ok || failed.Code != federation.ServerError || !lies || lie.Check != "discovery" {
		t.Errorf("%v", err)
	}
}

// A provider does not choose how much of our log it fills.
func TestAFailedDiscoveryIsToldInBrief(t *testing.T) {
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
		_, _ = w.Write([]byte(strings.Repeat("long\n", 100_000)))
	}))
	defer far.Close()
	var log bytes.Buffer
	p := &upstreamtest.Provider{Server: far, ClientID: "drawbridge", ClientSecret: "upstream-secret"}
	c := connect(t, p, func(o *Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	_, err := c.AuthURL(t.Context(), attempt())
	if failed, ok := errors.AsType[*federation.Error](err); !ok || failed.Code != federation.TemporarilyUnavailable {
		t.Fatalf("%v", err)
	}
	if len(err.Error()) > 1000 || log.Len() > 1000 || log.Len() == 0 {
		t.Errorf("the error has %d bytes, the log %d", len(err.Error()), log.Len())
	}
}
