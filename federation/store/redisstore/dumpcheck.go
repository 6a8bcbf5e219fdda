package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// Check walks all keys of the store on its servers and tells of records that no
// scan would find, and that a dump would leave out: those that their index, or
// the list of kinds, does not have. No key is told. The error is that the check
// could not be made.
func (e *Engine) Check(ctx context.Context, tell func(problem string)) error {
	if err := e.begin(ctx, 0); err != nil {
		return err
	}
	defer e.running.Done()
	c := &inspection{e: e, lost: map[store.Partition]int{}, unlisted: map[store.Partition]int{}, tags: map[string]*part{}}
	for _, p := range e.parts {
		c.tags[p.names.tag] = p
		kinds, err := e.listKinds(ctx, p)
		if err != nil {
			return unavailable(err)
		}
		for _, kind := range kinds {
			p.kinds.Store(kind, nil)
		}
	}
	if err := e.data.masters(ctx, c.server); err != nil {
		return unavailable(err)
	}
	for _, p := range e.parts {
		if n := c.lost[p.number]; n > 0 {
			tell(fmt.Sprintf("partition %d: %d records are not in their index", p.number, n))
		}
		if n := c.unlisted[p.number]; n > 0 {
			tell(fmt.Sprintf("partition %d: %d records are of a kind that is not in the list of kinds", p.number, n))
		}
	}
	return nil
}

// inspection is a check under way, on several servers at once.
type inspection struct {
	e    *Engine
	tags map[string]*part

	mu             sync.Mutex
	lost, unlisted map[store.Partition]int
}

// server walks the keys of one server.
func (c *inspection) server(ctx context.Context, server *redis.Client) error {
	var cursor uint64
	for {
		keys, next, err := server.Scan(ctx, cursor, "{"+c.e.o.Prefix+":*}*", 1000).Result()
		if err != nil {
			return err
		}
		if err := c.keys(ctx, server, keys); err != nil {
			return err
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

// placed is a record's key taken apart.
type placed struct {
	key, kind, id string
	part          *part
}

func (c *inspection) place(key string) (placed, bool) {
	end := strings.IndexByte(key, '}') + 1
	p := c.tags[key[:end]]
	rest := key[end:]
	// Behind the tag of a record is the length of its kind.
	if p == nil || rest == "" || rest[0] == 0 || len(rest) < 1+int(rest[0]) {
		return placed{}, false
	}
	size := 1 + int(rest[0])
	return placed{key: key, kind: rest[1:size], id: rest[size:], part: p}, true
}

func (c *inspection) keys(ctx context.Context, server *redis.Client, keys []string) error {
	var all []placed
	for _, key := range keys {
		if r, ok := c.place(key); ok {
			all = append(all, r)
		}
	}
	suspects, err := without(ctx, server, all)
	if err != nil || len(suspects) == 0 {
		return c.list(all, nil, err)
	}
	// A record that was removed between the two questions is no loss.
	lost, err := without(ctx, server, suspects)
	return c.list(all, lost, err)
}

// without are the records that are there and not in their index.
func without(ctx context.Context, server *redis.Client, all []placed) ([]placed, error) {
	if len(all) == 0 {
		return nil, nil
	}
	pipe := server.Pipeline()
	there, scores := make([]*redis.IntCmd, len(all)), make([]*redis.FloatCmd, len(all))
	for i, r := range all {
		scores[i] = pipe.ZScore(ctx, r.part.names.index(r.kind), r.id)
		there[i] = pipe.Exists(ctx, r.key)
	}
	_, _ = pipe.Exec(ctx) // each command keeps its own error
	var missing []placed
	for i, r := range all {
		if err := there[i].Err(); err != nil {
			return nil, err
		}
		if err := scores[i].Err(); err != nil && !errors.Is(err, redis.Nil) {
			return nil, err
		}
		if scores[i].Err() != nil && there[i].Val() == 1 {
			missing = append(missing, r)
		}
	}
	return missing, nil
}

// list counts what was found.
func (c *inspection) list(all, lost []placed, err error) error {
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range lost {
		c.lost[r.part.number]++
	}
	for _, r := range all {
		if _, known := r.part.kinds.Load(r.kind); !known {
			c.unlisted[r.part.number]++
		}
	}
	return nil
}
