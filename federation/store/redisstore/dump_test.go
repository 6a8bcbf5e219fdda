package redisstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/redisstore"
	"github.com/drawbridge-id/drawbridge/federation/store/redisstore/redistest"
)

var _ store.Dumper = (*redisstore.Engine)(nil)

// dumped is the dump of an engine as a file.
func dumped(t *testing.T, e *redisstore.Engine) []byte {
	t.Helper()
	var out bytes.Buffer
	info := store.DumpInfo{Engine: "any", Partitions: e.Layout().Partitions, Created: time.Unix(1, 0)}
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

// fill makes random commits in every partition.
func fill(t *testing.T, e *redisstore.Engine, rng *rand.Rand) {
	t.Helper()
	now, err := e.Now(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 120 {
		p := store.Partition(rng.IntN(e.Layout().Partitions))
		var ops []store.Op
		for n := range 1 + rng.IntN(30) {
			k := store.Key{Partition: p, Kind: []string{"a", "bb", "thing", "lease"}[rng.IntN(4)], ID: fmt.Sprintf("acme/%d\xff\x00\"%d", rng.IntN(200), n)}
			value := make([]byte, rng.IntN(700))
			for i := range value {
				value[i] = byte(rng.Uint32())
			}
			var expires time.Time
			if rng.IntN(2) == 0 {
				expires = now.Add(time.Duration(rng.IntN(20)-1) * time.Hour)
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
		if entries, err := e.ReadLog(t.Context(), p, store.Position{}, 3, 0); rng.IntN(15) == 0 && err == nil && len(entries) > 0 {
			if err := e.TrimLog(t.Context(), p, entries[len(entries)-1].Position); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestDumpsAreLoadedAsTheyAre: what is loaded from a dump dumps the same bytes,
// and goes on where the first store stood, on one server and on a cluster.
func TestDumpsAreLoadedAsTheyAre(t *testing.T) {
	for name, start := range map[string]func(t *testing.T) []string{
		"one server": func(t *testing.T) []string { return []string{redistest.Start(t).Addr()} },
		"a cluster":  func(t *testing.T) []string { return redistest.StartCluster(t, 3, 0).Addrs() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &skew{}
			o := redisstore.Options{Addresses: start(t), Prefix: "from", Partitions: 7, Skew: s.get}
			from := open(t, o)
			fill(t, from, rand.New(rand.NewPCG(1, 2)))
			dump := dumped(t, from)
			o.Prefix = "to"
			to := open(t, o)
			if err := to.Load(t.Context(), items(t, dump)); err != nil {
				t.Fatal(err)
			}
			if err := to.Check(t.Context(), func(problem string) { t.Error(problem) }); err != nil {
				t.Error(err)
			}
			if again := dumped(t, to); !bytes.Equal(again, dump) {
				t.Fatal("the dump of what was loaded is another")
			}
			for _, e := range []*redisstore.Engine{to, open(t, o)} {
				for p := range store.Partition(7) {
					goesOn(t, from, e, p)
				}
			}
			s.advance(10*time.Hour + time.Minute)
			if !bytes.Equal(records(dumped(t, to)), records(dumped(t, from))) {
				t.Error("the copy's records expire in another way")
			}
		})
	}
}

// goesOn makes the same commit in both stores: version and position are the
// same, and the entry comes after all others.
func goesOn(t *testing.T, from, to *redisstore.Engine, p store.Partition) {
	t.Helper()
	ops := []store.Op{store.Put(store.Key{Partition: p, Kind: "next", ID: "/"}, nil, time.Time{}), store.Append(p, nil)}
	v, err1 := from.Commit(t.Context(), ops...)
	w, err2 := to.Commit(t.Context(), ops...)
	if v != w || err1 != nil || err2 != nil {
		t.Errorf("the next version of partition %d is %d, %v and in the copy %d, %v", p, v, err1, w, err2)
	}
}

// records are the lines of a dump that tell no time of a commit.
func records(dump []byte) []byte {
	var kept [][]byte
	for line := range bytes.Lines(dump) {
		if !bytes.HasPrefix(line, []byte(`{"entry"`)) && !bytes.HasPrefix(line, []byte(`{"end"`)) {
			kept = append(kept, line)
		}
	}
	return bytes.Join(kept, nil)
}

// TestADumpNoticesWriters: it is of one moment, or it is none.
func TestADumpNoticesWriters(t *testing.T) {
	t.Parallel()
	e := open(t, redisstore.Options{Addresses: []string{redistest.Start(t).Addr()}, Partitions: 2})
	write := func(n int, p store.Partition) {
		if _, err := e.Commit(t.Context(), store.Create(store.Key{Partition: p, Kind: "thing", ID: fmt.Sprintf("acme/%04d", n)}, nil, time.Time{}), store.Append(p, nil)); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 20 {
		write(n, 0)
	}
	for at := range 42 {
		n, failed := 0, error(nil)
		for _, err := range e.Dump(t.Context()) {
			failed = err
			if n++; n == at+1 {
				write(1000+at, store.Partition(at%2))
			}
		}
		if !errors.Is(failed, store.ErrWritten) {
			t.Errorf("written to at item %d it answers %v", at, failed)
		}
	}
	dumped(t, e)
	for range e.Dump(t.Context()) {
		break // wants no more
	}
}

func TestLoadOnlyIntoEmptyStores(t *testing.T) {
	t.Parallel()
	o := redisstore.Options{Addresses: []string{redistest.Start(t).Addr()}, Partitions: 2, Prefix: "from"}
	from := open(t, o)
	fill(t, from, rand.New(rand.NewPCG(3, 4)))
	dump := dumped(t, from)
	k := store.Key{Partition: 1, Kind: "thing", ID: "acme/a"}
	for name, use := range map[string]func(e *redisstore.Engine) error{
		"a record": func(e *redisstore.Engine) error {
			_, err := e.Commit(t.Context(), store.Create(k, nil, time.Time{}))
			return err
		},
		"a record removed": func(e *redisstore.Engine) error {
			_, err1 := e.Commit(t.Context(), store.Put(k, nil, time.Time{}))
			_, err2 := e.Commit(t.Context(), store.Drop(k))
			return errors.Join(err1, err2)
		},
		"an entry": func(e *redisstore.Engine) error {
			_, err := e.Commit(t.Context(), store.Append(1, nil))
			return err
		},
		"an entry trimmed": func(e *redisstore.Engine) error {
			_, err := e.Commit(t.Context(), store.Append(1, nil))
			return errors.Join(err, e.TrimLog(t.Context(), 1, store.Position{Epoch: 1 << 50}))
		},
	} {
		o.Prefix = strings.ReplaceAll(name, " ", "-")
		to := open(t, o)
		if err := use(to); err != nil {
			t.Fatal(err)
		}
		if err := to.Load(t.Context(), items(t, dump)); !errors.Is(err, store.ErrNotEmpty) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := to.Commit(t.Context(), store.Append(0, nil)); err != nil {
			t.Errorf("%s: after that: %v", name, err)
		}
	}
}

// TestHalfALoadIsNeverSeen: neither by this engine, nor by another that was
// open before, nor by the next.
func TestHalfALoadIsNeverSeen(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	o := redisstore.Options{Addresses: []string{redistest.Start(t).Addr()}, Partitions: 2, Prefix: "from", Patience: 50 * time.Millisecond}
	from := open(t, o)
	fill(t, from, rand.New(rand.NewPCG(5, 6)))
	o.Prefix = "to"
	to, beside := open(t, o), open(t, o)
	err := to.Load(t.Context(), func(yield func(store.Item, error) bool) {
		n := 0
		for item, err := range from.Dump(t.Context()) {
			if n++; n == 700 {
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
	for i, e := range []*redisstore.Engine{to, beside} {
		_, err1 := e.Get(t.Context(), store.Key{Kind: "thing", ID: "acme/1"})
		_, err2 := e.Commit(t.Context(), store.Append(0, nil))
		_, err3 := e.ReadLog(t.Context(), 1, store.Position{}, 1, 0)
		for n, err := range []error{err1, err2, err3} {
			if !errors.Is(err, store.ErrLoading) {
				t.Errorf("engine %d: call %d answers %v", i+1, n+1, err)
			}
		}
	}
	if err := to.Load(t.Context(), from.Dump(t.Context())); err == nil {
		t.Error("it is loaded again")
	}
	o.Now = time.Now
	if _, err := redisstore.Open(t.Context(), o); !errors.Is(err, store.ErrLoading) {
		t.Errorf("half a store answers %v", err)
	}
}

// TestCheckFindsWhatScansWouldNot takes entries of indexes away.
func TestCheckFindsWhatScansWouldNot(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	o := redisstore.Options{Addresses: []string{server.Addr()}, Partitions: 3, Prefix: "a"}
	e := open(t, o)
	fill(t, e, rand.New(rand.NewPCG(7, 8)))
	o.Prefix = "a.b"
	fill(t, open(t, o), rand.New(rand.NewPCG(7, 8)))
	told := func(want ...string) {
		t.Helper()
		var got []string
		if err := e.Check(t.Context(), func(problem string) { got = append(got, problem) }); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("it tells %q, %v, want %q", got, err, want)
		}
	}
	told()
	server.Do(t, "ZPOPMAX", "{a:2}\x00ithing", 2)
	told("partition 2: 2 records are not in their index")
	server.Do(t, "SET", "{a:1}\x01zacme/x", strings.Repeat("\x00", 20))
	server.Do(t, "ZADD", "{a:1}\x00iz", 0, "acme/x")
	told("partition 1: 1 records are of a kind that is not in the list of kinds", "partition 2: 2 records are not in their index")
}
