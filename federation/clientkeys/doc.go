// Package clientkeys owns the public keys of relying parties, and what is
// encrypted to them: keys written in the configuration (jwks), or published by
// the relying party at an address of its own (jwks_uri; OpenID Connect Dynamic
// Client Registration 1.0 §2), and JWE (RFC 7516) made with them.
//
// # What it promises
//
//   - Keys are fetched when they are first needed, once for all who want them,
//     with the guarded client it is given, a bounded answer and a deadline. No
//     lock is held meanwhile, and nobody who has a key that fits waits.
//   - Keys are kept as long as the answer's max-age says, within a minute and a
//     day, an hour where it says nothing (OpenID Connect Core 1.0 §10.2.1), and
//     then fetched again. While that fails they stay in use for a day more.
//   - Who asks for a key that is not there makes it look again, at most once in
//     ten seconds, however many ask: a kid costs nothing to invent.
//   - A set with nothing in it that could be used does not replace one that has.
//   - Only public keys that are strong enough are kept: RSA of 2048 to 8192 bits,
//     P-256, P-384, P-521 and Ed25519. What is of a kind that is not known is
//     somebody else's (RFC 7517 §5). In the configuration every key must be good:
//     there it is a mistake.
//   - What should be encrypted is encrypted or not said at all.
//
// # Encryption
//
// Key management is RSA-OAEP, RSA-OAEP-256, ECDH-ES or ECDH-ES with AES key wrap;
// never RSA1_5 (RFC 8725 §3.2). The key is the first that is for encryption and
// for the algorithm, or else for everything. What was signed before is a nested
// JWT, with cty (OpenID Connect Core 1.0 §10.2). Nothing is compressed.
package clientkeys
