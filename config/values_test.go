package config_test

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/config"
)

func TestDefaultsAreFilledIn(t *testing.T) {
	cfg := load(t, "testdata/good/minimal.yaml")
	want := config.Config{
		Issuer: "https://op.example.org",
		Listen: "127.0.0.1:8080",
		Management: config.Management{
			Listen: "127.0.0.1:8081", ErrorProfile: "problem",
		},
		Store: config.Store{Engine: "bolt", Path: "data/drawbridge.db", Prefix: "db", ReplicaTimeout: 300 * time.Millisecond, Timeout: 2 * time.Second},
		Tokens: config.Tokens{
			Code: time.Minute, AccessToken: 10 * time.Minute, IDToken: 10 * time.Minute,
			RefreshIdle: 30 * 24 * time.Hour, RefreshMax: 90 * 24 * time.Hour, RefreshGrace: 10 * time.Second,
		},
		Keys:    config.Keys{RotateEvery: 90 * 24 * time.Hour, Overlap: 7 * 24 * time.Hour},
		Tenants: []config.Tenant{{ID: "default", Name: "default", Issuer: "https://op.example.org"}},
		Pages:   config.Pages{DefaultLocale: "en"},
		Session: config.Session{IdleTimeout: 30 * time.Minute, MaxLifetime: 8 * time.Hour, OnQuota: "end_oldest", StoreOutage: "grace"},
		Log:     config.Log{Level: "info", Format: "json"},
		Limits:  defaultLimits(),
	}
	for i := range reflect.TypeFor[config.Config]().NumField() {
		field := reflect.TypeFor[config.Config]().Field(i)
		got, want := reflect.ValueOf(cfg).Field(i), reflect.ValueOf(want).Field(i)
		if field.IsExported() && !reflect.DeepEqual(got.Interface(), want.Interface()) {
			t.Errorf("%s is %+v, want %+v", field.Name, got, want)
		}
	}
}

func TestDefaultsOfListElements(t *testing.T) {
	cfg := load(t, "examples/gateway.yaml")
	upstream, client, hook, webhook := cfg.Upstreams[0], cfg.Clients[0], cfg.Hooks[0], cfg.SessionWebhooks[0]
	for what, pair := range map[string][2]any{
		"upstream tenant":      {upstream.Tenant, "default"},
		"upstream name":        {upstream.Name, "corp"},
		"upstream auth":        {upstream.TokenEndpointAuthMethod, "client_secret_basic"},
		"upstream trust":       {upstream.TrustEmail, "domains"},
		"upstream subject":     {upstream.Subject, "own"},
		"client name":          {client.ClientName, "shop"},
		"client auth":          {client.TokenEndpointAuthMethod, "client_secret_basic"},
		"client grants":        {client.GrantTypes, []string{"authorization_code"}},
		"client responses":     {client.ResponseTypes, []string{"code"}},
		"client scope":         {client.Scope, config.SpaceSeparated{"openid", "profile", "email", "address", "phone"}},
		"client PKCE":          {client.RequirePKCE, false},
		"client max age":       {client.DefaultMaxAge, (*time.Duration)(nil)},
		"client secrets":       {len(client.ClientSecrets), 1},
		"hook concurrency":     {hook.MaxConcurrent, 64},
		"hook auth":            {hook.Auth.Type, "none"},
		"webhook missing":      {webhook.Missing, "empty"},
		"webhook header value": {webhook.Headers["Content-Type"], config.Header{Value: "application/json"}},
		"shutdown delay":       {cfg.ShutdownDelay, time.Duration(0)},
		"smtp":                 {cfg.SMTP.StartTLS, "opportunistic"},
		"egress":               {cfg.Egress.Hooks, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
	} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			t.Errorf("%s is %v, want %v", what, pair[0], pair[1])
		}
	}
}

func TestTheShutdownDelayIsForBalancers(t *testing.T) {
	for file, want := range map[string]time.Duration{
		"testdata/good/redis.yaml": 3 * time.Second, "testdata/good/everything.yaml": 4 * time.Second, "examples/gateway.yaml": 0,
	} {
		if got := load(t, file).ShutdownDelay; got != want {
			t.Errorf("%s: %v, want %v", file, got, want)
		}
	}
}

func TestValuesArriveAsWritten(t *testing.T) {
	cfg := load(t, "testdata/good/everything.yaml")
	upstream, shop := cfg.Upstreams[0], cfg.Clients[0]
	age := time.Duration(0)
	for what, pair := range map[string][2]any{
		"issuer":         {cfg.Issuer, "https://op.example.org/oidc/"}, // to the last character
		"tenant default": {cfg.Tenants[0].Issuer, "https://op.example.org/oidc/"},
		"tenant acme":    {cfg.Tenants[1].Issuer, "https://login.acme.example"},
		"tenant beta":    {cfg.Tenants[2].Issuer, "https://op.example.org/oidc/t/beta"},
		"bare address":   {cfg.TrustedProxies[1], netip.MustParsePrefix("192.0.2.7/32")},
		"refresh_max":    {cfg.Tokens.RefreshMax, 30*24*time.Hour + 12*time.Hour},
		"refresh_grace":  {cfg.Tokens.RefreshGrace, 1500 * time.Millisecond},
		"overlap":        {cfg.Keys.Overlap, 36 * time.Hour},
		"hex key":        {cfg.Store.SealingKeys[0].Bytes()[0], byte(0x1f)},
		"base64 key":     {cfg.Store.SealingKeys[1].Bytes()[31], byte(31)},
		"file secret":    {upstream.ClientSecret.Reveal(), "from-a-file-value"},
		"windows file":   {cfg.Upstreams[1].ClientSecret.Reveal(), "from-a-windows-file"},
		"domains":        {upstream.Domains, []string{"corp.example", "xn--bcher-kva.example"}},
		"max age":        {shop.DefaultMaxAge, &age},
		"scope":          {shop.Scope, config.SpaceSeparated{"openid", "profile", "orders:read"}},
		"secrets":        {len(cfg.Clients[1].ClientSecrets), 2},
		"upstreams":      {cfg.Clients[1].Upstreams, []string{"acme-idp"}},
		"context":        {shop.Claims.Context, map[string][]string{"brand": {"shop", "shop"}, "channel": {"web"}}},
		"number default": {shop.Claims.Mapping[2].Default, json.Number("2.50")},
		"big number":     {shop.Claims.Examples[0].Claims["big"], json.Number("9007199254740993")},
		"list":           {shop.Claims.Examples[0].Claims["flags"], []any{true, nil}},
		"header secret":  {cfg.SessionWebhooks[0].Headers["Authorization"].Secret.Reveal(), "corp-secret-value"},
		"body":           {cfg.SessionWebhooks[0].Body, "{\"event\": \"${WebhookEventType}\",\n \"literal\": \"$${env:HOME}\"}\n"},
	} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			t.Errorf("%s is %v, want %v", what, pair[0], pair[1])
		}
	}
}

func TestReferencesAreNotScannedAgain(t *testing.T) {
	if got := load(t, "testdata/good/public_client.yaml").Clients[1].ClientSecret.Reveal(); got != "${env:CORP_SECRET}" {
		t.Errorf("secret is %q", got)
	}
	cfg := load(t, "testdata/good/substituted.yaml")
	if hook := cfg.Hooks[0]; cfg.Store.Path != "${env:CORP_SECRET}" || !hook.Strict || hook.MaxConcurrent != 5 {
		t.Errorf("path %q, hook %+v", cfg.Store.Path, hook)
	}
}

func TestPublicClientsNeedPKCE(t *testing.T) {
	clients := load(t, "testdata/good/public_client.yaml").Clients
	if !clients[0].RequirePKCE || !clients[0].Public() || clients[1].RequirePKCE || clients[1].Public() {
		t.Errorf("PKCE %v and %v", clients[0].RequirePKCE, clients[1].RequirePKCE)
	}
}

func TestAnchorsAndMerges(t *testing.T) {
	cfg := load(t, "testdata/good/anchors.yaml")
	var ids []string
	for _, client := range cfg.Clients {
		ids = append(ids, client.ClientID)
		if client.RedirectURIs[0] != "https://a.example/cb" || client.Claims.Mapping[0].Claim != "department" {
			t.Errorf("%+v", client)
		}
	}
	if !slices.Equal(ids, []string{"a", "b", "c", "d"}) || cfg.Clients[3].Consent != "skip" || cfg.Clients[1].Consent != "ask" {
		t.Errorf("ids %v, consent %q", ids, cfg.Clients[3].Consent)
	}
	if two := cfg.Upstreams[1]; two.ID != "two" || two.Issuer != "https://idp.example" {
		t.Errorf("%+v", two)
	}
	cfg.Clients[0].Claims.Mapping[0].Claim = "changed"
	if cfg.Clients[1].Claims.Mapping[0].Claim == "changed" {
		t.Error("clients share what an anchor gave them")
	}
}

func TestOverlapCoversTheLongestToken(t *testing.T) {
	cfg, problems := config.Load("f", []byte("issuer: https://op.example\ntokens: {id_token: 9d}\n"), config.Options{})
	if len(problems) > 0 || cfg.Keys.Overlap != 9*24*time.Hour {
		t.Errorf("overlap %v, %s", cfg.Keys.Overlap, problems)
	}
}

func TestEnvironmentOverridesListen(t *testing.T) {
	for name, c := range map[string]struct{ src, env, listen, problem string }{
		"set":        {"issuer: https://op.example\nlisten: :1\n", "0.0.0.0:80", "0.0.0.0:80", ""},
		"empty":      {"issuer: https://op.example\nlisten: :1\n", "", ":1", ""},
		"not a port": {"issuer: https://op.example\n", "nonsense", "", `f:1:1: listen: must be host:port, not the value of the environment variable DRAWBRIDGE_LISTEN`},
		"taken":      {"issuer: https://op.example\nmanagement: {listen: \":81\"}\n", ":81", "", "f:2:22: management.listen: takes the port of listen"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, problems := config.Load("f", []byte(c.src), config.Options{Env: func(name string) (string, bool) {
				return c.env, name == "DRAWBRIDGE_LISTEN"
			}})
			if cfg.Listen != c.listen || problems.String() != c.problem {
				t.Errorf("listen %q, %q", cfg.Listen, problems)
			}
		})
	}
}

func TestTooLargeFile(t *testing.T) {
	src := "issuer: https://op.example\n#" + strings.Repeat("x", 1<<20)
	_, problems := config.Load("f", []byte(src), config.Options{})
	if problems.String() != "f:1:1: the file is larger than 1 MiB" {
		t.Error(problems)
	}
}

// Whatever is repeated often enough is refused, and nothing runs out of stack
// or time.
func TestHostileFiles(t *testing.T) {
	const size = 1 << 18
	for name, unit := range map[string]string{
		"lists": "[", "braces": "{a: ", "dashes": "- ", "keys": "? ", "anchors": "&a ", "tags": "!t ", "entries": "a: b\n",
		"aliases": "*a ", "quotes": "\"", "documents": "---\na: b\n", "colons": "a: ", "items": "- a: b\n", "newlines": "\n",
		"merges": "- &a {<<: *a}\n", "flow items": "a,", "percent": "%a\n", "literals": "a: |\n b\n", "unicode": "é: ü\n",
	} {
		t.Run(name, func(t *testing.T) {
			src := strings.Repeat(unit, size/len(unit))
			if _, problems := config.Load("f", []byte(src), options()); len(problems) == 0 {
				t.Error("accepted")
			}
		})
	}
}

func TestProblemsFoundElsewhereHaveAPlace(t *testing.T) {
	src := "# x\nissuer: https://op.example\nsession_webhooks:\n  - id: w\n    url: https://w.example\n    headers: {X-A: b}\n"
	cfg, problems := config.Load("f", []byte(src), config.Options{})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	for path, want := range map[string]string{
		"session_webhooks[0].url":           "f:5:10: session_webhooks[0].url: x",
		"session_webhooks[0].headers.X-A":   "f:6:20: session_webhooks[0].headers.X-A: x",
		"session_webhooks[0].headers.X-B":   "f:6:14: session_webhooks[0].headers.X-B: x",
		"session_webhooks[0].body":          "f:4:5: session_webhooks[0].body: x",
		"clients[0].claims.examples[3]":     "f:2:1: clients[0].claims.examples[3]: x",
		`session_webhooks[0].headers["a."]`: `f:6:14: session_webhooks[0].headers["a."]: x`,
	} {
		if got := cfg.Problem(path, "x").String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if got := (config.Config{}).Problem("a", "x").String(); got != ":1:1: a: x" {
		t.Error(got)
	}
}

func TestProblemsAsError(t *testing.T) {
	if err := config.Problems(nil).Err(); err != nil {
		t.Error(err)
	}
	problems := config.Problems{{File: "f", Line: 2, Column: 3, Path: "a.b", Text: "x"}, {File: "f", Line: 4, Column: 1, Text: "y"}}
	if got := problems.Err().Error(); got != "f:2:3: a.b: x\nf:4:1: y" {
		t.Error(got)
	}
}
