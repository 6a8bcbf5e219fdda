package federation

import (
	"strings"
	"testing"
)

func TestValidResource(t *testing.T) {
	for given, want := range map[string]bool{
		"https://api.example": true, "https://api.example/v1/?a=b": true, "urn:example:api": true, "http://[::1]:80/": true, "api:/x": true,
		"": false, "api.example": false, "/v1": false, "//api.example": false, "https://api.example#": false, "https://api.example/#x": false,
		"https://api example": false, "https://api.example/\n": false, "https://äpi.example": false, "https:": false, "https://%zz": false, ":x": false,
		"https://a/" + strings.Repeat("x", maxResource): false,
	} {
		if ValidResource(given) != want {
			t.Errorf("%q is %v", given, !want)
		}
	}
}

func FuzzValidResource(f *testing.F) {
	f.Add("https://api.example/v1")
	f.Add("urn:x#y")
	f.Fuzz(func(t *testing.T, s string) {
		if ValidResource(s) && (strings.ContainsAny(s, "# \x00\r\n") || !strings.Contains(s, ":") || len(s) > maxResource) {
			t.Fatalf("%q", s)
		}
	})
}

func TestMayIntrospect(t *testing.T) {
	const op, api = "https://op.example", "https://api.example"
	plain, aimed := Grant{Tenant: "acme", Client: "shop"}, Grant{Tenant: "acme", Client: "shop", Resources: []string{api}}
	c := func(id string, tokens ClientTokens) Client { return Client{ID: id, Tenant: "acme", Tokens: tokens} }
	for name, tc := range map[string]struct {
		c            Client
		plain, aimed bool
	}{
		"its own":           {c("shop", ClientTokens{}), true, true},
		"another client's":  {c("api", ClientTokens{}), false, false},
		"the resource":      {c("api", ClientTokens{Serves: []string{"https://x.example", api}}), false, true},
		"another resource":  {c("api", ClientTokens{Serves: []string{api + "/"}}), false, false},
		"it asks for it":    {c("other", ClientTokens{Resources: []string{api}}), false, false},
		"the provider":      {c("api", ClientTokens{Serves: []string{op}}), true, false},
		"any":               {c("api", ClientTokens{IntrospectsAny: true}), true, true},
		"of another tenant": {Client{ID: "shop", Tenant: "rival", Tokens: ClientTokens{IntrospectsAny: true}}, false, false},
		"nobody":            {Client{}, false, false},
	} {
		if tc.c.MayIntrospect(op, plain) != tc.plain || tc.c.MayIntrospect(op, aimed) != tc.aimed {
			t.Errorf("%s: %v, %v", name, !tc.plain, !tc.aimed)
		}
	}
}
