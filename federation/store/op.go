package store

import (
	"errors"
	"fmt"
	"time"
)

// Verb says what an Op does.
type Verb uint8

const (
	// VerbCreate writes a record that must not exist.
	VerbCreate Verb = iota + 1
	// VerbReplace writes a record that must be at Op.At.
	VerbReplace
	// VerbTake removes a record that must be at Op.At.
	VerbTake
	// VerbCheck writes nothing: the record must be at Op.At (0: must not exist).
	VerbCheck
	// VerbPut writes a record whatever was there.
	VerbPut
	// VerbDrop removes a record, if there is one.
	VerbDrop
	// VerbAppend adds an entry to the partition's log; Op.Key names only the
	// partition.
	VerbAppend
)

// Op is one change of a commit: a value, made by the functions of this file or
// by a Table, read by engines.
type Op struct {
	Verb    Verb
	Key     Key
	At      Version
	Value   []byte
	Expires time.Time
	err     error
}

// Create writes a record that must not exist yet. A zero expires is never.
func Create(k Key, value []byte, expires time.Time) Op {
	return Op{Verb: VerbCreate, Key: k, Value: value, Expires: expires}
}

// Replace writes a record that must be at the given version.
func Replace(k Key, at Version, value []byte, expires time.Time) Op {
	return Op{Verb: VerbReplace, Key: k, At: at, Value: value, Expires: expires}
}

// Take removes a record that must be at the given version.
func Take(k Key, at Version) Op { return Op{Verb: VerbTake, Key: k, At: at} }

// Check demands a version without writing; at version 0 the record must not
// exist. It is how a fence guards the writes beside it.
func Check(k Key, at Version) Op { return Op{Verb: VerbCheck, Key: k, At: at} }

// Put writes a record whatever was there. See the package doc for when.
func Put(k Key, value []byte, expires time.Time) Op {
	return Op{Verb: VerbPut, Key: k, Value: value, Expires: expires}
}

// Drop removes a record if there is one. See the package doc for when.
func Drop(k Key) Op { return Op{Verb: VerbDrop, Key: k} }

// Append adds an entry to the log of a partition.
func Append(p Partition, value []byte) Op {
	return Op{Verb: VerbAppend, Key: Key{Partition: p}, Value: value}
}

// Bad is an Op that makes its commit fail with err: how a value that cannot be
// encoded travels to the place where errors are looked at.
func Bad(err error) Op { return Op{err: err} }

// Plan holds a commit to the rules that are the same for every engine, and
// names the one partition it changes. Engines call it before anything else.
func Plan(ops []Op) (Partition, error) {
	if len(ops) == 0 {
		return 0, errors.New("store: a commit without operations")
	}
	p := ops[0].Key.Partition
	seen := make(map[Key]struct{}, len(ops))
	for _, op := range ops {
		if err := op.valid(p); err != nil {
			return 0, err
		}
		if op.Verb == VerbAppend {
			continue
		}
		if _, twice := seen[op.Key]; twice {
			return 0, fmt.Errorf("store: a commit names %s %q twice", op.Key.Kind, op.Key.ID)
		}
		seen[op.Key] = struct{}{}
	}
	return p, nil
}

// PlanGet holds the keys of a GetAll to the rules that are the same for every
// engine, and names their partition.
func PlanGet(keys []Key) (Partition, error) {
	if len(keys) == 0 {
		return 0, errors.New("store: a read without keys")
	}
	for _, k := range keys[1:] {
		if k.Partition != keys[0].Partition {
			return 0, fmt.Errorf("store: a read names partitions %d and %d", keys[0].Partition, k.Partition)
		}
	}
	return keys[0].Partition, nil
}

func (op Op) valid(p Partition) error {
	switch {
	case op.err != nil:
		return op.err
	case op.Key.Partition != p:
		return fmt.Errorf("store: a commit names partitions %d and %d", p, op.Key.Partition)
	case op.Verb == VerbAppend:
		return nil
	case op.Verb < VerbCreate || op.Verb > VerbAppend:
		return fmt.Errorf("store: unknown verb %d", op.Verb)
	case op.Key.Kind == "" || op.Key.ID == "":
		return errors.New("store: an operation without kind or id")
	case (op.Verb == VerbReplace || op.Verb == VerbTake) && op.At == 0:
		return fmt.Errorf("store: %s %q is changed at no version", op.Key.Kind, op.Key.ID)
	}
	return nil
}
