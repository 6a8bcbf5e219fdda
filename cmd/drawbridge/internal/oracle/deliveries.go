package oracle

import (
	"fmt"
	"slices"
	"time"
)

// NoLoss is O1: every acknowledged event that a webhook wants was answered with
// 2xx. What is owed by a system that stands still is not lost; nor is what an
// independent webhook's receiver refused for good, which can be replayed.
func (c *Case) NoLoss() (found []Violation) {
	for _, w := range c.l.Webhooks {
		if w.Strict && c.halted(w.System, c.l.End) {
			continue
		}
		for _, e := range c.l.Events {
			at := pair{w.ID, e.ID}
			if !e.Acknowledged || !w.wants(e) || c.dead(w, at) {
				continue
			}
			if _, ok := c.settled(at); !ok {
				found = append(found, Violation{O1, at.String(), fmt.Sprintf("%s at %v, acknowledged %s, was not delivered by %s: %v",
					e.Topic, e.Position, stamp(e.Span.To), stamp(c.l.End), c.arrivals[at])})
			}
		}
	}
	return found
}

// dead says whether an independent webhook was refused an event for good.
func (c *Case) dead(w Webhook, at pair) bool {
	all := c.arrivals[at]
	if w.Strict || len(all) == 0 {
		return false
	}
	last := all[len(all)-1]
	return last.final() && !slices.ContainsFunc(c.l.Controls, func(o Control) bool {
		return o.Kind == Replay && o.Webhook == at.webhook && o.Event == at.event && o.Span.From.After(last.Arrived)
	})
}

// Order is O2.
func (c *Case) Order() []Violation {
	found := slices.Concat(c.placedOnce(), c.placedInOrder())
	c.strict(func(w Webhook, owed []Event) {
		var latest time.Time
		var behind Event
		for _, e := range owed {
			when, ok := c.served(pair{w.ID, e.ID})
			if !ok {
				continue
			}
			if when.Before(latest) {
				found = append(found, Violation{O2, pair{w.ID, e.ID}.String(), fmt.Sprintf("at %v was first answered %s, after it %s at %v already %s",
					e.Position, stamp(when), behind.ID, behind.Position, stamp(latest))})
				continue
			}
			latest, behind = when, e
		}
	})
	return found
}

// place is a position of one partition's log.
type place struct {
	partition int
	position  any
}

// placedOnce finds positions that were given twice.
func (c *Case) placedOnce() (found []Violation) {
	taken := map[place]string{}
	for _, e := range c.l.Events {
		if !e.placed() {
			continue
		}
		at := place{e.Partition, e.Position}
		if other, twice := taken[at]; twice && other != e.ID {
			found = append(found, Violation{O2, e.ID, fmt.Sprintf("stands at %v of partition %d, and so does %s", e.Position, e.Partition, other)})
		}
		taken[at] = e.ID
	}
	return found
}

// placedInOrder finds events that stand before one that was acknowledged before
// they were even asked for.
func (c *Case) placedInOrder() (found []Violation) {
	for _, of := range c.byPartition() {
		asked := slices.SortedFunc(slices.Values(of), func(a, b Event) int { return a.Span.From.Compare(b.Span.From) })
		known := slices.SortedFunc(slices.Values(of), func(a, b Event) int { return a.Span.To.Compare(b.Span.To) })
		var top Event
		next := 0
		for _, e := range asked {
			for ; next < len(known) && known[next].Span.To.Add(c.l.Margins.Clock).Before(e.Span.From); next++ {
				if known[next].Acknowledged && known[next].Position.Compare(top.Position) > 0 {
					top = known[next]
				}
			}
			if e.Position.Compare(top.Position) < 0 {
				found = append(found, Violation{O2, e.ID, fmt.Sprintf("was asked for at %s and stands at %v, before %s at %v, acknowledged %s",
					stamp(e.Span.From), e.Position, top.ID, top.Position, stamp(top.Span.To))})
			}
		}
	}
	return found
}

func (c *Case) byPartition() map[int][]Event {
	all := map[int][]Event{}
	for _, e := range c.l.Events {
		if e.placed() {
			all[e.Partition] = append(all[e.Partition], e)
		}
	}
	return all
}

// NoOvertake is O3.
func (c *Case) NoOvertake() (found []Violation) {
	c.strict(func(w Webhook, owed []Event) {
		q := queue{c: c, w: w, owed: owed}
		for _, e := range owed {
			q.advance(e)
			at := pair{w.ID, e.ID}
			for _, a := range c.arrivals[at] {
				if q.stuck || a.Arrived.Before(q.free) {
					found = append(found, Violation{O3, at.String(), fmt.Sprintf("at %v came as %v, before %s at %v was answered with 2xx: %v",
						e.Position, a, q.last.ID, q.last.Position, c.arrivals[pair{w.ID, q.last.ID}])})
					break
				}
			}
		}
	})
	return found
}

// queue is a walk along what a strict webhook is owed.
type queue struct {
	c    *Case
	w    Webhook
	owed []Event
	next int
	// free is when all that was walked past was out of the way, last the last of
	// it; stuck says that last never was.
	free  time.Time
	last  Event
	stuck bool
}

// advance walks up to the events at e's place. What may never have happened is
// not waited for.
func (q *queue) advance(e Event) {
	for ; !q.stuck && q.owed[q.next].Position.Compare(e.Position) < 0; q.next++ {
		before := q.owed[q.next]
		when, ok := q.c.settled(pair{q.w.ID, before.ID})
		switch {
		case ok && when.After(q.free):
			q.free, q.last = when, before
		case !ok && before.Acknowledged:
			q.stuck, q.last = true, before
		}
	}
}

// Duplicates is O4.
func (c *Case) Duplicates() (found []Violation) {
	for _, at := range c.pairs() {
		all := c.arrivals[at]
		for i, a := range all[1:] {
			before := all[i]
			if !before.good() && !before.final() || c.unrecorded(before) || c.replayed(at, before, a) {
				continue
			}
			found = append(found, Violation{O4, at.String(), fmt.Sprintf("came as %v and again as %v, and nothing explains that", before, a)})
		}
	}
	return found
}

// replayed says whether somebody wanted the second arrival: a replay, or the
// start of a system that had stopped over the first.
func (c *Case) replayed(at pair, before, a Arrival) bool {
	return slices.ContainsFunc(c.l.Controls, func(o Control) bool {
		between := !o.Span.To.Before(before.Arrived) && !o.Span.From.After(a.Arrived)
		switch o.Kind {
		case Replay:
			return between && o.Webhook == at.webhook && o.Event == at.event
		case Start:
			return between && before.final() && o.System == c.webhooks[at.webhook].System
		}
		return false
	})
}
