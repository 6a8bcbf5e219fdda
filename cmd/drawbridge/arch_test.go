package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/drawbridge-id/drawbridge"

// law says which rooms of the house each room may import. A room that is not
// in the table may not exist; cmd/drawbridge may import everything.
func law() map[string][]string {
	const (
		claims, store, wire = "claims", "federation/store", "openapi/wire"
		federation, hooks   = "federation", "sessionhooks"
		person, session     = "federation/person", "federation/session"
	)
	return map[string][]string{
		// 0: words that need nothing
		claims: {}, store: {}, "config": {}, "openapi": {}, wire: {},
		// 1: words and contracts
		federation: {claims, store},
		hooks:      {store, wire},
		"bridge":   {store, wire},
		// 2: rooms that keep and call
		person:                                  {federation, claims, store},
		session:                                 {federation, claims, store},
		"federation/upstream":                   {federation, claims},
		"federation/clientkeys":                 {federation},
		"federation/freshness":                  {federation, store},
		"federation/limit":                      {store},
		"federation/upstream/upstreamtest":      {},
		"federation/store/boltstore":            {store},
		"federation/store/storetest":            {store},
		"federation/store/redisstore":           {store},
		"federation/store/redisstore/redistest": {},
		"claims/hook":                           {claims},
		"bridge/mail":                           {"bridge"},
		"federation/notice":                     {federation, session, person, store},
		// 3: issuing
		"federation/token": {federation, session, "federation/clientkeys", store, claims},
		// 4: doors
		"federation/op/page":    {},
		"federation/op":         {federation, "federation/op/page", "federation/token", "federation/notice", "federation/freshness", "federation/limit", session, person, "federation/clientkeys", claims, store, wire},
		"federation/admin":      {federation, session, store, wire},
		"sessionhooks/delivery": {hooks, store, wire},
		"bridge/local":          {"bridge", store},
	}
}

// TestTheLawOfImports reads the files itself: a test that asked the go command
// would be answered from the test cache after the law was broken.
func TestTheLawOfImports(t *testing.T) {
	allowed := law()
	seen := map[string]bool{}
	for file, imports := range sources(t) {
		room := path.Dir(file)
		if room == "cmd" || strings.HasPrefix(room, "cmd/") {
			continue
		}
		seen[room] = true
		may, known := allowed[room]
		if !known {
			t.Errorf("%s: the room %s is not in the table", file, room)
			continue
		}
		for _, imported := range imports {
			switch {
			case strings.HasSuffix(file, "_test.go"):
				if imported == "config" && room != "config" || strings.HasPrefix(imported, "cmd") {
					t.Errorf("%s: a test imports %s", file, imported)
				}
			case !slices.Contains(may, imported):
				t.Errorf("%s: %s may not import %s", file, room, imported)
			}
		}
	}
	for _, room := range slices.Sorted(maps.Keys(allowed)) {
		if !seen[room] {
			t.Errorf("the table names %s, which does not exist", room)
		}
	}
}

func TestEveryRoomSaysWhatItIs(t *testing.T) {
	said := map[string]bool{}
	for file := range sources(t) {
		room := path.Dir(file)
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", "..", file), nil, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		said[room] = said[room] || parsed.Doc != nil
	}
	for room, ok := range said {
		if !ok {
			t.Errorf("%s has no package comment", room)
		}
	}
}

// TestTheTopLevelIsFixed holds the root to what DESIGN agreed on.
func TestTheTopLevelIsFixed(t *testing.T) {
	agreed := []string{"cmd", "bridge", "claims", "federation", "sessionhooks", "config", "openapi", "go.mod", "go.sum",
		"Dockerfile", "README.md", "LICENSE", "Makefile", "CHANGELOG.md"}
	entries, err := os.ReadDir(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && !slices.Contains(agreed, e.Name()) {
			t.Errorf("%s does not belong at the top level", e.Name())
		}
	}
}

// sources are all Go files of the module with what they import of it.
func sources(t *testing.T) map[string][]string {
	t.Helper()
	root := filepath.Join("..", "..")
	files := map[string][]string{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || d.Name() == "node_modules" || strings.HasPrefix(d.Name(), ".") && name != root) {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		own := []string{}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if rest, ok := strings.CutPrefix(imported, module+"/"); ok {
				own = append(own, rest)
			}
		}
		files[filepath.ToSlash(rel)] = own
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatal("no source was found")
	}
	return files
}
