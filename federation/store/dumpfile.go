package store

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"time"
	"unicode/utf8"
)

// A dump file is lines of JSON: one that begins it, for each partition its head
// and its records and log entries, and one that ends it, with the number of
// both and the SHA-256 of every byte before that line. Values are in base64 and
// as they stand in the store: what is sealed there is sealed here, under the
// same keys, and what is not can be read by whoever can read the file. The sum
// tells of accidents; who means to change a file can write another sum.

const (
	dumpFormat = "drawbridge store"
	dumpSchema = 1
	// dumpLine is the longest line: the largest value that an engine takes, in
	// base64, with a long id.
	dumpLine = 32 << 20
)

// ErrDump says that a file is not a dump, or not the whole of one as written.
var ErrDump = errors.New("store: not a whole and unaltered dump")

// DumpInfo is what the first line of a dump file says.
type DumpInfo struct {
	// Engine is the name of the engine that it was read from.
	Engine string `json:"engine"`
	// Partitions is the number that a store must have been created with to
	// be loaded with the dump.
	Partitions int       `json:"partitions"`
	Created    time.Time `json:"created"`
}

// DumpTotals are how many records and log entries a dump has, and the SHA-256
// of its file in hexadecimal digits, without the last line.
type DumpTotals struct {
	Records int64  `json:"records"`
	Entries int64  `json:"entries"`
	SHA256  string `json:"sha256"`
}

type dumpBegin struct {
	Format string `json:"format"`
	Schema int    `json:"schema"`
	DumpInfo
}

type dumpHead struct {
	Partition Partition `json:"partition"`
	Version   Version   `json:"version"`
	Last      Position  `json:"last"`
	Trimmed   Position  `json:"trimmed"`
}

type dumpRecord struct {
	Kind string `json:"kind"`
	ID   string `json:"id,omitempty"`
	// IDBytes takes the place of an ID that JSON would spoil.
	IDBytes []byte     `json:"id_bytes,omitempty"`
	Version Version    `json:"version"`
	Expires *time.Time `json:"expires,omitempty"`
	Value   []byte     `json:"value"`
}

type dumpEntry struct {
	Position Position  `json:"position"`
	At       time.Time `json:"at"`
	Value    []byte    `json:"value"`
}

type dumpItem struct {
	Begin  *dumpBegin  `json:"begin,omitempty"`
	Head   *dumpHead   `json:"head,omitempty"`
	Record *dumpRecord `json:"record,omitempty"`
	Entry  *dumpEntry  `json:"entry,omitempty"`
	End    *DumpTotals `json:"end,omitempty"`
}

// WriteDump writes a dump file of a store's items. A file that it did not write
// to the end is none: ReadDump refuses it.
func WriteDump(w io.Writer, info DumpInfo, items iter.Seq2[Item, error]) (DumpTotals, error) {
	out := dumpWriter{to: bufio.NewWriterSize(w, 1<<16), sum: sha256.New()}
	info.Created = info.Created.UTC()
	err := out.line(dumpItem{Begin: &dumpBegin{Format: dumpFormat, Schema: dumpSchema, DumpInfo: info}})
	if err != nil {
		return out.totals, err
	}
	for item, err := range CheckDump(Layout{Partitions: info.Partitions}, items) {
		if err == nil {
			err = out.item(item)
		}
		if err != nil {
			return out.totals, err
		}
	}
	out.totals.SHA256 = hex.EncodeToString(out.sum.Sum(nil))
	if err := out.line(dumpItem{End: &out.totals}); err != nil {
		return out.totals, err
	}
	if err := out.to.Flush(); err != nil {
		return out.totals, fmt.Errorf("store: write dump: %w", err)
	}
	return out.totals, nil
}

type dumpWriter struct {
	to     *bufio.Writer
	sum    hash.Hash
	totals DumpTotals
}

func (d *dumpWriter) item(it Item) error {
	switch {
	case it.Head != nil:
		return d.line(dumpItem{Head: &dumpHead{Partition: it.Partition, Version: it.Head.Version, Last: it.Head.Last, Trimmed: it.Head.Trimmed}})
	case it.Record != nil:
		d.totals.Records++
		return d.record(*it.Record)
	}
	d.totals.Entries++
	return d.line(dumpItem{Entry: &dumpEntry{Position: it.Entry.Position, At: it.Entry.At.UTC(), Value: it.Entry.Value}})
}

func (d *dumpWriter) record(r Record) error {
	if !utf8.ValidString(r.Key.Kind) {
		return fmt.Errorf("store: write dump: the kind %q is not UTF-8", r.Key.Kind)
	}
	out := &dumpRecord{Kind: r.Key.Kind, Version: r.Version, Value: r.Value}
	if utf8.ValidString(r.Key.ID) {
		out.ID = r.Key.ID
	} else {
		out.IDBytes = []byte(r.Key.ID)
	}
	if !r.Expires.IsZero() {
		expires := r.Expires.UTC()
		out.Expires = &expires
	}
	return d.line(dumpItem{Record: out})
}

func (d *dumpWriter) line(it dumpItem) error {
	text, err := json.Marshal(it)
	if err != nil {
		return fmt.Errorf("store: write dump: %w", err)
	}
	text = append(text, '\n')
	d.sum.Write(text)
	if _, err := d.to.Write(text); err != nil {
		return fmt.Errorf("store: write dump: %w", err)
	}
	return nil
}

// DumpReader reads a dump file from its beginning to its end, once.
type DumpReader struct {
	info   DumpInfo
	lines  *bufio.Scanner
	sum    hash.Hash
	totals DumpTotals
}

// ReadDump reads the first line of a dump file: ErrDump for what is none,
// ErrNewer for one of a format that this binary does not know.
func ReadDump(r io.Reader) (*DumpReader, error) {
	d := &DumpReader{lines: bufio.NewScanner(r), sum: sha256.New()}
	d.lines.Buffer(make([]byte, 0, 1<<16), dumpLine)
	d.lines.Split(wholeLines)
	if !d.lines.Scan() {
		return nil, d.bad("it has no first line", d.lines.Err())
	}
	text := d.lines.Bytes()
	// What a later format adds must not keep this one from reading its number.
	var first dumpItem
	if err := json.Unmarshal(text, &first); err != nil || first.Begin == nil || first.Begin.Format != dumpFormat {
		return nil, d.bad("it does not begin as one", nil)
	}
	if first.Begin.Schema > dumpSchema {
		return nil, fmt.Errorf("store: the dump's format is %d, this binary knows %d: %w", first.Begin.Schema, dumpSchema, ErrNewer)
	}
	if first.Begin.Schema < 1 || first.Begin.Partitions < 1 || first.Begin.Partitions > 1<<16 {
		return nil, d.bad("it does not begin as one", nil)
	}
	d.info = first.Begin.DumpInfo
	d.sum.Write(text)
	return d, nil
}

// Info is what the first line says.
func (d *DumpReader) Info() DumpInfo { return d.info }

// Totals are what Items has come to; those of the file once it has ended.
func (d *DumpReader) Totals() DumpTotals { return d.totals }

// Items reads the rest. Whether the file is whole shows at its end: the last
// thing it yields is ErrDump if not, and everything before was in vain.
func (d *DumpReader) Items() iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		var p Partition
		for d.lines.Scan() {
			text := d.lines.Bytes()
			var line dumpItem
			dec := json.NewDecoder(bytes.NewReader(text))
			dec.DisallowUnknownFields()
			if err := dec.Decode(&line); err != nil {
				yield(Item{}, d.bad("a line is not one of a dump", nil))
				return
			}
			if line.End != nil {
				if err := d.end(text, *line.End); err != nil {
					yield(Item{}, err)
				}
				return
			}
			d.sum.Write(text)
			item, ok := d.item(line, &p)
			if !ok {
				yield(Item{}, d.bad("a line is not one of a dump", nil))
				return
			}
			if !yield(item, nil) {
				return
			}
		}
		yield(Item{}, d.bad("it is cut short", d.lines.Err()))
	}
}

// item is what a line stands for, in the partition whose head was read last.
func (d *DumpReader) item(line dumpItem, p *Partition) (Item, bool) {
	switch {
	case line.Begin != nil:
		return Item{}, false
	case line.Head != nil:
		h := line.Head
		*p = h.Partition
		return Item{Partition: *p, Head: &Head{Version: h.Version, Last: h.Last, Trimmed: h.Trimmed}}, line.Record == nil && line.Entry == nil
	case line.Record != nil:
		d.totals.Records++
		r := line.Record
		rec := &Record{Key: Key{Partition: *p, Kind: r.Kind, ID: r.ID}, Version: r.Version, Value: r.Value}
		if r.IDBytes != nil {
			rec.Key.ID = string(r.IDBytes)
		}
		if r.Expires != nil {
			rec.Expires = *r.Expires
		}
		return Item{Partition: *p, Record: rec}, line.Entry == nil
	case line.Entry != nil:
		d.totals.Entries++
		return Item{Partition: *p, Entry: &Entry{Position: line.Entry.Position, At: line.Entry.At, Value: line.Entry.Value}}, true
	}
	return Item{}, false
}

// end holds the last line to what was read. It must be written as WriteDump
// writes it: its own bytes are the only ones that the sum does not cover.
func (d *DumpReader) end(text []byte, said DumpTotals) error {
	d.totals.SHA256 = hex.EncodeToString(d.sum.Sum(nil))
	want, err := json.Marshal(dumpItem{End: &d.totals})
	if err != nil {
		return err
	}
	if !bytes.Equal(text, append(want, '\n')) {
		return d.bad(fmt.Sprintf("it has %d records and %d log entries, and says %d and %d; or it was altered",
			d.totals.Records, d.totals.Entries, said.Records, said.Entries), nil)
	}
	if d.lines.Scan() {
		return d.bad("something stands behind its end", nil)
	}
	if err := d.lines.Err(); err != nil {
		return d.bad("something stands behind its end", err)
	}
	return nil
}

func (d *DumpReader) bad(what string, cause error) error {
	if cause != nil {
		return fmt.Errorf("%w: %s: %w", ErrDump, what, cause)
	}
	return fmt.Errorf("%w: %s", ErrDump, what)
}

// VerifyDump reads a dump file to its end, keeps nothing of it, and says
// whether it is whole, unaltered, and in order.
func VerifyDump(r io.Reader) (DumpInfo, DumpTotals, error) {
	d, err := ReadDump(r)
	if err != nil {
		return DumpInfo{}, DumpTotals{}, err
	}
	for _, err := range CheckDump(Layout{Partitions: d.info.Partitions}, d.Items()) {
		if err != nil {
			return d.info, d.totals, err
		}
	}
	return d.info, d.totals, nil
}

// wholeLines splits into lines with their line feed, as the sum needs them.
// What follows the last line feed is no line.
func wholeLines(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i+1], nil
	}
	if atEOF && len(data) > 0 {
		return 0, nil, io.ErrUnexpectedEOF
	}
	return 0, nil, nil
}
