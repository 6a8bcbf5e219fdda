package session

import (
	"slices"
	"time"

	"github.com/drawbridge-id/drawbridge/federation"
)

const (
	// beatEvery is how often a partition's pulse is renewed, by whichever node
	// comes first.
	beatEvery = 15 * time.Second
	// missing is how old a pulse is when something has been wrong: four beats.
	missing = time.Minute
	// farJump is how far the engine's clock may run ahead of the monotonic one
	// between two beats.
	farJump = time.Minute
	// noticed is how long a node must have been without the store for that to
	// count although others were not.
	noticed = 10 * time.Second
	// Gaps are remembered for longer than any session lives, the newest of them.
	gapsKept = 31 * 24 * time.Hour
	gapsMost = 32
)

// Outage is what becomes of idle time in which activity could not be recorded.
type Outage string

const (
	// Grace is the default: such time does not count.
	Grace Outage = "grace"
	// Expire lets it count like any other. What the clock jumps over never does.
	Expire Outage = "expire"
)

// gap is a stretch of the engine's time in which activity could not be
// recorded: the store was away, or nobody was there to ask it.
type gap struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// Clock says that the stretch never was: the engine's clock jumped over it.
	Clock bool `json:"clock,omitempty"`
}

// gaps do not overlap, and are in order.
type gaps []gap

// with is the gaps and one more.
func (g gaps) with(more gap) gaps {
	all := append(slices.Clone(g), more)
	slices.SortFunc(all, func(a, b gap) int { return a.From.Compare(b.From) })
	merged := all[:1]
	for _, next := range all[1:] {
		last := &merged[len(merged)-1]
		if next.From.After(last.To) {
			merged = append(merged, next)
			continue
		}
		last.To, last.Clock = later(last.To, next.To), last.Clock || next.Clock
	}
	return merged
}

// credit is the session as if it had been active over the gaps: idle time does
// not run in them. Without grace only what the clock did is forgiven. What it
// answers is for judging by, and is not written: the gaps are still there when
// it is read again.
func (g gaps) credit(s federation.Session, grace bool) federation.Session {
	for _, gap := range g {
		if (grace || gap.Clock) && s.Active.Before(gap.To) && s.Active.Add(s.Idle).After(gap.From) {
			s.Active = s.Active.Add(gap.To.Sub(later(gap.From, s.Active)))
		}
	}
	return s
}

// hold is until when the sweeper leaves a session be: its deadline, but that
// the maximum is not held against it for time which the clock has jumped over.
func (g gaps) hold(s federation.Session) time.Time {
	most := s.Began.Add(s.Max)
	for _, gap := range g {
		if gap.Clock && s.Began.Before(gap.To) && most.After(gap.From) {
			most = most.Add(gap.To.Sub(later(gap.From, s.Began)))
		}
	}
	if idle := s.Active.Add(s.Idle); idle.Before(most) {
		return idle
	}
	return most
}

// pulse is the record by which the nodes of a partition know that all is well:
// as long as one of them reaches the store, At is never long ago.
type pulse struct {
	At time.Time `json:"at"`
	// Lead is the node that renewed it last. It sweeps the partition at once,
	// the others what it has left; that is no lock, but keeps them apart.
	Lead uint64 `json:"lead"`
	Gaps gaps   `json:"gaps,omitempty"`
}

// nobody leads a partition whose leader has stopped.
const nobody = 0

// sight is what a node has seen of the time since it last renewed a pulse.
type sight struct {
	now time.Time
	// ahead is how much more the engine's clock went on than the monotonic one.
	ahead time.Duration
	// away is for how long the store did not answer this node.
	away time.Duration
}

// next is the pulse after a node has looked, and whether it is worth writing.
// New, when set, is a gap that nobody knew of.
func (p pulse) next(s sight) (q pulse, write bool, news *gap) {
	since := s.now.Sub(p.At)
	q = pulse{At: s.now, Gaps: p.Gaps}
	switch {
	case p.At.IsZero():
		return q, true, nil
	case since < -missing:
		// The clock was set back. What it jumped over before was not to be.
		q.Gaps = q.until(s.now)
		return q, true, nil
	case since > missing:
		news = &gap{From: p.At, To: s.now, Clock: s.ahead > farJump}
	case s.ahead > farJump && p.Gaps.cover(s, false) && !p.Gaps.cover(s, true):
		// Another node was first to see the gap, and could not know its cause.
		news = &gap{From: s.now.Add(-s.ahead), To: s.now, Clock: true}
	case s.away >= noticed:
		news = &gap{From: s.now.Add(-s.away), To: s.now}
	}
	if news == nil {
		return q, since >= beatEvery || p.Lead == nobody, nil
	}
	q.Gaps = q.Gaps.with(*news)
	q.Gaps = slices.DeleteFunc(q.Gaps, func(g gap) bool { return s.now.Sub(g.To) > gapsKept })
	q.Gaps = q.Gaps[max(0, len(q.Gaps)-gapsMost):]
	return q, true, news
}

// known are the gaps by which sessions are judged now. One that nobody has
// written down yet counts.
func (p pulse) known(now time.Time) gaps {
	all := p.until(now)
	if !p.At.IsZero() && now.Sub(p.At) > missing {
		all = all.with(gap{From: p.At, To: now})
	}
	return all
}

// until leaves out the gaps that are yet to come: the clock was set back.
func (p pulse) until(now time.Time) gaps {
	return slices.DeleteFunc(slices.Clone(p.Gaps), func(g gap) bool { return g.To.Sub(now) > missing })
}

// cover says whether the gaps, or those by the clock alone, are most of what a
// node has seen the clock jump over. If not, others lived through it, and the
// node was suspended alone.
func (g gaps) cover(s sight, clock bool) bool {
	var sum time.Duration
	for _, gap := range g {
		if gap.Clock || !clock {
			sum += max(0, earlier(gap.To, s.now).Sub(later(gap.From, s.now.Add(-s.ahead))))
		}
	}
	return 2*sum > s.ahead
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
