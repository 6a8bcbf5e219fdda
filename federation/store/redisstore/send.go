package redisstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// send makes one batch of commits and answers each of them.
func (e *Engine) send(p *part, s *slot, requests []*request) {
	requests = e.timely(requests)
	if len(requests) == 0 {
		return
	}
	commits := make([][]change, len(requests))
	for i, r := range requests {
		commits[i] = r.changes
	}
	d := &delivery{
		e: e, p: p, slot: s, batch: newBatch(p.names, commits, false),
		began: requests[0].began,
	}
	err := d.run(e.work)
	e.tally.batches.Add(1)
	if err != nil {
		for _, r := range requests {
			r.answer(0, err)
		}
		return
	}
	e.answer(p, d, requests)
}

// timely refuses commits that waited as long as their callers have patience.
func (e *Engine) timely(requests []*request) []*request {
	now := e.o.Now()
	var in []*request
	for _, r := range requests {
		switch {
		case e.lost.Load():
			r.answer(0, store.ErrLost)
		case e.spool.full():
			r.answer(0, unavailable(errors.New("too few replicas for too long: the spool is full")))
		case now.Sub(r.began) > e.o.Patience:
			e.tally.failures.Add(1)
			r.answer(0, unavailable(errors.New("other commits have waited too long")))
		default:
			in = append(in, r)
		}
	}
	return in
}

// answer tells the callers of a batch what became of it.
func (e *Engine) answer(p *part, d *delivery, requests []*request) {
	version, appended := d.outcome.base, false
	versions := make([]store.Version, len(requests))
	var made [][]change
	for i, r := range requests {
		if d.outcome.made[i] == '0' {
			e.tally.conflicts.Add(1)
			continue
		}
		version++
		versions[i] = version
		made = append(made, r.changes)
		e.tally.commits.Add(1)
		for _, c := range r.changes {
			appended = appended || c.verb == store.VerbAppend
		}
	}
	var err error
	if len(made) > 0 && d.replicas < e.o.Replicas {
		err = e.keep(d, made)
	}
	if appended {
		p.beacon.light()
	}
	for i, r := range requests {
		if d.outcome.made[i] == '0' {
			r.answer(0, store.ErrConflict)
		} else {
			r.answer(versions[i], err)
		}
	}
}

// keep puts commits into the spool that too few replicas have.
func (e *Engine) keep(d *delivery, made [][]change) error {
	e.tally.unsafe.Add(uint64(len(made)))
	now, _ := e.clock.tell()
	err := e.spool.add(&kept{
		at:        now,
		partition: d.p.number, epoch: d.slot.epoch, mark: d.mark(), number: d.slot.last,
		base: d.outcome.base, commits: made,
	})
	if err != nil {
		return fmt.Errorf("%w: too few replicas, and the spool fails: %w", store.ErrUnknown, err)
	}
	return store.ErrUnsafe
}

// delivery brings one batch to the server and finds out what became of it.
type delivery struct {
	e     *Engine
	p     *part
	slot  *slot
	batch *batch
	began time.Time
	// uncertain: an earlier try may have been carried out.
	uncertain bool
	// whole sends the script itself instead of its name.
	whole    bool
	outcome  outcome
	replicas int
}

func (d *delivery) mark() string { return d.p.names.mark(d.e.owner, d.slot.id) }

// run tries until the outcome is known: a batch has a number, under which the
// server makes it only once. It gives up with store.ErrUnknown, or with
// store.ErrUnavailable when nothing can have been written.
func (d *delivery) run(ctx context.Context) error {
	d.slot.last++
	for n := 0; ; n++ {
		done, err := d.try(ctx)
		if done {
			return err
		}
		if errors.Is(err, store.ErrLost) {
			return err
		}
		if err != nil {
			d.e.tally.failures.Add(1)
			f := judge(err)
			d.whole = d.whole || f == forgotten
			if f == forgotten && n < 3 {
				continue
			}
			if !f.again() || !d.e.rest(ctx, n, d.began) {
				return d.giveUp(err)
			}
		} else if n > 3 && !d.e.rest(ctx, n, d.began) {
			return d.giveUp(errors.New("the server keeps changing"))
		}
	}
}

func (d *delivery) giveUp(err error) error {
	if d.uncertain {
		d.e.tally.unknown.Add(1)
		return fmt.Errorf("%w: %w", store.ErrUnknown, err)
	}
	return unavailable(err)
}

// try sends the batch once. Not done without an error means: at once again.
func (d *delivery) try(ctx context.Context) (done bool, err error) {
	m := d.p.meta.Load()
	if d.slot.epoch != m.epoch {
		if found, err := d.enter(ctx, m); found || err != nil {
			return found, err
		}
	}
	until, err := d.e.until(ctx, d.p)
	if err != nil {
		return false, err
	}
	o, err := d.transmit(ctx, attempt{meta: m, mark: d.mark(), number: d.slot.last, until: until, skew: d.e.o.Skew()})
	if err != nil {
		if f := judge(err); f == lost || f == failed {
			d.uncertain = true
		}
		return false, err
	}
	d.e.clock.learn(o.micros)
	switch o.status {
	case statusMeta:
		return false, d.e.observe(d.p, o.meta)
	case statusHistory:
		return false, d.e.advance(ctx, d.p, m)
	case statusMissing:
		return true, d.e.lose(d.p, "keys of a partition are gone")
	case statusLate:
		return false, nil
	}
	d.outcome = o
	return true, nil
}

// enter takes the slot to another epoch, in which nothing of the one before is
// made any more. What may have been made before is asked for first.
func (d *delivery) enter(ctx context.Context, m *meta) (found bool, err error) {
	if d.uncertain {
		made, o, err := d.e.recall(ctx, d.p, d.mark(), d.slot.last)
		if err != nil {
			return false, err
		}
		if made {
			if len(o.made) != d.batch.commits {
				return true, fmt.Errorf("read mark: %w", errDamaged)
			}
			d.outcome = o
			d.replicas, err = d.e.confirm(ctx, d.p, nil)
			if err != nil {
				d.replicas = 0
			}
			return true, nil
		}
		d.uncertain = false
	}
	*d.slot = slot{id: d.e.slots.Add(1), epoch: m.epoch, last: 1}
	return false, nil
}

// transmit is one round trip: kinds that are new, the script, and the wait for
// replicas go over one connection.
func (d *delivery) transmit(ctx context.Context, a attempt) (outcome, error) {
	command, text := "EVALSHA", d.e.scripts.commit.sha
	if d.whole {
		command, text = "EVAL", d.e.scripts.commit.text
	}
	cmd := redis.NewCmd(ctx, d.batch.arguments(command, text, d.p.names, a)...)
	var kinds []any
	for _, kind := range d.batch.kinds {
		if _, known := d.p.kinds.Load(kind); !known {
			kinds = append(kinds, kind)
		}
	}
	err := d.e.once(ctx, d.e.data, d.p.names.meta, func(ctx context.Context, c *redis.Client) error {
		if len(kinds) == 0 && d.e.o.Replicas == 0 {
			return c.Process(ctx, cmd)
		}
		return d.pipeline(ctx, c, cmd, kinds)
	})
	if err != nil {
		return outcome{}, err
	}
	return parseOutcome(cmd.Val(), d.batch.commits)
}

func (d *delivery) pipeline(ctx context.Context, c *redis.Client, cmd *redis.Cmd, kinds []any) error {
	pipe := c.Pipeline()
	var added *redis.IntCmd
	if len(kinds) > 0 {
		added = pipe.SAdd(ctx, d.p.names.kinds, kinds...)
	}
	_ = pipe.Process(ctx, cmd)
	var waited *redis.Cmd
	if d.e.o.Replicas > 0 {
		waited = pipe.Do(ctx, "WAIT", d.e.o.Replicas, d.e.o.ReplicaTimeout.Milliseconds())
	}
	// Every command keeps its own error; that of the wait is no replicas.
	_, _ = pipe.Exec(ctx)
	if cmd.Err() != nil {
		return cmd.Err()
	}
	if added != nil && added.Err() == nil {
		for _, kind := range kinds {
			d.p.kinds.Store(kind, nil)
		}
	}
	if waited != nil {
		d.replicas, _ = waited.Int()
	}
	return nil
}
