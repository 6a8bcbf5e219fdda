package boltstore

import (
	"bytes"
	"slices"
	"strings"

	"github.com/tidwall/btree"
	"go.etcd.io/bbolt"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// entry is a record that is not yet folded; without rec it was removed.
type entry struct {
	rec []byte
	// below says that there may be one of this key beneath the layer. Where
	// there is none, to remove the record is to forget it.
	below bool
}

// logged is an entry of a log that is not yet folded.
type logged struct {
	at  store.Position
	raw []byte
}

// layer is what a number of commits have made of a partition. Its zero value
// has nothing in it and cannot be written to.
type layer struct {
	records *btree.Map[string, *entry]
	log     []logged
	// head is the head of the log when the layer was closed.
	head store.Position
}

func newLayer() layer { return layer{records: new(btree.Map[string, *entry])} }

func (l layer) get(key string) *entry {
	if l.records == nil {
		return nil
	}
	e, _ := l.records.Get(key)
	return e
}

// from is an iterator at the first record at or after a key.
func (l layer) from(key string) cursor {
	if l.records == nil || l.records.Len() == 0 {
		return cursor{}
	}
	c := cursor{iter: l.records.Iter()}
	c.ok = c.iter.Seek(key)
	return c
}

type cursor struct {
	iter btree.MapIter[string, *entry]
	ok   bool
}

func (c *cursor) next() { c.ok = c.iter.Next() }

// part is what stands over the file in one partition at one moment. It is not
// changed once readers can see it; where there is none, the file says it all.
type part struct {
	counters counters
	// active is what the next fold will take, frozen what the one under way (or
	// the one that failed and is tried again) has taken.
	active, frozen layer
	// base is a position that no entry of the file is after, but for those that
	// frozen has too.
	base store.Position
	// maxTx is the newest transaction of the file that this may be laid over: in
	// a newer one something of active, or of what came after it, is folded.
	maxTx int
}

// get is what a part says of a record; nil is nothing.
func (p *part) get(key string) *entry {
	if p == nil {
		return nil
	}
	if e := p.active.get(key); e != nil {
		return e
	}
	return p.frozen.get(key)
}

// hasAll says that the file need not be asked for any of the records.
func (p *part) hasAll(keys []string) bool {
	for _, key := range keys {
		if p.get(key) == nil {
			return false
		}
	}
	return true
}

// overlay walks the records of a part in order, the removed ones too.
type overlay struct {
	active, frozen cursor
	prefix         string
}

func (p *part) walk(from, prefix string) *overlay {
	if p == nil {
		return &overlay{}
	}
	return &overlay{active: p.active.from(from), frozen: p.frozen.from(from), prefix: prefix}
}

// peek is the record that the walk stands at.
func (o *overlay) peek() (key string, e *entry, ok bool) {
	a, f := o.active.ok, o.frozen.ok
	switch {
	case a && (!f || o.active.iter.Key() <= o.frozen.iter.Key()):
		key, e = o.active.iter.Key(), o.active.iter.Value()
	case f:
		key, e = o.frozen.iter.Key(), o.frozen.iter.Value()
	default:
		return "", nil, false
	}
	return key, e, strings.HasPrefix(key, o.prefix)
}

// next leaves a key behind, in whichever layers it is.
func (o *overlay) next(key string) {
	if o.active.ok && o.active.iter.Key() == key {
		o.active.next()
	}
	if o.frozen.ok && o.frozen.iter.Key() == key {
		o.frozen.next()
	}
}

// moment is one partition at one moment: a part over a transaction of the file.
type moment struct {
	part *part
	tx   *bbolt.Tx
	p    store.Partition
	n    names
}

func (m moment) counters() (counters, error) {
	if m.part != nil {
		return m.part.counters, nil
	}
	return parseCounters(m.tx.Bucket([]byte(partitionsBucket)).Get(partitionKey(m.p)))
}

// record is a stored record; nil is none.
func (m moment) record(key string) []byte {
	if e := m.part.get(key); e != nil {
		return e.rec
	}
	return m.tx.Bucket(m.n.records).Get([]byte(key))
}

// records yields all records whose keys have the prefix, in order, until yield
// wants no more. Those that have expired are among them.
func (m moment) records(from, prefix string, yield func(key string, rec []byte) (bool, error)) error {
	over := m.part.walk(from, prefix)
	c := m.tx.Bucket(m.n.records).Cursor()
	k, raw := c.Seek([]byte(from))
	for {
		inFile := k != nil && hasPrefix(k, prefix)
		key, e, inPart := over.peek()
		switch {
		case !inFile && !inPart:
			return nil
		case !inPart || inFile && string(k) < key:
			if more, err := yield(string(k), raw); err != nil || !more {
				return err
			}
			k, raw = c.Next()
			continue
		case inFile && string(k) == key:
			k, raw = c.Next()
		}
		over.next(key)
		if e.rec == nil {
			continue
		}
		if more, err := yield(key, e.rec); err != nil || !more {
			return err
		}
	}
}

func hasPrefix(k []byte, prefix string) bool {
	return len(k) >= len(prefix) && string(k[:len(prefix)]) == prefix
}

// entries yields the entries of the log after a position, oldest first, until
// yield wants no more. after must not be before what was trimmed.
func (m moment) entries(after store.Position, yield func(at store.Position, raw []byte) (bool, error)) error {
	if m.part == nil || after.Compare(m.part.base) < 0 {
		c := m.tx.Bucket(m.n.log).Cursor()
		k, v := c.Seek(logKey(after))
		if bytes.Equal(k, logKey(after)) {
			k, v = c.Next()
		}
		for ; k != nil; k, v = c.Next() {
			at, err := parseLogKey(k)
			if err != nil {
				return err
			}
			if more, err := yield(at, v); err != nil || !more {
				return err
			}
			after = at
		}
	}
	if m.part == nil {
		return nil
	}
	for _, log := range [][]logged{m.part.frozen.log, m.part.active.log} {
		for _, l := range log[behind(log, after):] {
			if more, err := yield(l.at, l.raw); err != nil || !more {
				return err
			}
		}
	}
	return nil
}

// behind is the index of the first entry after a position.
func behind(log []logged, after store.Position) int {
	i, found := slices.BinarySearchFunc(log, after, func(l logged, at store.Position) int { return l.at.Compare(at) })
	if found {
		i++
	}
	return i
}
