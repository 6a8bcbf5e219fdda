package store

import (
	"context"
	"time"
)

// Version says when, in the order of its partition's commits, a record was
// last written. The zero Version stands for "does not exist".
type Version uint64

// Record is a stored value. Its bytes are opaque to engines.
type Record struct {
	Key     Key
	Version Version
	Value   []byte
	// Expires is when the record stops to exist; the zero time is never.
	Expires time.Time
}

// Range selects records of one kind in one partition in the order of their ids.
type Range struct {
	Partition Partition
	Kind      string
	// Prefix is what the ids begin with (see Place.Key: it begins with the
	// tenant and a slash, unless the range goes across tenants on purpose).
	Prefix string
	// After, when set, is the full id after which the answer begins.
	After string
	// Limit is the greatest number of records in the answer, at least 1.
	Limit int
}

// Entry is one entry of a partition's log.
type Entry struct {
	Position Position
	// At is the engine's time of the commit that appended the entry.
	At    time.Time
	Value []byte
}

// Reader reads records as they are now.
type Reader interface {
	// Get reads one record: ErrNotFound when there is none, or it has expired.
	Get(ctx context.Context, k Key) (Record, error)
	// GetAll reads several records of one partition, in one round trip and in
	// the order of the keys. One that there is none of, or that has expired, has
	// no Version; that is no error.
	GetAll(ctx context.Context, keys ...Key) ([]Record, error)
	// Scan reads live records in the order of their ids.
	Scan(ctx context.Context, r Range) ([]Record, error)
}

// Engine is a place to keep state. Its methods may be called concurrently.
// Package store's doc says what every engine promises.
type Engine interface {
	Reader
	// Commit makes all changes or none and returns the version that every
	// record written by it now carries.
	Commit(ctx context.Context, ops ...Op) (Version, error)
	// ReadLog reads up to n entries (at least 1) after a position, oldest
	// first. Where there are none it waits for one, at most as long as wait,
	// and then answers with none. ErrTrimmed, as a TrimmedError, when entries
	// after the position are gone.
	ReadLog(ctx context.Context, p Partition, after Position, n int, wait time.Duration) ([]Entry, error)
	// TrimLog removes the entries up to and including a position.
	TrimLog(ctx context.Context, p Partition, upTo Position) error
	// Now is the engine's clock, which all deadlines are judged by.
	Now(ctx context.Context) (time.Time, error)
	// Close waits for running calls and frees what the engine holds. Calls
	// made afterwards answer ErrClosed.
	Close() error
}
