package redisstore

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// versionJump is how far versions move on with an epoch: more than the commits
// that a failover can have lost.
const versionJump = 1 << 32

// advance begins another epoch of a partition, because the server's history is
// another one. Of several who try one succeeds, and all go on in its epoch.
func (e *Engine) advance(ctx context.Context, p *part, m *meta) error {
	var raw string
	err := e.once(ctx, e.data, p.names.meta, func(ctx context.Context, c *redis.Client) (err error) {
		keys := []string{p.names.meta, p.names.version, p.names.log}
		raw, err = call(ctx, c, e.scripts.advance, keys, m.raw, versionJump).Text()
		return err
	})
	if err != nil {
		return err
	}
	before := p.meta.Load().epoch
	if err := e.observe(p, raw); err != nil {
		return err
	}
	if p.meta.Load().epoch > before {
		e.tally.epochs.Add(1)
	}
	return nil
}

// recall asks whether a batch was made, by the mark of its slot.
func (e *Engine) recall(ctx context.Context, p *part, mark string, number uint64) (made bool, o outcome, err error) {
	raw, err := e.readMark(ctx, p, mark)
	if err != nil || raw == "" {
		return false, o, err
	}
	last, o, err := parseMark(raw)
	return err == nil && last == number, o, err
}

func (e *Engine) readMark(ctx context.Context, p *part, mark string) (raw string, err error) {
	err = e.once(ctx, e.data, p.names.meta, func(ctx context.Context, c *redis.Client) error {
		values, err := c.MGet(ctx, mark, p.names.meta).Result()
		if err != nil {
			return err
		}
		raw = text(values[0])
		return e.observe(p, text(values[1]))
	})
	return raw, err
}

// confirm waits until replicas have everything that the server holds now. The
// wait needs a write in front of it on the same connection. Marks of batches
// that are asked about live on.
func (e *Engine) confirm(ctx context.Context, p *part, batches []*kept) (replicas int, err error) {
	if e.o.Replicas == 0 {
		return 0, nil
	}
	err = e.once(ctx, e.data, p.names.meta, func(ctx context.Context, c *redis.Client) error {
		pipe := c.Pipeline()
		for _, k := range batches {
			pipe.PExpire(ctx, k.mark, markLife)
		}
		touched := pipe.Set(ctx, p.names.wait, 1, time.Minute)
		waited := pipe.Do(ctx, "WAIT", e.o.Replicas, e.o.ReplicaTimeout.Milliseconds())
		_, _ = pipe.Exec(ctx)
		if touched.Err() != nil {
			return touched.Err()
		}
		replicas, err = waited.Int()
		return err
	})
	return replicas, err
}
