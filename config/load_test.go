package config_test

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/drawbridge-id/drawbridge/config"
)

// With -update the tests write REFERENCE.md and the expectations of
// testdata/bad instead of comparing them; read the difference before keeping it.
var updating = flag.Bool("update", false, "write what is expected")

// options are the environment and the files that testdata refers to.
func options() config.Options {
	env := map[string]string{
		"PLATFORM_PASSWORD":    "nocturne-lattice-41",
		"CORP_SECRET":          "corp-secret-value",
		"GITHUB_CLIENT_ID":     "Iv1.0123456789abcdef",
		"GITHUB_CLIENT_SECRET": "github-secret-value",
		"SHOP_SECRET":          "shop-secret-value",
		"SEALING_KEY":          "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
		"NESTED":               "${env:CORP_SECRET}",
		"EMPTY":                "",
		"SHORT":                "hunter2",
		"PLAIN_ISSUER":         "http://op.example.org",
		"TRUE":                 "true",
		"FIVE":                 "5",
		"BINARY":               "\xff\xfe",
		"CONTROL":              "a\x00b",
	}
	files := map[string]string{
		"secret.txt": "from-a-file-value\n",
		"crlf.txt":   "from-a-windows-file\r\n",
		"empty.txt":  "\n",
		"big.txt":    strings.Repeat("x", 64<<10+1),
	}
	return config.Options{
		Env: func(name string) (string, bool) {
			value, set := env[name]
			return value, set
		},
		ReadFile: func(name string) ([]byte, error) {
			content, ok := files[name]
			if !ok {
				return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
			}
			return []byte(content), nil
		},
	}
}

func load(t *testing.T, name string) config.Config {
	t.Helper()
	cfg, problems := config.Load(name, read(t, name), options())
	if len(problems) > 0 {
		t.Fatalf("refused:\n%s", problems)
	}
	return cfg
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	src, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func glob(t *testing.T, pattern string, atLeast int) []string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) < atLeast {
		t.Fatalf("%d files match %s, want %d: %v", len(names), pattern, atLeast, err)
	}
	return names
}

func TestGoodFilesLoad(t *testing.T) {
	for _, name := range append(glob(t, "testdata/good/*.yaml", 8), glob(t, "examples/*.yaml", 2)...) {
		t.Run(filepath.Base(name), func(t *testing.T) {
			if cfg := load(t, name); cfg.Issuer == "" {
				t.Error("accepted without an issuer")
			}
		})
	}
}

// Every file in testdata/bad names all its problems in comments, as
// "# want: line:column: path: what is wrong".
func TestBadFilesSayEverythingThatIsWrong(t *testing.T) {
	wants := regexp.MustCompile(`(?m)^# want: (.*)\n`)
	for _, name := range glob(t, "testdata/bad/*.yaml", 45) {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".yaml"), func(t *testing.T) {
			src := read(t, name)
			cfg, problems := config.Load("f", src, options())
			var got, want []string
			for _, problem := range problems {
				got = append(got, strings.TrimPrefix(problem.String(), "f:"))
			}
			for _, match := range wants.FindAllSubmatch(src, -1) {
				want = append(want, string(match[1]))
			}
			if *updating {
				body := strings.TrimRight(wants.ReplaceAllString(string(src), ""), "\n")
				body += "\n# want: " + strings.Join(got, "\n# want: ") + "\n"
				if err := os.WriteFile(name, []byte(body), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if len(want) == 0 || !slices.Equal(got, want) {
				t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			if cfg.Issuer != "" || cfg.Tenants != nil {
				t.Error("a refused file gave half a configuration")
			}
		})
	}
}

// Whatever a variable or a file holds, no message may show it.
func TestMessagesNeverShowWhatIsReferredTo(t *testing.T) {
	const value = "tr0ub4dor-and-3"
	o := config.Options{
		Env:      func(string) (string, bool) { return value, true },
		ReadFile: func(string) ([]byte, error) { return []byte(value), nil },
	}
	for _, reference := range []string{"${env:X}", "${file:x}"} {
		src := strings.ReplaceAll(string(read(t, "testdata/good/everything.yaml")), "https:", "httpx:")
		src = regexp.MustCompile(`: ([a-zA-Z0-9][^\n,{}\[\]"]*)`).ReplaceAllString(src, `: "`+reference+`"`)
		_, problems := config.Load("f", []byte(src), o)
		if len(problems) < 10 {
			t.Fatalf("only %d problems:\n%s", len(problems), problems)
		}
		if strings.Contains(problems.String(), value) {
			t.Errorf("shown:\n%s", problems)
		}
	}
}

func TestLiteralSecretsAreNotShownEither(t *testing.T) {
	const value = "tr0ub4dor"
	for _, src := range []string{
		"management: {credentials: [{username: a, password: " + value + "}]}",
		"store: {sealing_keys: [{id: k, key: " + value + "}]}",
		"hooks: [{id: h, signing_secret: " + value + "}]",
		"hooks: [{id: h, signing_secret: \"" + value + "\\0\"}]",
		"upstreams: [{id: h, issuer: \"https://x:" + value + "@idp.example\"}]",
		"session_webhooks: [{id: h, url: \"https://x:" + value + "@w.example\"}]",
		"clients: [{client_id: c, redirect_uris: [\"https://x:" + value + "@w.example/\\\\\"]}]",
		"clients: [{client_id: c, client_secret: '${" + value + "}'}]",
		"management: {password: " + value + ": x}",
	} {
		_, problems := config.Load("f", []byte(src), options())
		if len(problems) == 0 || strings.Contains(problems.String(), value) {
			t.Errorf("%s\nshown in:\n%s", src, problems)
		}
	}
}
