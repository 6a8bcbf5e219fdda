// Package wire holds the HTTP manners that every management door shares: who
// calls, for which tenant, what a strict request is, and how an answer or an
// error looks on the wire.
//
// # What it promises
//
//   - Every error is written by one function, WriteError, in the dialect of the
//     listener: RFC 9457 problem documents that are also readable as the two
//     older dialects, or one of those alone (Profile). Nothing of an error that
//     is not a Problem reaches a caller.
//   - Every answer is marked no-store, no-cache, nosniff and UTF-8.
//   - A request is read strictly. Unknown or repeated members and parameters,
//     wrong types, trailing data, a byte order mark, too much nesting and too
//     many bytes are refused whole; names are compared byte for byte, and two
//     names that differ only in case are twins.
//   - Secrets are compared in constant time over all credentials; failures are
//     counted per address in bounded memory.
//   - A tenant that is not there and one that is not allowed look the same.
//   - No path is ever redirected. A variable of a path is unescaped once, here.
//
// # How it is put together
//
// From outside to inside: the ingress, which puts RequestInfo into the context,
// Speak (dialect), Drain, SameOrigin, Authenticate, NewRouter, and Endpoint for
// each route. Without Speak errors are problem documents. The router must not
// stand behind http.ServeMux, which redirects paths that it would rather see
// otherwise.
//
// # What was decided
//
// Problem types are `urn:bridge:error:<code>`; the digits of error_code are
// 1041 for whatever is malformed and 2000 to 2012 for the rest. A browser call
// is one that carries Origin or Sec-Fetch-Site. The package depends on nothing
// but the standard library and gorilla/mux.
package wire
