package federation

import (
	"fmt"
	"strings"
	"testing"
)

func registry(t testing.TB, issuers ...string) *Registry {
	t.Helper()
	var all []Tenant
	for i := 0; i < len(issuers); i += 2 {
		all = append(all, Tenant{ID: issuers[i], Issuer: issuers[i+1]})
	}
	r, err := NewRegistry(all, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestServing(t *testing.T) {
	r := registry(t, "default", "https://login.example", "acme", "https://login.example/t/acme", "deep", "https://login.example/t/acme/eu/",
		"solo", "https://Solo.example:8443", "sub", "https://paths.example/a%20b", "six", "http://[::1]:8080")
	for _, tc := range []struct{ host, path, tenant, rest string }{
		{"login.example", "", "default", ""},
		{"login.example", "/", "default", "/"},
		{"login.example", "/authorize", "default", "/authorize"},
		{"LOGIN.example:443", "/t", "default", "/t"},
		{"login.example.", "/t/acme", "acme", ""},
		{"login.example.:80", "/t/acme/", "acme", "/"},
		{"login.example", "/t/acme/authorize", "acme", "/authorize"},
		{"login.example", "/t/acmes/authorize", "default", "/t/acmes/authorize"},
		{"login.example", "/t/acme/eu/x/y/z", "deep", "/x/y/z"},
		{"login.example", "/t/ACME/x", "default", "/t/ACME/x"},
		{"login.example", "//t/acme", "default", "//t/acme"},
		{"login.example", "/t%2Facme/x", "default", "/t%2Facme/x"},
		{"login.example:8443", "/t/acme/x", "acme", "/x"}, // nobody's host is the default tenant's
		{"10.0.0.7:8080", "/t/acme/x", "acme", "/x"},
		{"", "/jwks", "default", "/jwks"},
		{"solo.example:8443", "/t/acme/x", "solo", "/t/acme/x"},
		{"solo.example", "/x", "default", "/x"},
		{"paths.example", "/a%20b/x", "sub", "/x"},
		{"paths.example", "/a b/x", "", ""},
		{"paths.example", "/x", "", ""},
		{"[::1]:8080", "/x", "six", "/x"},
		{"login.example", "*", "", ""},
		{"login.example", "t/acme", "", ""},
	} {
		got, rest, ok := r.Serving(tc.host, tc.path)
		if got.ID != tc.tenant || rest != tc.rest || ok != (tc.tenant != "") {
			t.Errorf("%s%s: %q %q %v, want %q %q", tc.host, tc.path, got.ID, rest, ok, tc.tenant, tc.rest)
		}
	}
}

func FuzzServing(f *testing.F) {
	r := registry(f, "default", "https://login.example", "acme", "https://login.example/t/acme", "solo", "https://solo.example")
	f.Add("login.example", "/t/acme/authorize")
	f.Add("[::1", "/")
	f.Fuzz(func(t *testing.T, host, path string) {
		got, rest, ok := r.Serving(host, path)
		if ok != (path == "" || path[0] == '/') || ok && !strings.HasSuffix(path, rest) || rest != "" && rest[0] != '/' {
			t.Fatalf("%q %q: %q %q %v", host, path, got.ID, rest, ok)
		}
		if ok && got.ID == "" {
			t.Fatal("nobody")
		}
	})
}

func TestNewRegistryRefuses(t *testing.T) {
	root := Tenant{ID: "default", Issuer: "https://login.example"}
	for name, tc := range map[string]struct {
		tenants   []Tenant
		upstreams []Upstream
		clients   []Client
	}{
		"a tenant twice":               {tenants: []Tenant{root, {ID: "default", Issuer: "https://other.example"}}},
		"one address":                  {tenants: []Tenant{root, {ID: "b", Issuer: "https://LOGIN.example:443/"}}},
		"an issuer that is none":       {tenants: []Tenant{{ID: "default", Issuer: "login.example"}}},
		"no issuer":                    {tenants: []Tenant{{ID: "default"}}},
		"an upstream twice":            {tenants: []Tenant{root}, upstreams: []Upstream{{ID: "a", Tenant: "default"}, {ID: "a", Tenant: "default"}}},
		"an upstream of nobody":        {tenants: []Tenant{root}, upstreams: []Upstream{{ID: "a", Tenant: "b"}}},
		"a client twice":               {tenants: []Tenant{root}, clients: []Client{{ID: "a", Tenant: "default"}, {ID: "a", Tenant: "default"}}},
		"a client of a missing tenant": {tenants: []Tenant{root}, clients: []Client{{ID: "a"}}},
	} {
		if r, err := NewRegistry(tc.tenants, tc.upstreams, tc.clients); err == nil || r != nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestRegistryFinds(t *testing.T) {
	tenants := []Tenant{{ID: "default", Issuer: "https://a.example"}, {ID: "b", Issuer: "https://b.example"}}
	upstreams := []Upstream{{ID: "z", Tenant: "default"}, {ID: "a", Tenant: "default"}, {ID: "z", Tenant: "b"}}
	r, err := NewRegistry(tenants, upstreams, []Client{{ID: "shop", Tenant: "b", Upstreams: []string{"z"}, GrantTypes: []string{"refresh_token"}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, there := r.Client("default", "shop"); there {
		t.Error("a client of another tenant")
	}
	c, there := r.Client("b", "shop")
	if !there || !c.MayUse("z") || c.MayUse("a") || !c.MayGrant("refresh_token") || c.MayGrant("authorization_code") || c.Public() {
		t.Errorf("%+v", c)
	}
	if all := r.Upstreams("default"); len(all) != 2 || all[0].ID != "z" || all[1].ID != "a" {
		t.Errorf("order %v", all)
	}
	if _, there := r.Upstream("b", "a"); there || len(r.Upstreams("nobody")) != 0 || len(r.Tenants()) != 2 {
		t.Error("found what is not there")
	}
	if b, there := r.Tenant("b"); !there || b.URL("/x") != "https://b.example/x" || !b.Secure() {
		t.Errorf("%+v", b)
	}
	if got := (Tenant{Issuer: "http://a.example/p/"}).URL("/x"); got != "http://a.example/p/x" {
		t.Error(got)
	}
}

func BenchmarkServing(b *testing.B) {
	var all []string
	all = append(all, "default", "https://login.example")
	for i := range 10_000 {
		all = append(all, fmt.Sprintf("t%d", i), fmt.Sprintf("https://login.example/t/t%d", i))
	}
	r := registry(b, all...)
	for b.Loop() {
		if t, _, ok := r.Serving("login.example", "/t/t4711/authorize"); !ok || t.ID != "t4711" {
			b.Fatal(t.ID)
		}
	}
}
