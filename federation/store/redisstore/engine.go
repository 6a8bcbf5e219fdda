package redisstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// Engine is a store.Engine over Redis. Open makes it.
type Engine struct {
	o       Options
	data    servers
	waits   servers
	scripts scripts
	clock   clock
	layout  store.Layout
	parts   []*part
	tally   tally
	// owner is this engine's own name in the marks of its batches.
	owner string
	// store is the id that was drawn when the store was created.
	store string
	spool *spool
	slots atomic.Uint64
	// lost is set once the store was seen to be gone.
	lost atomic.Bool

	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup
	// work goes on until every call has ended, background until Close begins.
	work       context.Context
	background context.Context
	endWork    context.CancelFunc
	endWaits   context.CancelFunc
	shut       sync.Once
	closeErr   error
}

// part is what an engine knows of one partition.
type part struct {
	number store.Partition
	names  names
	lane   lane
	beacon beacon
	watch  watch
	// meta is what the partition was last seen to be.
	meta atomic.Pointer[meta]
	// kinds are those that the partition's list of kinds has for certain.
	kinds sync.Map
}

// Layout is what the store was created with.
func (e *Engine) Layout() store.Layout { return e.layout }

// begin lets a call in, or says why not. It is followed by running.Done.
func (e *Engine) begin(ctx context.Context, p store.Partition) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.closed:
		return store.ErrClosed
	case ctx.Err() != nil:
		return ctx.Err()
	case e.lost.Load():
		return store.ErrLost
	case int(p) >= len(e.parts):
		return fmt.Errorf("store: there is no partition %d of %d", p, len(e.parts))
	}
	e.running.Add(1)
	return nil
}

// Get implements store.Engine, in one round trip.
func (e *Engine) Get(ctx context.Context, k store.Key) (store.Record, error) {
	recs, err := e.GetAll(ctx, k)
	if err != nil {
		return store.Record{}, err
	}
	if recs[0].Version == 0 {
		return store.Record{}, store.ErrNotFound
	}
	return recs[0], nil
}

// GetAll implements store.Engine, in one round trip. All records are of one
// moment, unless a cluster moves their slot just then.
func (e *Engine) GetAll(ctx context.Context, keys ...store.Key) ([]store.Record, error) {
	number, err := store.PlanGet(keys)
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		if err := checkKey(k); err != nil {
			return nil, err
		}
	}
	if err := e.begin(ctx, number); err != nil {
		return nil, err
	}
	defer e.running.Done()
	p := e.parts[number]
	names := make([]string, len(keys), len(keys)+1)
	for i, k := range keys {
		names[i] = p.names.records(k.Kind) + k.ID
	}
	values, err := e.fetch(ctx, p, names)
	if err != nil {
		return nil, err
	}
	return e.records(ctx, p, keys, values)
}

// records are those of the values that are there and have not expired.
func (e *Engine) records(ctx context.Context, p *part, keys []store.Key, values []any) ([]store.Record, error) {
	recs := make([]store.Record, len(keys))
	for i, k := range keys {
		recs[i].Key = k
		raw, found := values[i].(string)
		if !found {
			continue
		}
		rec, err := parseRecord(k, raw)
		if err != nil {
			return nil, err
		}
		if !rec.Expires.IsZero() {
			now, err := e.now(ctx, p)
			if err != nil {
				return nil, err
			}
			if expired(rec.Expires, now) {
				continue
			}
		}
		recs[i] = rec
	}
	return recs, nil
}

// fetch reads keys of a partition and holds the partition to what it was, in
// one command: a record that is missing because everything is must not be
// taken for one that was never there.
func (e *Engine) fetch(ctx context.Context, p *part, keys []string) (values []any, err error) {
	keys = append(keys, p.names.meta)
	err = e.try(ctx, p.names.meta, func(ctx context.Context, c *redis.Client) error {
		values, err = c.MGet(ctx, keys...).Result()
		if err != nil && judge(err) == busy {
			values, err = e.fetchMoving(ctx, keys)
		}
		if err != nil {
			return err
		}
		return e.observe(p, text(values[len(values)-1]))
	})
	return values, err
}

// fetchMoving reads one key after the other: while a cluster moves a slot it
// answers nothing that names several keys.
func (e *Engine) fetchMoving(ctx context.Context, keys []string) ([]any, error) {
	if e.data.cluster == nil {
		return nil, errors.New("no key moves here")
	}
	values := make([]any, len(keys))
	for i, key := range keys {
		value, err := e.data.cluster.Get(ctx, key).Result()
		switch {
		case err == nil:
			values[i] = value
		case !errors.Is(err, redis.Nil):
			return nil, err
		}
	}
	return values, nil
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

// observe holds a partition to what it was. Another epoch is taken over;
// another store, or none, is a loss.
func (e *Engine) observe(p *part, raw string) error {
	if was := p.meta.Load(); was != nil && was.raw == raw {
		return nil
	}
	if raw == "" {
		return e.lose(p, "a partition is gone")
	}
	m, err := parseMeta(raw)
	if err != nil {
		return err
	}
	if m.store != e.store {
		return e.lose(p, "a partition is another store's")
	}
	return e.adopt(p, m)
}

var errBehind = errors.New("the server is behind: it is not the master any more")

// adopt goes on in an epoch that somebody has begun. An older one is news from
// a server that is no longer the master.
func (e *Engine) adopt(p *part, m *meta) error {
	for {
		was := p.meta.Load()
		if was != nil && was.epoch > m.epoch {
			return errBehind
		}
		if was != nil && was.epoch == m.epoch {
			return nil
		}
		if p.meta.CompareAndSwap(was, m) {
			p.kinds.Clear()
			e.clock.forget()
			if was != nil {
				e.o.Log.Warn("the store goes on in another epoch", "partition", p.number, "epoch", m.epoch, "before", was.epoch)
			}
			return nil
		}
	}
}

// lose stops the engine: nothing it could answer would be true.
func (e *Engine) lose(p *part, what string) error {
	if e.lost.CompareAndSwap(false, true) {
		e.o.Log.Error("the store has lost its data and is stopped until an operator acts", "partition", p.number, "reason", what)
		for _, p := range e.parts {
			p.beacon.light()
		}
	}
	return fmt.Errorf("%w: %s", store.ErrLost, what)
}

// Now implements store.Engine with the servers' time, mostly without asking.
func (e *Engine) Now(ctx context.Context) (time.Time, error) {
	if err := e.begin(ctx, 0); err != nil {
		return time.Time{}, err
	}
	defer e.running.Done()
	return e.now(ctx, e.parts[0])
}

func (e *Engine) now(ctx context.Context, p *part) (time.Time, error) {
	t, err := e.serverTime(ctx, p)
	if err != nil {
		return time.Time{}, err
	}
	return t.Add(e.o.Skew().Truncate(time.Microsecond)), nil
}

// Ready says whether the store works, by asking one server once: nil, or
// store.ErrLost, store.ErrUnavailable, store.ErrClosed.
func (e *Engine) Ready(ctx context.Context) error {
	if err := e.begin(ctx, 0); err != nil {
		return err
	}
	defer e.running.Done()
	err := e.checkUp(ctx, e.parts[0])
	if err == nil || typed(err) {
		return err
	}
	return unavailable(err)
}

// Close implements store.Engine: calls that have begun are carried to their
// end, which takes at most Options.Patience; reads that wait for the log end
// with store.ErrClosed. Closing again waits for the first Close.
func (e *Engine) Close() error {
	e.shut.Do(func() {
		e.mu.Lock()
		e.closed = true
		e.mu.Unlock()
		e.endWaits()
		e.running.Wait()
		e.endWork()
		e.closeErr = errors.Join(e.data.close(), e.waits.close(), e.spool.close())
	})
	return e.closeErr
}
