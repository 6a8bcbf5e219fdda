package boltstore

import (
	"go.etcd.io/bbolt"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// batch is what a number of commits make together: it is judged and kept in
// memory until all of it is in the write-ahead file, and forgotten if it cannot
// be put there.
type batch struct {
	engine *Engine
	// tx reads the file; nil until something is looked for in it.
	tx *bbolt.Tx
	// now is the one time by which the whole batch is judged.
	now     stamp
	shelves map[store.Partition]*shelf
	// weight is added to what the batch takes in the write-ahead file.
	weight    int64
	commits   uint64
	conflicts uint64
}

// file begins to read the file.
func (b *batch) file() (*bbolt.Tx, error) {
	if b.tx == nil {
		tx, err := b.engine.db.Begin(false)
		if err != nil {
			return nil, err
		}
		b.tx = tx
	}
	return b.tx, nil
}

// looked ends the reading.
func (b *batch) looked() {
	if b.tx != nil {
		_ = b.tx.Rollback() // it has only read
		b.tx = nil
	}
}

func (b *batch) changed() bool {
	for _, s := range b.shelves {
		if s.changed {
			return true
		}
	}
	return false
}

// frame is the batch as the write-ahead file has it.
func (b *batch) frame(buf []byte) []byte {
	buf = beginFrame(buf)
	for p, s := range b.shelves {
		if !s.changed {
			continue
		}
		buf = appendSection(buf, p, s.counters)
		for key, e := range s.records {
			buf = appendRecord(buf, key, e)
		}
		for _, l := range s.log {
			buf = appendEntry(buf, l)
		}
	}
	return buf
}

// shelf is one partition within a batch: every change is either whole in it or
// not begun.
type shelf struct {
	batch *batch
	p     store.Partition
	// part is what stood there before the batch, over the file.
	part     *part
	counters counters
	// records and log are what the batch has written.
	records           map[string]*entry
	log               []logged
	changed, appended bool
}

func (b *batch) shelf(p store.Partition) (*shelf, error) {
	if s := b.shelves[p]; s != nil {
		return s, nil
	}
	s := &shelf{batch: b, p: p, part: b.engine.parts[p].Load(), records: map[string]*entry{}}
	if s.part != nil {
		s.counters = s.part.counters
	} else {
		m, err := s.moment()
		if err != nil {
			return nil, err
		}
		if s.counters, err = m.counters(); err != nil {
			return nil, err
		}
	}
	if b.shelves == nil {
		b.shelves = make(map[store.Partition]*shelf)
	}
	b.shelves[p] = s
	return s, nil
}

// moment is what stood there before the batch. The writer need not ask whether
// part and file are of one moment: what a fold has put into the file leaves the
// part by the writer's own hand.
func (s *shelf) moment() (moment, error) {
	tx, err := s.batch.file()
	return moment{part: s.part, tx: tx, p: s.p, n: s.batch.engine.names[s.p]}, err
}

// look reads the head of a record as it stands, expired or not.
func (s *shelf) look(key string) (stored, error) {
	e := s.records[key]
	if e == nil && s.part != nil {
		e = s.part.active.get(key)
	}
	if e != nil {
		return e.stored(e.below)
	}
	if s.part != nil {
		if e = s.part.frozen.get(key); e != nil {
			return e.stored(e.rec != nil)
		}
	}
	m, err := s.moment()
	if err != nil {
		return stored{}, err
	}
	raw := m.tx.Bucket(m.n.records).Get([]byte(key))
	if raw == nil {
		return stored{}, nil
	}
	head, _, err := parseRecord(raw)
	head.below = true
	return head, err
}

func (e *entry) stored(below bool) (stored, error) {
	if e.rec == nil {
		return stored{below: below}, nil
	}
	head, _, err := parseRecord(e.rec)
	head.below = below
	return head, err
}

// put writes a record over what was there.
func (s *shelf) put(key string, rec []byte, was stored) {
	s.changed = true
	setVersion(rec, s.counters.version)
	s.records[key] = &entry{rec: rec, below: was.below}
}

func (s *shelf) remove(key string, was stored) {
	if was.exists {
		s.changed = true
		s.records[key] = &entry{below: was.below}
	}
}

func (s *shelf) append(raw []byte) {
	s.changed, s.appended = true, true
	s.counters.head.Seq++
	setTime(raw, s.batch.now)
	s.log = append(s.log, logged{at: s.counters.head, raw: raw})
}
