// Package admin owns the management doors of sessions (list, get and end, under
// /v1/tenants/{tenant}/sessions and /v1/sessions), of signing keys (see Keys), and
// of what users may do and have agreed to (see Users), as openapi/management.yaml
// says.
//
// # What it promises
//
//   - Only live sessions are shown; what is past its deadline is 404, and gone.
//   - No answer holds a secret, a token or a claim of the user.
//   - Ending a session is DESTROY, with its event, once: 204, then 404.
//   - Whoever may not name a tenant cannot tell whether it exists; a session of
//     another tenant is 404.
//   - Each session says how far the order of its tenant's events reaches: over the
//     tenant, or, where that is spread, over each person. Lists of a spread tenant
//     go through one partition after another.
//   - Every end leaves an audit line that names the caller and those behind it.
//
// # Scopes
//
// sessions:read shows, sessions:end ends; sessions is both. users:block blocks and
// unblocks, users:consents:read shows consents, users:consents withdraws them; users
// is all of these.
package admin
