package boltstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/boltstore"
)

var _ store.Dumper = (*boltstore.Engine)(nil)

// file is the dump of an engine as a file.
func file(t *testing.T, e *boltstore.Engine) []byte {
	t.Helper()
	var out bytes.Buffer
	info := store.DumpInfo{Engine: "bolt", Partitions: e.Layout().Partitions, Created: time.Unix(1, 0)}
	if _, err := store.WriteDump(&out, info, e.Dump(t.Context())); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func items(t *testing.T, dump []byte) iter.Seq2[store.Item, error] {
	t.Helper()
	r, err := store.ReadDump(bytes.NewReader(dump))
	if err != nil {
		t.Fatal(err)
	}
	return r.Items()
}

// fill makes random commits in every partition: records of several kinds that
// are written, replaced, removed and expire, entries, trims and new epochs.
func fill(t *testing.T, o boltstore.Options, c *clock, rng *rand.Rand, commits int) *boltstore.Engine {
	t.Helper()
	e := open(t, o)
	for i := range commits {
		if i == commits/2 {
			if err := e.Close(); err != nil {
				t.Fatal(err)
			}
			o.NewEpoch = true
			e = open(t, o)
		}
		p := store.Partition(rng.IntN(o.Partitions))
		ops := []store.Op{}
		for n := range 1 + rng.IntN(40) {
			k := store.Key{Partition: p, Kind: []string{"a", "bb", "thing", "lease"}[rng.IntN(4)], ID: fmt.Sprintf("acme/%d\xff\x00\"%d", rng.IntN(200), n)}
			value := make([]byte, rng.IntN(700))
			for i := range value {
				value[i] = byte(rng.Uint32())
			}
			var expires time.Time
			if rng.IntN(2) == 0 {
				expires = c.now().Add(time.Duration(rng.IntN(40))*time.Minute - time.Nanosecond)
			}
			switch rng.IntN(5) {
			case 0:
				ops = append(ops, store.Drop(k))
			case 1:
				ops = append(ops, store.Append(p, value))
			default:
				ops = append(ops, store.Put(k, value, expires))
			}
		}
		if _, err := e.Commit(t.Context(), ops...); err != nil {
			t.Fatal(err)
		}
		c.advance(time.Duration(rng.IntN(30)) * time.Second)
		if entries, err := e.ReadLog(t.Context(), p, store.Position{}, 3, 0); rng.IntN(20) == 0 && err == nil && len(entries) > 0 {
			if err := e.TrimLog(t.Context(), p, entries[len(entries)-1].Position); err != nil {
				t.Fatal(err)
			}
		}
	}
	return e
}

// TestDumpsAreLoadedAsTheyAre: what is loaded from a dump dumps the same bytes,
// and goes on where the first store stood.
func TestDumpsAreLoadedAsTheyAre(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			c, rng := &clock{}, rand.New(rand.NewPCG(seed, 1))
			o := options(t, c)
			o.Partitions = 1 + int(seed)*7
			from := fill(t, o, c, rng, 80)
			dump := file(t, from)
			o.Path = t.TempDir() + "/other.db"
			to := open(t, o)
			if err := to.Load(t.Context(), items(t, dump)); err != nil {
				t.Fatal(err)
			}
			if again := file(t, to); !bytes.Equal(again, dump) {
				t.Fatal("the dump of what was loaded is another")
			}
			sound(t, to)
			for p := range store.Partition(o.Partitions) {
				goesOn(t, from, to, p)
			}
			c.advance(time.Hour)
			if !bytes.Equal(file(t, to), file(t, from)) {
				t.Error("the copy's records expire in another way")
			}
			sound(t, to)
		})
	}
}

// goesOn makes the same commit in both stores: version and position are the same.
func goesOn(t *testing.T, from, to *boltstore.Engine, p store.Partition) {
	t.Helper()
	ops := []store.Op{store.Put(store.Key{Partition: p, Kind: "next", ID: "/"}, nil, time.Time{}), store.Append(p, nil)}
	v, err1 := from.Commit(t.Context(), ops...)
	w, err2 := to.Commit(t.Context(), ops...)
	if v != w || err1 != nil || err2 != nil {
		t.Errorf("the next version of partition %d is %d, %v and in the copy %d, %v", p, v, err1, w, err2)
	}
}

func sound(t *testing.T, e *boltstore.Engine) {
	t.Helper()
	if err := e.Check(t.Context(), func(problem string) { t.Errorf("file: %s", problem) }); err != nil {
		t.Error(err)
	}
}

// TestDumpIsOneMoment: commits that come while a dump is read are not in it.
func TestDumpIsOneMoment(t *testing.T) {
	o := options(t, &clock{})
	o.Partitions = 2
	e := open(t, o)
	write := func(n int) {
		for p := range store.Partition(2) {
			k := store.Key{Partition: p, Kind: "thing", ID: fmt.Sprint("acme/", n)}
			if _, err := e.Commit(t.Context(), store.Create(k, nil, time.Time{}), store.Append(p, nil)); err != nil {
				t.Fatal(err)
			}
		}
	}
	write(0)
	n := 0
	for _, err := range e.Dump(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		n++
		write(n)
	}
	if n != 6 {
		t.Errorf("the dump has %d items, want 2 heads, 2 records and 2 entries", n)
	}
	for range e.Dump(t.Context()) {
		break // wants no more
	}
}

func TestDumpEnds(t *testing.T) {
	e := open(t, options(t, &clock{}))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range e.Dump(ctx) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("a dump without a reader answers %v", err)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, err := range e.Dump(t.Context()) {
		if n++; !errors.Is(err, store.ErrClosed) {
			t.Errorf("a dump of a closed engine answers %v", err)
		}
	}
	if n != 1 {
		t.Errorf("it answers %d times", n)
	}
}

func TestLoadOnlyIntoEmptyStores(t *testing.T) {
	o := options(t, &clock{})
	from := open(t, o)
	if _, err := from.Commit(t.Context(), store.Append(0, []byte("e"))); err != nil {
		t.Fatal(err)
	}
	dump := file(t, from)
	o.Path += ".2"
	to := open(t, o)
	k := store.Key{Kind: "thing", ID: "acme/a"}
	v, err := to.Commit(t.Context(), store.Create(k, nil, time.Time{}))
	if err != nil {
		t.Fatal(err)
	}
	// That nothing is left of it makes no difference: its versions were given.
	if _, err := to.Commit(t.Context(), store.Take(k, v)); err != nil {
		t.Fatal(err)
	}
	if err := to.Load(t.Context(), items(t, dump)); !errors.Is(err, store.ErrNotEmpty) {
		t.Fatalf("loading what was written to answers %v", err)
	}
	if w, err := to.Commit(t.Context(), store.Append(0, nil)); err != nil || w != v+2 {
		t.Errorf("after that: version %d, %v", w, err)
	}
}

// TestHalfALoadIsNeverSeen: neither by this engine nor by the next.
func TestHalfALoadIsNeverSeen(t *testing.T) {
	boom := errors.New("boom")
	o := options(t, &clock{})
	from := open(t, o)
	for i := range 30 {
		if _, err := from.Commit(t.Context(), store.Create(store.Key{Kind: "thing", ID: fmt.Sprint("acme/", i)}, make([]byte, 1<<20), time.Time{})); err != nil {
			t.Fatal(err)
		}
	}
	o.Path += ".2"
	to := open(t, o)
	err := to.Load(t.Context(), func(yield func(store.Item, error) bool) {
		n := 0
		for item, err := range from.Dump(t.Context()) {
			if n++; n == 25 {
				item, err = store.Item{}, boom
			}
			if !yield(item, err) || err != nil {
				return
			}
		}
	})
	if !errors.Is(err, boom) {
		t.Fatalf("the load answers %v", err)
	}
	_, err1 := to.Get(t.Context(), store.Key{Kind: "thing", ID: "acme/1"})
	_, err2 := to.Commit(t.Context(), store.Append(0, nil))
	_, err3 := to.ReadLog(t.Context(), 0, store.Position{}, 1, 0)
	err4 := to.Load(t.Context(), from.Dump(t.Context()))
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	_, err5 := boltstore.Open(o)
	for i, err := range []error{err1, err2, err3, err4, err5} {
		if !errors.Is(err, store.ErrLoading) {
			t.Errorf("call %d answers %v", i+1, err)
		}
	}
}

func TestLoadHoldsDumpsToTheLayout(t *testing.T) {
	o := options(t, &clock{})
	from := open(t, o)
	o.Path, o.Partitions = o.Path+".2", 2
	to := open(t, o)
	if err := to.Load(t.Context(), from.Dump(t.Context())); err == nil {
		t.Error("a dump of one partition was loaded into two")
	}
}

func TestReadOnlyChangesNothing(t *testing.T) {
	o := options(t, &clock{})
	o.ReadOnly = true
	if _, err := boltstore.Open(o); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("reading what is not there answers %v", err)
	}
	if _, err := os.Stat(o.Path); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("and leaves %v", err)
	}
	o.ReadOnly, o.LockTimeout = false, time.Nanosecond
	writer := open(t, o)
	if _, err := writer.Commit(t.Context(), store.Append(0, []byte("e"))); err != nil {
		t.Fatal(err)
	}
	o.ReadOnly = true
	if _, err := boltstore.Open(o); !errors.Is(err, boltstore.ErrInUse) {
		t.Fatalf("reading beside a writer answers %v", err)
	}
	dump := file(t, writer)
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(o.Path)
	if err != nil {
		t.Fatal(err)
	}
	first, second := open(t, o), open(t, o)
	for _, e := range []*boltstore.Engine{first, second} {
		sound(t, e)
		_, err1 := e.Commit(t.Context(), store.Append(0, nil))
		err2 := e.TrimLog(t.Context(), 0, store.Position{Epoch: 1, Seq: 1})
		err3 := e.Load(t.Context(), items(t, dump))
		for i, err := range []error{err1, err2, err3} {
			if !errors.Is(err, boltstore.ErrReadOnly) {
				t.Errorf("write %d answers %v", i+1, err)
			}
		}
		if !bytes.Equal(file(t, e), dump) {
			t.Error("it reads something else")
		}
	}
	if after, err := os.ReadFile(o.Path); err != nil || !bytes.Equal(after, before) {
		t.Errorf("the file was changed, %v", err)
	}
	o.NewEpoch = true
	if _, err := boltstore.Open(o); err == nil {
		t.Error("a new epoch in a file that is only read")
	}
}
