package redisstore

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// beat is how often Run looks after things.
	beat = time.Second
	// walkIDs are looked at in one step, of one index of one partition.
	walkIDs = 200
	// walkPause is the pause between steps that found little; a step that found
	// much to take away is followed by the next at once, at most walkSteps.
	walkSteps = 50
)

// Run keeps the store in order until ctx ends or the engine is closed: then it
// answers nil. It brings commits of the spool to the replicas, notices a store
// that was lost or an epoch that was begun while nothing else happens, and
// takes the ids of expired records out of their indexes. Several nodes may do
// so at once.
func (e *Engine) Run(ctx context.Context) error {
	tick := time.NewTicker(beat)
	defer tick.Stop()
	w := walker{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-e.background.Done():
			return nil
		case <-tick.C:
		}
		if err := e.begin(ctx, 0); err != nil {
			continue
		}
		e.upkeep(&w)
		e.running.Done()
	}
}

func (e *Engine) upkeep(w *walker) {
	ctx := e.background
	for _, p := range e.parts {
		if ctx.Err() != nil || e.lost.Load() {
			return
		}
		// Whoever calls the engine hears of an error. Other partitions may live on
		// other servers.
		if e.checkUp(ctx, p) == nil {
			e.settleSpool(ctx, p)
		}
	}
	e.walk(ctx, w)
}

// checkUp holds a partition to what it was.
func (e *Engine) checkUp(ctx context.Context, p *part) error {
	return e.once(ctx, e.data, p.names.meta, func(ctx context.Context, c *redis.Client) error {
		pipe := c.Pipeline()
		meta, now := pipe.Get(ctx, p.names.meta), pipe.Time(ctx)
		_, _ = pipe.Exec(ctx)
		if err := now.Err(); err != nil {
			return err
		}
		e.clock.learn(now.Val().UnixMicro())
		if err := meta.Err(); err != nil && err != redis.Nil { //nolint:errorlint // go-redis returns it as it is
			return err
		}
		return e.observe(p, meta.Val())
	})
}

// walker goes round all indexes, in steps.
type walker struct {
	part  int
	kinds []string
	from  string
}

// walk takes some steps: one when there is little to take away.
func (e *Engine) walk(ctx context.Context, w *walker) {
	for range walkSteps {
		seen, gone, err := e.walkStep(ctx, w)
		if err != nil || gone*4 < seen || seen == 0 {
			return
		}
	}
}

func (e *Engine) walkStep(ctx context.Context, w *walker) (seen, gone int, err error) {
	if len(w.kinds) == 0 {
		w.part = (w.part + 1) % len(e.parts)
		if w.kinds, err = e.listKinds(ctx, e.parts[w.part]); err != nil || len(w.kinds) == 0 {
			return 0, 0, err
		}
		w.from = "-"
	}
	p, kind := e.parts[w.part], w.kinds[0]
	var reply []any
	err = e.once(ctx, e.data, p.names.meta, func(ctx context.Context, c *redis.Client) (err error) {
		reply, err = call(ctx, c, e.scripts.walk, []string{p.names.index(kind)}, w.from, walkIDs, p.names.records(kind)).Slice()
		return err
	})
	if err != nil || len(reply) != 3 {
		return 0, 0, err
	}
	n1, _ := reply[1].(int64)
	n2, _ := reply[2].(int64)
	e.tally.swept.Add(uint64(n2))
	if w.from = text(reply[0]); w.from == "" {
		w.kinds, w.from = w.kinds[1:], "-"
	}
	return int(n1), int(n2), nil
}

func (e *Engine) listKinds(ctx context.Context, p *part) (kinds []string, err error) {
	err = e.once(ctx, e.data, p.names.meta, func(ctx context.Context, c *redis.Client) (err error) {
		kinds, err = c.SMembers(ctx, p.names.kinds).Result()
		return err
	})
	return kinds, err
}
