package boltstore_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/federation/store/boltstore"
)

// The process that is killed is this test's binary, told by the environment which
// store to write to. Each of its writers makes commits that can be told apart:
// number n of a writer replaces last, creates one-n, takes one-(n-1), and appends
// to the log, all in the writer's partition.
const (
	killedStore   = "BOLTSTORE_KILLED_STORE"
	killedSeed    = "BOLTSTORE_KILLED_SEED"
	killedTrim    = "BOLTSTORE_KILLED_TRIM"
	killedWriters = 12
	killedParts   = 3
	killedRounds  = 12
)

// TestKilled kills a process at any moment of its work on a store, again and
// again. What it was answered is there, what it was not is there whole or not at
// all, and no version and no position ever means two things.
func TestKilled(t *testing.T) {
	if path := os.Getenv(killedStore); path != "" {
		workUntilKilled(t, path)
		return
	}
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	l := &ledger{
		path: filepath.Join(t.TempDir(), "store.db"), begun: map[int]int{}, answered: map[int]int{},
		version: map[int]store.Version{}, logs: make([]map[store.Position]string, killedParts), heads: make([]store.Position, killedParts),
	}
	for p := range l.logs {
		l.logs[p] = map[store.Position]string{}
	}
	for range killedRounds {
		l.killOne(t, rng)
		l.judge(t, rng)
		if t.Failed() {
			return
		}
	}
	total := 0
	for _, n := range l.answered {
		total += n
	}
	t.Logf("%d commits in %d processes", total, killedRounds)
}

// ledger is what the process has said, and what was found after it.
type ledger struct {
	path            string
	begun, answered map[int]int
	version         map[int]store.Version
	logs            []map[store.Position]string
	heads           []store.Position
	trim            store.Position
}

func (l *ledger) killOne(t *testing.T, rng *rand.Rand) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilled$")
	cmd.Env = append(os.Environ(), killedStore+"="+l.path, killedSeed+"="+strconv.Itoa(rng.Int()), killedTrim+"="+strconv.FormatUint(l.trim.Seq, 10))
	out, err := cmd.StdoutPipe()
	if err == nil {
		cmd.Stderr = cmd.Stdout
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines, ready := make(chan string, 1<<16), make(chan struct{})
	go func() {
		defer close(lines)
		for s, first := bufio.NewScanner(out), true; s.Scan(); first = false {
			if first {
				close(ready)
			}
			lines <- s.Text()
		}
	}()
	<-ready
	delay := time.Duration(rng.IntN(150)) * time.Millisecond
	switch rng.IntN(16) {
	case 0:
		delay *= 8
	case 1, 2, 3, 4, 5: // while it takes over what the one before has left, mostly
		delay = time.Duration(rng.IntN(5000)) * time.Microsecond
	}
	time.AfterFunc(delay, func() { _ = cmd.Process.Kill() })
	for line := range lines {
		l.note(t, line)
	}
	_ = cmd.Wait()
}

func (l *ledger) note(t *testing.T, line string) {
	t.Helper()
	var w, n int
	var v store.Version
	switch {
	case line == "opening":
	case scanned(line, "begin %d %d", &w, &n):
		l.begun[w] = n
	case scanned(line, "answered %d %d %d", &w, &n, &v):
		if l.answered[w] = n; v <= l.version[w] {
			t.Errorf("writer %d has version %d after %d", w, v, l.version[w])
		}
		l.version[w] = v
	default:
		t.Errorf("the process says %q", line)
	}
}

func scanned(line, format string, into ...any) bool {
	n, err := fmt.Sscanf(line, format, into...)
	return err == nil && n == len(into)
}

// judge looks at what was left: read only, and as the next process will find it.
func (l *ledger) judge(t *testing.T, rng *rand.Rand) {
	t.Helper()
	if _, err := os.Stat(l.path); err != nil || rng.IntN(5) == 0 {
		return // killed too early, or the next one has to take over by itself
	}
	var dumps []string
	for _, readOnly := range []bool{true, false} {
		e, err := boltstore.Open(boltstore.Options{Path: l.path, Now: time.Now, ReadOnly: readOnly})
		if readOnly && err != nil && strings.Contains(err.Error(), "there is nothing in it") {
			return // before it had a layout
		}
		if err != nil {
			t.Fatalf("read only %v: %v", readOnly, err)
		}
		l.records(t, e)
		for p := range store.Partition(killedParts) {
			l.log(t, e, p)
		}
		if err := e.Check(t.Context(), func(problem string) { t.Error(problem) }); err != nil {
			t.Error(err)
		}
		dumps = append(dumps, dumped(t, e))
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
	if dumps[0] != dumps[1] {
		t.Error("read only there is something else")
	}
}

func (l *ledger) records(t *testing.T, e *boltstore.Engine) {
	t.Helper()
	for w := range killedWriters {
		n := 0
		last, err := e.Get(t.Context(), killedKey(w, "last"))
		if err == nil {
			n, err = strconv.Atoi(string(last.Value))
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			t.Fatal(err)
		}
		if n < l.answered[w] || n > max(l.begun[w], l.answered[w]) || last.Version < l.version[w] {
			t.Errorf("writer %d: %d is there at %d, %d was answered at %d, %d begun", w, n, last.Version, l.answered[w], l.version[w], l.begun[w])
		}
		l.answered[w], l.begun[w], l.version[w] = n, n, last.Version
		ones, err := e.Scan(t.Context(), store.Range{Partition: partOf(w), Kind: "thing", Prefix: fmt.Sprintf("acme/%d-one-", w), Limit: 10})
		want := min(n, 1)
		if err != nil || len(ones) != want || want == 1 && (ones[0].Version != last.Version || ones[0].Key != killedKey(w, fmt.Sprint("one-", n))) {
			t.Errorf("writer %d at %d has %v, %v", w, n, ones, err)
		}
	}
}

// log reads the whole log of a partition: what was known is as it was, what is new
// comes after it, and each writer's entries are all there, in order.
func (l *ledger) log(t *testing.T, e *boltstore.Engine, p store.Partition) {
	t.Helper()
	entries, err := e.ReadLog(t.Context(), p, store.Position{}, 1e7, 0)
	var trimmed store.TrimmedError
	if errors.As(err, &trimmed) {
		entries, err = e.ReadLog(t.Context(), p, trimmed.UpTo, 1e7, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	if trimmed.UpTo.Compare(l.heads[p]) > 0 {
		t.Errorf("partition %d is trimmed to %v, and %v was known", p, trimmed.UpTo, l.heads[p])
	}
	seq := trimmed.UpTo.Seq
	for _, entry := range entries {
		seq++
		known, ok := l.logs[p][entry.Position]
		if ok != (entry.Position.Compare(l.heads[p]) <= 0) || ok && known != string(entry.Value) || entry.Position.Seq != seq {
			t.Errorf("partition %d: %v after %d is %q, was %q", p, entry.Position, seq-1, entry.Value, known)
			return
		}
		l.logs[p][entry.Position] = string(entry.Value)
	}
	if len(entries) > 0 {
		l.heads[p] = entries[len(entries)-1].Position
	}
	if p == 0 {
		l.trim = l.heads[0]
	}
	l.numbers(t, p)
}

// numbers holds all that was ever in a log to what its writers have done.
func (l *ledger) numbers(t *testing.T, p store.Partition) {
	t.Helper()
	newest := map[int]int{}
	for _, at := range slices.SortedFunc(maps.Keys(l.logs[p]), store.Position.Compare) {
		var w, n int
		if !scanned(l.logs[p][at], "%d %d", &w, &n) || n != newest[w]+1 {
			t.Errorf("partition %d: %v is %q after %d", p, at, l.logs[p][at], newest[w])
		}
		newest[w] = n
	}
	for w := range killedWriters {
		if partOf(w) == p && newest[w] != l.answered[w] {
			t.Errorf("writer %d is at %d, and its log at %d", w, l.answered[w], newest[w])
		}
	}
}

func dumped(t *testing.T, e *boltstore.Engine) string {
	t.Helper()
	var all strings.Builder
	for item, err := range e.Dump(t.Context()) {
		switch {
		case err != nil:
			t.Fatal(err)
		case item.Head != nil:
			fmt.Fprintln(&all, item.Partition, *item.Head)
		case item.Entry != nil:
			fmt.Fprintln(&all, item.Entry.Position, string(item.Entry.Value))
		case item.Record.Key.Kind == "thing": // what expires may have, meanwhile
			fmt.Fprintln(&all, item.Record.Key, item.Record.Version, len(item.Record.Value))
		}
	}
	return all.String()
}

func partOf(w int) store.Partition { return store.Partition(w % killedParts) }

func killedKey(w int, name string) store.Key {
	return store.Key{Partition: partOf(w), Kind: "thing", ID: fmt.Sprintf("acme/%d-%s", w, name)}
}

// workUntilKilled is the process that is killed: it writes, sweeps, trims, and
// makes backups.
func workUntilKilled(t *testing.T, path string) {
	seed, err := strconv.ParseUint(os.Getenv(killedSeed), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	upTo, err := strconv.ParseUint(os.Getenv(killedTrim), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(seed, 2))
	fmt.Println("opening")
	e, err := boltstore.Open(boltstore.Options{
		Path: path, Now: time.Now, Partitions: killedParts, LockTimeout: 10 * time.Second, SweepEvery: 5 * time.Millisecond,
		FoldEvery: []time.Duration{time.Nanosecond, 3 * time.Millisecond, 20 * time.Millisecond, time.Second}[rng.IntN(4)],
	})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for w := range killedWriters {
		own := rand.New(rand.NewPCG(seed, uint64(w)+3))
		all.Go(func() { complain(writeUntilKilled(t.Context(), e, w, own)) })
	}
	all.Go(func() { complain(e.Run(t.Context())) })
	all.Go(func() { complain(e.TrimLog(t.Context(), 0, store.Position{Epoch: 1, Seq: upTo / 2})) })
	for rng.IntN(3) > 0 {
		time.Sleep(time.Duration(rng.IntN(40)) * time.Millisecond)
		complain(e.Backup(t.Context(), io.Discard))
	}
	if rng.IntN(4) == 0 {
		complain(e.Close()) // and is killed at that, perhaps
	}
	all.Wait()
	time.Sleep(time.Minute)
}

// complain says what the one who kills does not expect.
func complain(err error) {
	if err != nil && !errors.Is(err, store.ErrClosed) {
		fmt.Println(err)
	}
}

// writeUntilKilled goes on where the writer of this number was.
func writeUntilKilled(ctx context.Context, e *boltstore.Engine, w int, rng *rand.Rand) error {
	last, err := e.Get(ctx, killedKey(w, "last"))
	n := 0
	if err == nil {
		n, err = strconv.Atoi(string(last.Value))
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	for v := last.Version; ; {
		n++
		value := make([]byte, rng.IntN(1500))
		if rng.IntN(50) == 0 {
			value = make([]byte, 1<<17)
		}
		ops := []store.Op{
			store.Create(killedKey(w, fmt.Sprint("one-", n)), value, time.Time{}), store.Append(partOf(w), fmt.Append(nil, w, n)),
			store.Put(store.Key{Partition: partOf(w), Kind: "soon", ID: fmt.Sprint("acme/", w, n%7)}, value, time.Now().Add(time.Duration(rng.IntN(30))*time.Millisecond)),
		}
		if n == 1 {
			ops = append(ops, store.Create(killedKey(w, "last"), fmt.Append(nil, n), time.Time{}))
		} else {
			ops = append(ops, store.Replace(killedKey(w, "last"), v, fmt.Append(nil, n), time.Time{}), store.Take(killedKey(w, fmt.Sprint("one-", n-1)), v))
		}
		fmt.Println("begin", w, n)
		if v, err = e.Commit(ctx, ops...); err != nil {
			return err
		}
		fmt.Println("answered", w, n, v)
	}
}
