package boltstore

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// snapshot copies the files of a store as a crash would leave them now.
func snapshot(t *testing.T, from, to string) {
	t.Helper()
	for i, path := range Files(from) {
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = os.WriteFile(Files(to)[i], b, 0o600)
		}
		if err != nil {
			t.Error(err)
		}
	}
}

// history makes commits of which each can be found again, whole or not at all:
// number n writes one-n and last, takes one-(n-1), and appends n to the log.
type history struct {
	e *Engine
	n int
	v store.Version
}

func (h *history) next(t *testing.T) error {
	n := h.n + 1
	last := store.Create(key("last"), fmt.Append(nil, n), time.Time{})
	if n > 1 {
		last = store.Replace(key("last"), h.v, fmt.Append(nil, n), time.Time{})
	}
	ops := []store.Op{last, store.Create(key(fmt.Sprint("one-", n)), make([]byte, n%900), time.Now().Add(time.Hour)), store.Append(0, fmt.Append(nil, n))}
	if n > 1 {
		ops = append(ops, store.Take(key(fmt.Sprint("one-", n-1)), h.v))
	}
	v, err := h.e.Commit(t.Context(), ops...)
	if err == nil {
		h.n, h.v = n, v
	}
	return err
}

// found opens what a crash has left and says up to which commit it reaches. All
// of it must be of that one moment.
func found(t *testing.T, path string, readOnly bool) int {
	t.Helper()
	e, err := Open(Options{Path: path, Now: time.Now, ReadOnly: readOnly})
	if err != nil {
		t.Errorf("opened again: %v", err)
		return -1
	}
	defer func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}()
	n := 0
	rec, err := e.Get(t.Context(), key("last"))
	if err == nil {
		_, err = fmt.Sscan(string(rec.Value), &n)
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
	var want []string
	if n > 0 {
		want = []string{"acme/last", fmt.Sprint("acme/one-", n)}
	}
	recs, err := e.Scan(t.Context(), store.Range{Kind: "thing", Prefix: "acme/", Limit: 1000})
	var got []string
	for _, r := range recs {
		got = append(got, r.Key.ID)
		if r.Version != rec.Version {
			t.Errorf("%s is at %d, and last at %d", r.Key.ID, r.Version, rec.Version)
		}
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("at commit %d there are %q, %v", n, got, err)
	}
	entries, err := e.ReadLog(t.Context(), 0, store.Position{}, 1e6, 0)
	if err != nil || len(entries) != n {
		t.Errorf("at commit %d the log has %d entries, %v", n, len(entries), err)
	}
	dumped := 0
	for item, err := range e.Dump(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if item.Entry != nil || item.Record != nil {
			dumped++
		}
	}
	if dumped != len(want)+n {
		t.Errorf("at commit %d the dump has %d items", n, dumped)
	}
	if err := e.Check(t.Context(), func(problem string) { t.Error(problem) }); err != nil {
		t.Error(err)
	}
	return n
}

// TestCrashesAtEveryStep copies the files at every step of commits, folds,
// backups and the end. What was answered by then is in the copy, what was under
// way is there whole or not at all, and a copy goes on as a store.
func TestCrashesAtEveryStep(t *testing.T) {
	type crash struct {
		step, path string
		answered   int
	}
	dir := t.TempDir()
	var (
		mu      sync.Mutex
		crashes []crash
		h       = &history{}
		done    int
		seen    = map[string]int{}
	)
	e := openEngine(t, func(o *Options) { o.FoldEvery = time.Nanosecond })
	h.e = e
	e.wal.step = func(step string) {
		mu.Lock()
		defer mu.Unlock()
		if seen[step]++; seen[step]%7 > 2 {
			return
		}
		c := crash{step: step, path: filepath.Join(dir, fmt.Sprint(len(crashes))), answered: done}
		snapshot(t, e.o.Path, c.path)
		crashes = append(crashes, c)
	}
	for i := range 60 {
		if err := h.next(t); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		done = h.n
		mu.Unlock()
		if i%20 == 10 {
			if err := e.Backup(t.Context(), writerOf(func(p []byte) (int, error) { return len(p), nil })); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	for _, step := range []string{"made", "marked", "write", "sync", "synced", "frozen", "fold", "folded", "thawed", "parked", "removed"} {
		if seen[step] == 0 {
			t.Errorf("step %s was never passed", step)
		}
	}
	for _, c := range crashes {
		// Reading only, first: it must leave all as it is for the second.
		for _, readOnly := range []bool{true, false} {
			if n := found(t, c.path, readOnly); n < c.answered || n > c.answered+1 {
				t.Errorf("crash at %s (%s): commit %d was answered, and %d is there", c.step, c.path, c.answered, n)
			}
		}
		if left, _ := filepath.Glob(c.path + ".wal*"); len(left) > 0 {
			t.Errorf("crash at %s: %v are left", c.step, left)
		}
	}
	if left, _ := filepath.Glob(e.o.Path + ".wal*"); len(left) > 0 {
		t.Errorf("a clean end leaves %v", left)
	}
}

type writerOf func(p []byte) (int, error)

func (f writerOf) Write(p []byte) (int, error) { return f(p) }

// crashed makes commits that are not folded, and a copy of the files with them.
func crashed(t *testing.T, commits int) (path string, sizes []int64) {
	t.Helper()
	e := openEngine(t, func(o *Options) { o.FoldEvery = time.Hour })
	h := &history{e: e}
	for range commits {
		if err := h.next(t); err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, e.wal.at)
	}
	path = filepath.Join(t.TempDir(), "crashed.db")
	snapshot(t, e.o.Path, path)
	return path, sizes
}

// altered is a copy of a crashed store whose write-ahead file was changed.
func altered(t *testing.T, path string, change func(b []byte) []byte) string {
	t.Helper()
	other := filepath.Join(t.TempDir(), "altered.db")
	snapshot(t, path, other)
	b, err := os.ReadFile(other + ".wal")
	if err == nil {
		err = os.WriteFile(other+".wal", change(b), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return other
}

// TestTornTails cuts the newest commit off at every byte, and turns the bytes of it
// over: it is gone, and no other.
func TestTornTails(t *testing.T) {
	const commits = 5
	path, ends := crashed(t, commits)
	from, to := ends[commits-2], ends[commits-1]
	for at := from; at < to; at++ {
		for name, change := range map[string]func(b []byte) []byte{
			"cut":        func(b []byte) []byte { return b[:at] },
			"not synced": func(b []byte) []byte { clear(b[at:]); return b },
			"turned":     func(b []byte) []byte { b[at] ^= 0x55; return b },
			"the rest only": func(b []byte) []byte {
				clear(b[from : at+1])
				return b
			},
			// Files are written over: what has not come onto the disk is anything.
			"over something older": func(b []byte) []byte {
				for i := at; i < to; i++ {
					b[i] ^= 0x55
				}
				return b
			},
		} {
			if n := found(t, altered(t, path, change), at%2 == 0); n != commits-1 {
				t.Fatalf("%s at byte %d of %d: commit %d is there", name, at-from, to-from, n)
			}
		}
	}
	if n := found(t, altered(t, path, func(b []byte) []byte { return b[:to] }), false); n != commits {
		t.Errorf("whole: commit %d is there", n)
	}
}

// TestDamageBeforeTheTail turns every byte of a commit over that others follow:
// what was on the disk is not dropped in silence.
func TestDamageBeforeTheTail(t *testing.T) {
	const commits = 5
	path, ends := crashed(t, commits)
	for at := ends[1]; at < ends[2]; at++ {
		other := altered(t, path, func(b []byte) []byte { b[at] ^= 0x55; return b })
		e, err := Open(Options{Path: other, Now: time.Now})
		if err == nil {
			_ = e.Close()
			t.Fatalf("damage at byte %d is not noticed", at)
		}
		if !errors.Is(err, errDamaged) || !strings.Contains(err.Error(), "commit 3 cannot be read") {
			t.Fatalf("damage at byte %d: %v", at, err)
		}
	}
}

// TestFilesThatDoNotBelong: a store is not opened beside commits that are not
// its own, and not without those that are.
func TestFilesThatDoNotBelong(t *testing.T) {
	path, _ := crashed(t, 3)
	foreign, _ := crashed(t, 2)
	clean := filepath.Join(t.TempDir(), "clean.db")
	e, err := Open(Options{Path: clean, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	var copied []byte
	if err := errors.Join((&history{e: e}).next(t), e.Backup(t.Context(), writerOf(func(p []byte) (int, error) {
		copied = append(copied, p...)
		return len(p), nil
	})), e.Close()); err != nil {
		t.Fatal(err)
	}
	for name, put := range map[string]func(dir string) map[string]string{
		"nothing beside a crashed one":  func(string) map[string]string { return map[string]string{"": path} },
		"one of two":                    func(string) map[string]string { return map[string]string{"": path, ".wal2": path + ".wal2"} },
		"the other of two":              func(string) map[string]string { return map[string]string{"": path, ".wal": path + ".wal"} },
		"commits of another store":      func(string) map[string]string { return map[string]string{"": path, ".wal": foreign + ".wal"} },
		"commits beside a closed store": func(string) map[string]string { return map[string]string{"": clean, ".wal": path + ".wal"} },
		"commits beside no store":       func(string) map[string]string { return map[string]string{".wal": path + ".wal"} },
		"something else":                func(string) map[string]string { return map[string]string{"": clean, ".wal2": clean} },
		"commits beside a backup": func(dir string) map[string]string {
			if err := os.WriteFile(filepath.Join(dir, "backup"), copied, 0o600); err != nil {
				t.Fatal(err)
			}
			return map[string]string{"": filepath.Join(dir, "backup"), ".wal": path + ".wal"}
		},
	} {
		dir := t.TempDir()
		at := filepath.Join(dir, "store.db")
		files := put(dir)
		for suffix, from := range files {
			b, err := os.ReadFile(from)
			if err == nil {
				err = os.WriteFile(at+suffix, b, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		for _, readOnly := range []bool{true, false} {
			e, err := Open(Options{Path: at, Now: time.Now, ReadOnly: readOnly})
			if err == nil {
				_ = e.Close()
				t.Errorf("%s (read only: %v): is opened", name, readOnly)
			}
		}
		for suffix, from := range files {
			if suffix == "" {
				continue
			}
			was, _ := os.ReadFile(from)
			if is, err := os.ReadFile(at + suffix); err != nil || !slices.Equal(is, was) {
				t.Errorf("%s: %s was changed, %v", name, suffix, err)
			}
		}
	}
	// The two that belong to it, in the other order, are as good.
	if n := found(t, path, true); n != 3 {
		t.Errorf("what belongs together has commit %d", n)
	}
}

// TestPowerLoss keeps, of what was written since the last sync, only some of the
// sectors, as a disk may. Files are written over many times meanwhile.
func TestPowerLoss(t *testing.T) {
	const sector = 512
	rng := rand.New(rand.NewPCG(5, 6))
	e := openEngine(t, func(o *Options) { o.FoldEvery = time.Hour })
	h := &history{e: e}
	dir := t.TempDir()
	tried := 0
	e.wal.write = func(f *os.File, b []byte, at int64) (int, error) {
		if h.n > 3 && rng.IntN(4) == 0 {
			tried++
			path := filepath.Join(dir, fmt.Sprint(tried))
			snapshot(t, e.o.Path, path)
			torn, err := os.OpenFile(path+filepath.Ext(f.Name()), os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			for from := 0; from < len(b); from += sector {
				if rng.IntN(2) == 0 {
					to := min(len(b), from+sector-int(at+int64(from))%sector)
					if _, err := torn.WriteAt(b[from:to], at+int64(from)); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := torn.Close(); err != nil {
				t.Fatal(err)
			}
			if n := found(t, path, false); n != h.n && n != h.n+1 {
				t.Errorf("commit %d was answered, and %d is there", h.n, n)
			}
		}
		return f.WriteAt(b, at)
	}
	for i := range 150 {
		if err := h.next(t); err != nil {
			t.Fatal(err)
		}
		if i%9 == 8 {
			if err := e.settled(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if tried < 20 {
		t.Errorf("the power went %d times", tried)
	}
}

// TestLeftoversAreRemoved: a crash after everything was taken over, and before the
// files were removed, is no hindrance. Files with one commit more are.
func TestLeftoversAreRemoved(t *testing.T) {
	path, ends := crashed(t, 5)
	for name, c := range map[string]struct {
		wal   func(b []byte) []byte
		opens bool
	}{
		"all of it":           {wal: func(b []byte) []byte { return b }, opens: true},
		"and a torn one":      {wal: func(b []byte) []byte { clear(b[ends[4]-3:]); return b }, opens: true},
		"and a whole one":     {wal: func(b []byte) []byte { return b }},
		"and two, one broken": {wal: func(b []byte) []byte { b[ends[3]-3] ^= 1; return b }},
	} {
		// What is taken over is the file at commit 5, 4, 4 and 3.
		folded := map[string]int{"all of it": 5, "and a torn one": 4, "and a whole one": 4, "and two, one broken": 3}[name]
		other := altered(t, path, func(b []byte) []byte { clear(b[ends[folded-1]:]); return b })
		if n := found(t, other, false); n != folded {
			t.Fatalf("commit %d of %d", n, folded)
		}
		b, err := os.ReadFile(path + ".wal")
		if err == nil {
			err = os.WriteFile(other+".wal", c.wal(b), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		if !c.opens {
			if e, err := Open(Options{Path: other, Now: time.Now}); err == nil {
				_ = e.Close()
				t.Errorf("%s: is opened", name)
			}
			continue
		}
		if n := found(t, other, false); n != folded {
			t.Errorf("%s: commit %d of %d", name, n, folded)
		}
		if left, _ := filepath.Glob(other + ".wal*"); len(left) > 0 {
			t.Errorf("%s: %v are left", name, left)
		}
	}
}

// TestOlderBinariesRefuseWhatTheyDoNotSee: they know schema 1. It is 2 while there
// may be commits beside the file, and 1 again after a clean end.
func TestOlderBinariesRefuseWhatTheyDoNotSee(t *testing.T) {
	path, _ := crashed(t, 1)
	schemaOf := func() (version []byte) {
		db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = db.Close() }()
		_ = db.View(func(tx *bbolt.Tx) error {
			version = slices.Clone(tx.Bucket([]byte(metaBucket)).Get([]byte("schema")))
			return nil
		})
		return version
	}
	if v := schemaOf(); !slices.Equal(v, number(2)) {
		t.Errorf("beside commits the schema is %x", v)
	}
	if n := found(t, path, false); n != 1 {
		t.Errorf("commit %d is there", n)
	}
	if v := schemaOf(); !slices.Equal(v, number(1)) {
		t.Errorf("after a clean end the schema is %x", v)
	}
}
