package oracle

import (
	"fmt"
	"slices"
)

// NoPhantoms is O5.
func (c *Case) NoPhantoms() (found []Violation) {
	for _, at := range c.pairs() {
		first := c.arrivals[at][0]
		w, known := c.webhooks[at.webhook]
		e, caused := c.events[at.event]
		why := ""
		switch {
		case !known:
			why = "there is no such webhook"
		case !caused:
			why = "nobody caused that"
		case !w.wants(e):
			why = fmt.Sprintf("%s at %v is not wanted there", e.Topic, e.Position)
		case first.Arrived.Add(c.l.Margins.Clock).Before(e.Span.From):
			why = "it was asked for only at " + stamp(e.Span.From)
		default:
			continue
		}
		found = append(found, Violation{O5, at.String(), fmt.Sprintf("came as %v: %s", first, why)})
	}
	return found
}

// SameBody is O6. A second arrival must also have the name of the first, by
// which receivers know it again.
func (c *Case) SameBody() (found []Violation) {
	for _, at := range c.pairs() {
		first := c.arrivals[at][0]
		for _, a := range c.arrivals[at] {
			why := ""
			switch {
			case a.Forged:
				why = "is not signed as agreed"
			case a.Body != first.Body:
				why = fmt.Sprintf("has the body %s, and %v had %s", a.Body, first, first.Body)
			case a.Delivery != first.Delivery:
				why = "has another name than " + first.Delivery
			default:
				continue
			}
			found = append(found, Violation{O6, at.String(), fmt.Sprintf("%v %s", a, why)})
			break
		}
	}
	return found
}

// AttemptLog is O9. Answers that were cut or late, or that a fault kept from
// being recorded, may be missing in what the program shows, and attempts that
// never reached the receiver may be there without an arrival.
func (c *Case) AttemptLog() (found []Violation) {
	for _, r := range c.l.Recorded {
		at := pair{r.Webhook, r.Event}
		if !c.matches(c.arrivals[at], r.Statuses, r.Capped) {
			found = append(found, Violation{O9, at.String(), fmt.Sprintf("the attempts %v are shown, and these arrived: %v", r.Statuses, c.arrivals[at])})
		}
	}
	return found
}

// matches says whether the shown attempts can be laid beside the arrivals, both
// in their order. It walks backwards, since older attempts may not be shown.
func (c *Case) matches(came []Arrival, shown []int, capped bool) bool {
	type state struct{ came, shown int }
	failed := map[state]bool{}
	var fits func(s state) bool
	fits = func(s state) bool {
		if failed[s] {
			return false
		}
		ok := s == state{} || s.shown == 0 && capped
		if !ok && s.shown > 0 && shown[s.shown-1] == 0 { // it had no answer, and may not have arrived
			ok = fits(state{s.came, s.shown - 1})
		}
		if !ok && s.came > 0 && c.unrecorded(came[s.came-1]) {
			ok = fits(state{s.came - 1, s.shown}) || s.shown > 0 && shown[s.shown-1] == 0 && fits(state{s.came - 1, s.shown - 1})
		}
		if !ok && s.came > 0 && s.shown > 0 && came[s.came-1].Status == shown[s.shown-1] {
			ok = fits(state{s.came - 1, s.shown - 1})
		}
		failed[s] = !ok
		return ok
	}
	return fits(state{len(came), len(shown)})
}

// Erased is O10. A request that was under way is allowed to arrive.
func (c *Case) Erased() (found []Violation) {
	for _, e := range c.l.Erasures {
		for _, a := range c.l.Arrivals {
			if a.Arrived.After(e.Returned.Add(c.l.Margins.Flight)) && slices.Contains(a.Holds, e.Marker) {
				found = append(found, Violation{O10, pair{a.Webhook, a.Event}.String(), fmt.Sprintf("came as %v and holds what was erased by %s", a, stamp(e.Returned))})
			}
		}
	}
	return found
}
