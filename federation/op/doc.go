// Package op is the OpenID Provider that relying parties see: discovery, keys,
// authorization, the upstream's callback, token, userinfo, introspection,
// revocation and logout (OpenID Connect Core 1.0, Discovery 1.0, RP-Initiated
// Logout 1.0, RFC 6749, RFC 6750, RFC 7009, RFC 7636, RFC 7662, RFC 8707,
// RFC 9207).
//
// # The way of a sign-in
//
// authorize proves client and redirect URI, and only then is there a request
// that an error may be redirected for. next looks at the browser's session and
// picks one of: silent completion, an upstream, the chooser, or an error. The
// callback turns the upstream's answer into a login and completes. complete
// runs the client's claims pipeline with nothing held, and then makes one
// commit of person, session, code and events. The code goes back with the
// redirect.
//
// # What is promised
//
//   - A visitor whom no upstream has vouched for stores nothing: not at
//     authorize, not at the chooser, not with a forged or refused callback. A
//     request in flight travels sealed in a cookie of its own transaction; the
//     state that the upstream sees names that cookie and is worth nothing
//     without it. A failed sign-in is an event only once a login was verified;
//     before that it is a line of the audit and a count. Where somebody does a
//     quarter of what a limit allows, the nodes tell each other how much: one small
//     record, which expires.
//   - Nobody is redirected to an address that is not registered for the client
//     at that moment. Whenever the user comes back from somewhere, client and
//     redirect URI are proven again.
//   - What is wrong is told before anything changes.
//   - No grant is made past the gate of package token.
//
// # What is decided here
//
//   - Several tabs do not meet: each sign-in is a transaction of its own, at
//     most six of them and six kilobytes in one browser, the oldest go first.
//   - A user is asked to agree after the login, on a page of its own, with the
//     session already begun; what was agreed to is remembered per person and
//     client, and holds for that person only, whoever is signed in by then.
//   - Offline access needs consent, as Core §11 says: asked for with prompt=consent
//     or because it was not agreed to yet, remembered, or the operator's word
//     (consent: skip). Where nobody can be asked (prompt=none) it is left out.
//     Without it a refresh token ends with the session.
//   - What was agreed to can be taken back, on the page /me or by a management call:
//     the commit that removes the consent also ends what was granted by it. The page
//     shows nothing but what the browser's session vouches for, and its buttons are
//     sealed for that session.
//   - A login of another person on the same browser ends the earlier session
//     (DESTROY); one of the same person continues it with a new login. One whose acr is
//     of a higher level than the session's (federation.Tenant.ACRLevels) ends it with
//     UPGRADE: another takes its place, with a new cookie, the same sid and all that
//     went with it (package session), and relying parties are not told to sign out. A
//     session's level is never lowered by a login. In a tenant
//     that is spread by person the end may be a commit of its own, made once the
//     new login's claims are worked out and before it is committed.
//   - A first sign-in with the vouched address of somebody of another upstream is
//     somebody new, unless the tenant links logins. Where it asks, the user proves the
//     account by signing in with it in the same browser; what the new login has said
//     so far travels sealed. Who is that account's person signs in by that login, and
//     the new one leads there from the next time on. Who wants an account of their own
//     goes to the new upstream once more, since its answer does not fit a cookie. Where
//     the upstreams' word is enough nobody is asked. The address of somebody who is
//     blocked does not sign in at all; a client that may not use the account's upstream
//     has nobody asked.
//   - Who has to sign in again (prompt=login, max_age, another acr) goes back to
//     the upstream of the session. select_account asks.
//   - A session whose acr is known and none of acr_values is not enough, unless
//     prompt is none: acr_values is a wish (Core §3.1.2.1). Where the tenant has levels
//     one of the lowest level asked for, or above, is enough, and an acr that is not
//     known is below all of them. What is essential is compared as it is.
//   - Where an upstream is to be asked again at refreshes (package freshness), what
//     it says now takes the place of what it said, also for the session. A user
//     whom it knows no longer loses session (DESTROY) and grants: what rests on
//     the same login finds it out when it is refreshed next.
//   - An upstream that cannot be reached or refuses is an error at the
//     redirect URI. One whose answer is not to be believed gets a page: the
//     user should know, and decide whether to go back.
//   - A response comes in the query or, with response_mode=form_post, by a form that
//     the browser posts: every answer of such a request, also an error, also
//     from the pages. Its page runs one script, which its policy names by hash, and
//     has a button where none runs. An answer that is posted is never in an address.
//   - Where users may come from several upstreams they are shown them, or asked
//     for an address whose domain says which; that is for the tenant or the client
//     to say. idp_hint names an upstream of ours and wins over everything but a
//     session that is enough; login_hint spares the page where its domain is
//     known. Who has signed in before finds that upstream first, and is still
//     asked: others use the browser too.
//   - Redirect URIs are compared byte by byte, also those on a loopback address:
//     the port that RFC 8252 §7.3 lets a native application choose is not free.
//   - A client's sub is public or pairwise. Pairwise wins over an upstream's own
//     subject that is passed through, and is derived from the person and the host
//     of sector_identifier_uri, which is not fetched, or of the redirect URIs. An
//     id_token_hint names the user as the client knows them that it was made for.
//     The sid is not pairwise: clients that share what they know can tell that
//     they see one session.
//   - resource (RFC 8707) may repeat; what the client may not name, or what is no
//     absolute URI, is invalid_target. Users are asked about scopes and claims and
//     not about resources, which are the operator's choice per client. Access
//     tokens for a resource do not open userinfo, unless the issuer is named too.
//   - Introspection is for clients with a secret; see package token.
//   - Scopes that are unknown or that the client may not have are left out (Core
//     §3.1.2.1); a request without openid is refused.
//   - What the claims parameter asks for by name (Core §5.5) goes with scopes: a
//     standard claim is told if the client may ask for the scope that stands for
//     it, and where users are asked they are asked for it by name. sub with a
//     value is held to like an id_token_hint. An essential acr with values must be
//     met: by the session, or by the upstream, which is asked with acr_values; if
//     it is not, the error is unmet_authentication_requirements (login_required
//     with prompt=none). It says more than acr_values, and wins over that.
//   - Userinfo is a JWT for clients that registered so: signed with iss and aud, or
//     encrypted, or both (Core §5.3.2). An ID token that was encrypted and comes
//     back as a hint is not ours to open: the client decrypts it first (Core
//     §3.1.2.1), and the error is that of any hint that is none. A userinfo answer
//     is no hint either: it has no exp.
//   - A parameter that an endpoint reads and that is given twice is refused (RFC
//     6749 §3.1), hook context parameters excepted. What it does not read is
//     ignored, whatever it looks like. Secrets in the query are never read.
//   - A request that another site posts comes without cookies (SameSite=Lax).
//     It is sealed into an address of ours, and the browser sent there, so that
//     authorization and logout by POST find the session as those by GET do, and
//     an answer that an upstream has its page post finds its transaction.
//   - HEAD is answered where GET changes nothing.
//   - A logout token of an upstream (Back-Channel Logout 1.0) ends sessions whole;
//     package notice says how. A sign-in that is under way with a login that is over
//     goes back to the upstream, once, or answers login_required. A frame of the
//     upstream's (Front-Channel Logout 1.0) says iss and sid, since browsers withhold
//     the cookie there; without them it must be a frame that the cookie came to.
//     Nobody is sent back to the upstream that asked.
//   - The browser's cookie, not the hint, is the authority at end_session; a
//     hint that names the very session spares the user the question. Of a hint
//     with several audiences the one counts whose address is asked for.
//
// # Limits
//
// Package limit counts, in memory, and says how exact that is. What is one too
// many is answered with 429 and Retry-After before anything is done for it: as
// temporarily_unavailable where clients are answered, and where browsers are with a
// page, never at a redirect URI: an application in a loop would come straight back.
//
//   - An address (IPv6: a /64) counts at each endpoint for itself. One that is not
//     known is not limited.
//   - A client counts once it has proven who it is. A public client cannot, so
//     that nobody can use up what is another's; for the same reason requests for
//     authorization count for a client only where an operator wants it.
//   - Wrong credentials count for the client and the address they came from. From
//     there the client has to wait, even with the right ones, or the guessing
//     would go on; from anywhere else it notices nothing.
//   - Sign-ins count for a person before anything is committed, silent ones too,
//     and refreshes for their family: a refused one leaves the token good.
//   - The audit has one line for a window and node, the metrics count every refusal.
//
// # Signing out elsewhere
//
// What a logout does in other places begins when the session is over here, and
// nothing of it can bring the session back: a relying party that hangs, or an
// upstream that is down or never sends the browser back, leaves the user signed
// out.
//
//   - Relying parties that take logout tokens are told by the queue, in the commit
//     of the end (see package session). Those with a front-channel address are
//     loaded in frames by the page that the logout ends with; browsers that keep
//     cookies from frames of other sites make that less than it was once, so the
//     back channel is the one to rely on. iss and sid are always sent.
//   - Who asked for the logout is told like the others: it may have more sessions
//     than the one in front of the user, and OpenID's certification wants it so.
//   - The browser then goes through the upstreams of the session, each with the ID
//     token that it gave, and in the end to where the relying party asked to,
//     which is proven once more. What is left travels sealed in a cookie of its
//     own. An ID token that is too long for an address or a cookie stays behind.
//   - Nobody is bounced back to who began: only a logout at this endpoint goes
//     through upstreams, one that came from an upstream does not.
//
// # Errors
//
// render.go has the three places that an error may go: a redirect, JSON, or a
// page. Nothing internal reaches any of them. A malfunction, of the store or of
// a hook, is temporarily_unavailable everywhere.
package op
