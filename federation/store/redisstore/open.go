package redisstore

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// Open connects to Redis and opens the store there, or creates it where there
// is none: see the package doc for how that is told from one that was lost.
// store.ErrUnavailable when Redis does not answer.
func Open(ctx context.Context, o Options) (*Engine, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	e := &Engine{
		o: o, scripts: newScripts(), clock: clock{now: o.Now},
		data:  newServers(o, o.Timeout+o.ReplicaTimeout, o.Connections),
		waits: newServers(o, block+o.Timeout, maxPartitions),
		owner: draw(6),
	}
	e.work, e.endWork = context.WithCancel(context.Background())
	e.background, e.endWaits = context.WithCancel(e.work)
	if err := e.open(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("store: open Redis: %w", err), e.data.close(), e.waits.close(), e.spool.close())
	}
	return e, nil
}

func (e *Engine) open(ctx context.Context) error {
	// Until the layout is known there is one partition, for its name.
	e.parts = []*part{{names: namesOf(e.o.Prefix, 0)}}
	if err := e.inspect(ctx); err != nil {
		return err
	}
	m, err := e.readMarker(ctx)
	if err != nil {
		return err
	}
	if m.schema > schema {
		return fmt.Errorf("its schema is %d, this binary knows %d: %w", m.schema, schema, store.ErrNewer)
	}
	if e.o.Partitions != 0 && e.o.Partitions != m.partitions {
		return fmt.Errorf("it was created with %d partitions, which cannot become %d", m.partitions, e.o.Partitions)
	}
	e.store, e.layout = m.store, store.Layout{Partitions: m.partitions}
	e.parts = make([]*part, m.partitions)
	for i := range e.parts {
		number := store.Partition(i)
		e.parts[i] = &part{number: number, names: namesOf(e.o.Prefix, number)}
	}
	if err := e.openPartitions(ctx, m); err != nil {
		return err
	}
	if e.o.SpoolPath != "" {
		named := func(p store.Partition) names { return namesOf(e.o.Prefix, p) }
		if e.spool, err = openSpool(e.o.SpoolPath, e.store, named); err != nil {
			return err
		}
	}
	_, err = e.serverTime(ctx, e.parts[0])
	return err
}

const (
	schema            = 1
	defaultPartitions = 16
	// storeIDSize is the length of a store's id in hexadecimal.
	storeIDSize = 24
)

func draw(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}

// mark of the whole store: schema, partitions, id, and whether its partitions
// are all made.
type storeMarker struct {
	schema, partitions int
	store              string
	ready              bool
}

func (m storeMarker) String() string {
	state := "creating"
	if m.ready {
		state = "ready"
	}
	return fmt.Sprintf("%d %d %s %s", m.schema, m.partitions, m.store, state)
}

func parseMarker(raw string) (storeMarker, error) {
	f := strings.Split(raw, " ")
	if len(f) != 4 || len(f[2]) != storeIDSize {
		return storeMarker{}, fmt.Errorf("read layout: %w", errDamaged)
	}
	version, err1 := strconv.Atoi(f[0])
	parts, err2 := strconv.Atoi(f[1])
	if err1 != nil || err2 != nil || version < 1 || parts < 1 || parts > maxPartitions {
		return storeMarker{}, fmt.Errorf("read layout: %w", errDamaged)
	}
	return storeMarker{schema: version, partitions: parts, store: f[2], ready: f[3] == "ready"}, nil
}

// readMarker finds the store, or begins one: of several who do one succeeds.
func (e *Engine) readMarker(ctx context.Context) (storeMarker, error) {
	key := marker(e.o.Prefix)
	raw, err := e.plainGet(ctx, key)
	if err != nil {
		return storeMarker{}, err
	}
	if raw == "" && e.o.MustExist {
		return storeMarker{}, fmt.Errorf("no store with the prefix %q: %w", e.o.Prefix, store.ErrNotFound)
	}
	if raw == "" {
		if err := e.mayCreate(ctx); err != nil {
			return storeMarker{}, err
		}
		partitions := e.o.Partitions
		setDefault(&partitions, defaultPartitions)
		m := storeMarker{schema: schema, partitions: partitions, store: draw(storeIDSize / 2)}
		err := e.try(ctx, key, func(ctx context.Context, c *redis.Client) error {
			return c.SetNX(ctx, key, m.String(), 0).Err()
		})
		if err != nil {
			return m, err
		}
		if raw, err = e.plainGet(ctx, key); err != nil {
			return m, err
		}
	}
	return parseMarker(raw)
}

// mayCreate refuses to take a store that has lost its marker for an empty
// server, or one that this process has worked with for one that never was.
func (e *Engine) mayCreate(ctx context.Context) error {
	if e.o.SpoolPath != "" {
		id, err := spoolStore(e.o.SpoolPath)
		if err != nil {
			return err
		}
		if id != "" {
			return fmt.Errorf("%w: Redis is empty, but the spool %s was written for a store; move the file away to begin a new one", store.ErrLost, e.o.SpoolPath)
		}
	}
	for i := range maxPartitions {
		raw, err := e.plainGet(ctx, namesOf(e.o.Prefix, store.Partition(i)).meta)
		if err != nil {
			return err
		}
		if raw == "" {
			if i < max(e.o.Partitions, defaultPartitions) {
				continue
			}
			return nil
		}
		// Unless somebody else has just begun to create it.
		if raw, err = e.plainGet(ctx, marker(e.o.Prefix)); err == nil && raw == "" {
			err = fmt.Errorf("%w: the store's marker is gone", store.ErrLost)
		}
		return err
	}
	return nil
}

func (e *Engine) plainGet(ctx context.Context, key string) (value string, err error) {
	err = e.try(ctx, key, func(ctx context.Context, c *redis.Client) (err error) {
		value, err = c.Get(ctx, key).Result()
		return err
	})
	return value, err
}

// openPartitions learns what every partition is; a store that was not made to
// the end is.
func (e *Engine) openPartitions(ctx context.Context, m storeMarker) error {
	for _, p := range e.parts {
		var raw string
		var err error
		if m.ready {
			raw, err = e.plainGet(ctx, p.names.meta)
		} else {
			raw, err = e.create(ctx, p)
		}
		if err != nil {
			return err
		}
		if err := e.observe(p, raw); err != nil {
			return err
		}
	}
	if m.ready {
		return nil
	}
	m.ready = true
	key := marker(e.o.Prefix)
	return e.try(ctx, key, func(ctx context.Context, c *redis.Client) error {
		return c.Set(ctx, key, m.String(), 0).Err()
	})
}

func (e *Engine) create(ctx context.Context, p *part) (raw string, err error) {
	err = e.try(ctx, p.names.meta, func(ctx context.Context, c *redis.Client) (err error) {
		raw, err = call(ctx, c, e.scripts.begin, []string{p.names.meta, p.names.version, p.names.log}, e.store).Text()
		return err
	})
	return raw, err
}
