package redisstore

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// change is an operation made ready by its caller.
type change struct {
	verb          store.Verb
	at            store.Version
	kind, id      string
	record, index string
	// value is what is stored but for what only the script knows: it begins
	// with the expiry, or is a log entry's.
	value []byte
	// removeAt is when Redis may remove the record, in milliseconds; 0 is never.
	removeAt uint64
	// far: that is not before the commit was made or given up.
	far bool
}

// What the script is told of a record's expiry, added to the verb. One that is
// near it compares with its own clock.
const (
	expiresLater = 10
	expiresSoon  = 20
)

func (c *change) expiry() uint64 {
	switch {
	case c.removeAt == 0:
		return 0
	case c.far:
		return expiresLater
	}
	return expiresSoon
}

// Commit implements store.Engine. Of the errors beside the contract's,
// store.ErrUnavailable means that nothing was written. With store.ErrUnsafe
// comes the version: the commit stands, and is kept in the spool.
func (e *Engine) Commit(ctx context.Context, ops ...store.Op) (store.Version, error) {
	number, err := store.Plan(ops)
	if err != nil {
		return 0, err
	}
	if len(ops) > maxOps {
		return 0, fmt.Errorf("store: a commit of %d operations is longer than %d", len(ops), maxOps)
	}
	for _, op := range ops {
		if err := checkOp(op); err != nil {
			return 0, err
		}
	}
	if err := e.begin(ctx, number); err != nil {
		return 0, err
	}
	defer e.running.Done()
	p := e.parts[number]
	r := &request{began: e.o.Now(), done: make(chan struct{})}
	skew := e.o.Skew()
	r.changes, r.size = newChanges(p.names, ops, skew)
	if now, _ := e.clock.tell(); !now.IsZero() {
		markFar(r.changes, ops, now.Add(skew+e.o.Patience+time.Minute))
	}
	return e.submit(ctx, p, r)
}

func newChanges(n names, ops []store.Op, skew time.Duration) ([]change, int) {
	changes := make([]change, len(ops))
	size := 0
	for i, op := range ops {
		c := change{verb: op.Verb}
		// A record that must not exist is one that must be at version 0.
		if op.Verb != store.VerbCreate {
			c.at = op.At
		}
		if op.Verb != store.VerbAppend {
			c.kind, c.id = op.Key.Kind, op.Key.ID
			c.record, c.index = n.records(op.Key.Kind)+op.Key.ID, n.index(op.Key.Kind)
		}
		switch op.Verb {
		case store.VerbCreate, store.VerbReplace, store.VerbPut:
			c.value = append(appendExpiry(make([]byte, 0, expirySize+len(op.Value)), op.Expires), op.Value...)
			c.removeAt = removeAt(op.Expires, skew)
		case store.VerbAppend:
			c.value = append(make([]byte, 0, len(op.Value)), op.Value...)
		}
		size += len(c.record) + len(c.value)
		changes[i] = c
	}
	return changes, size
}

// markFar tells which expiries are later than a time.
func markFar(changes []change, ops []store.Op, than time.Time) {
	for i, op := range ops {
		changes[i].far = op.Expires.After(than)
	}
}

func (c change) judged() bool { return c.verb <= store.VerbCheck }

func (c change) valued() bool {
	switch c.verb {
	case store.VerbCreate, store.VerbReplace, store.VerbPut, store.VerbAppend:
		return true
	}
	return false
}

// batch is several commits in the form that commitScript takes. What depends on
// the attempt to send it is put in by arguments.
type batch struct {
	commits int
	// keys are records, those to be judged first, and then indexes.
	keys []string
	// absent and present are how many records are judged that should not exist
	// and that should: the script reads the latter in part only.
	absent, present int
	program         []byte
	// places say for every record which is its index, and for every index where
	// in the keys of its records the id begins.
	places []byte
	values [][]byte
	kinds  []string
}

// builder numbers the keys of a batch, each once.
type builder struct {
	n       names
	batch   *batch
	numbers map[string]int
	// indexes are numbered behind all records.
	indexes map[string]int
	kinds   []string
}

// fixedKeys come before the records in the script's KEYS.
const fixedKeys = 4

// newBatch builds the script's arguments. A replay has all its records judged.
func newBatch(n names, commits [][]change, replay bool) *batch {
	b := builder{n: n, batch: &batch{commits: len(commits)}, numbers: map[string]int{}, indexes: map[string]int{}}
	b.records(commits, func(c *change) bool { return c.judged() && c.at == 0 })
	b.batch.absent = len(b.batch.keys)
	b.records(commits, func(c *change) bool { return c.judged() || replay })
	b.batch.present = len(b.batch.keys) - b.batch.absent
	b.records(commits, func(*change) bool { return true })
	records := len(b.batch.keys)
	for i, kind := range b.kinds {
		b.batch.keys = append(b.batch.keys, n.index(kind))
		b.indexes[kind] = fixedKeys + records + i + 1
	}
	b.batch.kinds = b.kinds
	for _, key := range b.batch.keys[:records] {
		b.place(key)
	}
	for _, kind := range b.kinds {
		b.batch.places = appendNumbers(b.batch.places, uint64(len(n.records(kind))+1))
	}
	for _, changes := range commits {
		b.commit(changes)
	}
	return b.batch
}

func (b *builder) records(commits [][]change, which func(*change) bool) {
	for _, changes := range commits {
		for i := range changes {
			if c := &changes[i]; c.verb != store.VerbAppend && which(c) {
				b.record(c)
			}
		}
	}
}

func (b *builder) record(c *change) {
	if _, known := b.numbers[c.record]; known {
		return
	}
	b.batch.keys = append(b.batch.keys, c.record)
	b.numbers[c.record] = fixedKeys + len(b.batch.keys)
	if _, known := b.indexes[c.kind]; !known {
		b.indexes[c.kind] = 0
		b.kinds = append(b.kinds, c.kind)
	}
}

// place reads the kind back from the key: it is behind the partition's tag and
// its length.
func (b *builder) place(key string) {
	from := len(b.n.tag) + 1
	size := int(key[from-1])
	b.batch.places = appendNumbers(b.batch.places, uint64(b.indexes[key[from:from+size]]))
}

func (b *builder) commit(changes []change) {
	checks, writes, values := 0, 0, 0
	for i := range changes {
		if changes[i].judged() {
			checks++
		}
		if changes[i].verb != store.VerbCheck {
			writes++
		}
		if changes[i].valued() {
			values++
		}
		if changes[i].removeAt > 0 {
			values++
		}
	}
	p := appendNumbers(b.batch.program, uint64(checks), uint64(writes), uint64(values))
	for i := range changes {
		if c := &changes[i]; c.judged() {
			p = appendNumbers(p, uint64(b.numbers[c.record]), uint64(c.at))
		}
	}
	for i := range changes {
		c := &changes[i]
		if c.verb != store.VerbCheck {
			p = appendNumbers(p, uint64(c.verb)+c.expiry(), uint64(b.numbers[c.record]))
		}
		if c.valued() {
			b.batch.values = append(b.batch.values, c.value)
		}
		if c.removeAt > 0 {
			b.batch.values = append(b.batch.values, strconv.AppendUint(nil, c.removeAt, 10))
		}
	}
	b.batch.program = p
}

func appendNumbers(b []byte, numbers ...uint64) []byte {
	for _, n := range numbers {
		b = appendUint(b, n, versionSize)
	}
	return b
}

// attempt is what sending a batch depends on.
type attempt struct {
	meta   *meta
	mark   string
	number uint64
	// until is the latest server time to run at: what was given up must not
	// come to life later.
	until time.Time
	skew  time.Duration
	// base is the version before a replayed batch; 0 is no replay.
	base store.Version
}

// markLife is how long a mark outlives its last batch. Nobody asks later.
const markLife = 24 * time.Hour

// arguments are those of EVALSHA or EVAL, with the script's name or text.
func (b *batch) arguments(command, script string, n names, a attempt) []any {
	args := make([]any, 0, 3+fixedKeys+len(b.keys)+13+len(b.values))
	args = append(args, command, script, fixedKeys+len(b.keys), n.meta, n.version, a.mark, n.log)
	for _, key := range b.keys {
		args = append(args, key)
	}
	args = append(args, a.meta.raw, strconv.FormatUint(a.meta.epoch, 10)+"-*", "master_replid:"+a.meta.history+"\r",
		a.number, a.until.UnixMicro(), a.skew.Microseconds(), markLife.Milliseconds(),
		b.commits, b.absent, b.present, uint64(a.base), b.program, b.places)
	for _, v := range b.values {
		args = append(args, v)
	}
	return args
}

// status is how commitScript answers.
type status int64

const (
	statusDone status = iota
	statusMeta
	statusHistory
	statusLate
	statusMissing
)

// outcome is a parsed answer of commitScript.
type outcome struct {
	status status
	micros int64
	// meta is what the partition is, with statusMeta.
	meta string
	base store.Version
	// made has a letter for every commit: 1 made, 0 refused.
	made string
}

func parseOutcome(v any, commits int) (outcome, error) {
	reply, ok := v.([]any)
	if !ok || len(reply) < 2 {
		return outcome{}, errDamaged
	}
	code, ok1 := reply[0].(int64)
	micros, ok2 := reply[1].(int64)
	o := outcome{status: status(code), micros: micros}
	if !ok1 || !ok2 || o.status < statusDone || o.status > statusMissing {
		return outcome{}, errDamaged
	}
	switch o.status {
	case statusMeta:
		if len(reply) != 3 {
			return outcome{}, errDamaged
		}
		o.meta = text(reply[2])
	case statusDone:
		if len(reply) != 4 {
			return outcome{}, errDamaged
		}
		base, ok := reply[2].(int64)
		o.base, o.made = store.Version(base), text(reply[3])
		if !ok || len(o.made) != commits || strings.Trim(o.made, "01") != "" {
			return outcome{}, errDamaged
		}
	}
	return o, nil
}

// parseMark reads what commitScript left of a slot's last batch.
func parseMark(raw string) (number uint64, o outcome, err error) {
	if len(raw) < 2*versionSize {
		return 0, o, fmt.Errorf("read mark: %w", errDamaged)
	}
	return parseUint(raw[:versionSize]), outcome{
		base: store.Version(parseUint(raw[versionSize : 2*versionSize])),
		made: raw[2*versionSize:],
	}, nil
}
