package boltstore_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/drawbridge-id/drawbridge/federation/store/boltstore"
)

// TestCheckFinds plants one thing at a time that must not be.
func TestCheckFinds(t *testing.T) {
	first := func(tx *bbolt.Tx, bucket string) ([]byte, []byte, *bbolt.Bucket) {
		b := tx.Bucket([]byte(bucket))
		k, v := b.Cursor().First()
		return bytes.Clone(k), bytes.Clone(v), b
	}
	for want, plant := range map[string]func(tx *bbolt.Tx) error{
		"partition 0: 1 records with an expiry are not in its index": func(tx *bbolt.Tx) error {
			k, _, b := first(tx, "expiry/0")
			return b.Delete(k)
		},
		"partition 0: 1 entries of the index of expiries are of no record": func(tx *bbolt.Tx) error {
			k, _, b := first(tx, "expiry/0")
			return b.Put(append(k, 'x'), nil)
		},
		"partition 1: 1 records have a version that was never given": func(tx *bbolt.Tx) error {
			k, v, b := first(tx, "records/1")
			v[0] = 0xff
			return b.Put(k, v)
		},
		"partition 1: 1 records are damaged": func(tx *bbolt.Tx) error {
			return tx.Bucket([]byte("records/1")).Put([]byte("\xff"), []byte("short"))
		},
		"partition 0: 1 log entries are not between": func(tx *bbolt.Tx) error {
			_, v, b := first(tx, "log/0")
			return b.Put(bytes.Repeat([]byte{0xff}, 16), v)
		},
		"partition 0: 1 log entries are damaged": func(tx *bbolt.Tx) error {
			return tx.Bucket([]byte("log/0")).Put([]byte("xyz"), nil)
		},
		"partition 1: read partition counters": func(tx *bbolt.Tx) error {
			return tx.Bucket([]byte("partitions")).Delete([]byte{0, 1})
		},
		"partition 1: a bucket is missing": func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("log/1")) },
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			c := &clock{}
			o := options(t, c)
			o.Partitions = 2
			if err := fill(t, o, c, rand.New(rand.NewPCG(1, 2)), 20).Close(); err != nil {
				t.Fatal(err)
			}
			edit(t, o.Path, plant)
			o.ReadOnly = true
			var told []string
			if err := open(t, o).Check(t.Context(), func(problem string) { told = append(told, problem) }); err != nil {
				t.Fatal(err)
			}
			if len(told) != 1 || !strings.HasPrefix(told[0], want) {
				t.Errorf("it tells %q", told)
			}
		})
	}
}

// TestFilesCutShortAreRefused: a backup that did not come whole is an error,
// not the end of the process.
func TestFilesCutShortAreRefused(t *testing.T) {
	c := &clock{}
	o := options(t, c)
	o.Partitions = 1
	if err := fill(t, o, c, rand.New(rand.NewPCG(1, 2)), 20).Close(); err != nil {
		t.Fatal(err)
	}
	var whole bytes.Buffer
	e := open(t, o)
	if err := e.Backup(t.Context(), &whole); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, 4096, 5000, 8192, whole.Len() / 2, whole.Len() - 4096, whole.Len() - 1} {
		for _, readOnly := range []bool{false, true} {
			cut := o
			cut.Path, cut.ReadOnly = fmt.Sprint(o.Path, n, readOnly), readOnly
			if err := os.WriteFile(cut.Path, whole.Bytes()[:n], 0o600); err != nil {
				t.Fatal(err)
			}
			if e, err := boltstore.Open(cut); err == nil {
				_ = e.Close()
				t.Errorf("%d of %d bytes are opened", n, whole.Len())
			}
		}
	}
}

// TestAlteredFilesDoNotEndTheProcess turns bits over in the file of a store,
// most of them where its pages say what they are. What is noticed is an error;
// what is not is read as far as it goes.
func TestAlteredFilesDoNotEndTheProcess(t *testing.T) {
	c := &clock{}
	o := options(t, c)
	o.Partitions = 1
	e := fill(t, o, c, rand.New(rand.NewPCG(1, 2)), 30)
	var whole bytes.Buffer
	if err := e.Backup(t.Context(), &whole); err != nil {
		t.Fatal(err)
	}
	o.Path, o.ReadOnly = o.Path+".altered", true
	rng, noticed := rand.New(rand.NewPCG(3, 4)), 0
	for range 200 {
		altered := bytes.Clone(whole.Bytes())
		at := rng.IntN(len(altered)/4096)*4096 + rng.IntN(256)
		altered[at] ^= 1 << rng.IntN(8)
		if err := os.WriteFile(o.Path, altered, 0o600); err != nil {
			t.Fatal(err)
		}
		e, err := boltstore.Open(o)
		if err != nil {
			noticed++
			continue
		}
		told := 0
		if err := e.Check(t.Context(), func(string) { told++ }); err != nil || told > 0 {
			noticed++
		}
		for range e.Dump(t.Context()) {
			continue // as far as it goes
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
	if noticed < 50 {
		t.Errorf("%d of 200 were noticed", noticed)
	}
}
