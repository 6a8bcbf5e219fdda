package redisstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

const (
	maxKind  = 255
	maxID    = 8 << 10
	maxValue = 16 << 20
	// maxOps bounds the keys of one script call, which are counted in 16 bits.
	maxOps = 20_000
	// maxSeconds is what five bytes hold: the year 36812.
	maxSeconds = 1<<40 - 1
	maxMillis  = 1<<48 - 1
)

var errDamaged = errors.New("store: what Redis holds is damaged")

// A stored record is: version (7 bytes), expiry (9 bytes), value. Scripts
// count in floating point, so versions stay below 2^53 anyway.
const (
	versionSize = 7
	expirySize  = 9
	recordHead  = versionSize + expirySize
)

// appendExpiry writes seconds (5 bytes) and nanoseconds (4 bytes) since 1970.
// All zero is never; a time before 1970 is the first nanosecond of it, which is
// as long gone.
func appendExpiry(b []byte, t time.Time) []byte {
	secs, nanos := uint64(0), uint32(0)
	switch {
	case t.IsZero():
	case t.Unix() < 0 || t.Unix() == 0 && t.Nanosecond() == 0:
		nanos = 1
	default:
		secs, nanos = uint64(t.Unix()), uint32(t.Nanosecond())
	}
	b = append(b, byte(secs>>32))
	b = binary.BigEndian.AppendUint32(b, uint32(secs))
	return binary.BigEndian.AppendUint32(b, nanos)
}

func parseExpiry(b string) time.Time {
	secs := int64(parseUint(b[:5]))
	nanos := int64(parseUint(b[5:expirySize]))
	if secs == 0 && nanos == 0 {
		return time.Time{}
	}
	return time.Unix(secs, nanos).UTC()
}

// parseUint reads a big-endian number of up to 8 bytes.
func parseUint(b string) uint64 {
	var n uint64
	for i := range len(b) {
		n = n<<8 | uint64(b[i])
	}
	return n
}

// appendUint writes the lowest bytes of a number, the greatest of them first.
func appendUint(b []byte, n uint64, size int) []byte {
	for i := size - 1; i >= 0; i-- {
		b = append(b, byte(n>>(8*i)))
	}
	return b
}

// parseRecord makes a record of what Redis holds. Its value is a copy.
func parseRecord(k store.Key, raw string) (store.Record, error) {
	if len(raw) < recordHead {
		return store.Record{}, fmt.Errorf("read record: %w", errDamaged)
	}
	return store.Record{
		Key:     k,
		Version: store.Version(parseUint(raw[:versionSize])),
		Expires: parseExpiry(raw[versionSize:recordHead]),
		Value:   []byte(raw[recordHead:]),
	}, nil
}

// expired says that the moment is now or was before.
func expired(expires, now time.Time) bool { return !expires.IsZero() && !expires.After(now) }

// removeAt is when Redis may remove a record by itself, in milliseconds; 0 is
// never. It is not before the engine's clock says so, which is ahead of the
// server's by skew and only ever moves further ahead.
func removeAt(expires time.Time, skew time.Duration) uint64 {
	if expires.IsZero() {
		return 0
	}
	at := expires.Add(-skew + time.Millisecond - 1)
	return uint64(min(max(at.UnixMilli(), 1), maxMillis))
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

// checkOp holds an operation to this engine's limits.
func checkOp(op store.Op) error {
	if err := checkKey(op.Key); err != nil {
		return err
	}
	if len(op.Value) > maxValue {
		return fmt.Errorf("store: a value of %d bytes is longer than %d", len(op.Value), maxValue)
	}
	if op.Expires.Unix() > maxSeconds {
		return fmt.Errorf("store: an expiry in the year %d is too far ahead", op.Expires.Year())
	}
	return nil
}

// meta is what every script and every read holds a partition to.
type meta struct {
	// raw is the stored text: epoch, history, store.
	raw   string
	epoch uint64
	// history is the replication id for which the epoch was begun: the server
	// takes another one whenever it starts, and whenever it is promoted.
	history string
	// store is the id that was drawn when the store was created.
	store string
}

func parseMeta(raw string) (*meta, error) {
	f := strings.Split(raw, " ")
	if f[0] == "loading" { // see Load
		return nil, store.ErrLoading
	}
	if len(f) != 3 {
		return nil, fmt.Errorf("read partition: %w", errDamaged)
	}
	epoch, err := strconv.ParseUint(f[0], 10, 53)
	if err != nil || f[1] == "" || f[2] == "" {
		return nil, fmt.Errorf("read partition: %w", errDamaged)
	}
	return &meta{raw: raw, epoch: epoch, history: f[1], store: f[2]}, nil
}

// parseEntry reads an entry of the stream: time in microseconds (7 bytes), value.
func parseEntry(id string, value any) (store.Entry, error) {
	pos, err := store.ParsePosition(id)
	raw, ok := value.(string)
	if err != nil || !ok || len(raw) < 7 {
		return store.Entry{}, fmt.Errorf("read log entry %s: %w", id, errDamaged)
	}
	at := parseUint(raw[:7])
	if at > math.MaxInt64 {
		return store.Entry{}, fmt.Errorf("read log entry %s: %w", id, errDamaged)
	}
	return store.Entry{Position: pos, At: time.UnixMicro(int64(at)).UTC(), Value: []byte(raw[7:])}, nil
}
