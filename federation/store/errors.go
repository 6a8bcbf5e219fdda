package store

import (
	"errors"
	"fmt"
)

var (
	// ErrNotFound says that there is no live record under the key.
	ErrNotFound = errors.New("store: no such record")
	// ErrConflict says that a version had moved (or a key to be created was
	// there already) and that nothing of the commit was written.
	ErrConflict = errors.New("store: a version had moved")
	// ErrUnknown says that the engine's answer was lost: the commit may stand.
	ErrUnknown = errors.New("store: outcome of the commit is unknown")
	// ErrUnsafe says that the commit is kept but not yet on enough replicas.
	ErrUnsafe = errors.New("store: commit is not yet safe")
	// ErrTrimmed says that log entries after the position asked for are gone.
	ErrTrimmed = errors.New("store: log was trimmed past the position")
	// ErrNewer says that a record was written by a newer version of Drawbridge
	// than this one, which refuses to guess what it means.
	ErrNewer = errors.New("store: record was written by a newer version")
	// ErrSealed says that a sealed record names a key that is not configured,
	// or does not open with it.
	ErrSealed = errors.New("store: record cannot be unsealed")
	// ErrClosed says that the engine was closed.
	ErrClosed = errors.New("store: engine is closed")
	// ErrUnavailable says that the engine's server does not answer, or refuses to
	// work for now. Nothing was written, and the call may be made again later.
	ErrUnavailable = errors.New("store: the store does not answer")
	// ErrLost says that what the store held is gone: it was emptied, replaced or
	// damaged behind the engine's back. Nothing works until an operator has acted.
	ErrLost = errors.New("store: the store has lost its log")
	// ErrHeld says that somebody else holds the lease.
	ErrHeld = errors.New("store: lease is held by another")
)

// TrimmedError is ErrTrimmed with the place where the log goes on: reading
// after UpTo misses nothing that is still there. A reader that does so has
// decided to live with the loss.
type TrimmedError struct{ UpTo Position }

// Error implements error.
func (e TrimmedError) Error() string { return fmt.Sprintf("%v: up to %v", ErrTrimmed, e.UpTo) }

// Is makes errors.Is(err, ErrTrimmed) true.
func (e TrimmedError) Is(target error) bool { return target == ErrTrimmed }
