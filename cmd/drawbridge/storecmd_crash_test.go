package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/boltstore"
)

// leftByACrash is a configuration of a store of which the newest commit, a mark,
// stands only in its write-ahead file.
func leftByACrash(t *testing.T) config.Config {
	t.Helper()
	cfg := load(t, storeFile(t))
	signedIn(t, cfg)
	eng, err := boltstore.Open(boltstore.Options{Path: cfg.Store.Path, Now: time.Now, FoldEvery: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer eng.Close()
	if _, err := eng.Commit(t.Context(), store.Mark(eng.Layout().Place("default"), "newest", time.Now().Add(time.Hour))); err != nil {
		t.Fatal(err)
	}
	from := boltstore.Files(cfg.Store.Path)
	cfg.Store.Path = filepath.Join(t.TempDir(), "crashed.db")
	for i, to := range boltstore.Files(cfg.Store.Path) {
		b, err := os.ReadFile(from[i])
		if err == nil {
			err = os.WriteFile(to, b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return cfg
}

// newest says whether the mark is in a store.
func newest(t *testing.T, path string) bool {
	t.Helper()
	eng, err := boltstore.Open(boltstore.Options{Path: path, Now: time.Now, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer eng.Close()
	found, err := store.Marked(t.Context(), eng, eng.Layout().Place("default"), "newest")
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestStoreCommandsAfterACrash: what was answered is in every copy, and only
// `backup` needs to take it over first.
func TestStoreCommandsAfterACrash(t *testing.T) {
	t.Parallel()
	cfg := leftByACrash(t)
	sound(t, cfg, "")
	dump, copied := filepath.Join(t.TempDir(), "dump"), filepath.Join(t.TempDir(), "copy")
	if _, err := exportStore(t.Context(), cfg, "", dump); err != nil {
		t.Fatal(err)
	}
	moved := cfg
	moved.Store.Path = filepath.Join(t.TempDir(), "moved.db")
	if _, err := importStore(t.Context(), moved, dump); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(cfg.Store.Path + ".wal"); err != nil {
		t.Errorf("reading has taken the crash's commits away: %v", err)
	}
	if err := backup(t.Context(), cfg, copied, ""); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{moved.Store.Path, copied, cfg.Store.Path} {
		if !newest(t, path) {
			t.Errorf("the newest commit is not in %s", path)
		}
	}
}

// TestNoStoreIsMadeBesideCommits: whoever takes only the broken file away, and
// restores a backup, would lay commits of one time over a store of another.
func TestNoStoreIsMadeBesideCommits(t *testing.T) {
	t.Parallel()
	cfg := leftByACrash(t)
	dump, copied := filepath.Join(t.TempDir(), "dump"), filepath.Join(t.TempDir(), "copy")
	if _, err := exportStore(t.Context(), cfg, "", dump); err != nil {
		t.Fatal(err)
	}
	wal, err := os.ReadFile(cfg.Store.Path + ".wal")
	if err != nil {
		t.Fatal(err)
	}
	if err := backup(t.Context(), cfg, copied, ""); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(cfg.Store.Path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(cfg.Store.Path+".wal", wal, 0o600); err != nil {
		t.Fatal(err)
	}
	err1 := restore(t.Context(), cfg, copied)
	_, err2 := importStore(t.Context(), cfg, dump)
	for i, err := range []error{err1, err2} {
		if err == nil || !strings.Contains(err.Error(), "move it away") {
			t.Errorf("command %d answers %v", i+1, err)
		}
	}
}
