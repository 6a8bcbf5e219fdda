package delivery

import (
	"context"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

const (
	// Due records are read in pages, a small one first since mostly few are due.
	firstPage = 16
	lookPage  = 256
	// lookSlice is how many pages may be read before something else happens.
	lookSlice = 16
	// lookAgain is how soon a wake-up is followed by a second look: whoever wakes
	// us may do so a moment before the commit.
	lookAgain = 25 * time.Millisecond
	// lookBack is how far behind the last look one for news begins: commits do
	// not come in the order of their due times.
	lookBack = 200 * time.Millisecond
	// lookCost is how rare a look at everything becomes for each due record
	// there is: at a microsecond for each, a twentieth of a core.
	lookCost = 20 * time.Microsecond
	// spoiltRest is how long a record is left alone that cannot be understood.
	spoiltRest = time.Minute
)

// look is a walk through the due records, in slices.
type look struct {
	open  bool
	began time.Time
	after string
	seen  int
}

// lookout reads due records onto the board: news as soon as they are due, and
// now and then everything, for what came late or was left alone. What is due in
// the far future costs nothing, since no look goes that far.
type lookout struct {
	w     *Worker
	board *board

	news, all look
	// woken says that there may be news.
	woken bool
	// upTo is until when everything due has been seen, but for what comes late;
	// next is when there will be news, allAt when to look at everything again.
	upTo, next, allAt time.Time
}

// expect notes that there will be news at a time, if that is set.
func (o *lookout) expect(at time.Time) {
	if !at.IsZero() && (o.next.IsZero() || at.Before(o.next)) {
		o.next = at
	}
}

// rest is how long there is nothing to look for.
func (o *lookout) rest(now time.Time) time.Duration {
	rest := o.allAt.Sub(now)
	if !o.next.IsZero() {
		rest = min(rest, o.next.Sub(now))
	}
	return max(0, min(rest, idleWait))
}

// run looks for what a turn may look for; more says that there is more of it.
func (o *lookout) run(ctx context.Context, now time.Time) (more bool, err error) {
	if !o.news.open && (o.woken || !o.next.IsZero() && !o.next.After(now)) {
		o.news, o.next = look{open: true, began: now, after: store.DueID(o.upTo.Add(-lookBack), "")}, time.Time{}
		if o.woken {
			o.expect(now.Add(lookAgain))
		}
		o.woken = false
	}
	if !o.all.open && !now.Before(o.allAt) {
		o.board.wake(now)
		o.all = look{open: true, began: now}
	}
	if err := o.slice(ctx, &o.news, now); err != nil {
		return false, err
	}
	if err := o.slice(ctx, &o.all, now); err != nil {
		return false, err
	}
	if !o.all.open && !now.Before(o.allAt) {
		o.allAt = now.Add(max(idleWait, time.Duration(o.all.seen)*lookCost))
	}
	if l := o.board.hungry(); l != nil {
		if err := o.feed(ctx, l, now); err != nil {
			return false, err
		}
	}
	return o.woken || o.news.open || o.all.open || o.board.hungry() != nil, nil
}

// slice goes on with a walk that is open.
func (o *lookout) slice(ctx context.Context, l *look, now time.Time) error {
	if !l.open {
		return nil
	}
	last, end, err := o.read(ctx, l.after, now, func(d due) bool {
		l.seen++
		o.board.offer(d)
		return true
	})
	l.after = last
	if err == nil && end {
		l.open, o.upTo = false, l.began
	}
	return err
}

// feed fills a lane that runs dry from what it has on disk.
func (o *lookout) feed(ctx context.Context, l *lane, now time.Time) error {
	after := o.board.fetch(l)
	last, end, err := o.read(ctx, after, now, func(d due) bool {
		if d.lane() == l.name {
			o.board.offer(d)
		}
		return l.left == ""
	})
	if l.left == "" && (err != nil || !end) {
		o.board.leave(l, last+"\x00")
	}
	o.board.tidy(l)
	return err
}

// read gives the records that are due to take, until that wants no more or a
// slice is full. Last is where it came to; end says that there was no more.
func (o *lookout) read(ctx context.Context, after string, now time.Time, take func(due) bool) (last string, end bool, err error) {
	n := firstPage
	for range lookSlice {
		rows, err := o.w.o.Queue.dues.Scan(ctx, store.Place{Partition: o.w.o.Partition}, "", after, n)
		if err != nil {
			return after, false, err
		}
		for _, row := range rows {
			d, err := parseDue(o.w.o.Partition, row.ID)
			if err != nil {
				o.spoilt(ctx, row.ID, now, err)
				after = row.ID
				continue
			}
			if d.when.After(now) {
				o.expect(d.when)
				return after, true, nil
			}
			after = row.ID
			if !take(d) {
				return after, false, nil
			}
		}
		if len(rows) < n {
			return after, true, nil
		}
		n = lookPage
	}
	return after, false, nil
}

// spoilt passes by a record that cannot be understood: perhaps another version
// can, so it is left where it is.
func (o *lookout) spoilt(ctx context.Context, id string, now time.Time, err error) {
	if _, known := o.board.known[id]; !known {
		o.board.known[id] = now.Add(spoiltRest)
		o.w.o.Log.WarnContext(ctx, "a due record cannot be understood", "record", id, "error", err)
	}
}
