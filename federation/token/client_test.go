package token

import (
	"testing"

	"github.com/drawbridge-id/drawbridge/federation"
)

func TestAuthenticate(t *testing.T) {
	basic, post, public := shop(), shop(), shop()
	basic.Secrets = []federation.Secret{"old", "new"}
	post.AuthMethod = federation.AuthPost
	public.AuthMethod, public.Secrets = federation.AuthNone, nil
	bare, odd, empty := shop(), shop(), shop()
	bare.Secrets = nil
	odd.AuthMethod = ""
	empty.Secrets = []federation.Secret{""}
	const b, p, n = federation.AuthBasic, federation.AuthPost, federation.AuthNone
	for name, c := range map[string]struct {
		client federation.Client
		known  bool
		shown  Credentials
		good   bool
	}{
		"basic, first secret":   {basic, true, Credentials{b, "shop", "old"}, true},
		"basic, second secret":  {basic, true, Credentials{b, "shop", "new"}, true},
		"post":                  {post, true, Credentials{p, "shop", "s3cret"}, true},
		"public":                {public, true, Credentials{n, "shop", ""}, true},
		"wrong secret":          {basic, true, Credentials{b, "shop", "older"}, false},
		"no secret":             {basic, true, Credentials{b, "shop", ""}, false},
		"post for basic":        {basic, true, Credentials{p, "shop", "new"}, false},
		"basic for post":        {post, true, Credentials{b, "shop", "s3cret"}, false},
		"none for basic":        {basic, true, Credentials{n, "shop", ""}, false},
		"none with the secret":  {basic, true, Credentials{n, "shop", "new"}, false},
		"public with a secret":  {public, true, Credentials{n, "shop", "x"}, false},
		"basic for public":      {public, true, Credentials{b, "shop", ""}, false},
		"another id":            {basic, true, Credentials{b, "shap", "new"}, false},
		"unknown":               {federation.Client{}, false, Credentials{b, "shop", "new"}, false},
		"unknown, public":       {federation.Client{}, false, Credentials{n, "", ""}, false},
		"known to be unknown":   {basic, false, Credentials{b, "shop", "new"}, false},
		"none configured":       {bare, true, Credentials{b, "shop", ""}, false},
		"the stand-in's secret": {bare, true, Credentials{b, "shop", "stands in for a client that has no secret"}, false},
		"empty secret":          {empty, true, Credentials{b, "shop", ""}, false},
		"no method":             {odd, true, Credentials{"", "shop", "s3cret"}, false},
		"unknown method":        {basic, true, Credentials{"private_key_jwt", "shop", "new"}, false},
		"no client at all":      {federation.Client{}, true, Credentials{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := Authenticate(c.client, c.known, c.shown)
			if c.good {
				if err != nil || v.Client().ID != "shop" {
					t.Fatalf("client %q, error %v", v.Client().ID, err)
				}
				return
			}
			wantCode(t, err, federation.InvalidClient)
			if v.Client().ID != "" {
				t.Error("a refusal came with a client")
			}
			if told := federation.Public(err); told.Status != 401 || told.Description != "The client could not be authenticated." {
				t.Errorf("told %d %q", told.Status, told.Description)
			}
		})
	}
}
