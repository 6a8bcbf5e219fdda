package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/federation/upstream"
)

func loaded(t *testing.T, text string, env map[string]string) (config.Config, config.Problems) {
	t.Helper()
	return config.Load("f", []byte(text), config.Options{
		Env:      func(name string) (string, bool) { v, ok := env[name]; return v, ok },
		ReadFile: os.ReadFile,
	})
}

// TestTheExampleForGitHubIsBuilt: through the production path, with its own
// examples of claims.
func TestTheExampleForGitHubIsBuilt(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "config", "examples", "github.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	cfg, problems := loaded(t, string(text), map[string]string{"GITHUB_CLIENT_ID": "id", "GITHUB_CLIENT_SECRET": "github-secret", "SHOP_SECRET": "shop-secret-of-shop"})
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	r, wrong := checker(slog.New(slog.DiscardHandler)).build(cfg, nil)
	if len(wrong) > 0 {
		t.Fatal(located(cfg, wrong))
	}
	u, ok := r.registry.Upstream("default", "github")
	if _, plain := u.Connector.(*upstream.OAuth2); !ok || !plain || u.Issuer != "https://github.com/login/oauth" || u.EndSessionURL != nil {
		t.Errorf("%+v", u)
	}
}

// TestReservedParametersAreRefusedInTheFile: both lists are one.
func TestReservedParametersAreRefusedInTheFile(t *testing.T) {
	for _, name := range upstream.Reserved() {
		_, problems := loaded(t, fmt.Sprintf(`issuer: https://op.example.org
upstreams:
  - {id: corp, issuer: https://idp.example, client_id: d, client_secret: secret-of-ours, authorization_params: {%s: x}}
`, name), nil)
		if len(problems) != 1 || !strings.Contains(problems.Err().Error(), "authorization_params."+name) {
			t.Errorf("%s: %v", name, problems)
		}
	}
}

// TestClientKeysAreReadWhenTheFileIs: a key that is none is found by check.
func TestClientKeysAreReadWhenTheFileIs(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	good := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	for text, want := range map[string]string{good: "", "no key": "upstreams[0]: client_key: it is neither PEM nor a JWK"} {
		cfg, problems := loaded(t, `issuer: https://op.example.org
upstreams:
  - {id: corp, issuer: https://idp.example, client_id: d, token_endpoint_auth_method: private_key_jwt, client_key: {key: "${env:KEY}", alg: ES256}}
`, map[string]string{"KEY": text})
		if err := problems.Err(); err != nil {
			t.Fatal(err)
		}
		_, wrong := checker(slog.New(slog.DiscardHandler)).build(cfg, nil)
		var got string
		if len(wrong) > 0 {
			got = wrong[0].String()
		}
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
