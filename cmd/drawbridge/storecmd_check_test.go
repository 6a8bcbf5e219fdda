package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/boltstore"
)

// TestCheckFinds plants one thing at a time that no commit of ours leaves.
func TestCheckFinds(t *testing.T) {
	t.Parallel()
	cfg := load(t, storeFile(t))
	signedIn(t, cfg)
	original, err := os.ReadFile(cfg.Store.Path)
	if err != nil {
		t.Fatal(err)
	}
	drop := func(kind string) func(store.Record) []store.Op {
		return func(rec store.Record) []store.Op {
			if rec.Key.Kind != kind {
				return nil
			}
			return []store.Op{store.Drop(rec.Key)}
		}
	}
	for want, plant := range map[string]func(store.Record) []store.Op{
		"a session has no due time":                                          drop("session.due"),
		"a session is not in the index by person":                            drop("session.person"),
		"the index by person names a session that is not there":              drop("session"),
		"the index by upstream names a session that is not there":            drop("session"),
		"remark: a due time is of a session that is not there":               drop("session"),
		"a pending delivery has no due time":                                 drop("job_due"),
		"remark: a due time is of a delivery that is not there":              drop("job"),
		"an alias leads to a person who is not there":                        drop("person"),
		"a record cannot be read: store: nothing is known of records of the": func(rec store.Record) []store.Op { rec.Key.Kind = "x"; return put(rec) },
		"a record cannot be read: read session: key \"k1\"": func(rec store.Record) []store.Op {
			if rec.Key.Kind != "session" {
				return nil
			}
			rec.Value[len(rec.Value)-1] ^= 1
			return put(rec)
		},
		"a log entry cannot be read": func(rec store.Record) []store.Op {
			if rec.Key.Kind != "session" {
				return nil
			}
			return []store.Op{store.Append(0, []byte("no event"))}
		},
		"a webhook's cursor stands beyond the end of the log": func(rec store.Record) []store.Op {
			if rec.Key.Kind != "session" {
				return nil
			}
			cursor := store.NewTable[map[string]string](nil, store.TableOptions{Kind: "cursor", Schema: 1})
			return []store.Op{cursor.Create(rec.Key.Place(), "far", map[string]string{"position": "9999999999999-1"}, time.Time{})}
		},
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			cfg := cfg
			cfg.Store.Path = filepath.Join(t.TempDir(), "drawbridge.db")
			if err := os.WriteFile(cfg.Store.Path, original, 0o600); err != nil {
				t.Fatal(err)
			}
			spoil(t, cfg.Store.Path, plant)
			var out bytes.Buffer
			err := checkStore(t.Context(), cfg, "", &out)
			if !strings.Contains(out.String(), want) {
				t.Errorf("it does not find that:\n%s", out.String())
			}
			if onlyRemarks := strings.HasSuffix(strings.TrimSpace(out.String()), "\n0 problems"); onlyRemarks != (err == nil) {
				t.Errorf("it answers %v:\n%s", err, out.String())
			}
		})
	}
}

func put(rec store.Record) []store.Op { return []store.Op{store.Put(rec.Key, rec.Value, rec.Expires)} }

// spoil changes the first record of which plant makes anything.
func spoil(t *testing.T, path string, plant func(store.Record) []store.Op) {
	t.Helper()
	eng, err := boltstore.Open(boltstore.Options{Path: path, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := eng.Close(); err != nil {
			t.Error(err)
		}
	}()
	for item, err := range eng.Dump(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if item.Record == nil {
			continue
		}
		if ops := plant(*item.Record); len(ops) > 0 {
			if _, err := eng.Commit(t.Context(), ops...); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatal("there is nothing to spoil")
}
