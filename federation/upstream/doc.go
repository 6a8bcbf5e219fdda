// Package upstream signs users in at OpenID Connect providers, as a strict
// relying party over go-oidc (DESIGN decision 15, reference op-checklist 2.8),
// and at providers of plain OAuth 2.0.
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
// # Who we are there
//
// By client_secret_basic, client_secret_post or private_key_jwt, at the token
// endpoint and where requests are pushed (RFC 9126) alike. One function makes
// all of these calls: x/oauth2 builds authorization requests, but cannot sign
// client assertions, and reads answers less strictly than ID tokens are read.
// PKCE with S256 goes along always. What an operator adds to authorization
// requests never replaces what the protocol sets.
//
// # Assurance
//
// acr_values are translated into the provider's words, its acr and amr into
// ours. Once words are mapped, others mean nothing unless the operator passes
// them; a word of ours that comes from the provider itself never counts. An acr
// that is essential is asked for with the claims parameter where the provider
// has that, and held to: unmet_authentication_requirements.
//
// # Plain OAuth 2.0
//
// A user is whom the profile is about: one member of it, text or a whole number,
// is the subject. Nothing there says when or how the user authenticated, so
// prompt=login and max_age are login_required before the user is sent there,
// and an essential acr is unmet, unless the operator takes that on himself
// (AssumeAnew, DefaultACR). auth_time is when the login came in, marked as a
// guess. Claims that only an ID token can vouch for are taken out of a profile.
// iss of an answer is compared where the operator named the issuer. Errors that
// come with status 200, and answers that are forms, are GitHub's.
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
