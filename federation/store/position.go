package store

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// Position is a place in a partition's log. Epoch grows when the log may have
// lost its newest entries (a failover), so that no position is ever used twice.
// The zero Position stands before the first entry.
type Position struct{ Epoch, Seq uint64 }

// Compare orders positions as the log does: negative when p comes first.
func (p Position) Compare(q Position) int {
	return cmp.Or(cmp.Compare(p.Epoch, q.Epoch), cmp.Compare(p.Seq, q.Seq))
}

// String is the position as `epoch-seq`.
func (p Position) String() string {
	return strconv.FormatUint(p.Epoch, 10) + "-" + strconv.FormatUint(p.Seq, 10)
}

// MarshalText implements encoding.TextMarshaler with String.
func (p Position) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler with ParsePosition.
func (p *Position) UnmarshalText(text []byte) error {
	q, err := ParsePosition(string(text))
	if err == nil {
		*p = q
	}
	return err
}

// ParsePosition reads what String wrote.
func ParsePosition(s string) (Position, error) {
	epoch, seq, found := strings.Cut(s, "-")
	e, err1 := strconv.ParseUint(epoch, 10, 64)
	n, err2 := strconv.ParseUint(seq, 10, 64)
	if !found || err1 != nil || err2 != nil {
		return Position{}, fmt.Errorf("store: %q is not a log position", s)
	}
	return Position{Epoch: e, Seq: n}, nil
}
