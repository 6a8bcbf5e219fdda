package oracle

import (
	"fmt"
	"slices"
	"time"
)

// OneEnding is O7.
func (c *Case) OneEnding() (found []Violation) {
	told := map[string][]Ending{}
	for _, e := range c.l.Endings {
		same := func(o Ending) bool { return o.ID == e.ID }
		if !slices.ContainsFunc(told[e.Session], same) {
			told[e.Session] = append(told[e.Session], e)
		}
	}
	for _, s := range c.l.Sessions {
		l := life{Session: s, c: c, told: told[s.ID]}
		for _, why := range l.wrong() {
			found = append(found, Violation{O7, s.ID, why})
		}
	}
	return found
}

// life is one session with its terminal events. What it says about times are
// bounds: no earlier than, no later than.
type life struct {
	Session
	c    *Case
	told []Ending
}

// wrong is what is wrong with a session.
func (l life) wrong() (found []string) {
	if len(l.told) > 1 {
		found = append(found, fmt.Sprintf("ended %d times: %v", len(l.told), l.told))
	}
	for _, s := range l.Sights {
		if why := l.misseen(s); why != "" {
			found = append(found, why)
			break
		}
	}
	switch {
	case len(l.told) == 0:
		if why := l.isOver(); why != "" {
			found = append(found, why+", and no event tells of it")
		}
	case len(l.told) == 1:
		if why := l.illegal(l.told[0]); why != "" {
			found = append(found, fmt.Sprintf("%v: %s", l.told[0], why))
		}
	}
	return found
}

func (e Ending) String() string {
	return fmt.Sprintf("%s as %s (occurred %s, known %s)", e.Cause, e.ID, stamp(e.Occurred), stamp(e.Detected))
}

// misseen finds calls that found the session in a state that it cannot have had.
func (l life) misseen(s Sight) string {
	margin := l.c.l.Margins.Clock
	switch s.Found {
	case Alive:
		for _, a := range l.Asks {
			if a.Outcome != Unknown && a.Span.To.Before(s.Span.From) {
				return fmt.Sprintf("was found alive at %s after its %s was answered at %s", stamp(s.Span.From), a.Cause, stamp(a.Span.To))
			}
		}
		for _, e := range l.told {
			if e.Detected.Add(margin).Before(s.Span.From) {
				return fmt.Sprintf("was found alive at %s after its end: %v", stamp(s.Span.From), e)
			}
		}
		if last := l.idleAtLatest(s.Span.From); last.Before(s.Span.From) {
			return fmt.Sprintf("was found alive at %s, and its idle time was over at %s", stamp(s.Span.From), stamp(last))
		}
		if last := l.maxAtLatest(); last.Before(s.Span.From) {
			return fmt.Sprintf("was found alive at %s, and its lifetime was over at %s", stamp(s.Span.From), stamp(last))
		}
	case Over:
		asked := slices.ContainsFunc(l.Asks, func(a Ask) bool { return !a.Span.From.After(s.Span.To) })
		if !asked && s.Span.To.Before(l.idleAtEarliest(s.Span.From)) && s.Span.To.Before(l.maxAtEarliest()) {
			return fmt.Sprintf("was gone at %s, and nobody had ended it", stamp(s.Span.To))
		}
	case Unclear:
	}
	return ""
}

// isOver says why the session must have ended, or is empty.
func (l life) isOver() string {
	for _, a := range l.Asks {
		if a.Outcome == Ended || a.Outcome == Gone && l.Certain {
			return fmt.Sprintf("its %s was answered at %s", a.Cause, stamp(a.Span.To))
		}
	}
	if !l.Certain {
		return ""
	}
	for _, s := range l.Sights {
		if s.Found == Over {
			return "was gone at " + stamp(s.Span.To)
		}
	}
	last, why := l.idleAtLatest(l.c.l.End), IdleTimeout
	if most := l.maxAtLatest(); most.Before(last) {
		last, why = most, MaxTimeout
	}
	if last.Add(l.c.l.Margins.Sweep).Before(l.c.l.End) {
		return fmt.Sprintf("its %s was at %s", why, stamp(last))
	}
	return ""
}

// illegal says why an ending is not one that the session can have had.
func (l life) illegal(e Ending) string {
	for _, a := range l.Asks {
		if a.Outcome == Ended && a.Cause != e.Cause {
			return fmt.Sprintf("its %s ended it, as was answered at %s", a.Cause, stamp(a.Span.To))
		}
	}
	at := e.moment()
	switch {
	case e.Cause == IdleTimeout && at.Before(l.idleAtEarliest(at)):
		return "its idle time was over at the earliest at " + stamp(l.idleAtEarliest(at))
	case e.Cause == MaxTimeout && at.Before(l.maxAtEarliest()):
		return "its lifetime was over at the earliest at " + stamp(l.maxAtEarliest())
	case e.Cause == IdleTimeout && e.Occurred.After(l.maxAtLatest()):
		return "its lifetime was over before, at " + stamp(l.maxAtLatest())
	case e.Cause == MaxTimeout && e.Occurred.After(l.idleAtLatest(e.Occurred)):
		return "its idle time was over before, at " + stamp(l.idleAtLatest(e.Occurred))
	case e.Cause == IdleTimeout || e.Cause == MaxTimeout:
		if e.Detected.Before(e.Occurred.Add(-l.c.l.Margins.Clock)) {
			return "it was noticed before it happened"
		}
		return ""
	}
	if !slices.ContainsFunc(l.Asks, func(a Ask) bool { return a.Cause == e.Cause && !a.Span.From.After(e.Detected.Add(l.c.l.Margins.Clock)) }) {
		return "nobody asked for that"
	}
	if last := l.idleAtLatest(at); e.Occurred.After(last) {
		return "its idle time was over before, at " + stamp(last)
	}
	if last := l.maxAtLatest(); e.Occurred.After(last) {
		return "its lifetime was over before, at " + stamp(last)
	}
	return ""
}

// idleAtEarliest is when the idle time can be over at the earliest, judged at a
// time: after the last activity that was certainly written down by then.
func (l life) idleAtEarliest(at time.Time) time.Time {
	margin := l.c.l.Margins.Clock
	last := l.Began.From
	for _, s := range l.Sights {
		// Written at most once per tenth of the idle time.
		written := s.Span.From.Add(-l.Idle / 10)
		if s.Found == Alive && s.Span.To.Add(margin).Before(at) && written.After(last) && !l.outage(s.Span) {
			last = written
		}
	}
	return last.Add(l.Idle - margin)
}

// idleAtLatest is when the idle time can be over at the latest, judged at a
// time: after the last activity that can have been written down by then. An
// outage may have extended it by its length.
func (l life) idleAtLatest(at time.Time) time.Time {
	last := l.Began.To
	for _, s := range l.Sights {
		if s.Found != Over && s.Span.From.Before(at) && s.Span.To.After(last) {
			last = s.Span.To
		}
	}
	for _, f := range l.c.l.Faults {
		if f.Outage && f.Span.Overlaps(Span{l.Began.From, at}) {
			last = last.Add(f.Span.To.Sub(f.Span.From))
		}
	}
	return last.Add(l.Idle + l.c.l.Margins.Clock)
}

func (l life) maxAtEarliest() time.Time { return l.Began.From.Add(l.Max - l.c.l.Margins.Clock) }
func (l life) maxAtLatest() time.Time   { return l.Began.To.Add(l.Max + l.c.l.Margins.Clock) }

// outage says whether activity may not have been written down.
func (l life) outage(s Span) bool {
	return slices.ContainsFunc(l.c.l.Faults, func(f Fault) bool { return f.Outage && f.Span.Overlaps(s) })
}
