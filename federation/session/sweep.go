package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

const (
	shortest = 100 * time.Millisecond // between two rounds, at least
	longest  = time.Second            // and at most
	// spread is by how much at most a round begins later than it might, by
	// chance, so that nodes that wait for the same due time do not meet.
	spread = 20 * time.Millisecond
	batch  = 256 // due records read at once
	// together is how many sessions are settled by one commit, and inFlight how
	// many such commits a partition has under way.
	together = 32
	inFlight = 8
	// yield is how long after its time a record is left to the node that leads
	// the partition, and glance how many records the others look at for that.
	yield  = 500 * time.Millisecond
	glance = 16
	// complaintEvery is how often at most trouble with sweeping is logged.
	complaintEvery = 10 * time.Second
)

// Run sweeps until ctx is done: it ends what is past its deadline and moves the
// due times of what has been active since. Any number of nodes may run it over
// one store. Each partition is swept by itself, so that one that is slow or
// away holds up no other. It returns nil.
func (m *Manager) Run(ctx context.Context) error {
	trouble := complaints{news: make(chan error, 1), log: m.o.Log}
	var loops sync.WaitGroup
	loops.Go(func() { trouble.run(ctx) })
	for p := range max(m.o.Layout.Partitions, 1) {
		s := m.sweeper(store.Partition(p))
		if m.o.Monotonic == nil {
			loops.Go(func() { s.run(ctx, trouble.note) })
			continue
		}
		loops.Go(func() {
			var both sync.WaitGroup
			both.Go(func() { s.run(ctx, trouble.note) })
			both.Go(func() { s.watch.run(ctx, trouble.note) })
			both.Wait()
			s.watch.resign(ctx)
		})
	}
	loops.Wait()
	return nil
}

// sweeper sweeps one partition. Its methods are called by one goroutine.
type sweeper struct {
	m     *Manager
	own   store.Place
	watch *watch
	// careful says that a commit of several sessions has failed: they are
	// settled one by one in the next round, so that one which cannot be ended
	// holds up nobody.
	careful bool
}

func (m *Manager) sweeper(p store.Partition) *sweeper {
	own := store.Place{Partition: p}
	return &sweeper{m: m, own: own, watch: newWatch(m, own)}
}

func (s *sweeper) run(ctx context.Context, note func(error)) {
	timer := time.NewTimer(rand.N(spread))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		wait, err := s.round(ctx)
		if err != nil && ctx.Err() == nil {
			note(err)
		}
		timer.Reset(wait + rand.N(spread))
	}
}

// round sweeps once and says how long to wait for the next.
func (s *sweeper) round(ctx context.Context) (time.Duration, error) {
	sweep := s.help
	if s.watch.leads() {
		sweep = s.sweep
	}
	wait, err := sweep(ctx)
	if err != nil {
		return longest, err
	}
	return min(max(wait, shortest), longest), nil
}

// sweep is that of the node that leads the partition. It deals with everything
// that is due, oldest first, and says how long there will be nothing. Where others have dealt with most of a page it leaves
// the rest to them and looks again soon.
func (s *sweeper) sweep(ctx context.Context) (wait time.Duration, err error) {
	single := s.careful
	s.careful = false
	all, after := tally{}, ""
	for ctx.Err() == nil {
		now, err := s.m.now(ctx)
		if err != nil {
			return 0, err
		}
		rows, err := s.m.dues.Scan(ctx, s.own, "", after, batch)
		if err != nil {
			return 0, errors.Join(fmt.Errorf("scan due sessions: %w", err), all.err())
		}
		ripe, next := s.ripe(rows, now, &all)
		if len(ripe) > 0 {
			page, err := s.settle(ctx, ripe, now, single)
			if err != nil {
				return 0, errors.Join(err, all.err())
			}
			all.add(page)
			if page.lost > page.done || !s.watch.leads() {
				return shortest, all.err()
			}
		}
		switch {
		case !next.IsZero():
			return next.Sub(now), all.err()
		case len(rows) < batch:
			return longest, all.err()
		}
		after = rows[len(rows)-1].ID
	}
	return 0, ctx.Err()
}

// help deals with what the leading node should have dealt with, one page of it,
// and says when there may be more. It begins anywhere in what is overdue, since
// the one that leads is at its beginning.
func (s *sweeper) help(ctx context.Context) (wait time.Duration, err error) {
	now, err := s.m.now(ctx)
	if err != nil {
		return 0, err
	}
	overdue := now.Add(-yield)
	var all tally
	oldest, next, err := s.overdue(ctx, "", glance, overdue, &all)
	if err != nil || len(oldest) == 0 {
		return next, errors.Join(err, all.err())
	}
	from := oldest[0].at.Add(time.Duration(rand.Int64N(int64(overdue.Sub(oldest[0].at) + 1))))
	page, _, err := s.overdue(ctx, store.DueID(from, ""), batch, overdue, &all)
	if err != nil {
		return 0, errors.Join(err, all.err())
	}
	if len(page) == 0 {
		page = oldest
	}
	single := s.careful
	s.careful = false
	sum, err := s.settle(ctx, page, now, single)
	all.add(sum)
	return shortest, errors.Join(err, all.err())
}

// overdue are records whose time came before a time; wait is how long there
// will be none.
func (s *sweeper) overdue(ctx context.Context, after string, n int, before time.Time, all *tally) (page []due, wait time.Duration, err error) {
	rows, err := s.m.dues.Scan(ctx, s.own, "", after, n)
	if err != nil {
		return nil, 0, fmt.Errorf("scan due sessions: %w", err)
	}
	page, next := s.ripe(rows, before, all)
	if next.IsZero() {
		return page, longest, nil
	}
	return page, next.Sub(before), nil
}

// due is a due record that was read.
type due struct {
	row  store.Row[struct{}]
	at   time.Time
	name string
}

// ripe are the records whose time has come. Next, when set, is when the time of
// the first one comes that is not among them.
func (s *sweeper) ripe(rows []store.Row[struct{}], now time.Time, all *tally) (ripe []due, next time.Time) {
	for _, row := range rows {
		at, name, err := store.ParseDueID(row.ID)
		if err != nil {
			all.fail(1, err) // another version's, perhaps: it is left where it is
			continue
		}
		if at.After(now) {
			return ripe, at
		}
		ripe = append(ripe, due{row: row, at: at, name: name})
	}
	return ripe, next
}

// settle ends the sessions of a page of due records, or moves the records to
// where the sessions' deadlines are now. Groups are taken in no order, so that
// nodes which read the same page meet late.
func (s *sweeper) settle(ctx context.Context, page []due, now time.Time, single bool) (tally, error) {
	forgiven, err := s.watch.look(ctx, now)
	if err != nil {
		return tally{}, err
	}
	size, limit := together, inFlight
	if single {
		size, limit = 1, together
	}
	groups := (len(page) + size - 1) / size
	results := make([]tally, groups)
	var flights errgroup.Group
	flights.SetLimit(limit)
	for _, g := range rand.Perm(groups) {
		flights.Go(func() error {
			members := page[g*size : min((g+1)*size, len(page))]
			results[g] = s.m.settle(ctx, members, verdict{now: now, gaps: forgiven, grace: s.m.grace()})
			return nil
		})
	}
	_ = flights.Wait() // the results have what failed
	var sum tally
	for _, r := range results {
		sum.add(r)
	}
	s.careful = s.careful || sum.broken
	return sum, nil
}

// complaints keeps trouble with many sessions, or many partitions, to one line
// in a while.
type complaints struct {
	news chan error
	log  *slog.Logger
}

// note takes an error in, unless one waits to be logged.
func (c complaints) note(err error) {
	select {
	case c.news <- err:
	default:
	}
}

func (c complaints) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case err := <-c.news:
			c.log.WarnContext(ctx, "sweep of sessions is incomplete", "error", err)
		}
		pause := time.NewTimer(complaintEvery)
		select {
		case <-ctx.Done():
		case <-pause.C:
		}
		pause.Stop()
	}
}
