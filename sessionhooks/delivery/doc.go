// Package delivery sends what must not get lost: session webhooks, mails, and
// whatever else a Sender can send. It is the only sender there is.
//
// # Two policies, one engine
//
// Independent: a Job is due by itself. Enqueue gives the operations for the
// commit of the change that causes it; the worker sends it when it is due, and
// again after each failure as the schedule says, until it is delivered or dead.
// A dead job can be replayed. Jobs of one target do not wait for each other,
// and a slow target does not hold up the others.
//
// Strict: a Stream is a cursor over the log. One event is in flight, the next
// follows when it was delivered. When the budget of attempts is spent, or the
// answer is permanent, the stream stops, and Start resumes with the very event
// that failed. A stream that is told something new never skips what is old.
//
// # What it promises
//
//   - At least once: what was committed is sent, whatever crashes. A crash
//     between the receiver's answer and our commit sends once more; receivers
//     tell by the webhook-id header.
//   - One worker per partition, under a lease that fences every write. A worker
//     that was late changes nothing.
//   - Every attempt is recorded with its time, status and reason; the reason is
//     a word of ours, never the receiver's text.
//   - Redirects are failures: a redirected POST would lose its body and count as
//     delivered.
//
// # What it refuses
//
// Values are not rendered when a job is enqueued but when it is sent, with the
// newest revision of its template, so that a bad template can be mended.
package delivery
