package redisstore

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// settleStep batches are brought to safety with one wait for the replicas.
const settleStep = 100

// settleSpool brings the spooled batches of a partition to safety, in the order
// in which they were made; where one cannot be for now, the others wait.
func (e *Engine) settleSpool(ctx context.Context, p *part) {
	for {
		step := e.spool.pending(p.number, settleStep)
		there := e.bring(ctx, p, step)
		if len(there) == 0 {
			return
		}
		replicas, err := e.confirm(ctx, p, there)
		if err != nil || replicas < e.o.Replicas {
			return
		}
		if err := e.spool.done(there[len(there)-1]); err != nil {
			e.o.Log.ErrorContext(ctx, "the spool cannot be written", "error", err)
			return
		}
		if len(there) < len(step) {
			return
		}
	}
}

// bring makes sure that the master has batches: still, or again. It answers
// with those at the beginning for which that is so.
func (e *Engine) bring(ctx context.Context, p *part, batches []*kept) []*kept {
	for i, k := range batches {
		there, err := e.holds(ctx, p, k)
		if err != nil || !there && !e.replay(ctx, p, k) {
			return batches[:i]
		}
	}
	return batches
}

// holds says whether the master has a batch. Marks and batches reach another
// server together, and a mark is not used in another epoch, so what a mark does
// not know there is lost; within an epoch nothing is.
func (e *Engine) holds(ctx context.Context, p *part, k *kept) (bool, error) {
	last, err := e.lastNumber(ctx, p, k.mark)
	if err != nil || last >= k.number {
		return err == nil, err
	}
	if m := p.meta.Load(); m.epoch == k.epoch {
		if err := e.advance(ctx, p, m); err != nil || p.meta.Load().epoch == k.epoch {
			return err == nil, err
		}
		// Looked at again, now that the epoch is another one.
		return false, errBehind
	}
	if now, _ := e.clock.tell(); last == 0 && now.Sub(k.at) > markLife/2 {
		e.tally.superseded.Add(uint64(len(k.commits)))
		e.o.Log.ErrorContext(ctx, "spooled commits are too old to tell whether a failover has lost them", "partition", p.number, "commits", len(k.commits))
		return true, nil
	}
	return false, nil
}

// lastNumber is the number of the last batch under a mark that the server made;
// 0 when it knows of none.
func (e *Engine) lastNumber(ctx context.Context, p *part, mark string) (uint64, error) {
	raw, err := e.readMark(ctx, p, mark)
	if err != nil || raw == "" {
		return 0, err
	}
	last, _, err := parseMark(raw)
	return last, err
}

// replay makes a batch again that a failover has lost: with its own versions,
// and only where everything that it was judged by is still so.
func (e *Engine) replay(ctx context.Context, p *part, k *kept) bool {
	m := p.meta.Load()
	until, err := e.until(ctx, p)
	if err != nil {
		return false
	}
	b := newBatch(p.names, k.commits, true)
	args := b.arguments("EVAL", e.scripts.commit.text, p.names, attempt{
		meta: m, mark: k.mark, number: k.number, until: until, skew: e.o.Skew(), base: k.base,
	})
	var o outcome
	err = e.once(ctx, e.data, p.names.meta, func(ctx context.Context, c *redis.Client) error {
		reply, err := c.Do(ctx, args...).Result()
		if err != nil {
			return err
		}
		o, err = parseOutcome(reply, len(k.commits))
		return err
	})
	switch {
	case err != nil:
		return false
	case o.status == statusMeta:
		_ = e.observe(p, o.meta)
		return false
	case o.status == statusHistory:
		_ = e.advance(ctx, p, m)
		return false
	case o.status != statusDone:
		return false
	}
	e.count(ctx, p, o)
	return true
}

func (e *Engine) count(ctx context.Context, p *part, o outcome) {
	superseded := 0
	for _, made := range o.made {
		if made == '0' {
			superseded++
		}
	}
	e.tally.superseded.Add(uint64(superseded))
	e.tally.replayed.Add(uint64(len(o.made) - superseded))
	if superseded < len(o.made) {
		p.beacon.light()
	}
	e.o.Log.WarnContext(ctx, "commits that a failover had lost were made again", "partition", p.number,
		"made", len(o.made)-superseded, "superseded", superseded)
}
