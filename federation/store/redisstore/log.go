package redisstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// beacon wakes everybody who waits for something new in a log.
type beacon struct {
	mu sync.Mutex
	ch chan struct{}
}

// watch is closed at the next light. Watch first, then look, then wait.
func (b *beacon) watch() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch == nil {
		b.ch = make(chan struct{})
	}
	return b.ch
}

func (b *beacon) light() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch != nil {
		close(b.ch)
		b.ch = nil
	}
}

// lookAgain is after how long a waiting read looks by itself, whatever it was
// or was not told.
const lookAgain = 5 * time.Second

// ReadLog implements store.Engine. The wait is real time, whatever the clock.
// All that wait for one partition share one connection.
func (e *Engine) ReadLog(ctx context.Context, number store.Partition, after store.Position, n int, wait time.Duration) ([]store.Entry, error) {
	if n < 1 {
		return nil, fmt.Errorf("store: a read of %d log entries", n)
	}
	if err := e.begin(ctx, number); err != nil {
		return nil, err
	}
	defer e.running.Done()
	p := e.parts[number]
	if wait <= 0 {
		return e.readLog(ctx, p, after, n)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for round := 0; ; round++ {
		news := p.beacon.watch()
		if e.lost.Load() {
			return nil, store.ErrLost
		}
		entries, err := e.readLog(ctx, p, after, n)
		if err != nil || len(entries) > 0 {
			return entries, err
		}
		if round == 0 {
			defer e.attend(p)()
		}
		again := time.NewTimer(lookAgain)
		select {
		case <-news:
		case <-again.C:
		case <-timer.C:
			again.Stop()
			return nil, nil
		case <-ctx.Done():
			again.Stop()
			return nil, ctx.Err()
		case <-e.background.Done():
			again.Stop()
			return nil, store.ErrClosed
		}
		again.Stop()
	}
}

// readLog looks at the mark of the trim after it has read: entries that were
// removed in between are told of, entries that were read are not lost.
func (e *Engine) readLog(ctx context.Context, p *part, after store.Position, n int) ([]store.Entry, error) {
	var entries []store.Entry
	err := e.try(ctx, p.names.meta, func(ctx context.Context, c *redis.Client) error {
		pipe := c.Pipeline()
		ranged := pipe.XRangeN(ctx, p.names.log, "("+after.String(), "+", int64(n))
		marks := pipe.MGet(ctx, p.names.meta, p.names.trimmed)
		_, _ = pipe.Exec(ctx)
		values, err := marks.Result()
		if err == nil {
			err = ranged.Err()
		}
		if err != nil {
			return err
		}
		if err := e.observe(p, text(values[0])); err != nil {
			return err
		}
		if mark := text(values[1]); mark != "" {
			upTo, err := store.ParsePosition(mark)
			if err != nil {
				return fmt.Errorf("read log: %w", errDamaged)
			}
			if after.Compare(upTo) < 0 {
				return store.TrimmedError{UpTo: upTo}
			}
		}
		entries = make([]store.Entry, len(ranged.Val()))
		for i, m := range ranged.Val() {
			if entries[i], err = parseEntry(m.ID, m.Values["v"]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || len(entries) == 0 {
		return nil, err
	}
	return entries, nil
}

// trimStep bounds how long a trim keeps the server from other work.
const trimStep = 10_000

// TrimLog implements store.Engine. How far the log is trimmed is written first;
// then it is shortened, in steps, which may be repeated.
func (e *Engine) TrimLog(ctx context.Context, number store.Partition, upTo store.Position) error {
	if err := e.begin(ctx, number); err != nil {
		return err
	}
	defer e.running.Done()
	p := e.parts[number]
	var keep string
	err := e.try(ctx, p.names.meta, func(ctx context.Context, c *redis.Client) error {
		reply, err := call(ctx, c, e.scripts.trim, []string{p.names.meta, p.names.log, p.names.trimmed}, upTo.String()).StringSlice()
		if err != nil {
			return err
		}
		keep = reply[1]
		return e.observe(p, reply[0])
	})
	if err != nil || keep == "" {
		return err
	}
	for removed := int64(1); removed > 0; {
		err := e.try(ctx, p.names.meta, func(ctx context.Context, c *redis.Client) (err error) {
			removed, err = c.XTrimMinIDApprox(ctx, p.names.log, keep, trimStep).Result()
			return err
		})
		if err != nil {
			return err
		}
	}
	return e.try(ctx, p.names.meta, func(ctx context.Context, c *redis.Client) error {
		return c.XTrimMinID(ctx, p.names.log, keep).Err()
	})
}

// watch is how waiting reads of one partition learn of entries that others
// append.
type watch struct {
	mu      sync.Mutex
	readers int
	running bool
}

// attend counts a reader that waits, and makes sure that somebody looks out.
func (e *Engine) attend(p *part) (leave func()) {
	w := &p.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	w.readers++
	if !w.running {
		w.running = true
		e.running.Go(func() { e.lookOut(p) })
	}
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.readers--
	}
}

// needed says whether anybody waits still. If not, the lookout has ended.
func (w *watch) needed(closing bool) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running = w.readers > 0 && !closing
	return w.running
}

const (
	// block is how long the server holds a read that waits. A connection that
	// has died unheard is found out soon after.
	block = 2 * time.Second
)

// lookOut waits for the server's news and wakes the readers. Where the log ends
// is found out before they are woken: what is appended after that comes after
// it, and what was there before they see when they wake.
func (e *Engine) lookOut(p *part) {
	failures := 0
	end := ""
	for p.watch.needed(e.background.Err() != nil || e.lost.Load()) {
		var err error
		if end == "" {
			if end, err = e.logEnd(p); err == nil {
				p.beacon.light()
			}
		} else {
			var news bool
			if news, err = e.await(p, end); news {
				end = ""
			}
		}
		if err == nil {
			failures = 0
			continue
		}
		// Readers find out by themselves what is wrong, but not more often.
		end = ""
		if failures > 0 {
			p.beacon.light()
		}
		e.tally.failures.Add(1)
		timer := time.NewTimer(backoff(failures + 2))
		select {
		case <-timer.C:
		case <-e.background.Done():
		}
		timer.Stop()
		failures++
	}
}

func (e *Engine) logEnd(p *part) (string, error) {
	end := "0-0"
	err := e.once(e.background, e.data, p.names.log, func(ctx context.Context, c *redis.Client) error {
		last, err := c.XRevRangeN(ctx, p.names.log, "+", "-", 1).Result()
		if err == nil && len(last) > 0 {
			end = last[0].ID
		}
		return err
	})
	return end, err
}

// await says whether something was appended after a position.
func (e *Engine) await(p *part, end string) (bool, error) {
	news := false
	err := e.onceFor(e.background, e.waits, p.names.log, block+e.o.Timeout, func(ctx context.Context, c *redis.Client) error {
		streams, err := c.XRead(ctx, &redis.XReadArgs{Streams: []string{p.names.log, end}, Count: 1, Block: block}).Result()
		news = err == nil && len(streams) > 0
		return err
	})
	if errors.Is(err, redis.Nil) { // nothing came
		return false, nil
	}
	return news, err
}
