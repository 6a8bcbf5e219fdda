// Package federation holds the words of the trade that the rooms below share:
// tenants, upstreams, clients, logins, persons, sessions, grants, the changes
// that happen to them, and the one error that carries an OAuth code outwards
// and its cause inwards. It does no work of its own.
//
// # Who is who
//
// A person is keyed by (tenant, upstream, upstream subject) and carries a UUID
// of ours (version 7), minted at the first sign-in. That UUID is the public
// sub, the Users id and the events' AggregateId. What an upstream says about a
// person in one session is a Login. An upstream is believed about e-mail
// addresses within its own domains only (Upstream.Vouches).
//
// # Changes
//
// A change of state and everything that tells of it are one commit. The room
// that changes something describes it as a Change and asks a Planner, a plain
// function given at wiring, for the operations that others want in the same
// commit: events, webhook deliveries, counters. A Planner is asked again when
// the commit conflicts, so it has no effect of its own.
//
// # Handles
//
// Codes, tokens and session cookies are Handles: they carry the tenant and the
// partition in the clear, so that any node finds the record with one read, and
// a random secret of which the store keeps only the hash.
package federation
