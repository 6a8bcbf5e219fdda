// Package claims owns what may be said about a user: the set of claims, the
// mapping that shapes it for one client, the guard that keeps forgeries out,
// and the snapshot from which every token and userinfo answer is projected.
// It is pure: no I/O and no clock.
//
// One issuance runs one pipeline:
//
//	upstream claims → mapping → stages (the hook) → release → Snapshot
//	                  guard     guard                         Mint at each projection
//
// What it promises, whatever an upstream or a stage says:
//
//   - A minted name (iss, sub, exp ...; the closed list is in names.go) is set
//     or left out by the minting code alone. It is stripped before the first
//     stage, shown to stages to read, and stripped again by Mint.
//   - A protected name gets in by an explicit mapping rule only. A stage that
//     leaves it out or repeats it is neutral; one that changes or adds it is
//     overruled, with a Verdict that never goes unreported.
//   - Names are compared folded per rune, because readers of JSON do so:
//     "SUB" and "ſub" are "sub" to encoding/json. A set in which two names fold
//     together is refused whole.
//   - Numbers keep their text. 9007199254740993 comes out as it went in.
//
// What was decided here where the design left a choice:
//
//   - The mapping reads the upstream's claims whole, its sub included, since
//     the operator names what is written. Everything else sees the stripped bag.
//   - A rule owns its claim: what the upstream says under that very name counts
//     only if the rule lists it as a source.
//   - A value that cannot be converted leaves the claim out, default or not, and
//     is reported as a Problem: a default speaks for absent values, not for
//     wrong ones.
//   - Release follows the author of a claim. The client's mapping releases what
//     it names. A standard claim (OpenID Connect Core 1.0 §5.4, also with a
//     language tag) needs its scope, whoever wrote it. What a stage introduced
//     or changed is released; what an upstream said and nobody took up stays in
//     the bag. A stage that merely repeats what it was shown releases nothing,
//     and neither does one that rounds a number on the way.
//   - A standard claim that the client asks for by name (§5.5) counts as if its
//     scope had been granted, as long as the client may ask for that scope; asked
//     for in the ID token it is told there alone. Asking for any other claim only
//     puts it into the ID token: it is told if it has an author, asked for or not.
//   - What is released under a standard name has the standard type. What
//     well-known providers send instead (text for booleans and times, addresses
//     as lines) is converted, the rest is left out and reported as a Problem.
//   - Null, and on release the empty string, are no value
//     (OpenID Connect Core 1.0 §5.3.2).
//   - A refused change under a strict guard is a Malfunction: nobody denied the
//     user anything, the policy is broken.
package claims
