// Package freshness asks upstreams again about logins whose users are away
// (DESIGN decision 16): when a relying party refreshes, the upstream may have
// forgotten the user, or say something else of them.
//
// # What it promises
//
//   - Where an upstream is never to be asked, nothing is kept, read or written
//     here: a login is two commits, a refresh one.
//   - Otherwise the login is kept beside its session, in the commit of the
//     sign-in, with the upstream's tokens. The session itself then has none. It
//     outlives the session where an offline grant does, and goes with it where
//     none does.
//   - One call at a time per login, on all nodes together: who asks first claims
//     the record, the others wait and share what comes of it, good or bad. Logins
//     do not wait for each other.
//   - The call is made with nothing held but that claim, which ends by itself
//     after claimLife. It goes on when whoever waits for it has gone, since what
//     comes back may be a new refresh token.
//   - A new refresh token is committed before anybody uses it, together with what
//     the upstream says now, and with the session's login.
//
// # What comes of it
//
//   - The upstream stands by the login: what it says now is the base of the
//     client's claims.
//   - It does not (ErrGone): that is remembered, so that every grant of the login
//     finds it out. The caller ends session and grant.
//   - It cannot be reached: as configured, go on with what is known, without end
//     or for so long since it last stood by the login, or
//     temporarily_unavailable. The time is counted from the last good answer, so
//     an outage cannot be stretched by asking.
//   - There is nothing to ask with: as configured, go on or login_required.
//   - Its answer is not to be believed: temporarily_unavailable always.
//
// # A crash in between
//
// A process that dies between the upstream's answer and the commit loses a
// refresh token that the upstream may have replaced; so does an answer that is
// lost on the way. The next call tries the old one, which many upstreams take for
// a while. Where it is refused after that, nobody can tell a lost token from a
// lost user: the answer is login_required for this login, from then on, and the
// session stays. Only where nothing was lost does a refusal mean that the user is
// gone.
package freshness
