package boltstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/boltstore"
)

// TestBackupIsOneMoment copies a store that is being written to: every commit
// is whole in the copy, and what came first is there if what came later is.
func TestBackupIsOneMoment(t *testing.T) {
	o := options(t, &clock{})
	e := open(t, o)
	ctx, stop := context.WithCancel(t.Context())
	wrote := make(chan error, 1)
	started := make(chan struct{})
	go func() {
		for i := 0; ; i++ {
			k := store.Key{Kind: "thing", ID: fmt.Sprint("acme/", i)}
			pair := store.Key{Kind: "pair", ID: k.ID}
			_, err := e.Commit(ctx, store.Create(k, make([]byte, 3000), time.Time{}), store.Create(pair, nil, time.Time{}), store.Append(0, nil))
			if err != nil {
				wrote <- err
				return
			}
			if i == 50 {
				close(started)
			}
		}
	}()
	<-started
	var copies []string
	for i := range 5 {
		var copied bytes.Buffer
		if err := e.Backup(t.Context(), &copied); err != nil {
			t.Fatal(err)
		}
		copies = append(copies, filepath.Join(t.TempDir(), fmt.Sprint(i)))
		if err := os.WriteFile(copies[i], copied.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	if err := <-wrote; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	for _, path := range copies {
		verifyCopy(t, path, o)
	}
}

func verifyCopy(t *testing.T, path string, o boltstore.Options) {
	t.Helper()
	o.Path = path
	o.NewEpoch = true
	e := open(t, o)
	var counts []int
	for _, kind := range []string{"thing", "pair"} {
		recs, err := e.Scan(t.Context(), store.Range{Kind: kind, Limit: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		counts = append(counts, len(recs))
	}
	entries, err := e.ReadLog(t.Context(), 0, store.Position{}, 1<<20, 0)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(entries); n <= 50 || counts[0] != n || counts[1] != n {
		t.Errorf("the copy has %d entries and %v records", n, counts)
	}
	if _, err := e.Commit(t.Context(), store.Append(0, nil)); err != nil {
		t.Error(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if err := db.View(func(tx *bbolt.Tx) error {
		for err := range tx.Check() {
			t.Errorf("the copy's file: %v", err)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// writerFunc is an io.Writer.
type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestBackupEndsEarly(t *testing.T) {
	e := open(t, options(t, &clock{}))
	if _, err := e.Commit(t.Context(), store.Append(0, make([]byte, 1<<20))); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := e.Backup(ctx, writerFunc(func(p []byte) (int, error) {
		cancel()
		return len(p), nil
	})); !errors.Is(err, context.Canceled) {
		t.Errorf("a backup whose context ends answers %v", err)
	}
	if err := e.Backup(t.Context(), writerFunc(func([]byte) (int, error) { return 0, io.ErrShortWrite })); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("a backup to a full place answers %v", err)
	}
	closed := make(chan error, 1)
	begun := false
	if err := e.Backup(t.Context(), writerFunc(func(p []byte) (int, error) {
		if !begun {
			begun = true
			go func() { closed <- e.Close() }()
			// Asked without a read of the file: bbolt's Close lets no reader end
			// while another is there, and this is in the middle of one.
			for err := error(nil); !errors.Is(err, store.ErrClosed); {
				time.Sleep(time.Millisecond) // a poll
				_, err = e.Now(t.Context())
			}
		}
		return len(p), nil
	})); !errors.Is(err, store.ErrClosed) {
		t.Errorf("a backup of an engine that is closed answers %v", err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if s := e.Stats(); s.Commits != 1 || s.FileBytes != 0 {
		t.Errorf("a closed engine's stats are %+v", s)
	}
	if err := e.Backup(t.Context(), io.Discard); !errors.Is(err, store.ErrClosed) {
		t.Errorf("a backup of a closed engine answers %v", err)
	}
}
