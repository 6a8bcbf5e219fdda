// Package redisstore is the store engine for several processes on several
// machines: Redis or Valkey, as one server, behind sentinels, or as a cluster.
// It keeps every promise of package store, also when servers, connections or
// the processes that use it fail.
//
// # What is in Redis
//
// With the prefix db, for every partition N (in base 36; the braces keep its
// keys on one server of a cluster):
//
//	db:store      schema, number of partitions, id of the store, whether it is whole
//	{db:N}m       epoch, history that it was begun for, id of the store
//	{db:N}v       version counter
//	{db:N}l       the log: a stream whose ids are positions; fields v -> time, value
//	{db:N}t       how far the log was trimmed
//	{db:N}k       the kinds that there are
//	{db:N}LKI     a record, of kind K (of length L) and id I -> version, expiry, value
//	{db:N}\x00iK  the ids of a kind's records, a sorted set that scans read
//	{db:N}\x00c…  the mark of a slot: number and outcome of its last batch
//	{db:N}w       written before a wait for replicas, to have something to wait for
//
// Redis removes expired records by itself. Their ids leave the index when a scan
// meets them, or when Run does on its way round.
//
// # Commits
//
// A batch of commits is one call of one script, which judges each commit by
// itself, makes all checks of a commit before anything of it is written, and
// takes the time from Redis. Commits that are called while others are on their
// way gather to the next batch. A writer that is alone never waits for company.
//
// A batch has a number within its slot, and the script leaves a mark of it. So a
// batch whose answer was lost is simply sent again: the server makes it once,
// and gives the same answer. Only when that does not succeed within
// Options.Patience the outcome is store.ErrUnknown. Such a batch does not come to
// life much later: a batch names the latest server time at which it may be made.
// An error that is store.ErrUnavailable instead means that nothing was written.
//
// # Epochs
//
// A server has a name for its history, the replication id. It takes another one
// when it starts and when it is promoted, which is when acknowledged commits may
// be missing. Every batch checks that name. On another one the first node that
// commits begins another epoch: the greater of the old one plus one and the time
// in milliseconds. Positions of the log begin with the epoch, and versions jump
// by 2^32, so neither is used again for something else. Nodes that have not heard
// of it are refused, and take it over. A reader goes on after any position that
// it has seen; a worker should read its cursor anew when the epoch of what it
// reads changes. A master whose replicas all left an hour ago also renames its
// history, which begins an epoch for nothing, and does no harm.
//
// # Replicas
//
// With Options.Replicas a commit is answered once so many replicas have it. Where
// too few answer in time it stands nevertheless, but might be lost with the
// master: the caller gets store.ErrUnsafe, and the commit goes into the spool, a
// file of this process, before that answer. Run waits until replicas have caught
// up, and takes it out. When instead the master was lost, and the one that came
// after does not have the commit's mark, Run makes it again, in the order of the
// spool and only once:
//
//   - It is judged again, as a whole. What it checked, replaced, took or created
//     must be as it was then; versions are never used twice, so that is exact. If
//     somebody has decided otherwise since, the commit is superseded: nothing of it
//     is written, neither state nor event, and the log says so.
//   - Records get the versions that they had been given, so that a chain of lost
//     commits fits together again, and whoever was told a version is right.
//   - Put and Drop leave a record alone that was written later.
//   - Its events are appended again, at positions of the new epoch.
//
// The replica that has a commit must be the one that is promoted: wait for all
// of them, or for a majority and have Redis promote the most advanced one, as
// sentinels and cluster do. min-replicas-to-write keeps a master that is cut off
// from taking commits at all. Marks live for a day: a process that comes back
// later than that, and after a failover, cannot tell whether its spooled commits
// were lost. It drops them, and says so. A spool that holds 256 MiB refuses
// further commits.
//
// # What was lost
//
// A server that was emptied, or a store that was replaced or damaged by others,
// is not taken for a new one. Reads too look at the partition's meta, in the same
// command. Whoever finds it gone answers store.ErrLost from then on, to
// everything, until the process is started anew. A process that starts and finds
// an empty server begins a new store: it cannot know better, unless its spool was
// written for a store. Then Open answers store.ErrLost until an operator moves
// that file away.
//
// # What Redis must be
//
// Version 7.0 or later, or Valkey, persistent and not evicting (Open looks;
// Options.AllowVolatile overrides). With appendfsync always a server by itself
// loses no acknowledged commit. With everysec a power cut loses those of about two
// seconds, and so may a server that just dies: while its disk is syncing Redis
// answers before it writes. Where that is not acceptable and always is too slow,
// there are replicas.
//
// Servers and nodes may be of different opinion about the time, but the servers
// of a cluster should agree to a few milliseconds, and so should replicas. The
// least user that works is
//
//	ACL SETUSER drawbridge on >password ~{db:* ~db:store
//	  +@read +@write +@scripting +@connection -@dangerous
//	  +info +time +wait +cluster|slots +config|get
//
// where config may be left out: INFO is asked then, and does not tell of
// snapshots. While a cluster moves a slot, the commits of the partitions in it
// wait (TRYAGAIN), for Options.Patience at most.
//
// # Decisions
//
// Reads go to masters only: a replica does not know what is not there yet. The
// time is asked for once a second at most; every answer of a script brings it
// too. What Now tells is never ahead of the server, so a deadline that is set by
// it is not over before the server thinks so.
//
// Waiting for the log costs one connection for each partition that anybody waits
// for, however many do. Those in the process of the writer are woken directly.
//
// One script instead of MULTI and WATCH: rivals for one key would otherwise take
// turns in failing. One key for each record instead of hashes: only keys expire.
// Redis hashes every byte of every string that a script sees, so the script does
// not look at whole values that it does not write.
//
// # Limits
//
// A kind has at most 255 bytes, an id at most 8 KiB, a value at most 16 MiB, a
// commit at most 20,000 operations; an expiry is before the year 36812. A scan of
// up to 500 records and a megabyte is of one moment, a longer one of several.
// go-redis writes about lost connections to standard error unless the program
// gives it a logger.
package redisstore
