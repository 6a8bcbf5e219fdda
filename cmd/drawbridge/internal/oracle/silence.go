package oracle

import (
	"fmt"
	"slices"
	"time"
)

// halt is how long a system stood still: from when nothing more may be sent to
// when it was told to start. To is zero where nobody did.
type halt struct {
	from, to time.Time
	why      string
}

// allHalts reads from the orders, and from the answers that stop a strict
// webhook's system, when each system stood still.
func (c *Case) allHalts() map[string][]halt {
	all := map[string][]halt{}
	for system, turns := range c.turns() {
		slices.SortStableFunc(turns, func(a, b turn) int { return a.at.Compare(b.at) })
		for _, t := range turns {
			halts := all[system]
			standing := len(halts) > 0 && halts[len(halts)-1].to.IsZero()
			switch {
			case t.stop != "" && !standing:
				all[system] = append(halts, halt{from: t.at, why: t.stop})
			case t.stop == "" && standing:
				halts[len(halts)-1].to = t.at
			}
		}
	}
	return all
}

// turn is a stop, with its reason, or a start.
type turn struct {
	at   time.Time
	stop string
}

func (c *Case) turns() map[string][]turn {
	all := map[string][]turn{}
	for _, o := range c.l.Controls {
		switch o.Kind {
		case Stop:
			all[o.System] = append(all[o.System], turn{o.Span.To, "it was told to stop"})
		case Start:
			all[o.System] = append(all[o.System], turn{o.Span.From, ""})
		}
	}
	for _, a := range c.l.Arrivals {
		if w := c.webhooks[a.Webhook]; w.Strict && a.final() && !c.unrecorded(a) {
			all[w.System] = append(all[w.System], turn{a.Answered, fmt.Sprintf("%s was answered with %d", a.Event, a.Status)})
		}
	}
	return all
}

// halted says whether a system stands still at a time.
func (c *Case) halted(system string, at time.Time) bool {
	return slices.ContainsFunc(c.halts[system], func(h halt) bool { return !h.from.After(at) && (h.to.IsZero() || h.to.After(at)) })
}

// Silence is O8.
func (c *Case) Silence() []Violation { return slices.Concat(c.quiet(), c.resumed()) }

// quiet finds what arrived while the system stood still.
func (c *Case) quiet() (found []Violation) {
	for _, a := range c.l.Arrivals {
		w := c.webhooks[a.Webhook]
		if !w.Strict {
			continue
		}
		for _, h := range c.halts[w.System] {
			if a.Arrived.After(h.from.Add(c.l.Margins.Flight)) && (h.to.IsZero() || a.Arrived.Before(h.to)) {
				found = append(found, Violation{O8, pair{a.Webhook, a.Event}.String(),
					fmt.Sprintf("came as %v, but since %s the system stands still (%s)", a, stamp(h.from), h.why)})
			}
		}
	}
	return found
}

// resumed finds webhooks that, once started, did not go on with the oldest event
// that they owed.
func (c *Case) resumed() (found []Violation) {
	c.strict(func(w Webhook, owed []Event) {
		for _, h := range c.halts[w.System] {
			if h.to.IsZero() {
				continue
			}
			first, ok := c.firstSince(w, h.to)
			if !ok {
				continue
			}
			if head, owing := c.head(w, owed, first, h.to); owing {
				found = append(found, Violation{O8, pair{w.ID, first.Event}.String(),
					fmt.Sprintf("was the first after the start at %s, as %v, but %s at %v was owed", stamp(h.to), first, head.ID, head.Position)})
			}
		}
	})
	return found
}

// head is the oldest event that a webhook owed at a time, if it is another than
// the one that came first. What was answered with 2xx is still owed where the
// program may not know of the answer.
func (c *Case) head(w Webhook, owed []Event, first Arrival, at time.Time) (head Event, other bool) {
	for _, e := range owed {
		of := pair{w.ID, e.ID}
		when, ok := c.settled(of)
		done := ok && !when.After(at)
		switch {
		case e.ID == first.Event && (!done || slices.ContainsFunc(c.arrivals[of], func(a Arrival) bool { return a.good() && c.unrecorded(a) })):
			return Event{}, false
		case e.Acknowledged && !done:
			return e, true
		}
	}
	return Event{}, false
}

func (c *Case) firstSince(w Webhook, since time.Time) (first Arrival, ok bool) {
	for _, a := range c.l.Arrivals {
		if a.Webhook == w.ID && !a.Arrived.Before(since) && (!ok || a.Arrived.Before(first.Arrived)) {
			first, ok = a, true
		}
	}
	return first, ok
}
