package token

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// engineClock is the engine's clock without a call for every look at it: what
// the engine said last, and how long that is ago by this node's clock.
type engineClock struct {
	engine store.Engine
	local  func() time.Time
	// life is how long an answer of the engine is good for decisions that are
	// stored.
	life time.Duration
	last atomic.Pointer[instants]
}

// instants are one moment by two clocks.
type instants struct{ engine, local time.Time }

// now is the engine's time as far as it is known: this node's own until the
// engine was asked once.
func (c *engineClock) now() time.Time {
	at, here := c.last.Load(), c.local()
	if at == nil {
		return here
	}
	return at.engine.Add(here.Sub(at.local))
}

// read is the engine's time, asked for if the last answer is old.
func (c *engineClock) read(ctx context.Context) (time.Time, error) {
	if at, here := c.last.Load(), c.local(); at != nil {
		if age := here.Sub(at.local); age >= 0 && age < c.life {
			return at.engine.Add(age).Truncate(time.Microsecond), nil
		}
	}
	now, err := c.engine.Now(ctx)
	if err != nil {
		return time.Time{}, fmt.Errorf("read the engine's clock: %w", err)
	}
	now = now.UTC().Truncate(time.Microsecond)
	// Read after the answer, so that this node is late rather than early: the
	// key before still signs, while the next may not be known.
	c.last.Store(&instants{engine: now, local: c.local()})
	return now, nil
}

// schedule says when keys change. What nodes must agree on is decided by the
// times in the records and the engine's clock, never by a node's own.
type schedule struct {
	// every is how long a key signs.
	every time.Duration
	// lead is how long a key is published before it signs.
	lead time.Duration
	// overlap is how long it stays published after the next one took over.
	overlap time.Duration
	// refresh is how old a node's knowledge may be while the store answers,
	// trust while it does not, and copied how old a copy of the key set.
	refresh, trust, copied time.Duration
}

// maxLead is as long as a relying party may keep a copy of the key set and
// still know each key before it meets it.
const maxLead = 24 * time.Hour

func newSchedule(every, overlap time.Duration) schedule {
	lead := min(every/4, maxLead)
	return schedule{
		every: every, lead: lead, overlap: overlap,
		refresh: max(min(lead/8, MaxRefresh), time.Millisecond), trust: min(lead/2, MaxTrust), copied: min(lead/2, maxCopied),
	}
}

// settle is how long it takes until every node, and everybody who keeps a copy
// of what a node published, knows a new key. It is never more than the lead.
func (s schedule) settle() time.Duration { return s.trust + s.copied }

// order brings keys into the order of their use and then of their turn.
func order(keys []keyRecord) {
	place := func(u use) int { return slices.Index(allUses(), u) }
	slices.SortStableFunc(keys, func(a, b keyRecord) int {
		return cmp.Or(cmp.Compare(place(a.Use), place(b.Use)), a.From.Compare(b.From), cmp.Compare(a.ID, b.ID))
	})
}

// workingOf is the index of the key that signs: the last whose turn has come.
// Where none's has, a clock went back, and the first does.
func workingOf(keys []keyRecord, now time.Time) int {
	for i := len(keys) - 1; i > 0; i-- {
		if !keys[i].From.After(now) {
			return i
		}
	}
	return 0
}

// goneAt is when the overlap of the i-th key with its successor is over; the
// zero time while it has none.
func goneAt(keys []keyRecord, i int) time.Time {
	if i+1 == len(keys) {
		return time.Time{}
	}
	return keys[i+1].From.Add(keys[i+1].Overlap)
}

func gone(keys []keyRecord, i int, now time.Time) bool {
	at := goneAt(keys, i)
	return !at.IsZero() && !now.Before(at)
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

// nextChange is the first instant after now at which the standing of a key
// changes; the zero time is never.
func nextChange(keys []keyRecord, now time.Time) time.Time {
	var first time.Time
	consider := func(at time.Time) {
		if at.After(now) && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	for i, k := range keys {
		consider(k.From)
		if i > 0 {
			consider(k.From.Add(k.Overlap))
		}
	}
	return first
}

// make generates a key of the schedule.
func (s schedule) make(u use, made, from time.Time) (keyRecord, error) {
	k, err := generate(u, made, from)
	k.Overlap = s.overlap
	return k, err
}

// advance is what a ring should hold now: without keys that are gone, and with
// those that are due. Of the uses that not every tenant has keys for, those that
// are wanted are begun.
func (s schedule) advance(ring ringRecord, now time.Time, wanted []use) (ringRecord, error) {
	out := ringRecord{Revoked: maps.Clone(ring.Revoked)}
	maps.DeleteFunc(out.Revoked, func(_ string, until time.Time) bool { return !now.Before(until) })
	for _, u := range allUses() {
		mine := ofUse(ring.Keys, u)
		if u.extra() && len(mine) == 0 && !slices.Contains(wanted, u) {
			continue
		}
		for i := range mine {
			// Whoever wants the longest overlap gets it, or nodes of two
			// configurations would take turns at removing and restoring.
			mine[i].Overlap = max(mine[i].Overlap, s.overlap)
		}
		for i, k := range mine {
			if !gone(mine, i, now) {
				out.Keys = append(out.Keys, k)
			}
		}
		if from, ok := s.due(mine, now); ok {
			k, err := s.make(u, now, from)
			if err != nil {
				return ring, err
			}
			out.Keys = append(out.Keys, k)
		}
	}
	for _, k := range ring.Keys {
		if !slices.Contains(allUses(), k.Use) {
			out.Keys = append(out.Keys, k) // a newer version's, which rotates it
		}
	}
	return out, nil
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

// hasten brings the next turn of a use forward: at once where no key's turn has
// come, else as soon as everybody can know the key. Said twice it changes
// nothing the second time.
func (s schedule) hasten(ring ringRecord, u use, now time.Time) (ringRecord, error) {
	mine := ofUse(ring.Keys, u)
	from := now
	if len(mine) > 0 && !mine[0].From.After(now) {
		from = now.Add(s.settle())
	}
	for _, next := range mine {
		if !next.From.After(now) {
			continue
		}
		if known := next.Made.Add(s.settle()); from.After(known) {
			from = known
		}
		if from.Before(now) {
			from = now
		}
		if from.Before(next.From) {
			at := slices.IndexFunc(ring.Keys, func(k keyRecord) bool { return k.ID == next.ID })
			ring.Keys = slices.Clone(ring.Keys)
			ring.Keys[at].From = from
		}
		return ring, nil
	}
	k, err := s.make(u, now, from)
	if err == nil {
		ring.Keys = append(slices.Clip(ring.Keys), k)
	}
	return ring, err
}

// revoke takes a key out of a ring for good. The signing key's place is taken by
// the one that waits, or by a retired one until a new one is known, or else by a
// new one at once. It says whether the key was there.
func (s schedule) revoke(ring ringRecord, id string, now time.Time) (ringRecord, bool, error) {
	i := slices.IndexFunc(ring.Keys, func(k keyRecord) bool { return k.ID == id })
	if i < 0 {
		return ring, false, nil
	}
	was := ring.Keys[i]
	mine := ofUse(ring.Keys, was.Use)
	signed := mine[workingOf(mine, now)].ID == id
	out := ringRecord{Keys: slices.Delete(slices.Clone(ring.Keys), i, i+1), Revoked: maps.Clone(ring.Revoked)}
	if out.Revoked == nil {
		out.Revoked = make(map[string]time.Time)
	}
	// By then it would be gone anyway, however late its successors come.
	until := was.From
	if until.Before(now) {
		until = now
	}
	out.Revoked[id] = until.Add(2*s.every + s.lead + max(was.Overlap, s.overlap))
	if !signed {
		return out, true, nil
	}
	out, err := s.hasten(out, was.Use, now)
	return out, true, err
}

// merge is a stored ring with what this node knows that the store has lost: a
// failover or a restored backup must not make a key that has signed unknown, nor
// bring back one that was revoked. The answer is the same in whatever order
// nodes merge.
func merge(stored, known ringRecord) ringRecord {
	out := ringRecord{Keys: slices.Clone(stored.Keys), Revoked: maps.Clone(stored.Revoked)}
	for id, until := range known.Revoked {
		if out.Revoked == nil {
			out.Revoked = make(map[string]time.Time)
		}
		if until.After(out.Revoked[id]) {
			out.Revoked[id] = until
		}
	}
	for _, k := range known.Keys {
		i := slices.IndexFunc(out.Keys, func(have keyRecord) bool { return have.ID == k.ID })
		if i < 0 {
			out.Keys = append(out.Keys, k)
			continue
		}
		have := &out.Keys[i]
		have.Overlap = max(have.Overlap, k.Overlap)
		if k.From.Before(have.From) { // turns are only ever brought forward
			have.From = k.From
		}
	}
	out.Keys = slices.DeleteFunc(out.Keys, func(k keyRecord) bool { _, no := out.Revoked[k.ID]; return no })
	return out
}

// equal says whether two rings hold the same.
func (ring ringRecord) equal(other ringRecord) bool {
	return maps.EqualFunc(ring.Revoked, other.Revoked, time.Time.Equal) &&
		slices.EqualFunc(ring.Keys, other.Keys, func(a, b keyRecord) bool {
			return a.ID == b.ID && a.From.Equal(b.From) && a.Overlap == b.Overlap
		})
}
