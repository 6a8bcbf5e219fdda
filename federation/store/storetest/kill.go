package storetest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// childLocation, when set, turns the test binary into the process that is
// killed: it opens what lies there and commits until it dies.
const childLocation = "DRAWBRIDGE_STORETEST_LOCATION"

const childWriters = 6

// killLeavesAllOrNothing lets a process commit several records and events at
// a time, kills it at a random moment, and looks at what it has left; again
// and again over the same data.
func killLeavesAllOrNothing(t *testing.T, h Harness) {
	if err := h.Engine.Close(); err != nil {
		t.Fatal(err)
	}
	rounds := 15
	if testing.Short() {
		rounds = 5
	}
	acknowledged := 0
	for round := range rounds {
		acks := runAndKill(t, h.Location)
		f := newFixture(t, h)
		eng, err := h.OpenAt(h.Location)
		if err != nil {
			t.Fatalf("round %d: open after the kill: %v", round, err)
		}
		f.Engine = eng
		for w := range childWriters {
			f.verifyWriter(w, acks[w])
		}
		if err := eng.Close(); err != nil {
			t.Fatal(err)
		}
		for _, ack := range acks {
			acknowledged += ack.count
		}
	}
	if acknowledged == 0 {
		t.Fatal("no commit was ever acknowledged")
	}
	t.Logf("%d kills, %d acknowledged commits", rounds, acknowledged)
}

// ack is the newest commit of a writer that its process has heard of.
type ack struct {
	number  int
	version store.Version
	count   int
}

// runAndKill starts the process, kills it within a few tens of milliseconds
// of its first acknowledged commit, and reads what it said until then.
func runAndKill(t *testing.T, location string) map[int]ack {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = read.Close() }()
	pattern := "^" + strings.ReplaceAll(parentName(t), "/", "$/^") + "$"
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run="+pattern, "-test.timeout=2m")
	child.Env = append(os.Environ(), childLocation+"="+location, "TMPDIR="+t.TempDir())
	child.ExtraFiles = []*os.File{write}
	var output bytes.Buffer
	child.Stdout, child.Stderr = &output, &output
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	_ = write.Close()
	lines := bufio.NewReader(read)
	first, err := lines.ReadString('\n')
	if err != nil {
		_ = child.Wait()
		t.Fatalf("the process said nothing: %v\n%s", err, output.String())
	}
	time.Sleep(rand.N(50 * time.Millisecond))
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(lines)
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Wait(); err == nil {
		t.Fatalf("the process ended by itself:\n%s", output.String())
	}
	return parseAcks(t, first+string(rest))
}

// parentName is the test that called Run: its subtest is not there in the child.
func parentName(t *testing.T) string {
	return t.Name()[:strings.LastIndexByte(t.Name(), '/')]
}

func parseAcks(t *testing.T, said string) map[int]ack {
	acks := map[int]ack{}
	for line := range strings.Lines(said) {
		var w int
		var a ack
		if _, err := fmt.Sscanf(line, "%d %d %d\n", &w, &a.number, &a.version); err != nil {
			t.Fatalf("the process said %q: %v", line, err)
		}
		if prev := acks[w]; a.number <= prev.number || a.version <= prev.version {
			t.Fatalf("writer %d said %v after %v", w, a, prev)
		}
		a.count = acks[w].count + 1
		acks[w] = a
	}
	return acks
}

// The commits of one writer. Number n writes last, n and pair-n, takes n-2, and
// appends an event.
func lastID(w int) string    { return fmt.Sprintf("last-%d", w) }
func oneID(w, n int) string  { return fmt.Sprintf("one-%d-%d", w, n) }
func pairID(w, n int) string { return fmt.Sprintf("pair-%d-%d", w, n) }

// verifyWriter finds out how far a writer came, and holds every record and
// event to that number.
func (f *fixture) verifyWriter(w int, heard ack) {
	f.Helper()
	n := 0
	var version store.Version
	switch rec, err := f.Engine.Get(f.Context(), f.key(lastID(w))); {
	case err == nil:
		version = rec.Version
		if n, err = strconv.Atoi(string(rec.Value)); err != nil {
			f.Fatal(err)
		}
	case !errors.Is(err, store.ErrNotFound):
		f.Fatal(err)
	}
	if heard.number > 0 && (n < heard.number || n > heard.number+1) {
		f.Fatalf("writer %d has %d, and %d was acknowledged", w, n, heard.number)
	}
	if n == heard.number && version != heard.version && n > 0 {
		f.Fatalf("writer %d has %d at %d, and was told %d", w, n, version, heard.version)
	}
	for i := 1; i <= n; i++ {
		pair := f.get(f.key(pairID(w, i)))
		if i == n && pair.Version != version {
			f.Fatalf("writer %d has parts of %d at %d and %d", w, n, version, pair.Version)
		}
		if i > n-2 {
			f.holds(oneID(w, i), strings.Repeat("x", 500), pair.Version)
		} else if i > n-5 {
			f.absent(oneID(w, i))
		}
	}
	f.absent(oneID(w, n+1), pairID(w, n+1))
	f.verifyEvents(w, n)
}

func (f *fixture) verifyEvents(w, n int) {
	f.Helper()
	entries, err := readAll(f.Context(), f.Engine, f.at.Partition, store.Position{}, 5000)
	if err != nil {
		f.Fatal(err)
	}
	seen := 0
	for _, e := range entries {
		if prefix := fmt.Sprintf("%d ", w); strings.HasPrefix(string(e.Value), prefix) {
			seen++
			if string(e.Value) != prefix+strconv.Itoa(seen) {
				f.Fatalf("event %d of writer %d is %q", seen, w, e.Value)
			}
		}
	}
	if seen != n {
		f.Fatalf("writer %d has %d events of %d commits", w, seen, n)
	}
}

// runChild commits until it is killed, and says so after each commit.
func runChild(t *testing.T, h Harness, location string) {
	eng, err := h.OpenAt(location)
	if err != nil {
		t.Fatal(err)
	}
	h.Engine = eng
	f := newFixture(t, h)
	pipe := os.NewFile(3, "acknowledgements")
	f.inParallel(childWriters, func(w int) error {
		for {
			n, v, err := f.commitNext(w)
			if err != nil {
				return err
			}
			// One write of less than a pipe's atom: lines do not mix.
			if _, err := fmt.Fprintf(pipe, "%d %d %d\n", w, n, v); err != nil {
				return err
			}
		}
	})
}

// commitNext continues where the store says that this writer has stopped.
func (f *fixture) commitNext(w int) (int, store.Version, error) {
	n := 0
	last, err := f.Engine.Get(f.Context(), f.key(lastID(w)))
	if err == nil {
		n, err = strconv.Atoi(string(last.Value))
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return 0, 0, err
	}
	n++
	count := store.Create(f.key(lastID(w)), []byte("1"), time.Time{})
	if n > 1 {
		count = store.Replace(f.key(lastID(w)), last.Version, []byte(strconv.Itoa(n)), time.Time{})
	}
	ops := []store.Op{
		count,
		store.Create(f.key(oneID(w, n)), bytes.Repeat([]byte("x"), 500), time.Time{}),
		f.event(fmt.Sprintf("%d %d", w, n)),
		store.Create(f.key(pairID(w, n)), nil, time.Time{}),
	}
	if n > 2 {
		old, err := f.Engine.Get(f.Context(), f.key(oneID(w, n-2)))
		if err != nil {
			return 0, 0, err
		}
		ops = append(ops, store.Take(old.Key, old.Version))
	}
	v, err := f.Engine.Commit(f.Context(), ops...)
	return n, v, err
}
