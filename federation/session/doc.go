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
//
// # What is one commit
//
// Begin: {session, index by person, due time, SessionBegan}, next to whatever
// the caller commits with it, and the end of the session that it replaces. End:
// {session, index, due time removed, SessionEnded}. EndAll is one commit per
// session. A touch is {session} alone: the due time is left behind and moved by
// the sweeper when it comes up, so that activity costs one record.
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
// Run looks 10 times a second at most and once a second at least, sleeping
// until the next due time it knows. It reads batches of 200, oldest first, and
// ends what is due with 32 commits in flight. Any number of sweepers may run. A
// due time whose session cannot be ended now does not hold up those behind it.
// When the engine's clock has jumped by more than a minute against the
// monotonic one, one round is held and the operator is warned.
//
// # Refused
//
// Package session does not know persons: blocked or deleted ones are kept out
// by the commit that signs in. It does not tell relying parties anything.
package session
