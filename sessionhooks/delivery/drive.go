package delivery

import (
	"context"
	"errors"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/sessionhooks"
)

const (
	// driveBatch is how many events are read ahead.
	driveBatch = 100
	// A cursor that only passes by is written when it has passed so many events,
	// or for so long.
	lazyEvents = 1000
	lazyTime   = 30 * time.Second
	// patience is how long a stream waits that nobody wakes.
	patience = time.Minute
)

// drive is the delivering of one stream under one tenure.
type drive struct {
	*Stream
	w      *Worker
	tenure *tenure
	feed   *feed

	// cursor is the record as last read or written; as long as it has not moved
	// behind our back, passed is how far we have come, and ahead what follows.
	cursor store.Row[Cursor]
	known  bool
	passed store.Position
	ahead  []sessionhooks.Stored
	// lazy counts the events passed since the cursor was written, the first of
	// them at lazySince.
	lazy      int
	lazySince time.Time
}

// run delivers while live lasts. An attempt that is under way then is finished,
// unless the lease is lost.
func (d *drive) run(live, held context.Context) {
	for live.Err() == nil {
		pause, err := d.step(live, held)
		if err != nil {
			if live.Err() != nil {
				break
			}
			d.known = false // read everything anew
			d.o.Logger.WarnContext(held, "stream cannot go on", "stream", d.o.Name, "tenant", d.o.Place.Tenant, "error", err)
			pause = idleWait
		}
		if pause > 0 {
			d.rest(live, pause, nil)
		}
	}
	d.flush(held)
}

// rest waits, but for no longer than until somebody changes the cursor, or until
// there is news, which it answers.
func (s *Stream) rest(live context.Context, pause time.Duration, news <-chan struct{}) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.wake:
	case <-live.Done():
	case <-news:
		return true
	}
	return false
}

// step does one thing: it reads ahead, or passes by, or makes an attempt. The
// cursor and the lease are looked at each time, right before anything is sent.
func (d *drive) step(live, held context.Context) (pause time.Duration, err error) {
	row, err := d.rowUnder(held, d.tenure)
	if err != nil {
		return 0, err
	}
	if !d.known || row.Version != d.cursor.Version {
		d.cursor, d.known, d.passed, d.ahead, d.lazy = row, true, row.Value.Position, nil, 0
	}
	if row.Value.Stopped {
		return patience, nil
	}
	now, err := d.o.Engine.Now(held)
	if err != nil {
		return 0, err
	}
	if wait := row.Value.Next.Sub(now); wait > 0 {
		return min(wait, patience), nil
	}
	if len(d.ahead) == 0 {
		return 0, d.read(live, held, now)
	}
	d.pass(now)
	if len(d.ahead) == 0 {
		return 0, nil
	}
	if !d.tenure.fits(now, d.o.Timeout) {
		return idleWait, nil // the lease is about to be renewed, or lost
	}
	return 0, d.deliver(held, now)
}

// read waits a little for events, and writes the cursor when it is far behind.
func (d *drive) read(live, held context.Context, now time.Time) error {
	if d.lazy >= lazyEvents || d.lazy > 0 && now.Sub(d.lazySince) >= lazyTime {
		_, err := d.save(held, func(c *Cursor) { c.Position = d.passed })
		return err
	}
	events, err := d.await(live, now)
	if errors.Is(err, store.ErrTrimmed) {
		saved, err := d.save(held, func(c *Cursor) { c.stop(StoppedLogLost, now) })
		if saved {
			d.tell(held, StoppedLogLost, "", 0)
		}
		return err
	}
	d.ahead = events
	return err
}

// await is what follows, or nothing after a wait: for news, for somebody who
// changes the cursor, or until it is time to write it. Events that are not
// wanted are passed here, so that they cost a stream no read.
func (d *drive) await(live context.Context, now time.Time) ([]sessionhooks.Stored, error) {
	pause := patience
	if d.lazy > 0 {
		pause = max(0, lazyTime-now.Sub(d.lazySince))
	}
	for {
		events, news, known := d.feed.after(d.passed, driveBatch)
		if !known {
			return d.catchUp(live, news)
		}
		if len(events) > 0 {
			d.ahead = events
			if d.pass(now); len(d.ahead) > 0 || d.lazy >= lazyEvents {
				return d.ahead, nil
			}
			continue
		}
		if !d.rest(live, pause, news) {
			return nil, live.Err()
		}
	}
}

// catchUp reads what the feed does not have; news is that the feed has begun.
func (d *drive) catchUp(live context.Context, news <-chan struct{}) ([]sessionhooks.Stored, error) {
	events, err := d.o.Log.Read(live, d.o.Place.Partition, d.passed, driveBatch, 0)
	if err == nil && len(events) == 0 {
		d.rest(live, idleWait, news)
	}
	return events, err
}

// pass goes past the events that are not wanted, up to one that is.
func (d *drive) pass(now time.Time) {
	for len(d.ahead) > 0 && !d.o.Wants(d.ahead[0]) {
		if d.lazy == 0 {
			d.lazySince = now
		}
		d.lazy++
		d.passed, d.ahead = d.ahead[0].Position, d.ahead[1:]
	}
}

// deliver is one attempt at the event that is next, recorded with the cursor.
func (d *drive) deliver(held context.Context, now time.Time) error {
	e := d.ahead[0]
	start := d.w.clock()
	o := try(held, d.o.Timeout, func(ctx context.Context) Outcome { return d.o.Send(ctx, e) })
	took := max(0, d.w.clock().Sub(start))
	if held.Err() != nil && o.Verdict != Delivered {
		return held.Err()
	}
	d.w.o.Observe.attempt("stream", o.Reason)
	a := Attempt{At: now, Took: took, Status: o.Status, Result: string(o.Verdict), Reason: o.Reason}
	chance, stopped := jitter(), ""
	saved, err := d.save(held, func(c *Cursor) {
		c.Position = d.passed
		stopped = c.settle(e, o, a, d.o.Schedule, chance)
	})
	if err != nil || !saved {
		return err
	}
	if o.Verdict == Delivered {
		d.passed, d.ahead = e.Position, d.ahead[1:]
		return nil
	}
	if stopped != "" {
		d.tell(held, stopped, e.Event.ID, o.Status)
	}
	return nil
}

// settle applies what an attempt came to. A stream that somebody has stopped
// meanwhile stays stopped, for their reason. Stopped is why it stops by itself.
func (c *Cursor) settle(e sessionhooks.Stored, o Outcome, a Attempt, s Schedule, chance float64) (stopped string) {
	c.Last = a
	if o.Verdict == Delivered {
		c.Position, c.Failed, c.Next = e.Position, 0, time.Time{}
		c.Delivered, c.DeliveredAt = e.Event.ID, a.ended()
		return ""
	}
	c.Failed++
	wait, again := s.Wait(c.Failed, o.RetryAfter, chance)
	switch {
	case c.Stopped:
		return ""
	case o.Verdict == Reject:
		stopped = StoppedPermanent
	case !again:
		stopped = StoppedExhausted
	default:
		c.Next = a.ended().Add(wait)
		return ""
	}
	c.stop(stopped, a.ended())
	return stopped
}

func (c *Cursor) stop(reason string, since time.Time) {
	c.Stopped, c.Reason, c.Since, c.Next = true, reason, since, time.Time{}
}

func (d *drive) tell(ctx context.Context, reason, event string, status int) {
	d.o.Logger.WarnContext(ctx, "stream stopped", "stream", d.o.Name, "tenant", d.o.Place.Tenant,
		"reason", reason, "event", event, "status", status)
	d.o.Stopped(reason)
}

// save changes the cursor under the lease. Where somebody has moved it, the
// change is not made: it was about another place. Where somebody has stopped or
// started the stream, it is made upon that.
func (d *drive) save(held context.Context, how func(*Cursor)) (saved bool, err error) {
	var next store.Row[Cursor]
	version, err := d.tenure.commit(held, func(ctx context.Context) ([]store.Op, error) {
		row, err := d.row(ctx)
		if saved = err == nil && row.Value.Position == d.cursor.Value.Position; !saved {
			return nil, err
		}
		next = row
		how(&next.Value)
		return []store.Op{d.write(next)}, nil
	})
	if err != nil || !saved {
		d.known = false
		return false, err
	}
	next.Version = version
	d.cursor, d.lazy = next, 0
	return true, nil
}

// flush writes down how far the stream has come, to begin there next time.
func (d *drive) flush(held context.Context) {
	if !d.known || d.lazy == 0 || held.Err() != nil {
		return
	}
	if _, err := d.save(held, func(c *Cursor) { c.Position = d.passed }); err != nil {
		d.o.Logger.WarnContext(held, "cursor was not kept; some events will be looked at again", "stream", d.o.Name, "error", err)
	}
}
