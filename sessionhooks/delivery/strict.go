package delivery

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/sessionhooks"
)

// Cursor is the state of a stream, one record.
type Cursor struct {
	// Position is that of the last event that was delivered or not wanted; it
	// may lie a little behind while nothing is wanted.
	Position store.Position `json:"position"`
	Stopped  bool           `json:"stopped,omitempty"`
	// Reason and Since say why and when it stopped.
	Reason string    `json:"reason,omitempty"`
	Since  time.Time `json:"since"`
	// Failed counts the attempts at the event after Position; Next is when the
	// next one is due.
	Failed int       `json:"failed,omitempty"`
	Next   time.Time `json:"next"`
	// Delivered and DeliveredAt are the last event that was delivered.
	Delivered   string    `json:"delivered,omitempty"`
	DeliveredAt time.Time `json:"delivered_at"`
	// Last is the last attempt.
	Last Attempt `json:"last"`
}

// The reasons for which a stream stops by itself.
const (
	// StoppedPermanent: the answer was one that would come again.
	StoppedPermanent = "permanent_failure"
	// StoppedExhausted: the schedule has no further attempt.
	StoppedExhausted = "retries_exhausted"
	// StoppedLogLost: events after the cursor are gone from the log. Start
	// brings the same; Seek to sessionhooks.Oldest goes on with what is left.
	StoppedLogLost = "log_lost"
)

// StreamOptions are what a strict stream is made of.
type StreamOptions struct {
	Engine store.Engine
	Log    *sessionhooks.Log
	// Place is where the stream's own record lives; its partition's log is read.
	Place store.Place
	// Name is unique in the place.
	Name string
	// Wants says whether an event at a position is one of the stream's.
	Wants func(s sessionhooks.Stored) bool
	// Send makes one attempt, as a Sender does.
	Send func(ctx context.Context, s sessionhooks.Stored) Outcome
	// Schedule is nil for StrictSchedule.
	Schedule Schedule
	// Timeout bounds one attempt; 0 is 15 s, and 20 s the most.
	Timeout time.Duration
	Logger  *slog.Logger
	// Stopped, when set, hears that the stream stopped by itself, and why.
	Stopped func(reason string)
}

// Stream delivers the events of a log one by one, in order. A worker that has
// the partition's lease runs it (Options.Streams); its methods may be called on
// any node.
type Stream struct {
	o       StreamOptions
	cursors *store.Table[Cursor]
	wake    chan struct{}
}

// NewStream makes a stream. Its cursor stands before the first event ever, until
// Seek: sessionhooks.Newest is where one begins who wants only what comes.
func NewStream(o StreamOptions) (*Stream, error) {
	if o.Engine == nil || o.Log == nil || o.Name == "" || o.Wants == nil || o.Send == nil || o.Logger == nil {
		return nil, errors.New("delivery: a stream needs engine, log, name, filter, sender and logger")
	}
	if o.Timeout < 0 {
		return nil, errors.New("delivery: a negative option")
	}
	if o.Schedule == nil {
		o.Schedule = StrictSchedule()
	}
	if o.Timeout == 0 {
		o.Timeout = 15 * time.Second
	}
	if err := fitting(o.Timeout); err != nil {
		return nil, err
	}
	if o.Stopped == nil {
		o.Stopped = func(string) {}
	}
	return &Stream{
		o: o, wake: make(chan struct{}, 1),
		cursors: cursorTable(o.Engine),
	}, nil
}

// changedID is a record of the partition beside the cursors: it is written
// whenever one of them is changed by somebody who does not run it.
const changedID = "changed"

func cursorTable(eng store.Engine) *store.Table[Cursor] {
	return store.NewTable[Cursor](eng, store.TableOptions{Kind: "cursor", Schema: 1})
}

// Cursor is the stream's state.
func (s *Stream) Cursor(ctx context.Context) (Cursor, error) {
	row, err := s.row(ctx)
	return row.Value, err
}

// Start resumes with the event that failed, with a fresh budget. Starting a
// stream that runs gives it a fresh budget too.
func (s *Stream) Start(ctx context.Context) error {
	return s.change(ctx, func(c *Cursor) {
		c.Stopped, c.Reason, c.Since, c.Failed, c.Next = false, "", time.Time{}, 0, time.Time{}
	})
}

// Stop stops the stream as a failure would. Where an attempt is under way that
// is answered well, the cursor still moves.
func (s *Stream) Stop(ctx context.Context, reason string) error {
	now, err := s.o.Engine.Now(ctx)
	if err != nil {
		return err
	}
	return s.change(ctx, func(c *Cursor) { c.Stopped, c.Reason, c.Since = true, reason, now })
}

// Seek moves the cursor: the next event is the first after the position. A
// stream that was stopped stays so.
func (s *Stream) Seek(ctx context.Context, to store.Position) error {
	return s.change(ctx, func(c *Cursor) { c.Position, c.Failed, c.Next = to, 0, time.Time{} })
}

// change rewrites the cursor whatever else happens to it.
func (s *Stream) change(ctx context.Context, how func(*Cursor)) error {
	_, err := store.Update(ctx, s.o.Engine, func(ctx context.Context) ([]store.Op, error) {
		row, err := s.row(ctx)
		if err != nil {
			return nil, err
		}
		how(&row.Value)
		return []store.Op{s.write(row), s.cursors.Put(s.o.Place.Own(), changedID, Cursor{}, time.Time{})}, nil
	})
	s.ring()
	return err
}

// ring has whoever runs the stream here look at its cursor.
func (s *Stream) ring() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// row is the cursor's record; one that does not exist yet has version 0.
func (s *Stream) row(ctx context.Context) (store.Row[Cursor], error) {
	row, err := s.cursors.Get(ctx, s.o.Place, s.o.Name)
	if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	return row, err
}

// rowUnder is the cursor's record, and in the same read a look at the lease under
// which it is about to be acted upon: store.ErrHeld where that is another's by
// now, of which a holder that had nothing to write knows nothing yet.
func (s *Stream) rowUnder(ctx context.Context, t *tenure) (store.Row[Cursor], error) {
	lease := t.lent()
	recs, err := s.o.Engine.GetAll(ctx, s.cursors.Key(s.o.Place, s.o.Name), lease.Key())
	if err != nil {
		return store.Row[Cursor]{}, err
	}
	if !lease.Is(recs[1]) {
		if _, err := t.current(ctx, lease); err != nil {
			return store.Row[Cursor]{}, err
		}
	}
	row, err := s.cursors.Row(recs[0])
	if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	return row, err
}

func (s *Stream) write(row store.Row[Cursor]) store.Op {
	if row.Version == 0 {
		return s.cursors.Create(s.o.Place, s.o.Name, row.Value, time.Time{})
	}
	return s.cursors.Replace(s.o.Place, s.o.Name, row.Value, row.Version, time.Time{})
}
