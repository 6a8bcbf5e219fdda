// Package upstream signs users in at OpenID Connect providers: a strict relying
// party over go-oidc and x/oauth2 (DESIGN decision 15, reference
// op-checklist 2.8).
//
// It owns the authorization URL, the exchange of the answer for a verified
// login, and the address that ends the provider's own session. It keeps
// nothing: what an attempt is bound to travels with the browser and comes back
// as a federation.Attempt.
//
// # What it promises
//
//   - Nothing is asked of a provider before somebody wants to sign in there.
//     Discovery is lazy, retried, shared by those who wait for it, and kept;
//     one dead provider stops nobody else.
//   - The ID token is checked as OpenID Connect Core 1.0 §3.1.3.7 says: issuer,
//     audience, azp, signature by an asymmetric algorithm that the provider
//     announced, exp, iat, nonce, and at_hash where there is one. Userinfo counts
//     only if its sub is the ID token's; where it is a JWT, its signature, iss,
//     aud and exp are held to the same.
//   - What had to be new or recent says when it happened, measured from when it
//     was asked for. prompt=login goes with max_age=0, since a provider need not
//     say auth_time otherwise.
//   - Aggregated and distributed claims are data: nothing in them is followed.
//   - An answer of another issuer (RFC 9207) is refused before its code is used.
//   - The whole bag of claims is kept. A document in which names fold together
//     (`sub` beside `SUB`) is refused whole: go-oidc would read one of them as
//     the other.
//   - Keys are fetched again for an unknown key at most once per interval, also
//     when that fails, and once an hour so that a withdrawn key is forgotten. A
//     provider that changes its keys the moment they were first fetched is heard.
//   - A login can be asked about again (Recheck): by its refresh token, or by an
//     access token that is still good. An ID token that comes with it must be
//     about the same user and sign-in (Core §12.2).
//   - A logout token is held to Back-Channel Logout 1.0 §2.6 as strictly: what it
//     says is judged first, by the moment at which it came in, and its signature
//     last. So one that cannot be verified now can be later, and what could never
//     be believed is told from what may be. It is at most an hour old; exp, which
//     drafts of the specification did not have, counts where it is there. One
//     signed by a key that the last fetch of the keys did not bring, a moment ago,
//     waits for the next.
//   - What was fetched once serves on while the provider cannot be reached, or
//     publishes nothing that could be used.
//
// # Several nodes
//
// Metadata and keys are kept by each node for itself, one copy per connector:
// they are the provider's, can be had again at any time, and nodes that differ
// for an hour are like relying parties that fetched at different times. N nodes
// make N times the fetches, each node at most one per interval.
//
// # Errors
//
// A refusal by the user or the provider keeps its code (access_denied,
// login_required and kin). What cannot be reached is temporarily_unavailable.
// What is not to be believed is server_error, whose private cause is a
// *Distrust that names the check that failed.
package upstream
