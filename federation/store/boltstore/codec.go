package boltstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

const (
	maxKind  = 255
	maxID    = 8 << 10
	maxValue = 16 << 20
)

// stamp is a time whose bytes sort as the times do. The zero stamp is never.
type stamp [12]byte

func stampOf(t time.Time) stamp {
	var s stamp
	if t.IsZero() {
		return s
	}
	binary.BigEndian.PutUint64(s[:8], uint64(t.Unix())^1<<63)
	binary.BigEndian.PutUint32(s[8:], uint32(t.Nanosecond()))
	return s
}

func (s stamp) time() time.Time {
	if s == (stamp{}) {
		return time.Time{}
	}
	secs := int64(binary.BigEndian.Uint64(s[:8]) ^ 1<<63)
	return time.Unix(secs, int64(binary.BigEndian.Uint32(s[8:]))).UTC()
}

// reached says that the stamp's moment is now or was before.
func (s stamp) reached(now stamp) bool {
	return s != (stamp{}) && bytes.Compare(s[:], now[:]) <= 0
}

// recordKey is the kind with its length in front, so that no kind is the
// beginning of another, and then the id as it is, so that ids keep their order.
func recordKey(kind, id string) string {
	return string([]byte{byte(len(kind))}) + kind + id
}

func checkKey(k store.Key) error {
	if len(k.Kind) > maxKind {
		return fmt.Errorf("store: a kind of %d bytes is longer than %d", len(k.Kind), maxKind)
	}
	if len(k.ID) > maxID {
		return fmt.Errorf("store: an id of %d bytes is longer than %d", len(k.ID), maxID)
	}
	return nil
}

func expiryKey[K string | []byte](at stamp, key K) []byte {
	return append(at[:], key...)
}

// A stored record is: version, expiry, value.
const recordHead = 8 + len(stamp{})

func newRecord(value []byte, expires stamp) []byte {
	rec := make([]byte, recordHead, recordHead+len(value))
	copy(rec[8:], expires[:])
	return append(rec, value...)
}

func setVersion(rec []byte, v store.Version) { binary.BigEndian.PutUint64(rec, uint64(v)) }

// stored is what is known of a record without its value. Its zero value is a
// record that is not there.
type stored struct {
	exists bool
	// below says that there may be one beneath the layer that commits change.
	below   bool
	version store.Version
	expires stamp
}

var errDamaged = errors.New("store: the file is damaged")

func parseRecord(rec []byte) (stored, []byte, error) {
	if len(rec) < recordHead {
		return stored{}, nil, fmt.Errorf("read record: %w", errDamaged)
	}
	s := stored{exists: true, version: store.Version(binary.BigEndian.Uint64(rec))}
	copy(s.expires[:], rec[8:])
	return s, rec[recordHead:], nil
}

func logKey(p store.Position) []byte {
	k := binary.BigEndian.AppendUint64(make([]byte, 0, 16), p.Epoch)
	return binary.BigEndian.AppendUint64(k, p.Seq)
}

func parseLogKey(k []byte) (store.Position, error) {
	if len(k) != 16 {
		return store.Position{}, fmt.Errorf("read log position: %w", errDamaged)
	}
	return store.Position{Epoch: binary.BigEndian.Uint64(k), Seq: binary.BigEndian.Uint64(k[8:])}, nil
}

// A stored log entry is: time, value.
func newEntry(value []byte) []byte {
	e := make([]byte, len(stamp{}), len(stamp{})+len(value))
	return append(e, value...)
}

func setTime(entry []byte, at stamp) { copy(entry, at[:]) }

func parseEntry(k, v []byte) (store.Entry, error) {
	pos, err := parseLogKey(k)
	if err != nil {
		return store.Entry{}, err
	}
	return entryOf(pos, v)
}

func entryOf(pos store.Position, v []byte) (store.Entry, error) {
	if len(v) < len(stamp{}) {
		return store.Entry{}, fmt.Errorf("read log entry %s: %w", pos, errDamaged)
	}
	return store.Entry{Position: pos, At: stamp(v[:len(stamp{})]).time(), Value: bytes.Clone(v[len(stamp{}):])}, nil
}

// counters are what a partition remembers beside records and log.
type counters struct {
	version store.Version
	// head is the position of the newest entry ever appended.
	head store.Position
	// trimmed is the position of the newest entry ever trimmed.
	trimmed store.Position
}

func (c counters) encode() []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 40), uint64(c.version))
	b = append(b, logKey(c.head)...)
	return append(b, logKey(c.trimmed)...)
}

func parseCounters(b []byte) (counters, error) {
	if len(b) != 40 {
		return counters{}, fmt.Errorf("read partition counters: %w", errDamaged)
	}
	head, err := parseLogKey(b[8:24])
	if err != nil {
		return counters{}, err
	}
	trimmed, err := parseLogKey(b[24:])
	return counters{version: store.Version(binary.BigEndian.Uint64(b)), head: head, trimmed: trimmed}, err
}
