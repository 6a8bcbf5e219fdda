package delivery

import (
	"context"
	"errors"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

const (
	// failedRest is how long a job is left alone whose attempt was not recorded.
	failedRest = 5 * time.Second
	// senderRest is how long a job waits whose sender is not here.
	senderRest = time.Minute
)

// fly is one attempt at one job: read, send with nothing held, record.
func (s *shift) fly(held context.Context, d due) landing {
	row, err := s.w.o.Queue.jobs.Get(held, d.at, d.key)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return s.clear(held, d)
	case err != nil:
		return s.unread(held, d, err)
	case row.Value.State != Pending || row.Value.Due != d.id:
		return s.clear(held, d)
	}
	send, known := s.w.o.Senders[row.Value.Sender]
	if !known {
		return s.postpone(held, d)
	}
	began, err := s.w.o.Engine.Now(held)
	if err != nil {
		return s.leave(held, d, failedRest)
	}
	if !s.tenure.fits(began, s.w.o.Timeout) {
		return s.leave(held, d, idleWait) // reading took its time, or we were suspended
	}
	start := s.w.clock()
	o := try(held, s.w.o.Timeout, func(ctx context.Context) Outcome { return send(ctx, d.at, row.Value) })
	took := max(0, s.w.clock().Sub(start))
	if held.Err() != nil && o.Verdict != Delivered {
		return s.leave(held, d, failedRest) // called off: whoever has the lease now tries again
	}
	a := Attempt{At: began, Took: took, Status: o.Status, Result: string(o.Verdict), Reason: o.Reason}
	return s.record(held, d, row, o, a)
}

// unread leaves a job alone that cannot be read: for a while, where another
// version or another key may be needed.
func (s *shift) unread(held context.Context, d due, err error) landing {
	if held.Err() == nil {
		s.w.o.Log.WarnContext(held, "a due delivery cannot be read", "job", d.key, "tenant", d.at.Tenant, "error", err)
	}
	if errors.Is(err, store.ErrNewer) || errors.Is(err, store.ErrSealed) {
		return s.leave(held, d, spoiltRest)
	}
	return s.leave(held, d, failedRest)
}

// record commits what became of the attempt. Where the job has moved under us
// (a replay), the attempt is recorded upon what is there now.
func (s *shift) record(held context.Context, d due, row store.Row[Job], o Outcome, a Attempt) landing {
	chance := jitter()
	var j Job
	moved := false
	_, err := s.tenure.commit(held, func(ctx context.Context) (ops []store.Op, err error) {
		if moved {
			if row, err = s.w.o.Queue.jobs.Get(ctx, d.at, d.key); err != nil {
				return nil, err
			}
		}
		moved = true
		j, ops = s.w.o.Queue.settle(d.at, row, o, a, s.w.o.Schedule, chance)
		return ops, nil
	})
	s.w.o.Observe.attempt(row.Value.Sender, o.Reason)
	if err != nil {
		s.w.o.Log.WarnContext(held, "an attempt was not recorded; the delivery will be tried again",
			"job", d.key, "tenant", d.at.Tenant, "reason", o.Reason, "error", err)
		l := s.leave(held, d, failedRest)
		l.took = a.Took
		return l
	}
	if o.Verdict == Delivered {
		s.w.o.Observe.delivered(a.ended().Sub(j.Occurred))
	} else {
		s.w.o.Log.WarnContext(held, "delivery failed", "job", d.key, "tenant", d.at.Tenant, "reason", o.Reason, "status", o.Status,
			"state", string(j.State), "failed", j.Failed, "cause", cause(o))
	}
	return landing{due: d, took: a.Took, again: j.Next}
}

// clear removes a due record that stands for nothing: its job is gone or
// finished, or due at another time.
func (s *shift) clear(held context.Context, d due) landing {
	q := s.w.o.Queue
	_, err := s.tenure.commit(held, func(ctx context.Context) ([]store.Op, error) {
		row, err := q.jobs.Get(ctx, d.at, d.key)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		if row.Value.State == Pending && row.Value.Due == d.id {
			return nil, nil // it means something again
		}
		return []store.Op{q.jobs.Check(d.at, d.key, row.Version), q.dues.Drop(d.at.Own(), d.id)}, nil
	})
	if err != nil {
		return s.leave(held, d, failedRest)
	}
	return landing{due: d}
}

// postpone makes a job wait whose sender is not here: another node, or the next
// version, may have it. That is no attempt.
func (s *shift) postpone(held context.Context, d due) landing {
	q := s.w.o.Queue
	var j Job
	_, err := s.tenure.commit(held, func(ctx context.Context) ([]store.Op, error) {
		row, err := q.jobs.Get(ctx, d.at, d.key)
		if err != nil {
			return nil, err
		}
		now, err := s.w.o.Engine.Now(ctx)
		if err != nil {
			return nil, err
		}
		j = row.Value
		j.Next = now.Add(senderRest)
		return q.reschedule(d.at, row, &j), nil
	})
	if err != nil {
		return s.leave(held, d, failedRest)
	}
	s.w.o.Log.WarnContext(held, "a delivery waits for a sender that is not here", "job", d.key, "tenant", d.at.Tenant, "sender", j.Sender)
	return landing{due: d, again: j.Next}
}

// leave lands without having settled anything.
func (s *shift) leave(held context.Context, d due, rest time.Duration) landing {
	now, err := s.w.o.Engine.Now(context.WithoutCancel(held))
	if err != nil {
		now = s.w.clock()
	}
	return landing{due: d, until: now.Add(rest)}
}
