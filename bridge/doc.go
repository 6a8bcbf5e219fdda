// Package bridge is the Users contract: seven operations on the users of a
// tenant, whichever directory they live in, and the HTTP face that a platform
// calls. A Directory answers, a driver (a room below) makes one, the Service
// does around it what is the same for all, and the Handler speaks HTTP.
//
// # What it promises
//
//   - A User is exactly ten members: id, customer, email and both booleans are
//     always there, the count is a string, times are UTC or absent.
//   - A directory says what it can do: an operation it has no function for is
//     emulated where that is right and is 501 otherwise. Capabilities says which.
//   - Calls that change one person run one after the other on this node; who has
//     waited five seconds is answered 409 and may try again. Reads run free.
//   - What a directory finds by e-mail address or customer id is compared again
//     with what was asked for; a hit that is none is dropped.
//   - Asking for a password reset says nothing about who exists: the call stores
//     one mail job and nothing else, and the person is looked up when the job is
//     sent. The limit counts addresses, not persons.
//   - A link in a verification mail is good once, for 24 hours, for the address
//     it was sent to. A newer one kills it. The store has only its hash. Looking
//     at the page changes nothing (mail scanners look); only the button does.
//   - The token and its mail job are one commit, at the tenant's home, also where
//     the tenant's persons are spread over the store.
//   - Malformed ids, addresses and customer ids never reach a directory.
//
// # What was decided
//
//   - Addresses are compared in NFC, with the local part in lower case and the
//     domain as A-labels; plus-addresses and dots tell people apart. A directory
//     is handed the address as it was written and compares with NormalEmail.
//   - A reset mail goes to the address as the directory has it, not as the
//     caller spelled it: spellings that merely look or fold alike reach nobody
//     else.
//   - Links begin with the tenant's configured address, never with Host.
//   - A link is spent before the mark is set. If the directory then fails, the
//     person asks for another mail; a link is never good twice.
//   - A 202 carries an empty JSON object, so that callers that read JSON can.
package bridge
