// Package session owns signed-in browsers: how a session begins, stays alive
// and ends, and the cookie that carries it.
//
// # What it promises
//
//   - A session emits one terminal event, with one cause, on whichever node: its
//     end is the commit that takes its record at a version.
//   - Deadlines are judged by the engine's clock wherever a session is read.
//     Nobody waits for the sweeper: what comes after the deadline ends the
//     session itself. The earlier deadline wins, on a tie MaxTimeout; a logout
//     after the deadline is a timeout. A timeout's At is the deadline, Detected
//     is now, and it has no Request: none caused it.
//   - The sid is public and opens nothing. The cookie's secret is stored as a
//     hash and compared in constant time.
//   - Everything that tells of a beginning or an end is in its commit.
//   - What an upstream says is over begins no session: see Logout by an upstream.
//
// # What is one commit
//
// Begin: {session, index by person, due time, SessionBegan}, next to whatever
// the caller commits with it, and the end of the session that it replaces. End:
// {session, index, due time removed, SessionEnded}. EndAll is one commit per
// session. A touch is {session} alone: the due time is left behind and moved by
// the sweeper when it comes up, so that activity costs one record.
//
// # Logout by an upstream
//
// Each login that has a sid of the upstream's has an entry in an index, written
// and removed in the commits of its session: {session, index by person, index by
// upstream, due time, SessionBegan}. Sessions that began before there was such an
// index are found by their person alone, where a notice says whom it is about.
//
// A notice of the upstream that a login is over is written down first, for ten
// minutes, under what it names (Bar); then the sessions that it names are ended
// (EndNamed). The commit of a sign-in checks that there is no such notice. So
// whichever comes first, a session that is just beginning does not outlive it.
// Both are done in every place of a spread tenant, since a sid does not say where
// its person lives. A session ends whole, whichever of its logins is over: what is
// left of it is for the user to begin anew.
//
// # How many
//
// A person may have as many sessions at once as the policy says. One too many
// makes the oldest end with Destroy, in the commit of the beginning, or is refused
// with access_denied; an upgrade is none more. Sessions are counted while the
// commit is planned: that two beginnings do not both take the last place is proven
// by the write of the person that each sign-in makes beside it.
//
// # Spread tenants
//
// Where a tenant is spread by person, a session lives in its person's partition:
// the sid is minted until it names that one (ID.For), and the cookie's partition
// counts only if the sid names it too. All that is said of commits holds. One
// thing takes two: when another person signs in on the same browser and lives in
// another partition, the old session ends first (MakeWay, DESTROY) and the new
// one begins then. Whoever is refused in between, or a crash, has ended the old
// session; nobody ever has two on one browser.
//
// # Upgrade
//
// When the same person signs in anew on the same browser, the old session ends
// with Upgrade and the new one takes its place: it keeps the sid, so that
// grants, refresh tokens and what relying parties know go on, the Reference, the
// clients, webhooks, properties and the logins of other upstreams. It has a new
// secret, audit id, beginning and lifetime. The two are told apart by AuditID:
// whoever keys something by session end keys it by that, not by the sid.
//
// # Sweeping
//
// Every node sweeps every partition, without a lock; the commit of an end
// decides. A partition is looked at 10 times a second at most and once a second
// at least, sleeping until the next due time that is known; partitions do not
// wait for each other. Due times are read in pages of 256, oldest first, and 32
// sessions are settled by one commit, in three round trips: the sessions, their
// persons, the commit. Where that commit conflicts each is
// judged anew by itself. Whoever renewed the partition's pulse last leads it
// and sweeps at once; the others take what is half a second overdue, from
// anywhere in it. A session that cannot be ended does not hold up those behind it.
//
// # Time in which nobody could be active
//
// Each partition has a pulse, a record that one of the nodes renews every 15
// seconds. When it is found to be more than a minute old, the store was away, or
// every process was stopped or suspended, or the engine's clock has jumped: from
// the old pulse to now is a gap, in which activity could not be recorded. A node
// that alone did not reach the store for 10 seconds writes down a gap as well. A
// node that alone was suspended does not: the others kept the pulse.
//
// With Grace idle time does not run in gaps, at whatever door a session is
// looked at: the deadline is later by the gap. With Expire it runs, unless the
// engine's clock went on by more than a minute more than a node's monotonic one:
// such a gap never was, and an error is logged. Suspension of a whole machine is
// told from a jump only where the monotonic clock counts it (CLOCK_BOOTTIME);
// else it is taken for a jump, which is the lenient way to be wrong.
//
// The maximum lifetime is a promise and is never extended for who comes with a
// request. The sweeper does not hold time against a session that the clock has
// jumped over, so that a wrong clock ends nothing by itself. When the clock is
// set back, gaps that are then in the future are void; due times that were moved
// beyond them stay, so the sweeper may come to such a session late.
//
// Without a pulse that can be read nothing is swept. Outages of less than these
// times are not noticed.
//
// # Refused
//
// Package session does not know persons: blocked or deleted ones are kept out
// by the commit that signs in. It does not tell relying parties anything: it
// knows which of them had a code for the session, and the Planner tells them in
// the commit of the end. One that the user was asked about and has not allowed
// is Pending, and hears nothing.
package session
