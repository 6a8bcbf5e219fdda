package delivery

import (
	"slices"
	"time"
)

const (
	// laneDepth is how many waiting jobs of one target are kept in memory, and
	// boardDepth how many of all targets, about.
	laneDepth  = 256
	boardDepth = 64 << 10
	// quickEnough is what an attempt may take whose target is trusted with many
	// at a time while room is short.
	quickEnough = time.Second
)

// board is what one worker has in mind: which jobs wait, which fly, and who is
// next. It does no I/O and is used by one goroutine.
//
// The jobs of one target are a lane. Lanes take turns, and no lane has more in
// flight than its share, so that a target that hangs holds up only itself. When
// half of all flights are taken, a lane that has not just been quick is given
// one at a time: what hangs cannot take the other half.
type board struct {
	inFlight, perTarget int

	lanes   map[string]*lane
	waiting []*lane          // those with jobs, in turn
	more    map[string]*lane // those with more on disk
	flying  int
	// known are the jobs that wait or fly, with the zero time, and those that
	// are to be left alone until a time.
	known map[string]time.Time
}

type lane struct {
	name   string
	jobs   []due
	flying int
	quick  bool
	// left, when set, is the first due record that was left on disk: that one and
	// those behind it are looked at when the lane has room.
	left string
}

func newBoard(inFlight, perTarget int) *board {
	return &board{
		inFlight: inFlight, perTarget: perTarget,
		lanes: map[string]*lane{}, more: map[string]*lane{}, known: map[string]time.Time{},
	}
}

// offer takes a due job unless it is known, or its lane is full.
func (b *board) offer(d due) {
	if _, known := b.known[d.job()]; known {
		return
	}
	name := d.lane()
	l := b.lanes[name]
	if l == nil {
		l = &lane{name: name}
		b.lanes[name] = l
	}
	if l.left != "" && d.id >= l.left {
		return
	}
	if len(l.jobs) >= b.depth() {
		b.leave(l, d.id)
		return
	}
	b.known[d.job()] = time.Time{}
	if len(l.jobs) == 0 {
		b.waiting = append(b.waiting, l)
	}
	l.jobs = append(l.jobs, d)
}

func (b *board) depth() int {
	return max(b.perTarget, min(laneDepth, boardDepth/len(b.lanes)))
}

// next is the job that is to fly now, if there is one and there is room.
func (b *board) next() (due, bool) {
	if b.flying >= b.inFlight {
		return due{}, false
	}
	for i, l := range b.waiting {
		if l.flying >= b.share(l) {
			continue
		}
		d := l.jobs[0]
		l.jobs = l.jobs[1:]
		l.flying++
		b.flying++
		b.waiting = slices.Delete(b.waiting, i, i+1)
		if len(l.jobs) > 0 {
			b.waiting = append(b.waiting, l)
		}
		return d, true
	}
	return due{}, false
}

func (b *board) share(l *lane) int {
	if !l.quick && 2*b.flying >= b.inFlight {
		return 1
	}
	return b.perTarget
}

// land takes a job off the board. One that was not settled is left alone until
// a time, so that what cannot be done is not tried without end.
func (b *board) land(d due, took time.Duration, until time.Time) {
	b.flying--
	if until.IsZero() {
		delete(b.known, d.job())
	} else {
		b.known[d.job()] = until
	}
	l := b.lanes[d.lane()]
	l.flying--
	l.quick = took < quickEnough
	b.tidy(l)
}

// tidy forgets a lane that has nothing to do.
func (b *board) tidy(l *lane) {
	if l.flying == 0 && len(l.jobs) == 0 && l.left == "" {
		delete(b.lanes, l.name)
	}
}

// leave notes that a lane's due records from this one on are still on disk.
func (b *board) leave(l *lane, from string) {
	l.left = from
	b.more[l.name] = l
}

// hungry is a lane that runs dry while it has more on disk.
func (b *board) hungry() *lane {
	for _, l := range b.more {
		if len(l.jobs) < b.perTarget {
			return l
		}
	}
	return nil
}

// fetch takes note that a lane's records are about to be read, and says after
// which id that is.
func (b *board) fetch(l *lane) (after string) {
	after = l.left[:len(l.left)-1] // before the record itself
	l.left = ""
	delete(b.more, l.name)
	return after
}

// wake lets go of the jobs that were left alone long enough.
func (b *board) wake(now time.Time) {
	for job, until := range b.known {
		if !until.IsZero() && !until.After(now) {
			delete(b.known, job)
		}
	}
}
