// Package hook is the user-details hook: a claims.Stage that asks a service of
// the operator's what may be said about a user, and survives that service.
//
// The contract. One POST per issuance of
//
//	{"user":{"id"},"scopes":[…],"claims":{…},"contextCustomParams":{…}|null}
//
// answered by 200 {"claims":{…}}, which replaces the free claims, by 204, which
// leaves them, or by 403, which refuses the user (claims.Denied). Everything
// else is a malfunction with an Outcome that names it, and OnFailure says what
// a malfunction means. OnFailure never applies to a refusal.
//
// What it promises. The deadline covers the whole of it, the token for the
// request and the last byte of the answer included. Request and answer are
// bounded, the answer is read as claims.DecodeObject reads. Redirects are not
// followed, compressed answers are not accepted. At most MaxConcurrent calls
// are in flight and nobody queues for a place; a breaker stops calls to a
// service that fails. No goroutine outlives Apply.
//
// What was decided here:
//
//   - One retry, at once, when the connection failed before an answer began or
//     the answer is 502, 503 or 504, and at least 40 % of the time is left.
//     It repeats the webhook-id with a new timestamp and signature.
//   - The service may add members to its answer, but "claims" twice, also
//     folded, is a duplicate. A 204 is complete whatever follows it.
//   - Keep lets through the free claims of the allow-list only. Protected claims
//     stay: a living hook could not have taken them away either.
//   - A refusal ends what LastGood remembers: who was refused does not get in by
//     the next malfunction.
//   - What LastGood remembers is what the hook did, not what it repeated: which
//     claims it left alone, by name, and which it wrote, by value. A stale copy
//     of an upstream's claim is never released, nor held against the guard.
//   - An issuance that is given up by its own caller is no malfunction of the
//     service: the breaker does not hear of it and no policy applies.
//   - The breaker counts what shows a sick service (time-outs, connections,
//     statuses, documents of another type), not answers about one user that are
//     merely invalid: somebody's odd claims must not switch the hook off for all.
//   - Without the scope openid there is nothing to customise and no call.
//   - The state of the breaker, the places and the default Memory are this node's
//     own.
//
// Several nodes. Nodes do not tell each other that a service fails: what one
// sees may be its own network, and to ask the store at every call would make a
// sign-in wait for it. So on N nodes a service that fails is met by up to
// N × MinCalls failing calls before it is left alone everywhere, each node opens
// its breaker when its own calls fail, and in each Rest the service gets up to N
// probes, one from each node. A node with fewer than MinCalls calls in a Window
// never opens; its calls are few. The service must stand N × MaxConcurrent calls
// at once: divide MaxConcurrent by the number of nodes where it cannot. What
// LastGood may fall back on is what this node remembers, so behind a balancer a
// malfunction may mean Deny on one node and an old answer on another, unless
// Remember is given a memory that the nodes share. A restart begins with a
// closed breaker and nothing remembered.
package hook
