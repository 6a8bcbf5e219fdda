package boltstore

import (
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// shelf is one partition within a batch. Its first failed write breaks the
// batch; until then every change is either whole or not begun.
type shelf struct {
	batch                *batch
	records, expiry, log *bbolt.Bucket
	counters             counters
	changed, appended    bool
}

func (b *batch) shelf(p store.Partition) (*shelf, error) {
	if s := b.shelves[p]; s != nil {
		return s, nil
	}
	c, err := parseCounters(b.tx.Bucket([]byte(partitionsBucket)).Get(partitionKey(p)))
	if err != nil {
		return nil, err
	}
	n := b.engine.names[p]
	s := &shelf{
		batch: b, counters: c,
		records: b.tx.Bucket(n.records), expiry: b.tx.Bucket(n.expiry), log: b.tx.Bucket(n.log),
	}
	// Logs grow at their end only: a page that is split there stays full.
	s.log.FillPercent = 1
	if b.shelves == nil {
		b.shelves = make(map[store.Partition]*shelf)
	}
	b.shelves[p] = s
	return s, nil
}

// save writes the counters of every partition that was changed.
func (b *batch) save() (changed bool, err error) {
	for p, s := range b.shelves {
		if !s.changed {
			continue
		}
		changed = true
		if err := b.tx.Bucket([]byte(partitionsBucket)).Put(partitionKey(p), s.counters.encode()); err != nil {
			return false, err
		}
	}
	return changed, nil
}

// look reads the head of a record as it stands, expired or not.
func (s *shelf) look(key []byte) (stored, error) {
	raw := s.records.Get(key)
	if raw == nil {
		return stored{}, nil
	}
	head, _, err := parseRecord(raw)
	return head, err
}

// put writes a record over what was there, and keeps the expiry index exact.
func (s *shelf) put(key, rec []byte, expires stamp, was stored) {
	s.changed = true
	if was.expires != expires {
		s.unlist(key, was)
		if expires != (stamp{}) {
			s.must(s.expiry.Put(expiryKey(expires, key), nil))
		}
	}
	setVersion(rec, s.counters.version)
	s.must(s.records.Put(key, rec))
}

func (s *shelf) remove(key []byte, was stored) {
	if !was.exists {
		return
	}
	s.changed = true
	s.unlist(key, was)
	s.must(s.records.Delete(key))
}

func (s *shelf) unlist(key []byte, was stored) {
	if was.expires != (stamp{}) {
		s.must(s.expiry.Delete(expiryKey(was.expires, key)))
	}
}

func (s *shelf) append(entry []byte) {
	s.changed, s.appended = true, true
	s.counters.head.Seq++
	setTime(entry, s.batch.now)
	s.must(s.log.Put(logKey(s.counters.head), entry))
}

func (s *shelf) must(err error) {
	if err != nil && s.batch.broken == nil {
		s.batch.broken = fmt.Errorf("change file: %w", err)
	}
}
