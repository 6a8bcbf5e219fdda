// Package notice takes what upstreams tell of logins that are over, and sees to
// it that the sessions that came of them are over too (OpenID Connect
// Back-Channel Logout 1.0 and Front-Channel Logout 1.0, as the relying party).
//
// # What it promises
//
//   - A logout token that was verified, and answered with success, has ended every
//     session that it names, on whichever node they began, and keeps those from
//     beginning that are on their way (package session says how).
//   - One that could not be carried out, because the upstream's keys cannot be had
//     or the store fails, is kept and tried again, for a day, by whichever node
//     comes to it first. The upstream is told to try again all the same, so that it
//     takes effect either way. What cannot even be kept is an error in the log.
//   - What could never be believed is refused at once and leaves nothing behind.
//   - Nothing is begun that a caller who hangs up would leave half done.
//
// # What was decided
//
//   - The same token once more is answered as the first time, and does nothing: an
//     upstream that did not hear our answer asks again, and a token that somebody
//     else shows again must not end what began later. It cannot: a sid is over for
//     good, and a token that names a subject alone ends only what is older than
//     itself. Another token with a jti that was used is refused.
//   - A jti is remembered for two hours: longer than any token is taken that has it.
//   - It is noted last. A crash before that makes a token be carried out twice,
//     which is the same as once.
//   - A kept token is judged by when it came in. How many are kept of one upstream
//     is bounded (1,000), since until they are verified anybody can have made them;
//     beyond that the upstream has to try again, and the log says so. Many are tried
//     at once, since one whose keys are waited for must not hold up the rest. There is no
//     limit by address in front of it: who stands behind one proxy with the upstream
//     could use that to keep its tokens out.
//   - A notice by front channel proves nothing but that somebody knows the sid, which
//     the specification wants to be beyond guessing. It ends the sessions that are
//     there and leaves no trace: a stranger can neither fill the store by it nor keep
//     anybody from signing in.
//   - The upstream that told of the end is not told of it in turn: the Change's
//     Request names it, and no browser is sent to its end of session.
//
// # What is one commit
//
// The notice, in each place of the tenant; then the end of each session; then the
// jti. Each of these may be done again.
package notice
