package delivery

import (
	"context"
	"errors"
	"fmt"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/sessionhooks"
)

// poolFlights is the default of InFlight for each of several partitions.
const poolFlights = 64

// Pool sends for a store of any number of partitions, together with the pools
// of other nodes: each partition has one Worker, on one of them.
type Pool struct {
	o       Options
	members membership
	workers []*Worker
}

// NewPool makes the pool of a node; Options.Partition is not used. InFlight is
// for each partition, and with more than one 64 where it is not set.
func NewPool(o Options, layout store.Layout) (*Pool, error) {
	partitions := max(layout.Partitions, 1)
	if o.InFlight == 0 && partitions > 1 {
		o.InFlight = poolFlights
	}
	p := &Pool{o: o, members: membership{eng: o.Engine, node: o.Node, name: o.Node + "." + sessionhooks.NewID()}}
	for i := range partitions {
		o.Partition = store.Partition(i)
		w, err := New(o)
		if err != nil {
			return nil, err
		}
		p.workers = append(p.workers, w)
	}
	return p, nil
}

// Wake makes the workers look at their queues now; see Worker.Wake.
func (p *Pool) Wake() {
	for _, w := range p.workers {
		w.Wake()
	}
}

// Run works until the context ends: it takes its share of the partitions, gives
// up what has become another's when the attempts under way are over, and at the
// end gives everything back. The error is nil, unless the engine was closed
// before.
func (p *Pool) Run(ctx context.Context) error {
	seats := map[store.Partition]*seat{}
	failures := 0
	var err error
	for ctx.Err() == nil && err == nil {
		var nodes []string
		if nodes, err = p.members.look(ctx); err == nil {
			failures = 0
			err = p.take(ctx, seats, share(nodes, p.members.name, len(p.workers)))
		} else if !errors.Is(err, store.ErrClosed) {
			// Who has what stays as it is; leases run out by themselves.
			if failures++; failures%warnEvery == 1 && ctx.Err() == nil {
				p.o.Log.WarnContext(ctx, "it is not known which nodes deliver", "error", err)
			}
			err = nil
		}
		if err == nil {
			rest(ctx, idleWait)
		}
	}
	if left := p.members.leave(ctx); left != nil {
		p.o.Log.WarnContext(ctx, "the other nodes were not told that this one stops", "error", left)
	}
	for _, s := range seats {
		s.end()
	}
	for _, s := range seats {
		if failed := <-s.ended; err == nil {
			err = failed
		}
	}
	if err != nil {
		return fmt.Errorf("deliver: %w", err)
	}
	return nil
}

// seat is the running of one worker.
type seat struct {
	end   context.CancelFunc
	ended chan error
}

// take starts the workers that are this node's and do not run, and stops those
// that are no longer. One that still stops is not started beside itself.
func (p *Pool) take(ctx context.Context, seats map[store.Partition]*seat, mine map[store.Partition]bool) error {
	for i, s := range seats {
		if !mine[i] {
			s.end()
		}
		select {
		case err := <-s.ended:
			s.end()
			delete(seats, i)
			if err != nil {
				return err
			}
		default:
		}
	}
	for i := range mine {
		if seats[i] != nil {
			continue
		}
		its, end := context.WithCancel(ctx)
		s := &seat{end: end, ended: make(chan error, 1)}
		seats[i] = s
		w := p.workers[i]
		go func() { s.ended <- w.Run(its) }()
	}
	return nil
}
