package redisstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// dumpEntries is how many log entries are read, or written, at once.
const dumpEntries = 500

// Dump implements store.Dumper. It reads in many steps, so it is of one moment
// only when nobody writes: store.ErrWritten if somebody did. What the servers
// remove by themselves, because its time has come, is no write.
func (e *Engine) Dump(ctx context.Context) iter.Seq2[store.Item, error] {
	return func(yield func(store.Item, error) bool) {
		err := e.dump(ctx, func(it store.Item) error {
			if !yield(it, nil) {
				return errEnough
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield(store.Item{}, err)
		}
	}
}

// errEnough ends a dump whose reader wants no more.
var errEnough = errors.New("store: enough was read")

func (e *Engine) dump(ctx context.Context, visit func(store.Item) error) error {
	if err := e.begin(ctx, 0); err != nil {
		return err
	}
	defer e.running.Done()
	began := make([]store.Head, len(e.parts))
	for i, p := range e.parts {
		var err error
		if began[i], err = e.head(ctx, p); err != nil {
			return err
		}
	}
	for i, p := range e.parts {
		if err := visit(store.Item{Partition: p.number, Head: &began[i]}); err != nil {
			return err
		}
		if err := e.dumpRecords(ctx, p, began[i], visit); err != nil {
			return err
		}
		if err := e.dumpLog(ctx, p, began[i], visit); err != nil {
			return err
		}
	}
	for i, p := range e.parts {
		if now, err := e.head(ctx, p); err != nil || now != began[i] {
			return errors.Join(err, changed(now != began[i] && err == nil))
		}
	}
	return nil
}

func changed(yes bool) error {
	if yes {
		return store.ErrWritten
	}
	return nil
}

// head reads what a partition remembers. Where its log ends is what the stream
// itself remembers: the epoch's beginning, or the last entry.
func (e *Engine) head(ctx context.Context, p *part) (store.Head, error) {
	var values []any
	var last string
	err := e.try(ctx, p.names.meta, func(ctx context.Context, c *redis.Client) error {
		pipe := c.Pipeline()
		got := pipe.MGet(ctx, p.names.meta, p.names.version, p.names.trimmed)
		log := pipe.XInfoStream(ctx, p.names.log)
		_, _ = pipe.Exec(ctx) // each command keeps its own error
		var err error
		if values, err = got.Result(); err != nil {
			return err
		}
		if err := e.observe(p, text(values[0])); err != nil {
			return err
		}
		if log.Err() == nil {
			last = log.Val().LastGeneratedID
		}
		return log.Err()
	})
	if err != nil {
		return store.Head{}, err
	}
	version, err1 := strconv.ParseUint(text(values[1]), 10, 64)
	h := store.Head{Version: store.Version(version)}
	var err2, err3 error
	h.Last, err2 = store.ParsePosition(last)
	if mark := text(values[2]); mark != "" {
		h.Trimmed, err3 = store.ParsePosition(mark)
	}
	if err1 != nil || err2 != nil || err3 != nil {
		return h, fmt.Errorf("read partition %d: %w", p.number, errDamaged)
	}
	return h, nil
}

func (e *Engine) dumpRecords(ctx context.Context, p *part, began store.Head, visit func(store.Item) error) error {
	kinds, err := e.listKinds(ctx, p)
	if err != nil {
		return unavailable(err)
	}
	slices.Sort(kinds)
	for _, kind := range kinds {
		for from := "-"; from != ""; {
			page, err := e.page(ctx, p, kind, from, "+", pageRecords)
			if err != nil {
				return err
			}
			for i := range page.records {
				if page.records[i].Version > began.Version {
					return store.ErrWritten
				}
				if err := visit(store.Item{Partition: p.number, Record: &page.records[i]}); err != nil {
					return err
				}
			}
			from = page.next
		}
	}
	return nil
}

func (e *Engine) dumpLog(ctx context.Context, p *part, began store.Head, visit func(store.Item) error) error {
	after := began.Trimmed
	for {
		entries, err := e.readLog(ctx, p, after, dumpEntries)
		if errors.Is(err, store.ErrTrimmed) {
			return store.ErrWritten
		}
		if err != nil || len(entries) == 0 {
			return err
		}
		for i := range entries {
			after = entries[i].Position
			if after.Compare(began.Last) > 0 {
				return store.ErrWritten
			}
			if err := visit(store.Item{Partition: p.number, Entry: &entries[i]}); err != nil {
				return err
			}
		}
	}
}
