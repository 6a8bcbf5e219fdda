// Package store is the contract between Drawbridge and the place where it
// keeps its state: records with versions, one log per partition, and commits
// that change several of both at once or nothing at all.
//
// # What an engine promises
//
//   - A Commit is all or nothing, across records and the log, within one
//     partition. Every check is made before the first write.
//   - Versions come from one counter per partition. They only grow and survive
//     expiry and removal, so a record that was removed and created again never
//     carries a version that somebody still remembers.
//   - Expiry holds on read: a record is gone the moment its time has come,
//     whether or not a sweeper has been there, and may be created again.
//   - Log positions only grow and are never used twice, also after a restart
//     or a failover. A reader resumes after any position it has seen.
//   - ErrConflict means that a version had moved and nothing was written;
//     ErrUnknown that the answer was lost and the commit may or may not stand.
//     A commit that must know carries Mark, and asks Marked.
//   - One key may be named once in a commit. Plan refuses anything else before
//     an engine sees it.
//
// Package storetest holds every engine to these promises.
//
// # Keys
//
// A tenant lives in one partition, its Place. A Key is the partition, a kind
// (the table), and an id that begins with the tenant, so no two tenants can
// meet. Records of the partition itself (due times, leases) have no tenant.
//
// # Beside the contract
//
// Typed tables carry a schema version and may be sealed. Leases fence every
// write of their holder. Due ids sort by time, so a queue of timeouts is a scan.
// Put and Drop are not guarded by a version: they keep an index that a guarded
// operation of the same commit vouches for, or a projection that is the same
// however often it is written.
package store
