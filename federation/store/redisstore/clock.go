package redisstore

import (
	"context"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// clock tells the servers' time between their answers. What it tells is never
// ahead of the server, or a deadline set by it could be over before the server
// thinks so: the time of an answer is taken for that of its arrival.
type clock struct {
	now func() time.Time

	mu sync.Mutex
	// at is when the server's time was sampled, by the local clock.
	at      time.Time
	sampled time.Time
	// least is what a server has said or this clock has told: it does not go
	// back behind that, unless the server's does.
	least time.Time
}

// fresh is how long a sample is used: drift is of no matter in a second.
const fresh = time.Second

// learn takes a sample: a server said this time, and the answer has just come.
func (c *clock) learn(micros int64) {
	said, now := time.UnixMicro(micros).UTC(), c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	// Between samples the one of the shortest way is the best; an old one is
	// given up, because clocks may be set.
	if now.Sub(c.at) >= fresh || said.After(c.sampled.Add(now.Sub(c.at))) {
		c.at, c.sampled = now, said
	}
	// A clock that was set back is believed.
	if said.After(c.least) || c.least.Sub(said) > fresh {
		c.least = said
	}
}

// tell is the server's time, and whether the sample is fresh.
func (c *clock) tell() (time.Time, bool) {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at.IsZero() {
		return time.Time{}, false
	}
	t := c.sampled.Add(now.Sub(c.at)).Truncate(time.Microsecond)
	if c.least.After(t) {
		t = c.least
	}
	c.least = t
	return t, now.Sub(c.at) < fresh
}

// forget makes the next look at the clock ask the server.
func (c *clock) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at, c.sampled, c.least = time.Time{}, time.Time{}, time.Time{}
}

// serverTime is the servers' time without skew, asked for when it is not known
// well enough: the server of the partition in question first, then any.
func (e *Engine) serverTime(ctx context.Context, p *part) (time.Time, error) {
	if t, ok := e.clock.tell(); ok {
		return t, nil
	}
	began := e.o.Now()
	for n := 0; ; n++ {
		err := e.once(ctx, e.data, p.names.meta, e.sample)
		if err == nil {
			t, _ := e.clock.tell()
			return t, nil
		}
		if ctx.Err() != nil {
			return time.Time{}, ctx.Err()
		}
		e.tally.failures.Add(1)
		if !judge(err).again() || !e.rest(ctx, n, began) {
			return time.Time{}, unavailable(err)
		}
		p = e.parts[(int(p.number)+1)%len(e.parts)]
	}
}

func (e *Engine) sample(ctx context.Context, c *redis.Client) error {
	t, err := c.Time(ctx).Result()
	if err == nil {
		e.clock.learn(t.UnixMicro())
	}
	return err
}

// until is the latest server time at which a batch may be made. Only a clock
// that was never set is set for it.
func (e *Engine) until(ctx context.Context, p *part) (time.Time, error) {
	now, ok := e.clock.tell()
	if !ok && now.IsZero() {
		if err := e.once(ctx, e.data, p.names.meta, e.sample); err != nil {
			return now, err
		}
		now, _ = e.clock.tell()
	}
	return now.Add(e.o.Patience + 30*time.Second), nil
}
