package redisstore

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

const testStore = "0123456789abcdef01234567"

func testNames(p store.Partition) names { return namesOf("db", p) }

func openTestSpool(t *testing.T, path string) *spool {
	t.Helper()
	s, err := openSpool(path, testStore, testNames)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.close() })
	return s
}

// someKept is a batch with an operation of every sort.
func someKept(p store.Partition, number uint64, size int) *kept {
	key := func(id string) store.Key { return store.Key{Partition: p, Kind: "thing", ID: "acme/" + id} }
	end := time.Date(2026, 3, 4, 5, 6, 7, 8, time.UTC)
	first, _ := newChanges(testNames(p), []store.Op{
		store.Create(key("a"), bytes.Repeat([]byte{1}, size), end), store.Replace(key("b"), 7, nil, time.Time{}),
		store.Take(key("c"), 8), store.Check(key("d"), 0),
	}, 0)
	second, _ := newChanges(testNames(p), []store.Op{
		store.Put(key("e"), []byte("e"), time.Time{}), store.Drop(key("f")), store.Append(p, []byte("event")),
	}, 0)
	return &kept{
		partition: p, epoch: 5, mark: "{db:1}cabc1", number: number, base: 41, at: time.UnixMicro(1234567),
		commits: [][]change{first, second},
	}
}

func (s *spool) numbers(p store.Partition) []uint64 {
	var out []uint64
	for _, k := range s.pending(p, 1000) {
		out = append(out, k.number)
	}
	return out
}

func TestSpoolKeepsBatches(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spool")
	s := openTestSpool(t, path)
	for i := range 3 {
		for p := range store.Partition(2) {
			if err := s.add(someKept(p, uint64(10+i), 100)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.done(s.pending(0, 2)[1]); err != nil {
		t.Fatal(err)
	}
	if s.depth() != 8 || fmt.Sprint(s.numbers(0), s.numbers(1)) != "[12] [10 11 12]" {
		t.Errorf("kept are %v and %v, %d commits", s.numbers(0), s.numbers(1), s.depth())
	}
	again := openTestSpool(t, path)
	if fmt.Sprint(again.numbers(0), again.numbers(1)) != "[12] [10 11 12]" {
		t.Errorf("read back are %v and %v", again.numbers(0), again.numbers(1))
	}
	want := someKept(1, 11, 100)
	got := again.pending(1, 2)[1]
	want.id, want.size = got.id, got.size
	if len(want.commits[0][1].value) != 9 || !reflect.DeepEqual(normal(got), normal(want)) {
		t.Errorf("read back is %+v, want %+v", got, want)
	}
	for p := range store.Partition(2) {
		if list := again.pending(p, 10); again.done(list[len(list)-1]) != nil {
			t.Error("not done")
		}
	}
	if info, err := os.Stat(path); err != nil || info.Size() != int64(len(again.head)) || info.Mode() != 0o600 {
		t.Errorf("the empty spool is %v, %v", info, err)
	}
	if again.depth() != 0 || again.live != 0 || len(again.kept) != 0 {
		t.Errorf("kept are %v", again.kept)
	}
}

// normal makes nil and empty values the same.
func normal(k *kept) string {
	return fmt.Sprintf("%d %d %s %d %d %v %+v", k.partition, k.epoch, k.mark, k.number, k.base, k.at.UnixMicro(), k.commits)
}

// TestSpoolSurvivesATornEnd cuts the file everywhere within its last frame, and
// spoils every byte of it: what was answered for before it is there.
func TestSpoolSurvivesATornEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spool")
	s := openTestSpool(t, path)
	for i := range 2 {
		if err := s.add(someKept(0, uint64(1+i), 3)); err != nil {
			t.Fatal(err)
		}
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	last := len(whole) - int(s.pending(0, 2)[1].size)
	for cut := last; cut < len(whole); cut++ {
		torn := bytes.Clone(whole[:cut])
		spoilt := bytes.Clone(whole)
		spoilt[cut] ^= 0x10
		for _, content := range [][]byte{torn, spoilt} {
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := openSpool(path, testStore, testNames)
			if err != nil || fmt.Sprint(s.numbers(0)) != "[1]" {
				t.Fatalf("cut at %d: %v", cut, err)
			}
			if err := s.add(someKept(0, 9, 3)); err != nil {
				t.Fatal(err)
			}
			_ = s.close()
			if again := openTestSpool(t, path); fmt.Sprint(again.numbers(0)) != "[1 9]" {
				t.Fatalf("cut at %d and added to: %v", cut, again.numbers(0))
			}
		}
	}
	for cut := range len(s.head) {
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		if s := openTestSpool(t, path); s.depth() != 0 {
			t.Fatalf("a line of %d bytes keeps something", cut)
		}
	}
}

func TestSpoolRefusesOtherFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spool")
	s := openTestSpool(t, path)
	if err := s.add(someKept(0, 1, 3)); err != nil {
		t.Fatal(err)
	}
	if _, err := openSpool(path, "1123456789abcdef01234567", testNames); !errors.Is(err, store.ErrLost) {
		t.Errorf("another store's spool answers %v", err)
	}
	if err := os.WriteFile(path, bytes.Repeat([]byte("text "), 100), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openSpool(path, testStore, testNames); err == nil {
		t.Error("a text is taken for a spool")
	}
	for _, body := range [][]byte{{9}, {frameDone, 1}, {frameAdd}, append([]byte{frameAdd}, bytes.Repeat([]byte{0xff}, 60)...)} {
		if err := os.WriteFile(path, append([]byte(spoolMagic+testStore+"\n"), frame(body)...), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := openSpool(path, testStore, testNames); !errors.Is(err, errDamagedSpool) {
			t.Errorf("frame %x answers %v", body, err)
		}
	}
}

// TestSpoolIsCompacted: a spool that is never empty does not grow for ever.
func TestSpoolIsCompacted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spool")
	s := openTestSpool(t, path)
	const size = 100_000
	for i := range 60 {
		if err := s.add(someKept(store.Partition(i%3), uint64(i+1), size)); err != nil {
			t.Fatal(err)
		}
		p := store.Partition(i % 3)
		if list := s.pending(p, 10); len(list) > 3 {
			if err := s.done(list[0]); err != nil {
				t.Fatal(err)
			}
		}
		if s.size > minCompact+12*size*2 {
			t.Fatalf("after %d batches the file has %d bytes", i, s.size)
		}
	}
	again := openTestSpool(t, path)
	for p := range store.Partition(3) {
		if got, want := fmt.Sprint(again.numbers(p)), fmt.Sprint(s.numbers(p)); got != want || len(s.numbers(p)) != 3 {
			t.Errorf("partition %d keeps %s, read back is %s", p, want, got)
		}
	}
	if again.next != s.next || again.live != s.live {
		t.Errorf("read back are %d and %d, want %d and %d", again.next, again.live, s.next, s.live)
	}
	s.live = maxSpool + 1
	if !s.full() || again.full() {
		t.Error("full is not told")
	}
}

// FuzzKept: whatever lies in the file, reading it ends, and what is taken is
// what would be written.
func FuzzKept(f *testing.F) {
	f.Add(someKept(1, 2, 3).encode()[1:])
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := parseKept(b, testNames)
		if err != nil {
			return
		}
		again, err := parseKept(k.encode()[1:], testNames)
		if err != nil || normal(again) != normal(k) {
			t.Errorf("%+v is read back as %+v, %v", k, again, err)
		}
	})
}
