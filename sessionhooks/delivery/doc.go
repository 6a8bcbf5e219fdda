// Package delivery sends what must not get lost: session webhooks, logout tokens
// to relying parties, mails, and whatever else a Sender can send. It is the only sender there is.
//
// # Two policies, one engine
//
// Independent: a Job is due by itself. Enqueue gives the operations for the
// commit of the change that causes it; the worker sends it when it is due, and
// again after each failure as the schedule says, until it is delivered or dead.
// A dead job can be replayed. Jobs of one target do not wait for each other.
//
// Strict: a Stream is a cursor over the log. One event is in flight, the next
// follows when it was delivered. When the budget of attempts is spent, or the
// answer is permanent, the stream stops, and Start resumes with the very event
// that failed. A stream that is told something new never skips what is old.
//
// Both are run by the Worker of a partition, under one lease. A Pool runs the
// workers of a node.
//
// # Several nodes
//
// Every node runs a Pool over the same store. A node that delivers holds a lease
// by its name, so all know who there is, and each works out by itself which
// partitions are whose: as many each, one more or less. What has become another's
// is given up when the attempts under way are over. So a node that comes has its
// share within seconds, one that stops cleanly is followed within two, and one
// that dies when its leases, of 30 seconds, have run out. Where nodes do not agree
// for a moment, the lease of the partition decides, as it fences every write.
//
// A process may be suspended at any moment and wake up when its lease is
// another's. So an attempt begins only if the lease outlives it by the engine's
// clock, and by the monotonic one since the last renewal was asked for; both are
// asked right before it begins, after everything about it was read.
//
// Cursors and jobs are read right before each attempt and never remembered over
// one, a lost lease, or a failure: after a failover they may have fallen back.
//
// # What it promises
//
//   - At least once: what was committed is sent, whatever crashes. A crash
//     between the receiver's answer and our commit sends once more; receivers
//     tell by webhook-id, which names the delivery.
//   - One worker per partition. Its lease fences every write, so that a worker
//     that was late changes nothing; and no attempt begins that the lease might
//     not outlive, so that two nodes do not send the same at once.
//   - A target that hangs holds up only itself, however much is due for it, and
//     many that hang hold up nobody else: see board.
//   - What is due is sent within milliseconds of its commit, on any node: every
//     entry of the log wakes the worker. A look each second finds the rest.
//   - Every attempt is recorded with its time, status and reason; the reason is
//     a word of ours, never the receiver's text. A panic is one of them.
//   - Redirects are failures: a redirected POST would lose its body and count as
//     delivered.
//   - Nothing spins. What cannot be recorded, read or understood is left alone
//     for a while; a due record that stands for nothing is removed. Once a write
//     has failed nothing is sent until the lease could be renewed: while nothing
//     can be recorded, everything would be sent again and again.
//   - A worker that is stopped finishes the attempts under way, within their
//     time, and gives the lease back, so that another goes on at once.
//
// # What it refuses
//
// Values are not rendered when a job is enqueued but when it is sent, with the
// newest revision of its template, so that a bad template can be mended. It does
// not look at what a receiver answers beyond the status: a 2xx whose body never
// ends, or breaks off, is a delivery.
//
// What an idle store costs: for each partition a look each second by the one
// node that has it, a waiting read of the log, and a renewal in eight seconds; for
// each node a look at the members each second. Tenants cost nothing, and streams
// next to nothing: one feed reads the log for all streams of a partition, and one
// record says that some cursor was changed on another node. An event that a
// stream does not want costs it no read, and in half a minute one write.
//
// # What was decided
//
//   - A receiver's 408, 429 and 5xx, timeouts and network failures are tried
//     again; every other answer, certificates that do not verify and addresses
//     that are not allowed are not.
//   - webhook-id is the job's ID and not the event's: two webhooks that one
//     receiver is told of must not look like a repetition. A replay has the same.
//   - A logout token is made anew for each attempt: relying parties remember jti,
//     and it lives for two minutes while an outage may last a day. 200 and 204
//     mean that the relying party has done it (OpenID Connect Back-Channel Logout
//     1.0 §2.8), and so does every other 2xx; 400 is its refusal, which is final.
//   - A failed attempt after which nothing could be recorded does not count; the
//     job is tried again five seconds later.
//   - A stream's Seek to another place wins over the attempt under way; its Stop
//     does not undo a delivery.
//   - After the log was trimmed past its cursor a stream stops and waits for
//     somebody to decide where it goes on.
//   - Finished jobs are kept for a week, dead ones for a month.
package delivery
