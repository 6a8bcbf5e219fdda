package redisstore

import (
	"context"
	"fmt"
	"iter"

	"github.com/redis/go-redis/v9"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

const (
	// A load is made in calls of so many items or bytes.
	loadItems = 500
	loadBytes = 4 << 20
	// maxVersion is the greatest from which scripts, which count in floating
	// point, can go on for ever.
	maxVersion = 1 << 52
)

// Load implements store.Dumper. While it goes on, the partitions' meta is not
// one that anybody can work with, whatever process; the last step makes it one.
// Times of log entries are kept to the microsecond. What a load that failed has
// left behind has to be removed by hand: the keys that begin with the prefix, in
// braces or not.
func (e *Engine) Load(ctx context.Context, items iter.Seq2[store.Item, error]) error {
	if err := e.begin(ctx, 0); err != nil {
		return err
	}
	defer e.running.Done()
	for _, last := range []bool{false, true} { // all are looked at before any is marked
		for _, p := range e.parts {
			if err := e.beginLoad(ctx, p, last); err != nil {
				return err
			}
		}
	}
	heads, err := e.loadItems(ctx, store.CheckDump(e.layout, items))
	if err != nil {
		return fmt.Errorf("store: load: %w", err)
	}
	for i, p := range e.parts {
		if err := e.endLoad(ctx, p, heads[i]); err != nil {
			return fmt.Errorf("store: load: %w", err)
		}
	}
	return nil
}

// loadingMeta is what a partition of this store is while it is loaded.
func (e *Engine) loadingMeta() string { return "loading 0 " + e.store }

// beginLoadScript says whether a partition was ever written to, and marks it.
//
//	KEYS  meta, version, log, kinds, trimmed    ARGV  meta as it is, meta to be
//	or nothing, by how much versions jump with an epoch
//
// It answers nothing where all is well.
const beginLoadScript = `#!lua
local meta = redis.call('GET', KEYS[1])
if meta ~= ARGV[1] then return 'moved' end
local version = tonumber(redis.call('GET', KEYS[2]) or '0')
if redis.call('EXISTS', KEYS[4], KEYS[5]) > 0 or redis.call('XLEN', KEYS[3]) > 0 or version % ARGV[3] ~= 1 then
  return 'used'
end
if ARGV[2] ~= '' then
  redis.call('SET', KEYS[1], ARGV[2])
  redis.call('UNLINK', KEYS[3])
end
return ''
`

func (e *Engine) beginLoad(ctx context.Context, p *part, mark bool) error {
	to := ""
	if mark {
		to = e.loadingMeta()
	}
	var answer string
	err := e.once(ctx, e.data, p.names.meta, func(ctx context.Context, c *redis.Client) (err error) {
		keys := []string{p.names.meta, p.names.version, p.names.log, p.names.kinds, p.names.trimmed}
		answer, err = call(ctx, c, newScript(beginLoadScript), keys, p.meta.Load().raw, to, versionJump).Text()
		return err
	})
	switch {
	case err != nil:
		return unavailable(err)
	case answer == "moved":
		return store.ErrWritten
	case answer != "":
		return store.ErrNotEmpty
	}
	return nil
}

// loadItems writes everything but the heads, which it answers.
func (e *Engine) loadItems(ctx context.Context, items iter.Seq2[store.Item, error]) ([]store.Head, error) {
	heads := make([]store.Head, len(e.parts))
	var some []store.Item
	size := 0
	for it, err := range items {
		if err != nil {
			return nil, err
		}
		if it.Head != nil {
			if it.Head.Version > maxVersion || it.Head.Last.Epoch == 0 || it.Head.Last.Epoch > maxVersion {
				return nil, fmt.Errorf("partition %d cannot go on at version %d and position %v", it.Partition, it.Head.Version, it.Head.Last)
			}
			heads[it.Partition] = *it.Head
		}
		if len(some) > 0 && (it.Partition != some[0].Partition || len(some) == loadItems || size > loadBytes) {
			if err := e.loadSome(ctx, some); err != nil {
				return nil, err
			}
			some, size = nil, 0
		}
		switch {
		case it.Record != nil:
			size += len(it.Record.Value)
		case it.Entry != nil:
			size += len(it.Entry.Value)
		default:
			continue
		}
		some = append(some, it)
	}
	if len(some) == 0 {
		return heads, nil
	}
	return heads, e.loadSome(ctx, some)
}

// loadSome writes items of one partition in one round trip.
func (e *Engine) loadSome(ctx context.Context, items []store.Item) error {
	p := e.parts[items[0].Partition]
	for _, it := range items {
		if it.Record == nil {
			continue
		}
		if err := checkOp(store.Put(it.Record.Key, it.Record.Value, it.Record.Expires)); err != nil {
			return err
		}
	}
	err := e.once(ctx, e.data, p.names.meta, func(ctx context.Context, c *redis.Client) error {
		pipe := c.Pipeline()
		for _, it := range items {
			if it.Record != nil {
				e.loadRecord(ctx, pipe, p, *it.Record)
				continue
			}
			value := append(appendUint(nil, uint64(max(it.Entry.At.UnixMicro(), 0)), 7), it.Entry.Value...)
			pipe.XAdd(ctx, &redis.XAddArgs{Stream: p.names.log, ID: it.Entry.Position.String(), Values: []any{"v", value}})
		}
		_, err := pipe.Exec(ctx)
		return err
	})
	if err != nil {
		return unavailable(err)
	}
	return nil
}

func (e *Engine) loadRecord(ctx context.Context, pipe redis.Pipeliner, p *part, r store.Record) {
	raw := appendUint(make([]byte, 0, recordHead+len(r.Value)), uint64(r.Version), versionSize)
	raw = append(appendExpiry(raw, r.Expires), r.Value...)
	args := []any{"SET", p.names.records(r.Key.Kind) + r.Key.ID, raw}
	if at := removeAt(r.Expires, e.o.Skew()); at > 0 {
		args = append(args, "PXAT", at)
	}
	pipe.SAdd(ctx, p.names.kinds, r.Key.Kind)
	pipe.ZAdd(ctx, p.names.index(r.Key.Kind), redis.Z{Member: r.Key.ID})
	pipe.Do(ctx, args...)
}

// endLoadScript makes a loaded partition one that can be worked with. Versions
// are never below 1, where those of a new store begin.
//
//	KEYS  meta, version, log, trimmed    ARGV  meta while loading, epoch, id of
//	the store, version, position of the log's end, how far it is trimmed or nothing
//
// It answers meta.
const endLoadScript = `#!lua
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return '' end
local history = string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)')
redis.call('SET', KEYS[2], ARGV[4])
if ARGV[6] ~= '' then redis.call('SET', KEYS[4], ARGV[6]) end
if redis.call('EXISTS', KEYS[3]) == 0 then
  redis.call('XADD', KEYS[3], 'MAXLEN', '=', 0, ARGV[5], 'v', '')
else
  redis.call('XSETID', KEYS[3], ARGV[5])
end
local meta = ARGV[2] .. ' ' .. history .. ' ' .. ARGV[3]
redis.call('SET', KEYS[1], meta)
return meta
`

func (e *Engine) endLoad(ctx context.Context, p *part, h store.Head) error {
	trimmed := ""
	if h.Trimmed != (store.Position{}) {
		trimmed = h.Trimmed.String()
	}
	var raw string
	replicas := int64(0)
	err := e.once(ctx, e.data, p.names.meta, func(ctx context.Context, c *redis.Client) error {
		pipe := c.Pipeline()
		keys := []string{p.names.meta, p.names.version, p.names.log, p.names.trimmed}
		done := pipe.Eval(ctx, endLoadScript, keys, e.loadingMeta(), h.Last.Epoch, e.store, uint64(max(h.Version, 1)), h.Last.String(), trimmed)
		waited := pipe.Do(ctx, "WAIT", e.o.Replicas, e.o.ReplicaTimeout.Milliseconds())
		_, _ = pipe.Exec(ctx) // each command keeps its own error
		replicas, _ = waited.Int64()
		var err error
		raw, err = done.Text()
		return err
	})
	if err != nil {
		return unavailable(err)
	}
	m, err := parseMeta(raw)
	if err != nil {
		return store.ErrWritten
	}
	p.meta.Store(m)
	p.kinds.Clear()
	p.beacon.light()
	if int(replicas) < e.o.Replicas {
		e.o.Log.WarnContext(ctx, "a loaded partition is not yet on enough replicas", "partition", p.number, "replicas", replicas)
	}
	return nil
}
