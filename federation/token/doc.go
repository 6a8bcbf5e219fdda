// Package token owns what relying parties are given: codes, access tokens,
// refresh families, ID tokens, and the keys that sign and seal.
//
// # What it promises
//
//   - A code is spent once, a refresh token rotated once, whoever races. The
//     spending and everything that it brings into being are one commit: {code
//     becomes a tombstone, refresh family, access token} at the first call, {family,
//     access token} at a refresh. With the commit of the sign-in that is two
//     durable commits for a whole login.
//   - No outside call is made while redeeming a code, but for the keys of a client
//     that wants its ID tokens encrypted and whose keys are not at hand: they are
//     fetched before the code is spent, with nothing held, and where that fails the
//     code is as good as before. A refresh makes its calls before the commit with nothing held, and one that fails leaves the refresh
//     token as it was.
//   - Signing comes after the commit: an outage costs a new login, a replay never
//     pays.
//   - Reading the store gives nobody a token. Handles are kept as hashes; a refresh
//     token needs the secret that only it carries beside the family's key.
//   - ID token and userinfo answer are projections of the snapshot that belongs to
//     one issuance. The claims of package claims' minted list are written last,
//     and removed where they do not apply.
//   - A signature needs no read of the store while what is known of the keys is
//     younger than MaxRefresh; see Keyring.
//
// # Where they live
//
// A handle names the place of its record, and is good only if that is one of the
// tenant's. Everything that comes of a code lives where the code does, with the
// person, so that a grant's commits are in one partition also where the tenant is
// spread. A place that was made up leads to a read that finds nothing.
//
// An access token that ends with a session also names it: `<handle>.<sid>`. So
// token and session are read at once, and userinfo costs one round trip.
//
// # JWT access tokens (RFC 9068)
//
// A client may have its access tokens as JWTs. Each has a record like every
// other one, and its jti is that record's name, so userinfo, introspection and
// revocation work for it, and it dies with its session, for the price of one
// signature to verify and no read more. A resource server that reads it without
// asking sees its expiry alone. The jti opens nothing: a JWT counts by its
// signature and typ, and what is a JWT has no handle. JWTs have sid only where
// they end with the session.
//
// What access tokens are meant for (RFC 8707) is part of the grant: none is the
// provider itself. A code and a family keep all that was granted, an access token
// what it was narrowed to; nothing is added at the token endpoint, and what the
// file takes away counts at the next use. A token that is meant for other
// resources is refused at the provider's own endpoints, or each of those servers
// could read there what the user did not want it to know. A client that wants
// both names the issuer too, which every client may.
//
// # Introspection (RFC 7662)
//
// What is said of an access token is what its JWT would say. Looking changes
// nothing, except that it counts as activity where the asker may ask. Who may is
// federation.Client.MayIntrospect; a refresh token is told of to its own client
// only. All reasons to say no are one answer, after the same read.
//
// # Replay (RFC 6749 §4.1.2 and §10.4, RFC 9700 §4.14)
//
// A spent code stays as a tombstone, without the grant, for two minutes beyond its
// life, or the access token's whole life where that is longer. It names the
// family, and the access token as the mark of the commit that spent it. Shown
// again by the client it was made for, with the redirect URI and the verifier it
// is bound to, it is a replay: family and access tokens are revoked. That holds
// also for those who lose a race of the same instant, since the two cannot be
// told apart. It does not hold for the spender that plans again after
// store.ErrUnknown, who finds its own mark.
//
// Everything else changes nothing: another client's code, a wrong verifier or
// redirect URI prove no earlier use, and an attacker who probes with what leaked
// must not be able to sign the victim out, nor to burn a code.
//
// # Refresh families
//
// One record per grant holds the generation. A token that is one generation
// behind is good for the grace after the rotation, and so is one that was current
// when it was shown and lost the race: all get the family's current refresh
// token, so there is one lineage and one rotation, and each an access token of
// its own. Anything older, or after the grace, revokes the family and its access
// tokens. What does not carry the family's tag is nobody's token and changes
// nothing.
//
// The family names its live access tokens (at most 128, the oldest are revoked
// beyond that), rather than each access token its family: a family is written at
// every refresh anyway, while the other way every userinfo would read and decode
// one record more, and revocation is the rare case.
//
// # The gate
//
// Every grant passes one function, judge, when its code is issued, when that is
// redeemed, and at each refresh: the client is the tenant's, and may use the
// grant type, the upstream and the scopes; the person is there, not blocked, and
// has taken nothing back since; the session is alive, if the grant is bound to
// one. What issues takes a Permit, which only the gate makes, so no grant type
// can be added that forgets to ask.
//
// What the file takes away counts at the next refresh: a scope is left out (and
// is there again once it is given back), an upstream or grant type ends it, and
// without offline_access a grant is bound to its session again. A code whose
// scopes were taken away in its minute is refused. Access tokens live on for
// their few minutes.
//
// A person's Barred and Withdrawn are compared with the moment of the grant, so
// that one commit ends whatever was granted before, wherever it is, also what is
// being redeemed at that moment. Person and session are read in one round trip.
//
// Refresh families are listed by person, in the commit that makes them, so that
// a withdrawn consent, a block or a deletion takes them away with their access
// tokens (EndGrants). Access tokens of a client that may not refresh are not: they
// end with their session, or by themselves.
//
// # Sessions
//
// A grant that is not offline dies with its session: Redeem, Refresh and Inspect
// look. Its family record also goes with the session, at latest twice the
// session's maximum after its beginning (an upgrade may have begun the session
// anew under the same sid meanwhile); every refresh moves that on. Offline
// grants know no session, unless they are to end with it; see below.
//
// # Keys
//
// Each tenant has keys of three uses: RS256, ES256, and sealing; and of PS256 and
// EdDSA from when a client of it wants them. A key is next
// (published, so that everybody may learn it), then it signs, then it is retired
// (published until the overlap is over), then it is gone from the store. Which it
// is follows from the times in the record and the engine's clock, so all nodes agree without
// talking, and nothing needs a restart. A kid is the thumbprint of RFC 7638.
//
// # Pairwise subjects
//
// A pairwise sub (OpenID Connect Core 1.0 §8.1) is an HMAC over sector and person
// under a salt of the tenant's, which is made at its first use, kept sealed at
// the tenant's home, and never changes. So the sub is the same on every node and
// in a copy of the store. A grant carries the sub that it began with: what its
// refreshes give does not change with the configuration.
//
// # Refused
//
// PKCE other than S256; a verifier for a code without challenge; a code of a
// client that must use PKCE and did not. Package token does not parse HTTP, does
// not know what a claim means, and does not announce: no federation.Change
// concerns tokens.
//
// # Offline grants and logout
//
// What is bound to a session ends with it; what is offline does not. A client may
// ask that ends of some kinds end it too (Grant.EndsOn). Such an end is
// remembered, in its own commit, for as long as any grant can last, and read
// whenever such a grant is redeemed, renewed or looked at: a code that is
// redeemed late does not outlive it, and nobody else pays for that read.
package token
