// Package person owns who is who: the persons that Drawbridge has seen, the
// alias (upstream and subject) that each is known by, and the indexes that
// find a person by e-mail address or customer id.
//
// # What it promises
//
//   - One alias is one person. Two sign-ins that race to be the first make one
//     person; the loser hears ErrMoved and resolves again.
//   - An alias is qualified by its upstream and its tenant: two upstreams that
//     both say "123" never meet. Subjects are compared byte by byte, may be any
//     bytes of any length, and come back as they were given.
//   - An e-mail address is vouched for only when the upstream calls it verified
//     and has authority over its domain (DESIGN decision 2). email_verified
//     speaks of the claim email: an address taken from another claim is vouched
//     for only where both are the same address.
//   - A sign-in counts in its own commit. PlanSignIn has no effect of its own.
//   - A blocked person does not sign in. Block ends what there is of theirs as
//     Delete does: an intent is committed with it. What was granted before the block
//     was set, or before it was lifted, never counts again (Person.Honours).
//   - A login of another upstream becomes somebody's only where both upstreams vouch
//     for one address, which one person alone has, and only in the commit of a
//     sign-in, which proves it all once more. It is never made so by what we
//     confirmed ourselves. What a caller has to add is in Candidate.
//   - A deleted person is gone at once, their sessions right after. What a crash
//     leaves behind is finished by Run, and nothing else is lost: an intent is
//     committed with the removal and taken away when all sessions have ended.
//     Whoever signs in again afterwards is somebody new, with a new UUID.
//
// # What is one commit
//
// PlanSignIn: {person, alias, indexes, PersonCreated or PersonUpdated}, next to
// whatever the caller commits with it. ConfirmEmail: {person, EmailConfirmed}.
// With a login that is added: {person, alias, LoginAdded} in the same. Unlink:
// {person, alias removed, indexes, intent, LoginRemoved}.
// Block and Unblock: {person, PersonBlocked or PersonUnblocked}, a block with an
// intent.
// Delete is three steps: {person, alias, indexes removed, intent, PersonDeleted},
// then the sessions' ends, then {intent removed}.
//
// # Spread tenants
//
// Where a tenant is spread by person, the alias decides about the partition, and
// the UUID is minted until it names the same one: {person, alias, event} is still
// one commit, and one alias one person whichever nodes race. The indexes by
// address and customer are projections: an entry lives where the hash of its
// value says, so a change of either is two steps. First {person, a note of what
// was and is, event}; then the entries, one commit each, and {note removed}.
// Committed takes the second step at once, and Run, on all nodes and without a
// lock, what a crash has left. In between the old value finds nobody and the new
// one nobody yet. A deletion's intent says what is to be removed from the indexes,
// and Run sees to that as it does to the sessions.
//
// An entry names the version of the person that it was written by, so that a
// worker that was overtaken undoes nothing newer, and whoever writes reads the
// person again afterwards. What can remain all the same, when two work off one
// note and the slower dies between two steps, is an entry of a hash and a UUID
// that finds nobody: every find checks the person.
//
// # What was decided
//
//   - The newest login is believed: what an upstream stops saying (an address, a
//     customer) is no longer known. A confirmed address is kept and counts again
//     should the upstream come back to it.
//   - Of a person with several logins the first says who they are: name, address and
//     customer are that upstream's. Of the others their claims are kept, each for
//     itself: what one upstream says is not told as another's. The first one may be
//     removed, and then the oldest of the others takes its place.
//   - An upstream has one login of a person, since a session has one of each upstream.
//   - A login that is removed ends all that the person had, not only what came by it:
//     who removes one does not trust it. It is remembered, so that it is not added
//     again without the user's being asked.
//   - Logins are not linked in spread tenants: an alias decides about the partition of
//     its person, and two of them would not be proven by one commit.
//   - An address that cannot be normalised is no address.
//   - PersonUpdated is announced when anything but the protocol's own claims
//     (iat, nonce, at_hash ...) differs from the login before.
//   - Index ids are hashes: no address is readable in a key, where sealing could
//     not hide it.
//   - Index records are written without a version, vouched for by the guarded
//     write of the person in the same commit; every find checks what it found.
package person
