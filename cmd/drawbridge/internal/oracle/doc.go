// Package oracle says whether a run under faults kept every promise that the
// program makes. It is told what was seen from outside, in a Ledger: what the
// program acknowledged (P), what it may have done (U), what receivers got (R),
// and which faults were injected (F). From that alone it finds what is wrong.
// It does no I/O, has no clock, and knows nothing of how the program works.
//
// # The ten rules
//
//	O1  NoLoss         what was acknowledged arrives, and is answered with 2xx
//	O2  Order          a strict webhook's first 2xx come in the order of the log,
//	                   and the log gives each place to one event only
//	O3  NoOvertake     a strict webhook sends nothing before what precedes it was
//	                   answered with 2xx
//	O4  Duplicates     what arrives again has a reason: a failed, cut or late
//	                   answer, a fault between answer and commit, or a replay
//	O5  NoPhantoms     nothing arrives that nobody caused, nor where it is not
//	                   wanted, nor before it happened
//	O6  SameBody       what arrives again is the same, and authentic
//	O7  OneEnding      a session ends once, for a reason that it has, at a time
//	                   that fits what was seen of it; and it ends for nothing else
//	O8  Silence        a stopped webhook system sends nothing, and a started one
//	                   goes on with what is owed
//	O9  AttemptLog     the attempts that the program shows are those that arrived
//	O10 Erased         what was erased is never sent again
//
// # What was decided
//
//   - An arrival is explained by the attempt right before it, not by any earlier
//     one: one failure does not excuse any number of repetitions.
//   - A fault explains an attempt that was not recorded only where the answer and
//     the commit lie within Fault.Explains. A process that was stopped for a
//     minute explains what it was doing when it was stopped, and not what others
//     did meanwhile.
//   - A session is judged by bounds. Activity is written down at most once per
//     tenth of the idle time, answers are late, and calls during an outage may
//     not have been recorded: what any of this can explain is legal, nothing
//     else is.
//   - The order of ledger entries does not matter; times do. All come from one
//     clock, and Margins says how far they can be off.
package oracle
