package config_test

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drawbridge-id/drawbridge/config"
)

// disk is a file system that a test changes while a Watcher reads it.
type disk struct {
	mu    sync.Mutex
	files map[string]string
	reads int
}

func (d *disk) write(name, content string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.files[name] = content
}

func (d *disk) remove(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.files, name)
}

func (d *disk) read(name string) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reads++
	content, ok := d.files[name]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return []byte(content), nil
}

const (
	interval = 2 * time.Second
	first    = "issuer: https://one.example\n"
	second   = "issuer: https://two.example\n"
	secret   = "issuer: https://one.example\nstore: {path: \"${file:secret}\"}\n"
)

// watched runs a Watcher over a disk inside a bubble. What it applied is told
// as issuers, store paths and problems.
type watched struct {
	disk    *disk
	trigger chan os.Signal
	applied []string
}

func watch(t *testing.T, files map[string]string, story func(w *watched)) {
	synctest.Test(t, func(t *testing.T) {
		w := &watched{disk: &disk{files: files}, trigger: make(chan os.Signal, 1)}
		watcher := config.NewWatcher(config.WatchOptions{
			Path: "f", Options: config.Options{ReadFile: w.disk.read}, Every: interval, Trigger: w.trigger,
			Apply: func(_ context.Context, cfg config.Config, problems config.Problems) {
				if len(problems) > 0 {
					w.applied = append(w.applied, problems.String())
				} else {
					w.applied = append(w.applied, cfg.Issuer+" "+cfg.Store.Path)
				}
			},
		})
		if _, problems := watcher.Load(); len(problems) > 0 {
			t.Fatal(problems)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() {
			if err := watcher.Run(ctx); err != nil {
				t.Errorf("run: %v", err)
			}
		})
		story(w)
		cancel()
		group.Wait()
	})
}

// pass lets n looks happen.
func pass(n int) {
	time.Sleep(time.Duration(n) * interval)
	synctest.Wait()
}

func TestWatcher(t *testing.T) {
	stories := map[string]struct {
		src   string
		story func(w *watched)
		want  []string
	}{
		"nothing changes": {first, func(*watched) { pass(50) }, nil},
		"a change is applied once it has held still": {first, func(w *watched) {
			w.disk.write("f", second)
			pass(10)
		}, []string{"https://two.example data/drawbridge.db"}},
		"half a file is never applied": {first, func(w *watched) {
			w.disk.write("f", "issuer: https://half.example\n")
			pass(1)
			w.disk.write("f", "issuer: https://half.example\nstore: {path: x}\n")
			pass(10)
		}, []string{"https://half.example x"}},
		"a bad file is reported once and changes nothing": {first, func(w *watched) {
			w.disk.write("f", "issuer: nonsense\n")
			pass(10)
		}, []string{`f:1:9: issuer: must be an https URL, not "nonsense"`}},
		"a repaired file is applied again": {first, func(w *watched) {
			w.disk.write("f", "issuer: nonsense\n")
			pass(3)
			w.disk.write("f", first)
			pass(3)
		}, []string{`f:1:9: issuer: must be an https URL, not "nonsense"`, "https://one.example data/drawbridge.db"}},
		"a file that is gone for one look is nothing": {first, func(w *watched) {
			w.disk.remove("f")
			pass(1)
			w.disk.write("f", first)
			pass(10)
		}, nil},
		"a file that stays away is reported": {first, func(w *watched) {
			w.disk.remove("f")
			pass(10)
		}, []string{"f:1:1: cannot be read: file does not exist"}},
		"a file it refers to changes": {secret, func(w *watched) {
			w.disk.write("secret", "new")
			pass(10)
		}, []string{"https://one.example new"}},
		"a file it no longer refers to changes": {secret, func(w *watched) {
			w.disk.write("f", first)
			pass(3)
			w.disk.write("secret", "new")
			pass(10)
		}, []string{"https://one.example data/drawbridge.db"}},
		"a file it has begun to refer to changes": {first, func(w *watched) {
			w.disk.write("f", secret)
			pass(3)
			w.disk.write("secret", "new")
			pass(10)
		}, []string{"https://one.example old", "https://one.example new"}},
		"a trigger applies at once, changed or not": {first, func(w *watched) {
			w.trigger <- syscall.SIGHUP
			synctest.Wait()
			w.disk.write("f", second)
			w.trigger <- syscall.SIGHUP
			synctest.Wait()
			pass(10)
		}, []string{"https://one.example data/drawbridge.db", "https://two.example data/drawbridge.db"}},
		"a closed trigger is no storm": {first, func(w *watched) {
			close(w.trigger)
			synctest.Wait()
			w.disk.write("f", second)
			pass(10)
		}, []string{"https://two.example data/drawbridge.db"}},
		"a change back before it settled is nothing": {first, func(w *watched) {
			w.disk.write("f", second)
			pass(1)
			w.disk.write("f", first)
			pass(1)
			w.disk.write("f", second)
			pass(1)
			w.disk.write("f", first)
			pass(10)
		}, nil},
	}
	for name, s := range stories {
		t.Run(name, func(t *testing.T) {
			watch(t, map[string]string{"f": s.src, "secret": "old"}, func(w *watched) {
				s.story(w)
				if !slices.Equal(w.applied, s.want) {
					t.Errorf("applied %q, want %q", w.applied, s.want)
				}
			})
		})
	}
}

// Kubernetes mounts a configuration as f -> ..data/f, ..data -> a directory, and
// updates it by renaming a new ..data over the old one.
func TestWatcherFollowsReplacedLinks(t *testing.T) {
	dir := t.TempDir()
	publish := func(version, content string) {
		for _, err := range []error{
			os.Mkdir(filepath.Join(dir, version), 0o755),
			os.WriteFile(filepath.Join(dir, version, "f"), []byte(content), 0o644),
			os.Symlink(version, filepath.Join(dir, "..next")),
			os.Rename(filepath.Join(dir, "..next"), filepath.Join(dir, "..data")),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	publish("v1", first)
	if err := os.Symlink("..data/f", filepath.Join(dir, "f")); err != nil {
		t.Fatal(err)
	}
	applied := make(chan string, 1)
	w := config.NewWatcher(config.WatchOptions{
		Path: filepath.Join(dir, "f"), Options: config.Options{ReadFile: os.ReadFile}, Every: time.Millisecond,
		Apply: func(_ context.Context, cfg config.Config, problems config.Problems) {
			applied <- cfg.Issuer + problems.String()
		},
	})
	if _, problems := w.Load(); len(problems) > 0 {
		t.Fatal(problems)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() { _ = w.Run(ctx) })
	publish("v2", second)
	if got := <-applied; got != "https://two.example" {
		t.Errorf("applied %s", got)
	}
	cancel()
	group.Wait()
}

func TestWatcherWithoutAnythingToReadWith(t *testing.T) {
	_, problems := config.NewWatcher(config.WatchOptions{Path: "f"}).Load()
	if problems.String() != "f:1:1: cannot be read" {
		t.Error(problems)
	}
}
