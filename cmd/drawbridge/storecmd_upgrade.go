package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/drawbridge-id/drawbridge/federation/store"
	"github.com/drawbridge-id/drawbridge/sessionhooks/delivery"
)

// upgradeStore brings a store of an earlier version to where this one looks for
// things, once in its life, before anything else works with it. The list only
// grows, at its end: see store.Upgrade.
func upgradeStore(ctx context.Context, eng store.Engine, l store.Layout, sealer *store.Sealer) error {
	for p := range max(l.Partitions, 1) {
		if err := store.Upgrade(ctx, eng, store.Partition(p), fileEventData(sealer)); err != nil {
			return err
		}
	}
	return nil
}

// fileEventData moves what events tell from records by event, beside an index by
// aggregate, to records by aggregate and event, and tells the deliveries that
// need it the aggregate.
func fileEventData(sealer *store.Sealer) func(context.Context, store.Engine, store.Partition) error {
	return func(ctx context.Context, eng store.Engine, p store.Partition) error {
		f := &filing{
			eng: eng, p: p, jobs: map[store.Place]map[string][]store.Row[delivery.Job]{},
			data:  store.NewTable[json.RawMessage](eng, store.TableOptions{Kind: "event_data", Schema: 1, Sealer: sealer}),
			queue: store.NewTable[delivery.Job](eng, store.TableOptions{Kind: "job", Schema: 1, Sealer: sealer}),
		}
		if err := f.each(ctx, "event_about", f.settle); err != nil {
			return err
		}
		return f.each(ctx, "event_data", f.moveLoose)
	}
}

type filing struct {
	eng   store.Engine
	p     store.Partition
	data  *store.Table[json.RawMessage]
	queue *store.Table[delivery.Job]
	// jobs are the deliveries of each tenant without an aggregate, by event.
	jobs map[store.Place]map[string][]store.Row[delivery.Job]
}

// each visits the records of a kind, of all tenants.
func (f *filing) each(ctx context.Context, kind string, visit func(context.Context, store.Record) error) error {
	after := ""
	for {
		recs, err := f.eng.Scan(ctx, store.Range{Partition: f.p, Kind: kind, After: after, Limit: 200})
		if err != nil || len(recs) == 0 {
			return err
		}
		for _, rec := range recs {
			after = rec.Key.ID
			if err := visit(ctx, rec); err != nil {
				return fmt.Errorf("move %s: %w", kind, err)
			}
		}
	}
}

// settle moves an entry, and again where another node has changed a delivery.
func (f *filing) settle(ctx context.Context, rec store.Record) error {
	for try := 0; ; try++ {
		err := f.move(ctx, rec)
		if !errors.Is(err, store.ErrConflict) || try == 5 {
			return err
		}
		clear(f.jobs)
	}
}

// move files what an entry of the old index leads to, in one commit, so that it
// may be done again after a crash at any moment.
func (f *filing) move(ctx context.Context, rec store.Record) error {
	at := rec.Key.Place()
	_, event, _ := strings.Cut(rec.Key.Local(), "/")
	ops := []store.Op{store.Drop(rec.Key)}
	row, err := f.data.Get(ctx, at, event)
	switch {
	case err == nil:
		ops = append(ops, f.data.Drop(at, event), f.data.Put(at, rec.Key.Local(), row.Value, row.Expires))
	case !errors.Is(err, store.ErrNotFound):
		return err
	}
	waiting, err := f.waiting(ctx, at)
	if err != nil {
		return err
	}
	for _, job := range waiting[event] {
		job.Value.Aggregate, _, _ = strings.Cut(rec.Key.Local(), "/")
		ops = append(ops, f.queue.Replace(at, job.ID, job.Value, job.Version, job.Expires))
	}
	_, err = f.eng.Commit(ctx, ops...)
	return err
}

// moveLoose files what is about nobody.
func (f *filing) moveLoose(ctx context.Context, rec store.Record) error {
	at, event := rec.Key.Place(), rec.Key.Local()
	if strings.Contains(event, "/") {
		return nil
	}
	row, err := f.data.Get(ctx, at, event)
	if err != nil {
		return err
	}
	_, err = f.eng.Commit(ctx, f.data.Drop(at, event), f.data.Put(at, "/"+event, row.Value, row.Expires))
	return err
}

// waiting reads a tenant's deliveries, once.
func (f *filing) waiting(ctx context.Context, at store.Place) (map[string][]store.Row[delivery.Job], error) {
	if known, ok := f.jobs[at]; ok {
		return known, nil
	}
	known, after := map[string][]store.Row[delivery.Job]{}, ""
	for {
		rows, err := f.queue.Scan(ctx, at, "", after, 200)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			after = row.ID
			if row.Value.Event != "" && row.Value.Aggregate == "" {
				known[row.Value.Event] = append(known[row.Value.Event], row)
			}
		}
		if len(rows) == 0 {
			f.jobs[at] = known
			return known, nil
		}
	}
}
