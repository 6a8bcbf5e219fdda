package main

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/drawbridge-id/drawbridge/config"
	"github.com/drawbridge-id/drawbridge/federation/store"
)

type storeCheckCommand struct {
	storeFlags
	File string `placeholder:"FILE" help:"Check this backup of a bolt store instead of the store."`
}

// Run reads everything and prints what there is and what is wrong with it.
func (c storeCheckCommand) Run(ctx context.Context) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	return checkStore(ctx, cfg, c.File, os.Stdout)
}

func checkStore(ctx context.Context, cfg config.Config, file string, w io.Writer) (err error) {
	eng, err := openToRead(ctx, cfg, file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, eng.Close()) }()
	c, err := examine(ctx, cfg, eng)
	if err != nil {
		return err
	}
	if err := c.print(w); err != nil {
		return err
	}
	if n := c.problems(); n > 0 {
		return fmt.Errorf("the store has %d problems", n)
	}
	return nil
}

// examine checks a store from the bottom to the top: the file, each record and
// entry by itself, and then what they say of each other.
func examine(ctx context.Context, cfg config.Config, eng movable) (*examination, error) {
	sealer, err := store.NewSealer(sealingKeys(cfg))
	if err != nil {
		return nil, err
	}
	known, err := catalogue(sealer)
	if err != nil {
		return nil, err
	}
	x := &examination{known: known, kinds: map[string]*tally{}, heads: map[store.Partition]*section{}, seed: maphash.MakeSeed(), links: map[link]bool{}, found: map[string]*finding{}}
	if err := eng.Check(ctx, func(problem string) { x.problem(problem, "") }); err != nil {
		return nil, err
	}
	if x.problems() > 0 {
		return x, nil // what stands on damaged ground is not looked at
	}
	if err := x.read(ctx, eng, x.first); err != nil {
		return nil, err
	}
	if x.loose() {
		// Read again to say whose links lead nowhere: to keep who says what of
		// a million sessions would take more memory than the store.
		err = x.read(ctx, eng, x.second)
	}
	return x, err
}

// examination is a check of a store under way.
type examination struct {
	known *store.Catalogue
	kinds map[string]*tally
	heads map[store.Partition]*section
	// links are all records, and those that others count on: whether they are
	// there.
	seed  maphash.Seed
	links map[link]bool
	found map[string]*finding
	order []string
}

// link stands for a record: a hash of its key, since all are remembered.
type link uint64

// link tells persons apart by their id alone: of a tenant that is spread over
// partitions, what finds a person may stand in another one.
func (x *examination) link(k store.Key) link {
	if k.Kind == "person" {
		k.Partition = 0
	}
	return link(maphash.Comparable(x.seed, k))
}

// tally is how much there is of a kind.
type tally struct {
	records, older int
	bytes          int64
	perPartition   map[store.Partition]int
}

// section is what was seen of a partition.
type section struct {
	head             store.Head
	records, entries int
}

// finding is something wrong, and whom it was found with.
type finding struct {
	count    int
	examples []string
	remark   bool
}

// mostExamples is how many examples of a finding are kept.
const mostExamples = 5

func (x *examination) problem(what, whose string) { x.note(what, whose, false) }

func (x *examination) note(what, whose string, remark bool) {
	f := x.found[what]
	if f == nil {
		f = &finding{remark: remark}
		x.found[what] = f
		x.order = append(x.order, what)
	}
	f.count++
	if whose != "" && len(f.examples) < mostExamples {
		f.examples = append(f.examples, whose)
	}
}

func (x *examination) problems() (n int) {
	for _, f := range x.found {
		if !f.remark {
			n += f.count
		}
	}
	return n
}

func (x *examination) read(ctx context.Context, eng store.Dumper, visit func(store.Item)) error {
	for item, err := range store.CheckDump(eng.Layout(), eng.Dump(ctx)) {
		if err != nil {
			return standStill(err)
		}
		visit(item)
	}
	return nil
}

// first looks at an item by itself and notes what it counts on.
func (x *examination) first(it store.Item) {
	switch {
	case it.Head != nil:
		x.heads[it.Partition] = &section{head: *it.Head}
	case it.Entry != nil:
		x.heads[it.Partition].entries++
		if err := readEvent(*it.Entry); err != nil {
			x.problem("a log entry cannot be read: "+err.Error(), it.Entry.Position.String())
		}
	default:
		x.record(*it.Record)
	}
}

func (x *examination) record(rec store.Record) {
	p := rec.Key.Partition
	x.heads[p].records++
	t := x.kinds[rec.Key.Kind]
	if t == nil {
		t = &tally{perPartition: map[store.Partition]int{}}
		x.kinds[rec.Key.Kind] = t
	}
	t.records++
	t.bytes += int64(len(rec.Value))
	t.perPartition[p]++
	is, err := x.known.Read(rec)
	if err != nil {
		x.problem("a record cannot be read: "+err.Error(), name(rec.Key))
		return
	}
	if is.Schema < is.Current {
		t.older++
	}
	x.links[x.link(rec.Key)] = true
	for _, d := range demands(rec, is.Value, x.heads[p].head) {
		if d.wrong {
			x.problem(d.why, name(rec.Key))
			continue
		}
		if to := x.link(d.key); !x.links[to] {
			x.links[to] = false // wanted, and not found so far
		}
	}
}

// loose says whether anything leads nowhere.
func (x *examination) loose() bool {
	for _, there := range x.links {
		if !there {
			return true
		}
	}
	return false
}

// second names those whose links lead nowhere.
func (x *examination) second(it store.Item) {
	if it.Record == nil {
		return
	}
	is, err := x.known.Read(*it.Record)
	if err != nil {
		return // told before
	}
	for _, d := range demands(*it.Record, is.Value, x.heads[it.Partition].head) {
		if !d.wrong && !x.links[x.link(d.key)] {
			x.note(d.why, name(it.Record.Key), d.harmless)
		}
	}
}

func name(k store.Key) string { return fmt.Sprintf("%s %q in partition %d", k.Kind, k.ID, k.Partition) }

func (x *examination) print(w io.Writer) error {
	out := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(out, "kind\trecords\tbytes\tof an older schema\tper partition")
	for _, kind := range slices.Sorted(maps.Keys(x.kinds)) {
		t := x.kinds[kind]
		fmt.Fprintf(out, "%s\t%d\t%d\t%d\t%s\n", kind, t.records, t.bytes, t.older, x.spread(t.perPartition))
	}
	fmt.Fprintln(out, "\npartition\trecords\tlog entries\tlog trimmed up to\tlog ends at\tversion")
	for _, p := range slices.Sorted(maps.Keys(x.heads)) {
		s := x.heads[p]
		fmt.Fprintf(out, "%d\t%d\t%d\t%v\t%v\t%d\n", p, s.records, s.entries, s.head.Trimmed, s.head.Last, s.head.Version)
	}
	if err := out.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	for _, what := range x.order {
		f := x.found[what]
		level := "problem"
		if f.remark {
			level = "remark"
		}
		fmt.Fprintf(w, "%s: %s (%d times)\n", level, what, f.count)
		for _, whose := range f.examples {
			fmt.Fprintf(w, "  %s\n", whose)
		}
	}
	_, err := fmt.Fprintf(w, "%d problems\n", x.problems())
	return err
}

// spread is the numbers of all partitions in order.
func (x *examination) spread(n map[store.Partition]int) string {
	var all []string
	for _, p := range slices.Sorted(maps.Keys(x.heads)) {
		all = append(all, fmt.Sprint(n[p]))
	}
	return strings.Join(all, " ")
}
