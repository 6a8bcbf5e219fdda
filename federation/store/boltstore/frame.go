package boltstore

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// A frame is one batch in the write-ahead file:
//
//	magic (4), length of what follows the head (4), run (8), sequence (8),
//	CRC-32C of all of it but the two (4), CRC-32C of the head (4), sections
//
// The head has a sum of its own, because a power cut may leave a part of it over
// something older: then nothing in it may be believed, and above all not that it
// is of a later commit than there is.
//
// The run is a random number that the database knows too. The sequence counts
// the frames of a run from 1. A section is what a batch has made of one
// partition: what stands there now, so that it may be read twice.
const (
	frameHead = 32
	runAt     = 8
	seqAt     = 16
	frameSum  = 24
	headSum   = 28
)

const frameMagic = "DBW1"

// runID tells the frames of one run of an engine from all others.
type runID [8]byte

// What a section is made of. It begins with the partition and its counters.
const (
	partPartition byte = iota + 1
	partRecord
	partRemoved
	partEntry
)

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// beginFrame is the head of a frame without what only endFrame knows.
func beginFrame(buf []byte) []byte {
	return append(buf[:0], make([]byte, frameHead)...)
}

func endFrame(frame []byte, run runID, seq uint64) error {
	if uint64(len(frame)-frameHead) > math.MaxUint32 {
		return fmt.Errorf("store: %d bytes are too many for one commit", len(frame))
	}
	copy(frame, frameMagic)
	binary.BigEndian.PutUint32(frame[4:], uint32(len(frame)-frameHead))
	copy(frame[runAt:], run[:])
	binary.BigEndian.PutUint64(frame[seqAt:], seq)
	binary.BigEndian.PutUint32(frame[frameSum:], sumOf(frame))
	binary.BigEndian.PutUint32(frame[headSum:], crc32.Checksum(frame[:headSum], castagnoli()))
	return nil
}

func sumOf(frame []byte) uint32 {
	t := castagnoli()
	return crc32.Update(crc32.Checksum(frame[:frameSum], t), t, frame[frameHead:])
}

// cutFrame is the frame at the beginning of b, which may not be one.
func cutFrame(b []byte, run runID) (seq uint64, frame []byte, ok bool) {
	seq, ok = frameAt(b, run)
	if !ok {
		return 0, nil, false
	}
	n := frameHead + int64(binary.BigEndian.Uint32(b[4:]))
	if n > int64(len(b)) || sumOf(b[:n]) != binary.BigEndian.Uint32(b[frameSum:]) {
		return 0, nil, false
	}
	return seq, b[:n], true
}

// frameAt says whether b begins with the whole head of a frame, and which.
func frameAt(b []byte, run runID) (seq uint64, ok bool) {
	if len(b) < frameHead || string(b[:4]) != frameMagic || !bytes.Equal(b[runAt:seqAt], run[:]) {
		return 0, false
	}
	if crc32.Checksum(b[:headSum], castagnoli()) != binary.BigEndian.Uint32(b[headSum:]) {
		return 0, false
	}
	return binary.BigEndian.Uint64(b[seqAt:]), true
}

func appendSection(frame []byte, p store.Partition, c counters) []byte {
	frame = binary.BigEndian.AppendUint16(append(frame, partPartition), uint16(p))
	return append(frame, c.encode()...)
}

func appendRecord(frame []byte, key string, e *entry) []byte {
	if e.rec == nil {
		return appendString(append(frame, partRemoved), key)
	}
	frame = appendString(append(frame, partRecord), key)
	return append(binary.AppendUvarint(frame, uint64(len(e.rec))), e.rec...)
}

func appendEntry(frame []byte, l logged) []byte {
	frame = append(append(frame, partEntry), logKey(l.at)...)
	return append(binary.AppendUvarint(frame, uint64(len(l.raw))), l.raw...)
}

func appendString(frame []byte, s string) []byte {
	return append(binary.AppendUvarint(frame, uint64(len(s))), s...)
}

// replay makes what a frame says, in the order in which it was said.
func replay(frame []byte, parts map[store.Partition]*part) error {
	r := reader{rest: frame[frameHead:]}
	var at *part
	for len(r.rest) > 0 && !r.bad {
		verb := r.take(1)[0]
		switch {
		case verb == partPartition:
			at = r.section(parts)
		case at == nil:
			r.bad = true
		case verb == partRecord:
			key := string(r.bytes())
			at.active.records.Set(key, &entry{rec: bytes.Clone(r.bytes()), below: true})
		case verb == partRemoved:
			at.active.records.Set(string(r.bytes()), &entry{below: true})
		case verb == partEntry:
			pos, _ := parseLogKey(r.take(16)) // it has 16 bytes
			at.active.log = append(at.active.log, logged{at: pos, raw: bytes.Clone(r.bytes())})
		default:
			r.bad = true
		}
	}
	if r.bad {
		return fmt.Errorf("read a commit of the write-ahead file: %w", errDamaged)
	}
	return nil
}

// reader takes a frame apart. Once it has met what cannot be it is bad, and
// what it gives is zero.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) take(n uint64) []byte {
	if n > uint64(len(r.rest)) {
		r.bad, r.rest = true, nil
		return make([]byte, min(n, 64))
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) bytes() []byte {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 {
		r.bad, r.rest = true, nil
		return nil
	}
	r.rest = r.rest[size:]
	return r.take(n)
}

func (r *reader) section(parts map[store.Partition]*part) *part {
	p := store.Partition(binary.BigEndian.Uint16(r.take(2)))
	c, err := parseCounters(r.take(40))
	if err != nil || r.bad {
		r.bad = true
		return nil
	}
	if parts[p] == nil {
		parts[p] = &part{active: newLayer()}
	}
	parts[p].counters, parts[p].base = c, c.head
	return parts[p]
}
