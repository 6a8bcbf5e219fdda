// Package limit counts how often something is done, and says when it is too
// often: by one client address, by one client, for one person.
//
// # What is promised
//
//   - A use costs no more than a look into the memory of its node: whoever takes
//     one waits for no store. What comes near its limit is told to the store once
//     a second, by Run, and what other nodes have told is learned there.
//   - What stays below a quarter of its limit is known to its node alone: visitors
//     who do nothing unusual cost no disk, however many they are.
//   - Memory is bounded (Options.Keys): those not used for the longest time are
//     forgotten. So are the numbers told at once, FlushMost; the others wait for
//     the next second.
//   - Where the store does not answer, each node counts for itself: limits protect
//     against too much, and must not be what turns everybody away.
//
// # How exact it is
//
// Windows are fixed: a Rate of 300 in a minute begins anew with every minute of
// the clock, so that nodes agree without asking and Verdict.Wait is true. Around
// the turn of a window somebody may do twice as much for a moment.
//
// With several nodes somebody may do more than the limit: on each further node
// up to a quarter of it, which that node has not told of, and what gets through
// there within the second until it next tells. What was refused is not counted,
// so a window never lasts longer for who goes on trying. A node that is started
// anew forgets what it had not told.
//
// In the store is one record per counter and window, with what each node has
// counted: a number that only grows, written again as a whole, so that an answer
// that was lost does no harm. It names nobody but by a hash, and expires with its
// window.
package limit
