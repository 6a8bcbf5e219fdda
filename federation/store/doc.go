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
// A tenant that is spread by person has a Place in every partition. Its home,
// Layout.Place, has what is the tenant's own. What belongs to a person lives
// where Layout.PlaceOf says of the person's id, of the sid and of the alias, and
// ids are minted so that it says the same of all of them: person, alias,
// sessions, consents, codes, tokens, events and deliveries of one person still
// change in one commit, and stand in one order. There is none between persons.
// What leads to a person and belongs to nobody, an address or a customer id,
// lives where its own hash says, and follows in a second step (package person);
// so does the session that ends because another person signs in on the same
// browser, in a step before (package session). Nothing else takes two steps.
//
// # Beside the contract
//
// Typed tables carry a schema version and may be sealed. A changed shape is
// migrated as it is read (TableOptions.Migrate, Shape for log entries), records
// that move to other keys are moved once (Upgrade), and an older binary refuses
// what a newer one wrote (ErrNewer). Leases fence every
// write of their holder. Due ids sort by time, so a queue of timeouts is a scan.
// Put and Drop are not guarded by a version: they keep an index that a guarded
// operation of the same commit vouches for, or a projection that is the same
// however often it is written.
//
// # Moving a store
//
// Engines that are a Dumper can be read and written whole: records with their
// versions and expiries, logs with their positions, and what each partition
// remembers of both. So every cursor, cookie and token stays good in another
// engine, as long as it has the same number of partitions: that number is part
// of every store, and who may want to spread over several nodes one day creates
// the store with 16 to begin with. Moved leaves leases behind and begins a new
// epoch. A dump file (WriteDump, ReadDump) is lines of JSON that end with the
// SHA-256 of all that was before; sealed values stay sealed in it. A Catalogue
// reads the records of tables that it does not know the types of.
package store
