package store

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// DueID is a record id that sorts by time: scanning a kind of such ids reads
// what is due first. Name tells records of one instant apart.
func DueID(at time.Time, name string) string {
	return fmt.Sprintf("%016x/%s", uint64(max(at.UnixMicro(), 0)), name)
}

// ParseDueID reads what DueID wrote: the time, to the microsecond, and the name.
func ParseDueID(id string) (at time.Time, name string, err error) {
	stamp, name, found := strings.Cut(id, "/")
	micros, err := strconv.ParseUint(stamp, 16, 63)
	if !found || err != nil || len(stamp) != 16 {
		return time.Time{}, "", fmt.Errorf("store: %q is not a due id", id)
	}
	return time.UnixMicro(int64(micros)), name, nil
}
