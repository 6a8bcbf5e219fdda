package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
)

// TestConfigAndClaimsAgreeOnNames holds the two lists of guarded names together:
// config must not import claims, and so has its own.
func TestConfigAndClaimsAgreeOnNames(t *testing.T) {
	for _, list := range []struct{ claims, config string }{{"minted", "minted"}, {"protected", "misspelled"}} {
		inClaims := words(t, filepath.Join("..", "..", "claims", "names.go"), list.claims)
		inConfig := words(t, filepath.Join("..", "..", "config", "claimname.go"), list.config)
		if len(inClaims) == 0 || !slices.Equal(inClaims, inConfig) {
			t.Errorf("claims.%s has %q,\nconfig.%s has %q", list.claims, inClaims, list.config, inConfig)
		}
	}
}

// words are the texts in a function, sorted, each once.
func words(t *testing.T, file, function string) []string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, d := range parsed.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Name.Name != function {
			continue
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if text, ok := n.(*ast.BasicLit); ok && text.Kind == token.STRING {
				word, err := strconv.Unquote(text.Value)
				if err != nil {
					t.Fatal(err)
				}
				if word != "" {
					found = append(found, word)
				}
			}
			return true
		})
	}
	slices.Sort(found)
	return slices.Compact(found)
}
