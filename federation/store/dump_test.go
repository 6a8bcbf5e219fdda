package store

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"strings"
	"testing"
	"time"
)

func list(items ...Item) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		for _, it := range items {
			if !yield(it, nil) {
				return
			}
		}
	}
}

func collect(items iter.Seq2[Item, error]) (got []Item, failed error) {
	for it, err := range items {
		if err != nil {
			return got, err
		}
		got = append(got, it)
	}
	return got, nil
}

func headItem(p Partition, h Head) Item { return Item{Partition: p, Head: &h} }

func recordItem(p Partition, kind, id string, v Version) Item {
	return Item{Partition: p, Record: &Record{Key: Key{Partition: p, Kind: kind, ID: id}, Version: v, Value: []byte(id)}}
}

func entryItem(p Partition, epoch, seq uint64) Item {
	return Item{Partition: p, Entry: &Entry{Position: Position{epoch, seq}, Value: []byte("e")}}
}

func TestCheckDump(t *testing.T) {
	head := Head{Version: 5, Last: Position{2, 3}, Trimmed: Position{1, 7}}
	zero, one := headItem(0, head), headItem(1, Head{})
	for name, c := range map[string]struct {
		items []Item
		fine  bool
	}{
		"whole": {[]Item{zero, recordItem(0, "b", "x", 5), recordItem(0, "b", "y", 1), recordItem(0, "a", "a", 1), entryItem(0, 1, 8), entryItem(0, 2, 3), one}, true},
		"empty": {[]Item{headItem(0, Head{Last: Position{1, 0}}), one}, true},

		"nothing":                   {nil, false},
		"a partition missing":       {[]Item{zero}, false},
		"no head":                   {[]Item{recordItem(0, "a", "a", 1), zero, one}, false},
		"a head twice":              {[]Item{zero, zero, one}, false},
		"a partition too many":      {[]Item{zero, one, headItem(2, Head{})}, false},
		"not in order":              {[]Item{one, zero}, false},
		"trimmed beyond its end":    {[]Item{headItem(0, Head{Last: Position{1, 1}, Trimmed: Position{1, 2}}), one}, false},
		"another partition's":       {[]Item{zero, one, recordItem(0, "a", "a", 1)}, false},
		"a key of another":          {[]Item{zero, {Partition: 0, Record: recordItem(1, "a", "a", 1).Record}, one}, false},
		"no kind":                   {[]Item{zero, recordItem(0, "", "a", 1), one}, false},
		"no id":                     {[]Item{zero, recordItem(0, "a", "", 1), one}, false},
		"no version":                {[]Item{zero, recordItem(0, "a", "a", 0), one}, false},
		"a version of the future":   {[]Item{zero, recordItem(0, "a", "a", 6), one}, false},
		"a record twice":            {[]Item{zero, recordItem(0, "a", "a", 1), recordItem(0, "a", "a", 2), one}, false},
		"ids out of order":          {[]Item{zero, recordItem(0, "a", "b", 1), recordItem(0, "a", "a", 2), one}, false},
		"a kind twice":              {[]Item{zero, recordItem(0, "a", "a", 1), recordItem(0, "b", "a", 1), recordItem(0, "a", "b", 1), one}, false},
		"a record behind the log":   {[]Item{zero, entryItem(0, 2, 1), recordItem(0, "a", "a", 1), one}, false},
		"an entry that was trimmed": {[]Item{zero, entryItem(0, 1, 7), one}, false},
		"an entry twice":            {[]Item{zero, entryItem(0, 2, 1), entryItem(0, 2, 1), one}, false},
		"an entry of the future":    {[]Item{zero, entryItem(0, 2, 4), one}, false},
		"nothing in it":             {[]Item{zero, {}, one}, false},
		"two things in one":         {[]Item{zero, {Record: recordItem(0, "a", "a", 1).Record, Entry: entryItem(0, 2, 1).Entry}, one}, false},
	} {
		got, err := collect(CheckDump(Layout{Partitions: 2}, list(c.items...)))
		if c.fine != (err == nil) || c.fine && len(got) != len(c.items) {
			t.Errorf("%s: %d items, %v", name, len(got), err)
		}
	}
	boom := errors.New("boom")
	if _, err := collect(CheckDump(Layout{}, func(yield func(Item, error) bool) { yield(Item{}, boom) })); !errors.Is(err, boom) {
		t.Errorf("what fails answers %v", err)
	}
	for range CheckDump(Layout{}, list(zero)) {
		break // wants no more
	}
}

func TestMovedStores(t *testing.T) {
	now := time.UnixMilli(1_000_000)
	from := []Item{
		headItem(0, Head{Version: 9, Last: Position{1, 5}, Trimmed: Position{1, 2}}),
		recordItem(0, "lease", "/deliver", 7), recordItem(0, "thing", "a", 8), entryItem(0, 1, 3),
		headItem(1, Head{Version: 1, Last: Position{5_000_000, 0}}),
	}
	got, err := collect(Moved(list(from...), now))
	if err != nil || len(got) != 4 || got[1].Record != from[2].Record || got[2].Entry != from[3].Entry {
		t.Fatalf("moved: %v, %v", got, err)
	}
	if h := *got[0].Head; h != (Head{Version: 9, Last: Position{1_000_000, 0}, Trimmed: Position{1, 2}}) {
		t.Errorf("the head is %+v", h)
	}
	if h := *got[3].Head; h.Last != (Position{5_000_001, 0}) {
		t.Errorf("a store of the future goes on at %v", h.Last)
	}
	if from[0].Head.Last != (Position{1, 5}) {
		t.Error("the dump itself was changed")
	}
	boom := errors.New("boom")
	if _, err := collect(Moved(func(yield func(Item, error) bool) { yield(Item{}, boom) }, now)); !errors.Is(err, boom) {
		t.Errorf("what fails answers %v", err)
	}
}

// sample is a dump file with everything that one can hold.
func sample(t *testing.T) []byte {
	t.Helper()
	odd := recordItem(0, "a", "b/\xff\x00", 2)
	odd.Record.Expires = time.Date(2026, 1, 2, 3, 4, 5, 678901234, time.UTC)
	entry := entryItem(0, 1, 2)
	entry.Entry.At = time.Date(2026, 1, 2, 3, 4, 5, 1, time.FixedZone("", 3600))
	var out bytes.Buffer
	info := DumpInfo{Engine: "bolt", Partitions: 2, Created: time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)}
	totals, err := WriteDump(&out, info, list(
		headItem(0, Head{Version: 5, Last: Position{1, 3}}), recordItem(0, "a", "b/<é\u2028>", 1), odd, entry,
		headItem(1, Head{Version: 1, Last: Position{1, 0}})))
	if err != nil || totals.Records != 2 || totals.Entries != 1 || len(totals.SHA256) != 64 {
		t.Fatalf("write: %+v, %v", totals, err)
	}
	return out.Bytes()
}

func TestDumpFile(t *testing.T) {
	dump := sample(t)
	r, err := ReadDump(bytes.NewReader(dump))
	if err != nil {
		t.Fatal(err)
	}
	if info := r.Info(); info.Engine != "bolt" || info.Partitions != 2 || info.Created.Year() != 2026 {
		t.Errorf("it says %+v of itself", info)
	}
	got, err := collect(r.Items())
	if err != nil || len(got) != 5 {
		t.Fatalf("%d items, %v", len(got), err)
	}
	if rec := got[1].Record; rec.Key.ID != "b/<é\u2028>" || string(rec.Value) != rec.Key.ID || !rec.Expires.IsZero() {
		t.Errorf("the first record is %+v", rec)
	}
	if rec := got[2].Record; rec.Key.ID != "b/\xff\x00" || rec.Version != 2 || rec.Expires.Nanosecond() != 678901234 {
		t.Errorf("the second record is %+v", rec)
	}
	if e := got[3].Entry; e.Position != (Position{1, 2}) || !e.At.Equal(time.Date(2026, 1, 2, 2, 4, 5, 1, time.UTC)) {
		t.Errorf("the entry is %+v", e)
	}
	info, totals, err := VerifyDump(bytes.NewReader(dump))
	if err != nil || info != r.Info() || totals != r.Totals() {
		t.Errorf("verified: %+v, %+v, %v", info, totals, err)
	}
	var again bytes.Buffer
	if _, err := WriteDump(&again, info, list(got...)); err != nil || !bytes.Equal(again.Bytes(), dump) {
		t.Errorf("written again it is another, %v", err)
	}
}

// TestAlteredDumpFilesAreRefused: every bit of the file counts, every byte and
// every line.
func TestAlteredDumpFilesAreRefused(t *testing.T) {
	dump := sample(t)
	refused := func(what string, altered []byte) {
		t.Helper()
		if _, _, err := VerifyDump(bytes.NewReader(altered)); err == nil {
			t.Errorf("%s: is not refused", what)
		}
	}
	for i := range dump {
		for bit := range 8 {
			altered := bytes.Clone(dump)
			altered[i] ^= 1 << bit
			refused(fmt.Sprintf("bit %d of byte %d %q", bit, i, dump[i]), altered)
		}
		refused(fmt.Sprintf("the first %d bytes", i), dump[:i])
		refused(fmt.Sprintf("without byte %d", i), append(bytes.Clone(dump[:i]), dump[i+1:]...))
		refused(fmt.Sprintf("a space before byte %d", i), append(append(bytes.Clone(dump[:i]), ' '), dump[i:]...))
	}
	lines := bytes.SplitAfter(dump, []byte("\n"))
	for i := range lines[:len(lines)-1] {
		var without, twice [][]byte
		for j, line := range lines {
			if j != i {
				without = append(without, line)
			} else {
				twice = append(twice, line)
			}
			twice = append(twice, line)
		}
		refused(fmt.Sprintf("without line %d", i), bytes.Join(without, nil))
		refused(fmt.Sprintf("line %d twice", i), bytes.Join(twice, nil))
	}
	refused("something behind its end", append(bytes.Clone(dump), '\n'))
	refused("half a line behind its end", append(bytes.Clone(dump), '{'))
}

func TestForeignDumpFiles(t *testing.T) {
	first, rest, _ := strings.Cut(string(sample(t)), "\n")
	newer := strings.Replace(first, `"schema":1`, `"schema":2,"cipher":"x"`, 1) + "\n" + rest
	if _, err := ReadDump(strings.NewReader(newer)); !errors.Is(err, ErrNewer) {
		t.Errorf("a newer format answers %v", err)
	}
	for name, text := range map[string]string{
		"nothing":           "",
		"no line":           first,
		"text":              "not a dump\n",
		"another format":    strings.Replace(first, dumpFormat, "other", 1) + "\n",
		"no schema":         strings.Replace(first, `"schema":1`, `"schema":0`, 1) + "\n",
		"no partitions":     strings.Replace(first, `"partitions":2`, `"partitions":0`, 1) + "\n",
		"endless":           strings.Repeat("x", dumpLine+1),
		"a line of two":     first + "\n" + `{"head":{"partition":0,"version":0,"last":"1-0","trimmed":"0-0"},"entry":{"position":"1-1","at":"2026-01-01T00:00:00Z","value":null}}` + "\n",
		"two first lines":   first + "\n" + first + "\n",
		"an unknown member": first + "\n" + `{"heads":{}}` + "\n",
		"an empty line":     first + "\n{}\n",
	} {
		if _, _, err := VerifyDump(strings.NewReader(text)); !errors.Is(err, ErrDump) {
			t.Errorf("%s answers %v", name, err)
		}
	}
}

func TestWriteDumpFails(t *testing.T) {
	info := DumpInfo{Partitions: 1}
	head := headItem(0, Head{Version: 1})
	kind := recordItem(0, "\xff", "a", 1)
	when := recordItem(0, "a", "a", 1)
	when.Record.Expires = time.Date(20_000, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, items := range map[string]iter.Seq2[Item, error]{
		"not a whole dump":             list(),
		"a kind that is no text":       list(head, kind),
		"a time that JSON cannot have": list(head, when),
	} {
		if _, err := WriteDump(&bytes.Buffer{}, info, items); err == nil {
			t.Errorf("%s: is written", name)
		}
	}
	boom := errors.New("boom")
	if _, err := WriteDump(full{boom}, info, list(head)); !errors.Is(err, boom) {
		t.Errorf("a full disk answers %v", err)
	}
}

type full struct{ err error }

func (f full) Write([]byte) (int, error) { return 0, f.err }

// FuzzReadDump: the items of a file that is taken can be written and read again.
func FuzzReadDump(f *testing.F) {
	var whole bytes.Buffer
	if _, err := WriteDump(&whole, DumpInfo{Engine: "x", Partitions: 1}, list(headItem(0, Head{Version: 2, Last: Position{1, 2}}), recordItem(0, "a", "b", 1), entryItem(0, 1, 1))); err != nil {
		f.Fatal(err)
	}
	f.Add(whole.Bytes())
	f.Add(whole.Bytes()[:whole.Len()/2])
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		d, err := ReadDump(bytes.NewReader(file))
		if err != nil {
			return
		}
		items, err := collect(CheckDump(Layout{Partitions: d.Info().Partitions}, d.Items()))
		if err != nil {
			return
		}
		var again bytes.Buffer
		if _, err := WriteDump(&again, d.Info(), list(items...)); err != nil {
			t.Fatalf("%q is taken, and cannot be written: %v", file, err)
		}
		if d, err = ReadDump(&again); err != nil {
			t.Fatal(err)
		}
		if got, err := collect(d.Items()); err != nil || !reflect.DeepEqual(got, items) {
			t.Errorf("%q is read as %v and then as %v, %v", file, items, got, err)
		}
	})
}
