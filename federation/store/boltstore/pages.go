package boltstore

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// bbolt believes its pages, and reads through pointers that stand in them: in a
// file that was altered they lead out of the map, which ends the process. So a
// file that is only read, which may come from anywhere, is walked first with
// nothing believed. What follows is bbolt's layout (version 2, in the machine's
// byte order), as far as pointers and lengths go.
const (
	pageHeader   = 16
	pageElement  = 16
	bucketHeader = 16

	branchPage = 0x01
	leafPage   = 0x02
	bucketLeaf = 0x01

	metaSize   = 64
	metaSum    = 56
	boltMagic  = 0xED0CDAED
	boltFormat = 2

	maxDepth = 64
)

// walker is a walk over a file's tree of pages.
type walker struct {
	file     io.ReaderAt
	pageSize int64
	// pages is how many the file has used.
	pages uint64
	seen  map[uint64]bool
}

// walkPages says whether every page that can be reached is one: errDamaged, with
// the page's number, if not.
func walkPages(path string, pageSize int) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w := &walker{file: f, pageSize: int64(pageSize), seen: map[uint64]bool{}}
	root, err := w.root()
	if err != nil {
		return err
	}
	return w.page(root, 0, span{})
}

func damagedPage(id uint64, what string) error {
	return fmt.Errorf("page %d %s: %w", id, what, errDamaged)
}

// root is the page at which the newest good root page says the tree begins.
func (w *walker) root() (uint64, error) {
	var root, newest uint64
	found := false
	for id := range int64(2) {
		raw := make([]byte, metaSize)
		if _, err := w.file.ReadAt(raw, id*w.pageSize+pageHeader); err != nil {
			return 0, damagedPage(uint64(id), "cannot be read")
		}
		sum := fnv.New64a()
		sum.Write(raw[:metaSum])
		o := binary.NativeEndian
		if o.Uint32(raw) != boltMagic || o.Uint32(raw[4:]) != boltFormat || o.Uint64(raw[metaSum:]) != sum.Sum64() {
			continue // the other one counts
		}
		if at := o.Uint64(raw[48:]); !found || at > newest {
			found, newest, root, w.pages = true, at, o.Uint64(raw[16:]), o.Uint64(raw[40:])
		}
	}
	if !found {
		return 0, damagedPage(0, "and 1 are no root pages")
	}
	return root, nil
}

// span is what the keys of a page lie between: low or above, and below high,
// where that is not nil.
type span struct{ low, high []byte }

func (w *walker) page(id uint64, depth int, within span) error {
	if id < 2 || id >= w.pages || depth > maxDepth {
		return damagedPage(id, "is out of bounds")
	}
	if w.seen[id] {
		return damagedPage(id, "is used twice")
	}
	w.seen[id] = true
	head := make([]byte, pageHeader)
	if _, err := w.file.ReadAt(head, int64(id)*w.pageSize); err != nil {
		return damagedPage(id, "cannot be read")
	}
	more := uint64(binary.NativeEndian.Uint32(head[12:]))
	if binary.NativeEndian.Uint64(head) != id || more >= w.pages-id {
		return damagedPage(id, "is another")
	}
	for i := range more {
		if w.seen[id+1+i] {
			return damagedPage(id+1+i, "is used twice")
		}
		w.seen[id+1+i] = true
	}
	raw := make([]byte, (1+int64(more))*w.pageSize)
	if _, err := w.file.ReadAt(raw, int64(id)*w.pageSize); err != nil {
		return damagedPage(id, "cannot be read")
	}
	return w.elements(id, raw, depth, within)
}

// elements walks a page, or one that stands within a value of it.
func (w *walker) elements(id uint64, raw []byte, depth int, within span) error {
	all, err := cells(id, raw)
	if err != nil {
		return err
	}
	for i, c := range all {
		next := span{low: c.key, high: within.high}
		if i+1 < len(all) {
			next.high = all[i+1].key
		}
		first := i == 0 && bytes.Compare(c.key, within.low) < 0
		if first || next.high != nil && bytes.Compare(c.key, next.high) >= 0 {
			return damagedPage(id, "has keys out of order")
		}
		if err := w.cell(id, c, depth+1, next); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) cell(id uint64, c cell, depth int, within span) error {
	switch {
	case c.branch:
		return w.page(c.child, depth, within)
	case !c.bucket:
		return nil
	case len(c.value) < bucketHeader:
		return damagedPage(id, "has a bucket without a beginning")
	}
	if root := binary.NativeEndian.Uint64(c.value); root != 0 {
		return w.page(root, depth, span{})
	}
	if len(c.value) < bucketHeader+pageHeader || depth > maxDepth {
		return damagedPage(id, "has a bucket without a beginning")
	}
	return w.elements(id, c.value[bucketHeader:], depth, span{})
}

// cell is an element of a page: a key with the page below, or with a value.
type cell struct {
	key, value     []byte
	child          uint64
	branch, bucket bool
}

// cells takes a page apart.
func cells(id uint64, raw []byte) ([]cell, error) {
	o := binary.NativeEndian
	kind, count := o.Uint16(raw[8:]), int(o.Uint16(raw[10:]))
	if kind != branchPage && kind != leafPage {
		return nil, damagedPage(id, "is neither branch nor leaf")
	}
	if pageHeader+count*pageElement > len(raw) || kind == branchPage && count == 0 {
		return nil, damagedPage(id, "has no room for its elements")
	}
	all := make([]cell, count)
	for i := range all {
		rest := raw[pageHeader+i*pageElement:]
		c := cell{branch: kind == branchPage}
		var pos, key, value uint64
		if c.branch {
			pos, key, c.child = uint64(o.Uint32(rest)), uint64(o.Uint32(rest[4:])), o.Uint64(rest[8:])
		} else {
			c.bucket = o.Uint32(rest)&bucketLeaf != 0
			pos, key, value = uint64(o.Uint32(rest[4:])), uint64(o.Uint32(rest[8:])), uint64(o.Uint32(rest[12:]))
		}
		if pos+key+value > uint64(len(rest)) || pos < pageElement {
			return nil, damagedPage(id, "has a key or a value beyond its end")
		}
		c.key, c.value = rest[pos:pos+key:pos+key], rest[pos+key:pos+key+value]
		all[i] = c
	}
	return all, nil
}
