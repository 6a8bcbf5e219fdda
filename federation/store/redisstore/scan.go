package redisstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// pageRecords is how many records one script call answers with at most.
const pageRecords = 500

// Scan implements store.Engine. Up to pageRecords records of altogether a
// megabyte are of one moment; a longer answer is read in several steps.
func (e *Engine) Scan(ctx context.Context, r store.Range) ([]store.Record, error) {
	if r.Limit < 1 {
		return nil, fmt.Errorf("store: a scan for %d records", r.Limit)
	}
	if err := errors.Join(checkKey(store.Key{Kind: r.Kind, ID: r.Prefix}), checkKey(store.Key{ID: r.After})); err != nil {
		return nil, err
	}
	if err := e.begin(ctx, r.Partition); err != nil {
		return nil, err
	}
	defer e.running.Done()
	p := e.parts[r.Partition]
	var recs []store.Record
	from, to := lexRange(r)
	for {
		page, err := e.page(ctx, p, r.Kind, from, to, min(r.Limit-len(recs), pageRecords))
		if err != nil {
			return nil, err
		}
		recs = append(recs, page.records...)
		e.prune(ctx, p, r.Kind, page.stale)
		if from = page.next; from == "" || len(recs) >= r.Limit {
			return recs, nil
		}
	}
}

// lexRange are the bounds of a range as ZRANGE wants them.
func lexRange(r store.Range) (from, to string) {
	from, to = "["+r.Prefix, "+"
	// The least id above all that begin with the prefix.
	for end := []byte(r.Prefix); len(end) > 0; end = end[:len(end)-1] {
		if last := len(end) - 1; end[last] != 0xff {
			end[last]++
			to = "(" + string(end)
			break
		}
	}
	if r.After >= r.Prefix && r.After != "" {
		from = "(" + r.After
	}
	return from, to
}

type page struct {
	records []store.Record
	// stale are ids whose records Redis has removed, as their time had come.
	stale []string
	next  string
}

func (e *Engine) page(ctx context.Context, p *part, kind, from, to string, limit int) (page, error) {
	var got page
	err := e.try(ctx, p.names.meta, func(ctx context.Context, c *redis.Client) error {
		reply, err := call(ctx, c, e.scripts.scan, []string{p.names.meta, p.names.index(kind)},
			from, to, limit, e.o.Skew().Microseconds(), p.names.records(kind)).Slice()
		if err != nil {
			return err
		}
		if len(reply) != 5 {
			return errDamaged
		}
		if err := e.observe(p, text(reply[0])); err != nil {
			return err
		}
		if micros, ok := reply[1].(int64); ok {
			e.clock.learn(micros)
		}
		got, err = parsePage(p.number, kind, reply)
		return err
	})
	return got, err
}

func parsePage(p store.Partition, kind string, reply []any) (page, error) {
	got := page{next: text(reply[2])}
	found, ok1 := reply[3].([]any)
	stale, ok2 := reply[4].([]any)
	if !ok1 || !ok2 || len(found)%2 != 0 {
		return got, errDamaged
	}
	for i := 0; i < len(found); i += 2 {
		rec, err := parseRecord(store.Key{Partition: p, Kind: kind, ID: text(found[i])}, text(found[i+1]))
		if err != nil {
			return got, err
		}
		got.records = append(got.records, rec)
	}
	for _, id := range stale {
		got.stale = append(got.stale, text(id))
	}
	return got, nil
}

// prune takes ids out of an index. Where that fails Run does it later.
func (e *Engine) prune(ctx context.Context, p *part, kind string, ids []string) {
	if len(ids) == 0 {
		return
	}
	keys, args := []string{p.names.index(kind)}, make([]any, len(ids))
	for i, id := range ids {
		keys = append(keys, p.names.records(kind)+id)
		args[i] = id
	}
	_ = e.once(ctx, e.data, p.names.meta, func(ctx context.Context, c *redis.Client) error {
		n, err := call(ctx, c, e.scripts.prune, keys, args...).Int()
		if err == nil {
			e.tally.swept.Add(uint64(n))
		}
		return err
	})
}
