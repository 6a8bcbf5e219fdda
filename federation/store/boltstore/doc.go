// Package boltstore is the store engine for one process on one machine: one
// bbolt file, no server. It keeps every promise of package store and refuses
// to be opened by two processes at once.
//
// # What is in the file
//
//	meta         the schema of this layout and the number of partitions, and a
//	             mark while the file is being loaded
//	partitions   per partition: version counter, log head, how far the log was trimmed
//	records/N    length of kind, kind, id -> version, expiry, value
//	expiry/N     expiry, record key -> nothing: the index that the sweeper reads
//	log/N        epoch, sequence (big endian) -> time, value
//
// Every record with an expiry has exactly one entry in the index. The head of
// a log is a counter of its own, so positions are not used again when the log
// was trimmed to nothing. The epoch is 1 until an operator says that a backup
// was restored (Options.NewEpoch).
//
// # Decisions
//
// Writers are coalesced here. One goroutine, joined by Close, takes all commits
// that wait, judges each by itself against what the earlier ones have written,
// and makes them durable together: a conflict of one is nothing to the others.
// Nobody waits for company: what comes while a batch is being synced is the next
// one. Holding a batch back for more was tried (half a millisecond to two, as many
// as before or twice as many) and took from refreshes what it gave to nobody.
//
// A commit is answered once it is on the disk. bbolt's NoSync is never set.
// The free list is not written (NoFreelistSync): it would make every commit as
// long as the list, which is long exactly after a large trim or sweep. It is
// rebuilt at Open, which walks the whole tree (about half a second for each GB,
// nothing one could notice below 100 MB) and so refuses a damaged file. It is
// kept as a map, because allocation from the array is linear in its length.
//
// When the disk refuses, nobody hears of success. If bbolt's root page was not
// replaced, nothing was written and the engine goes on (a full disk may get
// room again). If it was, but could not be synced, the outcome is
// store.ErrUnknown and the engine answers nothing but that failure until it is
// opened anew: what the page cache shows may not be what the disk holds. Run
// returns that failure too, so that the process can end and start over.
//
// A dump (Dump, Load) is one read transaction over all partitions. A load is made
// in many transactions under a mark, without which it could not be told from a
// whole one; with it the file does not open. A file that is only read
// (Options.ReadOnly) may come from anywhere, so its pages are walked before
// bbolt believes them: bbolt follows damaged ones out of the map, which ends the
// process. That costs a read of the file. A file that is opened to be written
// is trusted, but for having been cut short.
//
// The map of the file begins at 1 GiB of address space (not of memory), so a
// backup, which reads for a long time, does not hold up a writer that has to
// grow the map.
//
// # Limits
//
// A kind has at most 255 bytes, an id at most 8 KiB, a value at most 16 MiB.
// The file does not shrink; freed pages are used again. The clock is the
// caller's and should not be set back: an expired record that was not yet
// swept would be seen again.
package boltstore
