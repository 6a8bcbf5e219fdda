package redisstore

import (
	"encoding/binary"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// kept is a batch that the master has made and too few replicas are known to
// have. What was refused of it is not here.
type kept struct {
	partition store.Partition
	// epoch, mark and number say under which name it was made.
	epoch  uint64
	mark   string
	number uint64
	// base is the version before its first commit.
	base store.Version
	// at is the server's time when it was kept.
	at      time.Time
	commits [][]change
	// id is its number within the file, size its length there.
	id   uint64
	size int64
}

// encode is the frame that adds the batch. Records are kept by kind and id, so
// that the keys may be named otherwise by the time they are read.
func (k *kept) encode() []byte {
	b := binary.BigEndian.AppendUint64([]byte{frameAdd}, k.id)
	b = binary.BigEndian.AppendUint16(b, uint16(k.partition))
	b = binary.BigEndian.AppendUint64(b, k.epoch)
	b = appendText(b, k.mark)
	b = binary.BigEndian.AppendUint64(b, k.number)
	b = binary.BigEndian.AppendUint64(b, uint64(k.base))
	b = binary.BigEndian.AppendUint64(b, uint64(k.at.UnixMicro()))
	b = binary.AppendUvarint(b, uint64(len(k.commits)))
	for _, changes := range k.commits {
		b = binary.AppendUvarint(b, uint64(len(changes)))
		for i := range changes {
			c := &changes[i]
			b = append(b, byte(c.verb))
			b = binary.AppendUvarint(b, uint64(c.at))
			b = appendText(b, c.kind)
			b = appendText(b, c.id)
			b = binary.AppendUvarint(b, c.removeAt)
			b = appendText(b, string(c.value))
		}
	}
	return b
}

func appendText(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func parseKept(b []byte, n func(store.Partition) names) (*kept, error) {
	r := reader{rest: b}
	k := &kept{id: r.fixed(8), partition: store.Partition(r.fixed(2)), epoch: r.fixed(8)}
	k.mark = r.text()
	k.number, k.base = r.fixed(8), store.Version(r.fixed(8))
	k.at = time.UnixMicro(int64(r.fixed(8)))
	at := n(k.partition)
	for range r.count() {
		changes := make([]change, r.count())
		for i := range changes {
			c := &changes[i]
			c.verb, c.at = store.Verb(r.fixed(1)), store.Version(r.varint())
			c.kind, c.id = r.text(), r.text()
			c.removeAt = r.varint()
			c.value = []byte(r.text())
			if c.verb != store.VerbAppend {
				c.record, c.index = at.records(c.kind)+c.id, at.index(c.kind)
			}
		}
		k.commits = append(k.commits, changes)
	}
	if r.bad || len(r.rest) > 0 {
		return nil, errDamagedSpool
	}
	return k, nil
}

// reader takes a frame apart; once bad it answers nothing but zeros.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) take(n uint64) []byte {
	if r.bad || n > uint64(len(r.rest)) {
		r.bad = true
		return nil
	}
	out := r.rest[:n]
	r.rest = r.rest[n:]
	return out
}

func (r *reader) fixed(n uint64) uint64 { return parseUint(string(r.take(n))) }

func (r *reader) varint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

// count is a number of things of which each takes at least a byte.
func (r *reader) count() uint64 {
	n := r.varint()
	if n > uint64(len(r.rest)) {
		r.bad = true
		return 0
	}
	return n
}

func (r *reader) text() string { return string(r.take(r.varint())) }
