package boltstore_test

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/boltstore"
)

func TestOpenKeepsTheFilePrivate(t *testing.T) {
	dir := t.TempDir()
	o := options(t, &clock{})
	o.Path = filepath.Join(dir, "a", "b", "drawbridge.db")
	open(t, o)
	for path, want := range map[string]os.FileMode{
		filepath.Join(dir, "a"):      0o700 | os.ModeDir,
		filepath.Join(dir, "a", "b"): 0o700 | os.ModeDir,
		o.Path:                       0o600,
	} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != want {
			t.Errorf("%s has mode %v, want %v", path, info.Mode(), want)
		}
	}
}

func TestOpenIsExclusive(t *testing.T) {
	o := options(t, &clock{})
	first := open(t, o)
	o.LockTimeout = time.Nanosecond
	if _, err := boltstore.Open(o); !errors.Is(err, boltstore.ErrInUse) {
		t.Fatalf("a second engine answers %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, o)
}

func TestOpenRefusesOptions(t *testing.T) {
	for name, spoil := range map[string]func(*boltstore.Options){
		"no path":             func(o *boltstore.Options) { o.Path = "" },
		"no clock":            func(o *boltstore.Options) { o.Now = nil },
		"negative partitions": func(o *boltstore.Options) { o.Partitions = -1 },
		"too many partitions": func(o *boltstore.Options) { o.Partitions = 1<<16 + 1 },
		"negative batch":      func(o *boltstore.Options) { o.MaxBatch = -1 },
		"negative sweep":      func(o *boltstore.Options) { o.SweepEvery = -1 },
		"negative folds":      func(o *boltstore.Options) { o.FoldEvery = -1 },
		"negative patience":   func(o *boltstore.Options) { o.LockTimeout = -1 },
		"a directory":         func(o *boltstore.Options) { o.Path = filepath.Dir(filepath.Dir(o.Path)) },
		"below a file": func(o *boltstore.Options) {
			file := filepath.Join(filepath.Dir(filepath.Dir(o.Path)), "file")
			if err := os.WriteFile(file, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			o.Path = filepath.Join(file, "drawbridge.db")
		},
	} {
		o := options(t, &clock{})
		spoil(&o)
		if e, err := boltstore.Open(o); err == nil {
			_ = e.Close()
			t.Errorf("%s: is not refused", name)
		}
	}
}

func TestLayoutIsFixedAtCreation(t *testing.T) {
	o := options(t, &clock{})
	for _, c := range []struct {
		ask  int
		want int
	}{{3, 3}, {0, 3}, {3, 3}, {1, 0}, {4, 0}} {
		o.Partitions = c.ask
		e, err := boltstore.Open(o)
		if c.want == 0 {
			if err == nil {
				t.Fatalf("a store of 3 partitions opens with %d", c.ask)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := e.Layout().Partitions; got != c.want {
			t.Fatalf("asked for %d the store has %d partitions, want %d", c.ask, got, c.want)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// edit changes a closed store's file behind its back.
func edit(t *testing.T, path string, change func(*bbolt.Tx) error) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if err := db.Update(change); err != nil {
		t.Fatal(err)
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	o := options(t, &clock{})
	if err := open(t, o).Close(); err != nil {
		t.Fatal(err)
	}
	edit(t, o.Path, func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("meta")).Put([]byte("schema"), binary.BigEndian.AppendUint64(nil, 3))
	})
	if _, err := boltstore.Open(o); !errors.Is(err, store.ErrNewer) {
		t.Fatalf("a newer file answers %v", err)
	}
}

func TestForeignFilesAreRefused(t *testing.T) {
	for name, write := range map[string]func(t *testing.T, path string){
		"another program's": func(t *testing.T, path string) {
			edit(t, path, func(tx *bbolt.Tx) error {
				_, err := tx.CreateBucket([]byte("theirs"))
				return err
			})
		},
		"with a meta bucket": func(t *testing.T, path string) {
			edit(t, path, func(tx *bbolt.Tx) error {
				_, err := tx.CreateBucket([]byte("meta"))
				return err
			})
		},
		"text": func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte("not a store\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"zeros": func(t *testing.T, path string) {
			if err := os.WriteFile(path, make([]byte, 32<<10), 0o600); err != nil {
				t.Fatal(err)
			}
		},
	} {
		o := options(t, &clock{})
		o.Path = filepath.Join(t.TempDir(), "drawbridge.db")
		write(t, o.Path)
		before, err := os.ReadFile(o.Path)
		if err != nil {
			t.Fatal(err)
		}
		if e, err := boltstore.Open(o); err == nil {
			_ = e.Close()
			t.Errorf("%s: is not refused", name)
		}
		if after, err := os.ReadFile(o.Path); err != nil || string(after) != string(before) {
			t.Errorf("%s: was changed, %v", name, err)
		}
	}
}

// An empty file is what a crash at the very beginning leaves.
func TestEmptyFileIsCreatedAnew(t *testing.T) {
	o := options(t, &clock{})
	o.Path = filepath.Join(t.TempDir(), "drawbridge.db")
	if err := os.WriteFile(o.Path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, o)
}

func TestRestoredLogsHaveANewEpoch(t *testing.T) {
	o := options(t, &clock{})
	e := open(t, o)
	last := store.Position{}
	for epoch := range 3 {
		for range 2 {
			if _, err := e.Commit(t.Context(), store.Append(0, []byte("e"))); err != nil {
				t.Fatal(err)
			}
		}
		entries, err := e.ReadLog(t.Context(), 0, last, 10, 0)
		if err != nil || len(entries) != 2 || entries[0].Position.Compare(last) <= 0 {
			t.Fatalf("after %v: %v, %v", last, entries, err)
		}
		if same := entries[0].Position.Epoch == last.Epoch; epoch > 0 && same {
			t.Fatalf("positions %v and %v share an epoch", last, entries[0].Position)
		}
		last = entries[1].Position
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		o.NewEpoch = true
		e = open(t, o)
	}
	if all, err := e.ReadLog(t.Context(), 0, store.Position{}, 10, 0); err != nil || len(all) != 6 {
		t.Fatalf("the log over all epochs is %v, %v", all, err)
	}
}
