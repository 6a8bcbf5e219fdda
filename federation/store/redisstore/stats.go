package redisstore

import "sync/atomic"

// Stats are an engine's numbers since it was opened, and what is kept now.
type Stats struct {
	// Commits were made; Conflicts were refused.
	Commits, Conflicts uint64
	// Batches are the script calls that the commits shared.
	Batches uint64
	// Failures are calls that Redis did not answer, or refused.
	Failures uint64
	// Unknown are batches whose outcome could not be found out.
	Unknown uint64
	// Epochs are those that this engine began.
	Epochs uint64
	// Unsafe are commits that too few replicas had in time.
	Unsafe uint64
	// Replayed are commits of the spool that a failover had lost and that were
	// made again; Superseded are those that could not be, because what they
	// were based on is not there any more.
	Replayed, Superseded uint64
	// Spooled is how many commits the spool keeps now.
	Spooled int
	// Swept are ids of expired records that were taken out of their index.
	Swept uint64
	// Lost says that the store's data is gone, and that nothing works.
	Lost bool
}

// Stats reads the numbers.
func (e *Engine) Stats() Stats {
	return Stats{
		Commits:    e.tally.commits.Load(),
		Conflicts:  e.tally.conflicts.Load(),
		Batches:    e.tally.batches.Load(),
		Failures:   e.tally.failures.Load(),
		Unknown:    e.tally.unknown.Load(),
		Epochs:     e.tally.epochs.Load(),
		Unsafe:     e.tally.unsafe.Load(),
		Replayed:   e.tally.replayed.Load(),
		Superseded: e.tally.superseded.Load(),
		Swept:      e.tally.swept.Load(),
		Spooled:    e.spool.depth(),
		Lost:       e.lost.Load(),
	}
}

type tally struct {
	commits, conflicts, batches, failures, unknown, epochs atomic.Uint64
	unsafe, replayed, superseded, swept                    atomic.Uint64
}
