//go:build faults

package faults

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// builds are the binaries of this run. A variable, for the files live as long as
// the test binary's run.
var builds = &binaries{made: map[string]string{}}

type binaries struct {
	mu     sync.Mutex
	folder string
	made   map[string]string
}

func (b *binaries) remove() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.folder != "" {
		_ = os.RemoveAll(b.folder) // the system's temporary folder, and the verdict is out
	}
}

// build compiles a package of this module, once for each bug; without a bug it
// is the program as it is.
func build(t *testing.T, pkg string, bug *mutant) string {
	t.Helper()
	builds.mu.Lock()
	defer builds.mu.Unlock()
	name := filepath.Base(pkg)
	if bug != nil {
		name += "-" + strings.ReplaceAll(bug.name, " ", "-")
	}
	if binary, ok := builds.made[name]; ok {
		return binary
	}
	if builds.folder == "" {
		folder, err := os.MkdirTemp("", "drawbridge-faults-")
		if err != nil {
			t.Fatal(err)
		}
		builds.folder = folder
	}
	binary := filepath.Join(builds.folder, name)
	args := []string{"build", "-tags", "faults", "-o", binary}
	if os.Getenv("FAULTS_RACE") != "" {
		args = append(args, "-race")
	}
	if bug != nil {
		overlay, err := bug.overlay(filepath.Join(builds.folder, name+".overlay"))
		if err != nil {
			t.Fatalf("plant %q: %v", bug.name, err)
		}
		args = append(args, "-overlay", overlay)
	}
	cmd := exec.Command("go", append(args, pkg)...)
	cmd.Dir = moduleRoot(t)
	if printed, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", name, err, printed)
	}
	builds.made[name] = binary
	return binary
}

// The packages that are built.
const (
	program  = "./cmd/drawbridge"
	streamer = "./cmd/drawbridge/faults/streamer"
)

// moduleRoot is the folder of go.mod.
func moduleRoot(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", "..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// mutant is a bug that is planted on purpose: texts that are replaced in copies
// of source files, which the build takes in their place.
type mutant struct {
	name  string
	edits []edit
}

// edit replaces a text that must stand in its file exactly once.
type edit struct{ file, old, new string }

// overlay writes the changed copies and the file for `go build -overlay`.
func (m *mutant) overlay(folder string) (string, error) {
	root, err := filepath.Abs(filepath.Join("..", "..", ".."))
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", err
	}
	changed := map[string]string{}
	for _, e := range m.edits {
		path := filepath.Join(root, filepath.FromSlash(e.file))
		text, ok := changed[path]
		if !ok {
			content, err := os.ReadFile(path)
			if err != nil {
				return "", err
			}
			text = string(content)
		}
		if n := strings.Count(text, e.old); n != 1 {
			return "", fmt.Errorf("%s has %d times, not once: %s", e.file, n, e.old)
		}
		changed[path] = strings.Replace(text, e.old, e.new, 1)
	}
	replace := map[string]string{}
	for path, text := range changed {
		copied := filepath.Join(folder, fmt.Sprintf("%d-%s", len(replace), filepath.Base(path)))
		if err := os.WriteFile(copied, []byte(text), 0o600); err != nil {
			return "", err
		}
		replace[path] = copied
	}
	content, err := json.Marshal(map[string]any{"Replace": replace})
	file := filepath.Join(folder, "overlay.json")
	return file, errors.Join(err, os.WriteFile(file, content, 0o600))
}

func TestAMutantThatDoesNotFitIsRefused(t *testing.T) {
	m := &mutant{name: "misfit", edits: []edit{{"federation/session/end.go", "no such text", ""}}}
	if _, err := m.overlay(t.TempDir()); err == nil || !strings.Contains(err.Error(), "0 times, not once") {
		t.Errorf("got %v", err)
	}
	m.edits[0].old = "return"
	if _, err := m.overlay(t.TempDir()); err == nil {
		t.Error("a text that stands there many times was replaced")
	}
}
