package op_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestBestCurrentPracticeIsShown: the list speaks of every section of RFC 9700 that
// asks for something, and each has a test that exists.
func TestBestCurrentPracticeIsShown(t *testing.T) {
	rooms := map[string]string{"": ".", "token": "../token", "upstream": "../upstream", "edge": "../../cmd/drawbridge/internal/edge",
		"conformance": "../../cmd/drawbridge/conformance"}
	file, err := parser.ParseFile(token.NewFileSet(), "bcp.go", nil, parser.ParseComments|parser.PackageClauseOnly)
	must(t, err)
	list, beyond, found := strings.Cut(file.Doc.Text(), "Beyond it:")
	items := strings.Split(list, "  - §")[1:]
	if !found {
		t.Fatal("the list has no end")
	}
	known := map[string][]string{}
	for room, dir := range rooms {
		known[room] = testsIn(t, dir)
	}
	var sections []string
	named := regexp.MustCompile(`(?:([a-z]+)\.)?(Test[A-Z]\w+)`)
	for _, item := range append(items, "beyond "+beyond) {
		section, _, _ := strings.Cut(item, " ")
		sections = append(sections, section)
		tests := named.FindAllStringSubmatch(item, -1)
		if len(tests) == 0 {
			t.Errorf("§%s names no test", section)
		}
		for _, m := range tests {
			if !slices.Contains(known[m[1]], m[2]) {
				t.Errorf("§%s: there is no %s", section, m[0])
			}
		}
	}
	want := strings.Fields("2.1 2.1.1 2.1.2 2.2.1 2.2.2 2.3 2.4 2.5 2.6 4.1 4.2 4.3 4.4 4.5 4.6 4.7 4.8 4.9 4.10 4.11 4.12 4.13 4.14 4.15 4.16 4.17 beyond")
	if !slices.Equal(sections, want) {
		t.Errorf("the sections are %q, want %q", sections, want)
	}
}

// testsIn are the names of the tests in a folder.
func testsIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	must(t, err)
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		must(t, err)
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
				names = append(names, f.Name.Name)
			}
		}
	}
	return names
}
