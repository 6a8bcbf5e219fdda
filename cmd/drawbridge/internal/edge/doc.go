// Package edge is where bytes enter and leave: the middleware around both
// listeners (request id, client address behind trusted proxies, one log line
// and one count per request, body cap, panics), the guarded client that every
// outside call goes through, health, and the metrics.
//
// # The guard
//
// An address is judged when it is dialled, after resolution, so a name that
// resolves to something else the second time gains nothing. Ranges that are
// not for everybody (private, loopback, link-local, metadata, documentation,
// multicast and their IPv6 kin) are refused unless the file allows them for
// the purpose of the call; our own listeners are refused always. There are no
// redirects, and no proxy that the file does not name.
package edge
