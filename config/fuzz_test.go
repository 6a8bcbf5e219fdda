package config_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/drawbridge-id/drawbridge/config"
)

// Whatever the file holds: no panic, a whole Config or problems but never both
// or neither, every problem somewhere in the file and on one line, in order,
// and the same twice.
func FuzzLoad(f *testing.F) {
	for _, pattern := range []string{"testdata/good/*.yaml", "testdata/bad/*.yaml", "examples/*.yaml"} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, name := range names {
			if src := read(f, name); len(src) < 8<<10 {
				f.Add(src)
			}
		}
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		cfg, problems := config.Load("f", src, options())
		if (len(problems) == 0) != (cfg.Issuer != "") {
			t.Fatalf("issuer %q with %d problems", cfg.Issuer, len(problems))
		}
		lines := strings.Count(string(src), "\n") + 1
		for i, p := range problems {
			if p.Line < 1 || p.Line > lines || p.Column < 1 || p.Text == "" {
				t.Errorf("nowhere: %s", p)
			}
			if strings.ContainsFunc(p.String(), unicode.IsControl) {
				t.Errorf("breaks a log line: %q", p.String())
			}
			if i > 0 && (problems[i-1].Line > p.Line || problems[i-1] == p) {
				t.Errorf("out of order or twice: %s", p)
			}
		}
		again, problemsAgain := config.Load("f", src, options())
		if !slices.Equal(problems, problemsAgain) || again.Issuer != cfg.Issuer {
			t.Errorf("another answer the second time:\n%s\n\n%s", problems, problemsAgain)
		}
	})
}
