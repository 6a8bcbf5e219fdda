package token

import (
	"cmp"
	"slices"
	"time"
)

// schedule says when keys change. All of it is decided by the times in the
// records, so every node comes to the same answer.
type schedule struct {
	// every is how long a key signs.
	every time.Duration
	// lead is how long a key is published before it signs.
	lead time.Duration
	// overlap is how long it stays published after the next one took over.
	overlap time.Duration
}

// maxLead is as long as a relying party may keep a copy of the key set and
// still know each key before it meets it.
const maxLead = 24 * time.Hour

func newSchedule(every, overlap time.Duration) schedule {
	return schedule{every: every, lead: min(every/4, maxLead), overlap: overlap}
}

// order brings keys into the order of their use and then of their turn.
func order(keys []keyRecord) {
	place := func(u use) int { return slices.Index(uses(), u) }
	slices.SortStableFunc(keys, func(a, b keyRecord) int {
		return cmp.Or(cmp.Compare(place(a.Use), place(b.Use)), a.From.Compare(b.From), cmp.Compare(a.ID, b.ID))
	})
}

// working is the index of the key that signs: the last whose turn has come.
// Where none's has, clocks differ, and the first does.
func (s schedule) working(keys []keyRecord, now time.Time) int {
	for i := len(keys) - 1; i > 0; i-- {
		if !keys[i].From.After(now) {
			return i
		}
	}
	return 0
}

// gone says whether the overlap of the i-th key with its successor is over.
func (s schedule) gone(keys []keyRecord, i int, now time.Time) bool {
	return i+1 < len(keys) && !now.Before(keys[i+1].From.Add(s.overlap))
}

// due says whether it is time to publish another key, and when its turn will
// be. There is never more than one that waits for its turn, the lead being
// shorter than a turn.
func (s schedule) due(keys []keyRecord, now time.Time) (from time.Time, ok bool) {
	if len(keys) == 0 {
		return now, true
	}
	last := keys[len(keys)-1]
	turn := last.From.Add(s.every)
	if now.Before(turn.Add(-s.lead)) {
		return time.Time{}, false
	}
	if earliest := now.Add(s.lead); turn.Before(earliest) {
		turn = earliest
	}
	return turn, true
}

// next is the first instant after now at which the standing of a key changes;
// the zero time is never.
func (s schedule) next(keys []keyRecord, now time.Time) time.Time {
	var first time.Time
	consider := func(at time.Time) {
		if at.After(now) && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	for i, k := range keys {
		consider(k.From)
		if i > 0 {
			consider(k.From.Add(s.overlap))
		}
	}
	return first
}

// advance is what a ring should hold now: without keys that are gone, and with
// those that are due. It says whether that is a change.
func (s schedule) advance(ring ringRecord, now time.Time) (ringRecord, bool, error) {
	var out ringRecord
	changed := false
	for _, u := range uses() {
		mine := ofUse(ring.Keys, u)
		for i, k := range mine {
			if s.gone(mine, i, now) {
				changed = true
				continue
			}
			out.Keys = append(out.Keys, k)
		}
		if from, ok := s.due(mine, now); ok {
			k, err := generate(u, now, from)
			if err != nil {
				return ring, false, err
			}
			out.Keys = append(out.Keys, k)
			changed = true
		}
	}
	return out, changed, nil
}

// ofUse are the keys of one use, in order.
func ofUse(keys []keyRecord, u use) []keyRecord {
	var mine []keyRecord
	for _, k := range keys {
		if k.Use == u {
			mine = append(mine, k)
		}
	}
	order(mine)
	return mine
}
