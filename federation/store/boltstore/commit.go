package boltstore

import (
	"context"
	"fmt"

	"github.com/drawbridge-id/drawbridge/federation/store"
)

// commit is a commit made ready by its caller, so that the writer, of whom
// there is one, has little left to do.
type commit struct {
	partition store.Partition
	changes   []change
	size      int
	version   store.Version
}

type change struct {
	verb store.Verb
	at   store.Version
	key  string
	// value is a whole stored record, or log entry, but for what only the
	// writer knows: version or time.
	value []byte
	was   stored
}

// Commit implements store.Engine.
func (e *Engine) Commit(ctx context.Context, ops ...store.Op) (store.Version, error) {
	c, err := newCommit(ops)
	if err != nil {
		return 0, err
	}
	if err := e.ready(ctx, c.partition); err != nil {
		return 0, err
	}
	if err := e.submit(ctx, &request{size: c.size, apply: c.apply}); err != nil {
		return 0, err
	}
	return c.version, nil
}

func newCommit(ops []store.Op) (*commit, error) {
	p, err := store.Plan(ops)
	if err != nil {
		return nil, err
	}
	c := &commit{partition: p, changes: make([]change, len(ops))}
	for i, op := range ops {
		if c.changes[i], err = newChange(op); err != nil {
			return nil, err
		}
		c.size += len(c.changes[i].key) + len(c.changes[i].value)
	}
	return c, nil
}

func newChange(op store.Op) (change, error) {
	if err := checkKey(op.Key); err != nil {
		return change{}, err
	}
	if len(op.Value) > maxValue {
		return change{}, fmt.Errorf("store: a value of %d bytes is longer than %d", len(op.Value), maxValue)
	}
	c := change{verb: op.Verb, key: recordKey(op.Key.Kind, op.Key.ID)}
	switch op.Verb {
	case store.VerbAppend:
		c.value = newEntry(op.Value)
	case store.VerbCreate, store.VerbReplace, store.VerbPut:
		c.value = newRecord(op.Value, stampOf(op.Expires))
	}
	// A record that must not exist is one that must be at version 0.
	if op.Verb != store.VerbCreate {
		c.at = op.At
	}
	return c, nil
}

// apply judges the commit as a whole, and then writes it as a whole.
func (c *commit) apply(b *batch) error {
	s, err := b.shelf(c.partition)
	if err != nil {
		return err
	}
	for i := range c.changes {
		ok, err := c.changes[i].judge(s)
		if err != nil {
			return err
		}
		if !ok {
			b.conflicts++
			return store.ErrConflict
		}
	}
	b.commits++
	s.counters.version++
	s.changed = true
	c.version = s.counters.version
	for i := range c.changes {
		c.changes[i].write(s)
	}
	return nil
}

// judge reads what the change meets and says whether it may be made.
func (c *change) judge(s *shelf) (bool, error) {
	if c.verb == store.VerbAppend {
		return true, nil
	}
	var err error
	if c.was, err = s.look(c.key); err != nil {
		return false, err
	}
	if c.verb == store.VerbPut || c.verb == store.VerbDrop {
		return true, nil
	}
	var at store.Version
	if c.was.exists && !c.was.expires.reached(s.batch.now) {
		at = c.was.version
	}
	return at == c.at, nil
}

func (c *change) write(s *shelf) {
	switch c.verb {
	case store.VerbCreate, store.VerbReplace, store.VerbPut:
		s.put(c.key, c.value, c.was)
	case store.VerbTake, store.VerbDrop:
		s.remove(c.key, c.was)
	case store.VerbAppend:
		s.append(c.value)
	}
}
