// Package boltstore is the store engine for one process on one machine: one
// bbolt file, no server. It keeps every promise of package store and refuses
// to be opened by two processes at once.
//
// # What is in the file
//
//	meta         the schema of this layout and the number of partitions, a mark
//	             while the file is being loaded, and what was last taken over
//	             from the write-ahead files
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
// # What is durable when
//
// A commit is judged, written to a write-ahead file beside the store (.wal or
// .wal2), synced with one fdatasync, shown to readers, and then answered. What is
// written so stands in memory over the file. A fold takes all of it over in one
// transaction of bbolt: once a second (Options.FoldEvery), or earlier when it is
// large (8 MiB), while commits go on into the other write-ahead file. What comes
// and goes between two folds, as codes do, and what has expired by then, touches
// no page. When 16 MiB wait behind a fold that is under way, so do commits: no
// more than twice that is ever in memory, but for one huge batch.
//
// A crash, or a power cut, loses nothing that was answered. Open reads what the
// write-ahead files have and the file has not, and folds it before it answers;
// with Options.ReadOnly it keeps it in memory and leaves the files as they are.
// The file knows the run of the engine whose frames count, and the newest frame
// that it has, from the same transaction: so nothing is done twice, and a file
// that belongs to another store, or to another time of this one (a backup that
// was put beside it by hand), is refused and not touched. Frames carry a length
// and a CRC-32C. What a power cut has left of the very last frame is dropped,
// because nobody was told of it; a frame that cannot be read before others is
// damage, and the store does not open. Only where damage has met the very last
// frame can the two not be told apart.
//
// A clean end (Close) folds everything and leaves one file. So does a backup for
// a moment, and it copies that one. While there may be more, the file says that
// its schema is 2, which a binary that knows nothing of write-ahead files
// refuses; one that does not find both says so, and does not open it.
//
// The write-ahead files are made with the first commit, and grow in steps that
// are filled with zeros, to be written over from their beginning by turns: to sync
// a file that does not change its size is what makes a commit cheap. When
// each batch was a transaction of bbolt it took two syncs and more than twice the
// CPU.
//
// # Readers
//
// What stands over the file is copied as it is changed (the B-tree of
// github.com/tidwall/btree shares with its copies what has not changed since), so
// a reader holds one moment of a partition without a lock: a copy, and a
// transaction of the file that is not newer than the copy allows. Where a fold
// has come between the two, it looks again. Whoever finds all he asks for in the
// copy does not ask the file.
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
// bbolt's NoSync is never set.
// The free list is not written (NoFreelistSync): it would make every fold as
// long as the list, which is long exactly after a large trim or sweep. It is
// rebuilt at Open, which walks the whole tree (about half a second for each GB,
// nothing one could notice below 100 MB) and so refuses a damaged file. It is
// kept as a map, because allocation from the array is linear in its length.
//
// When the disk refuses, nobody hears of success. A frame that could not be
// written whole is not there, and the engine goes on (a full disk may get room
// again). One that was written but could not be synced is store.ErrUnknown, and
// the engine answers nothing but that failure until it is opened anew: what the
// page cache shows may not be what the disk holds. Run returns that failure too,
// so that the process can end and start over. A fold that fails is tried again,
// and its commits stay where they are safe; so commits are refused only when as
// much waits as may. If bbolt's root page was replaced and could not be synced,
// that ends the engine as well. A store that cannot fold at Open does not open.
//
// Records that have expired are swept from the file by folds, and by no commit:
// whether they are there makes no difference to anybody.
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
// The file does not shrink (the write-ahead files go when it is closed); freed pages are used again. The clock is the
// caller's and should not be set back: an expired record that was not yet
// swept would be seen again.
package boltstore
