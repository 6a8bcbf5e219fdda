package delivery

import (
	"context"
	"sync"
	"time"
)

// shift is the sending of due jobs under one tenure.
type shift struct {
	w       *Worker
	tenure  *tenure
	board   *board
	lookout lookout
	flights sync.WaitGroup
	// landed has room for all flights, so none waits for the shift to look.
	landed chan landing
}

// landing is what a flight tells when it is over.
type landing struct {
	due due
	// took is how long the sender took.
	took time.Duration
	// again, when set, is when the job is due next.
	again time.Time
	// until, when set, is how long the job is to be left alone.
	until time.Time
}

// dispatch sends what is due while live lasts, and then lets the attempts under
// way finish, unless the lease is lost.
func (w *Worker) dispatch(live, held context.Context, t *tenure) {
	s := &shift{w: w, tenure: t, board: newBoard(w.o.InFlight, w.o.PerTarget), landed: make(chan landing, w.o.InFlight)}
	s.lookout = lookout{w: w, board: s.board}
	failures := 0
	for live.Err() == nil {
		pause, err := s.turn(held)
		switch {
		case err == nil:
			failures = 0
		case live.Err() == nil:
			if failures++; failures%warnEvery == 1 {
				w.o.Log.WarnContext(held, "due deliveries cannot be read", "partition", w.o.Partition, "error", err)
			}
			pause = idleWait
		}
		s.await(live, pause)
	}
	s.flights.Wait()
}

// turn looks for what is due and starts what has room. Pause is how long there
// will be nothing to do, if nothing happens.
func (s *shift) turn(held context.Context) (pause time.Duration, err error) {
	now, err := s.w.o.Engine.Now(held)
	if err != nil {
		return 0, err
	}
	more, err := s.lookout.run(held, now)
	if err != nil {
		return 0, err
	}
	for s.tenure.fits(now, s.w.o.Timeout) {
		d, ok := s.board.next()
		if !ok {
			break
		}
		s.flights.Go(func() { s.landed <- s.fly(held, d) })
	}
	if more {
		return 0, nil
	}
	return s.lookout.rest(now), nil
}

// await waits for a landing, a wake-up or the end, and for the pause at most.
// All landings that are there are taken at once.
func (s *shift) await(live context.Context, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case l := <-s.landed:
		s.land(l)
	case <-s.w.wake:
		s.lookout.woken = true
	case <-timer.C:
	case <-live.Done():
	}
	for {
		select {
		case l := <-s.landed:
			s.land(l)
		default:
			return
		}
	}
}

func (s *shift) land(l landing) {
	s.board.land(l.due, l.took, l.until)
	s.lookout.expect(l.again)
}
