// Package sessionhooks holds what happened and who is told of it: events, the
// log in which they stand, and session webhooks with their templates. Room
// delivery does the sending.
//
// # What it owns
//
//   - Event and Log. An event is appended in the commit of the change that it
//     tells of, so there is no publish step to forget. One partition has one
//     order. The entry of the log holds what names the event; its Data is a
//     record beside it, so that it can be erased, and expires, while the order
//     stays as it was.
//   - Webhook and Compiled, what is posted where when a session ends, and Values,
//     what its variables stand for. Property says what each one holds.
//   - Sign and SignIRM, the two ways in which a receiver can tell that a request
//     is ours: Standard Webhooks and X-IRM-Signature.
//
// # What it promises
//
//   - A template is parsed once, when it is saved, and everything that is wrong
//     with it is told then. How a value is escaped depends on where it stands
//     and never on what it is, and a value is never looked at for variables.
//   - What cannot be rendered is an error. Nothing is cut, stripped or guessed.
//   - A session ends once, with one of five events, and custom session
//     properties never shadow a built-in one.
//   - Secrets do not print. No token, cookie value or credential is a variable,
//     and no error holds a value.
//   - Data that was erased is never seen again, also not by what was waiting to
//     be told: it is told that the event happened.
//
// # What was decided
//
// Both ${name} and $<name> are variables. A variable whose property is missing
// is empty unless the webhook says otherwise, and an error in a path, where an
// empty segment would address something else. Variables need a Content-Type,
// since it decides about the escaping.
//
// Session webhooks are not signed: they know neither receivers with a secret nor
// an order. They carry webhook-id and webhook-timestamp. The signature of
// X-IRM-Signature covers the body alone, so it does not keep anybody from
// sending a request again; that of Standard Webhooks does.
//
// Topics name an event type by its full name at the product whose receivers we
// serve, so that they need not change.
package sessionhooks
