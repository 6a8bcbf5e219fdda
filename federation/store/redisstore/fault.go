package redisstore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// fault is what an error says about the call that met it.
type fault uint8

const (
	// lost: the answer did not come, or made no sense. The call may have been
	// carried out, or may be still.
	lost fault = iota + 1
	// unsent: there was no connection to send the call over.
	unsent
	// elsewhere: another server has the key by now, or is about to.
	elsewhere
	// busy: the server cannot for now, and has done nothing.
	busy
	// forgotten: the server does not know the script, and has done nothing.
	forgotten
	// refused: the server will not, and has done nothing; asking again at once
	// would not help.
	refused
	// failed: the server met an error on the way.
	failed
)

// judge says what an error means. It knows go-redis' errors and the first words
// of the server's.
func judge(err error) fault {
	reply, ok := errors.AsType[redis.Error](err)
	if !ok {
		dial, ok := errors.AsType[*net.OpError](err)
		if ok && dial.Op == "dial" || errors.Is(err, redis.ErrPoolTimeout) || errors.Is(err, redis.ErrPoolExhausted) {
			return unsent
		}
		if strings.HasPrefix(err.Error(), "redis: all sentinels specified in configuration are unreachable") {
			return unsent
		}
		return lost
	}
	text := reply.Error()
	word, _, _ := strings.Cut(text, " ")
	switch word {
	case "MOVED", "ASK", "READONLY", "CLUSTERDOWN", "UNBLOCKED":
		return elsewhere
	case "TRYAGAIN", "LOADING", "MASTERDOWN", "BUSY":
		return busy
	case "NOSCRIPT":
		return forgotten
	case "OOM", "MISCONF", "NOREPLICAS", "NOAUTH", "NOPERM", "WRONGPASS":
		return refused
	}
	switch {
	case strings.HasPrefix(text, "ERR max number of clients"):
		return unsent
	// A key of a slot that is just being moved.
	case strings.Contains(text, "attempted to access a non local key"):
		return busy
	}
	return failed
}

// again says whether trying again may help soon, when trying twice is safe.
func (f fault) again() bool { return f <= forgotten }

// unavailable is how an error of Redis leaves the engine.
func unavailable(err error) error {
	return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
}

// backoff are the pauses between tries: short at first, because a failover or a
// moved slot is often over at once, then half a second.
func backoff(try int) time.Duration {
	return min(10*time.Millisecond<<min(try, 6), 500*time.Millisecond)
}

// rest waits out the pause before the next try; false when there will be none:
// patience or ctx has ended.
func (e *Engine) rest(ctx context.Context, try int, began time.Time) bool {
	pause := backoff(try)
	if e.o.Now().Add(pause).Sub(began) > e.o.Patience {
		return false
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// try makes a call that may be made twice: a read, or a write that comes to the
// same. do is given the client of the server that has the key.
func (e *Engine) try(ctx context.Context, key string, do func(ctx context.Context, c *redis.Client) error) error {
	began := e.o.Now()
	for n := 0; ; n++ {
		err := e.once(ctx, e.data, key, do)
		if err == nil || errors.Is(err, redis.Nil) {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if typed(err) {
			return err
		}
		e.tally.failures.Add(1)
		if !judge(err).again() || !e.rest(ctx, n, began) {
			return unavailable(err)
		}
	}
}

// typed says that an error is the engine's own, not that of Redis.
func typed(err error) bool {
	return errors.Is(err, store.ErrLost) || errors.Is(err, errDamaged) || errors.Is(err, store.ErrLoading) || errors.Is(err, store.ErrTrimmed)
}

func (e *Engine) once(ctx context.Context, s servers, key string, do func(context.Context, *redis.Client) error) error {
	return e.onceFor(ctx, s, key, e.answerTime(), do)
}

func (e *Engine) onceFor(ctx context.Context, s servers, key string, limit time.Duration, do func(context.Context, *redis.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	c, err := s.owner(ctx, key)
	if err == nil {
		err = do(ctx, c)
	}
	if err != nil && !errors.Is(err, redis.Nil) && !typed(err) {
		if f := judge(err); f <= elsewhere {
			s.moved(ctx)
		}
	}
	return err
}

// answerTime is the longest that one round trip may take.
func (e *Engine) answerTime() time.Duration { return e.o.Timeout + e.o.ReplicaTimeout }

// call runs a script, and teaches it to a server that does not know it.
func call(ctx context.Context, c *redis.Client, s script, keys []string, args ...any) *redis.Cmd {
	cmd := c.EvalSha(ctx, s.sha, keys, args...)
	if err := cmd.Err(); err != nil && judge(err) == forgotten {
		return c.Eval(ctx, s.text, keys, args...)
	}
	return cmd
}
