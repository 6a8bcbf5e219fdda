package oracle

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Rule names one of the ten.
type Rule string

// The ten rules; the package doc says what each demands.
const (
	O1  Rule = "O1 no loss"
	O2  Rule = "O2 order"
	O3  Rule = "O3 no overtake"
	O4  Rule = "O4 duplicates"
	O5  Rule = "O5 no phantoms"
	O6  Rule = "O6 same body"
	O7  Rule = "O7 one ending"
	O8  Rule = "O8 silence"
	O9  Rule = "O9 attempt log"
	O10 Rule = "O10 erased"
)

// Violation is a promise that was not kept, with what shows it.
type Violation struct {
	Rule Rule
	// About names the webhook and event, or the session.
	About string
	// Evidence is what was seen.
	Evidence string
}

// String is one line.
func (v Violation) String() string { return fmt.Sprintf("%s: %s: %s", v.Rule, v.About, v.Evidence) }

// Case is a ledger made ready to be judged.
type Case struct {
	l        Ledger
	webhooks map[string]Webhook
	events   map[string]Event
	// arrivals are those of one event at one webhook, in the order of their times.
	arrivals map[pair][]Arrival
	halts    map[string][]halt
}

// pair is one event at one webhook.
type pair struct{ webhook, event string }

func (p pair) String() string { return p.webhook + " " + p.event }

// New makes a ledger ready.
func New(l Ledger) *Case {
	c := &Case{l: l, webhooks: map[string]Webhook{}, events: map[string]Event{}, arrivals: map[pair][]Arrival{}}
	for _, w := range l.Webhooks {
		c.webhooks[w.ID] = w
	}
	for _, e := range l.Events {
		c.events[e.ID] = e
	}
	for _, a := range slices.SortedFunc(slices.Values(l.Arrivals), byArrival) {
		at := pair{a.Webhook, a.Event}
		c.arrivals[at] = append(c.arrivals[at], a)
	}
	c.halts = c.allHalts()
	return c
}

func byArrival(a, b Arrival) int { return a.Arrived.Compare(b.Arrived) }

// Judge holds a ledger to all ten rules.
func Judge(l Ledger) []Violation {
	c := New(l)
	return slices.Concat(c.NoLoss(), c.Order(), c.NoOvertake(), c.Duplicates(), c.NoPhantoms(),
		c.SameBody(), c.OneEnding(), c.Silence(), c.AttemptLog(), c.Erased())
}

// strict are the webhooks whose order counts, with the events that each wants in
// the order of the log.
func (c *Case) strict(each func(w Webhook, owed []Event)) {
	placed := slices.DeleteFunc(slices.Clone(c.l.Events), func(e Event) bool { return !e.placed() })
	slices.SortStableFunc(placed, func(a, b Event) int { return a.Position.Compare(b.Position) })
	for _, w := range c.l.Webhooks {
		if !w.Strict {
			continue
		}
		var owed []Event
		for _, e := range placed {
			if w.wants(e) {
				owed = append(owed, e)
			}
		}
		each(w, owed)
	}
}

// good says whether an arrival was answered with 2xx.
func (a Arrival) good() bool { return !a.Answered.IsZero() && a.Status >= 200 && a.Status < 300 }

// final says whether an answer would come again: neither a success nor one of
// those that are tried again.
func (a Arrival) final() bool {
	return !a.Answered.IsZero() && !a.good() && a.Status != 408 && a.Status != 429 && a.Status < 500
}

// served is when an event was first answered with 2xx.
func (c *Case) served(at pair) (when time.Time, ok bool) {
	for _, a := range c.arrivals[at] {
		if a.good() && (!ok || a.Answered.Before(when)) {
			when, ok = a.Answered, true
		}
	}
	return when, ok
}

// skipped is when an event was given up by order.
func (c *Case) skipped(at pair) (when time.Time, ok bool) {
	for _, o := range c.l.Controls {
		if o.Kind == Skip && o.Webhook == at.webhook && o.Event == at.event {
			return o.Span.From, true
		}
	}
	return when, false
}

// settled is when an event was out of the way: served or skipped.
func (c *Case) settled(at pair) (when time.Time, ok bool) {
	when, ok = c.served(at)
	if skip, given := c.skipped(at); given && (!ok || skip.Before(when)) {
		return skip, true
	}
	return when, ok
}

// unrecorded says whether the program may not know of an answer: it was cut, it
// was late, or a fault lay between it and its commit.
func (c *Case) unrecorded(a Arrival) bool {
	if a.Answered.IsZero() || a.Answered.Sub(a.Arrived) >= c.l.Margins.Timeout {
		return true
	}
	window := Span{a.Answered, a.Answered.Add(c.l.Margins.Commit)}
	return slices.ContainsFunc(c.l.Faults, func(f Fault) bool { return f.Explains.Overlaps(window) })
}

// pairs are all that have arrivals, in a fixed order.
func (c *Case) pairs() []pair {
	all := make([]pair, 0, len(c.arrivals))
	for at := range c.arrivals {
		all = append(all, at)
	}
	slices.SortFunc(all, func(a, b pair) int { return cmp.Or(cmp.Compare(a.webhook, b.webhook), cmp.Compare(a.event, b.event)) })
	return all
}

// stamp shows a time.
func stamp(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format("15:04:05.000000")
}

func (a Arrival) String() string {
	return fmt.Sprintf("%s at %s, status %d answered %s", a.Delivery, stamp(a.Arrived), a.Status, stamp(a.Answered))
}
