package store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"
)

var (
	// ErrNotEmpty says that a store was to be loaded that has been written to.
	ErrNotEmpty = errors.New("store: only an empty store can be loaded")
	// ErrLoading says that a store is being loaded, or was and the load did not
	// end well: what is there is not whole, and nobody may work with it.
	ErrLoading = errors.New("store: a load of this store has not ended well")
	// ErrWritten says that a store was written to while it was dumped, so that
	// the dump is not of one moment.
	ErrWritten = errors.New("store: the store was written to while it was read")
)

// Head is what a partition remembers beside its records and its log.
type Head struct {
	// Version is the newest that a commit of the partition was given.
	Version Version
	// Last is the position of the newest entry ever appended. Its Epoch is the
	// one in which the log goes on, also where nothing was appended in it yet.
	Last Position
	// Trimmed is how far the log was trimmed; zero is not at all.
	Trimmed Position
}

// Item is one part of a dump: just one of Head, Record and Entry is set.
type Item struct {
	Partition Partition
	Head      *Head
	Record    *Record
	Entry     *Entry
}

// Dumper is an Engine whose whole contents can be read, and written to another
// engine, as they are. Values stay what they are for engines, opaque bytes: what
// is sealed stays sealed. The number of partitions is part of the contents,
// because cookies and tokens name their partition.
type Dumper interface {
	Engine
	// Layout is what the store was created with.
	Layout() Layout
	// Dump reads everything there is, in the order that CheckDump demands.
	// Records that have expired are left out. It is of one moment: an engine
	// that cannot read so while others write ends with ErrWritten if they did.
	// What it yields may be kept. An error is the last thing it yields.
	Dump(ctx context.Context) iter.Seq2[Item, error]
	// Load writes a dump with its versions, expiries, positions and heads into
	// a store that nothing was ever written to (ErrNotEmpty), and that nobody
	// else works with meanwhile. A dump that does not pass CheckDump is refused.
	// After a Load that failed the store answers ErrLoading, also when it is
	// opened anew: half of a dump is never seen.
	Load(ctx context.Context, items iter.Seq2[Item, error]) error
}

// CheckDump passes a dump of a store of this layout on, and ends it with an
// error at the first item that cannot stand where it does. Partitions come in
// order and each begins with its Head. Its records follow, those of one kind
// together and in the order of their ids, none at a version that the Head does
// not know of; then the entries of its log, oldest first, all of them after
// Trimmed and none after Last. Engines call it before anything else of Load.
func CheckDump(l Layout, items iter.Seq2[Item, error]) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		c := dumpCheck{partitions: max(l.Partitions, 1), partition: -1}
		for item, err := range items {
			if err == nil {
				err = c.item(item)
			}
			if err != nil {
				yield(Item{}, err)
				return
			}
			if !yield(item, nil) {
				return
			}
		}
		if c.partition+1 != c.partitions {
			yield(Item{}, fmt.Errorf("store: a dump of %d partitions, not %d", c.partition+1, c.partitions))
		}
	}
}

// dumpCheck is where in a dump CheckDump stands.
type dumpCheck struct {
	partitions, partition int
	head                  Head
	// kinds were begun in this partition; kind and id are of the record before.
	kinds    map[string]bool
	kind, id string
	// entry is the position of the entry before; logged says that there was one.
	entry  Position
	logged bool
}

func (c *dumpCheck) item(it Item) error {
	switch {
	case it.Head != nil && it.Record == nil && it.Entry == nil:
		return c.begin(int(it.Partition), *it.Head)
	case int(it.Partition) != c.partition:
		return fmt.Errorf("store: the dump has an item of partition %d in partition %d", it.Partition, c.partition)
	case it.Head == nil && it.Record != nil && it.Entry == nil:
		return c.record(*it.Record)
	case it.Head == nil && it.Record == nil && it.Entry != nil:
		return c.log(*it.Entry)
	}
	return errors.New("store: the dump has an item that is not one thing")
}

func (c *dumpCheck) begin(p int, h Head) error {
	if p != c.partition+1 || p >= c.partitions {
		return fmt.Errorf("store: the dump has partition %d after %d, of %d", p, c.partition, c.partitions)
	}
	if h.Last.Compare(h.Trimmed) < 0 {
		return fmt.Errorf("store: the dump's partition %d is trimmed up to %v, and ends at %v", p, h.Trimmed, h.Last)
	}
	*c = dumpCheck{partitions: c.partitions, partition: p, head: h, kinds: map[string]bool{}, entry: h.Trimmed}
	return nil
}

func (c *dumpCheck) record(r Record) error {
	k := r.Key
	switch {
	case int(k.Partition) != c.partition || k.Kind == "" || k.ID == "":
		return fmt.Errorf("store: the dump's partition %d has a record without a key in it", c.partition)
	case r.Version == 0 || r.Version > c.head.Version:
		return fmt.Errorf("store: the dump has %s %q at version %d of %d", k.Kind, k.ID, r.Version, c.head.Version)
	case c.logged:
		return fmt.Errorf("store: the dump has %s %q behind the log", k.Kind, k.ID)
	case k.Kind == c.kind && k.ID <= c.id || k.Kind != c.kind && c.kinds[k.Kind]:
		return fmt.Errorf("store: the dump has %s %q twice or not in its place", k.Kind, k.ID)
	}
	c.kinds[k.Kind] = true
	c.kind, c.id = k.Kind, k.ID
	return nil
}

func (c *dumpCheck) log(e Entry) error {
	if e.Position.Compare(c.entry) <= 0 || e.Position.Compare(c.head.Last) > 0 {
		return fmt.Errorf("store: the dump has log entry %v between %v and %v", e.Position, c.entry, c.head.Last)
	}
	c.entry, c.logged = e.Position, true
	return nil
}

// Moved is a dump made ready to go on in another place. Leases stay behind:
// their holders work with the old store. And the log goes on in a new epoch,
// as after a restore, because nobody can promise that the old store was not
// written to after the dump: no position means two entries, whatever became of
// it. Positions that readers hold stay good.
func Moved(items iter.Seq2[Item, error], now time.Time) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		for item, err := range items {
			switch {
			case err != nil:
			case item.Record != nil && item.Record.Key.Kind == leaseKind:
				continue
			case item.Head != nil:
				h := *item.Head
				h.Last = h.Last.NextEpoch(now)
				item.Head = &h
			}
			if !yield(item, err) || err != nil {
				return
			}
		}
	}
}

// NextEpoch is the position at which a log goes on whose newest entries may
// have been lost, or stand in a copy: in an epoch that no other copy of the
// store can have begun, unless within the same millisecond.
func (p Position) NextEpoch(now time.Time) Position {
	return Position{Epoch: max(p.Epoch+1, uint64(max(now.UnixMilli(), 0)))}
}
