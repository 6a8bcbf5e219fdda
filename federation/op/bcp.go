// Package op keeps to the best current practice, section by section.
//
// # Best current practice for the security of OAuth 2.0 (RFC 9700)
//
// What each section asks for, what is done, and the tests that show it. A test
// holds the list to the sections of the RFC and to tests that there are; those of
// another room are named with it.
//
//   - §2.1 Redirect URIs are registered and compared byte by byte, nobody is sent
//     anywhere else, and answers name the issuer: TestAuthorizeUnproven,
//     TestLikenessesOfRegisteredAddresses, TestSignIn.
//   - §2.1.1 Codes with PKCE (S256), demanded of public clients and of others by
//     require_pkce; bound to client, redirect URI, session and nonce, and good once:
//     TestPKCEIsNotLeftOut, TestStolenCodes, token.TestReplay.
//   - §2.1.2 No implicit grant: code is the only response type, and no token is ever
//     in an address: TestAuthorizeRedirectsErrors.
//   - §2.2.1 Access tokens are bearer tokens: they are not bound to a key (DPoP,
//     mutual TLS). They live ten minutes unless the file says otherwise, end with
//     their session, and are opaque unless the client wants JWTs:
//     TestIntrospectionOfWhatIsOver, token.TestStoreHoldsNoToken.
//   - §2.2.2 Refresh tokens rotate, for every client: token.TestRefreshRotates,
//     token.TestGraceAndReuse.
//   - §2.3 Access tokens are for one client, the scopes that were granted, and
//     audiences that the file allows: TestResources, TestClaimsOfAccessTokens.
//   - §2.4 No password grant: TestTokenEndpointBadInput.
//   - §2.5 Clients have secrets of their own, several while one is replaced; ours at
//     upstreams may be keys: TestEveryKindOfClient, upstream.TestPrivateKeyJWT.
//   - §2.6 Metadata is published and says what is true; scripts of other origins reach
//     what takes no cookie only: TestDiscovery, TestScriptsOfOtherOrigins.
//   - §4.1 No patterns in redirect URIs, and none that only looks like one:
//     TestLikenessesOfRegisteredAddresses, TestAuthorizeUnproven.
//   - §4.2 Pages of ours send no referrer, load nothing from elsewhere, and redirects
//     do not either: TestNoPageIsFramed, TestPagesKeepToThemselves.
//   - §4.3 No access token in an address, codes that are spent are worth nothing, and
//     form_post keeps them out of addresses altogether: TestFormPost,
//     TestCodesAndTokens, TestUserinfo.
//   - §4.4 Answers name the issuer (RFC 9207); each upstream has a callback of its own
//     and its iss is checked: TestMixUp, upstream.TestLies.
//   - §4.5 A code that is brought by another browser or client is refused, and the
//     right one sees by verifier and nonce: TestStolenCodes, TestCallbackAbuse.
//   - §4.6 ID tokens have at_hash, and no token comes back but from the token endpoint:
//     token.TestIDToken, conformance.TestConformance.
//   - §4.7 At upstreams the state names a sealed cookie of the browser, with PKCE and
//     nonce; forms are sealed for browser, session and purpose:
//     TestFormsCountInTheirBrowserOnly, TestCookieAbuse, TestConfirmationIsForged,
//     TestWithdrawAbuse, TestTheQuestionIsOnesOwn.
//   - §4.8 A verifier for a code without challenge is refused, and plain is:
//     TestPKCEIsNotLeftOut, token.TestRedeemWithoutChallenge.
//   - §4.9 Tokens for one resource open no other, userinfo included:
//     TestResources, TestForgedJWTAccessTokens.
//   - §4.10 See §2.2.1: what is stolen is good until it ends, which an operator, a
//     logout or a client can bring about: TestLogoutMidFlight, token.TestRevoke.
//   - §4.11 Neither sign-in nor logout leads where it was not registered, also not with
//     an error; an error page leads nowhere: TestLikenessesOfRegisteredAddresses,
//     TestLogoutThatIsWrong, TestTheWayBackIsProvenAgain.
//   - §4.12 Redirects are 303, which posts nothing on: TestPagesKeepToThemselves.
//   - §4.13 Headers of a proxy count from proxies that the file names; clients are not
//     authenticated by any: edge.TestClientAddr.
//   - §4.14 Refresh tokens are bound to client and session, and one that is used again
//     ends all that came of it: token.TestGraceAndReuse, token.TestRefreshAndSession.
//   - §4.15 No client credentials grant, and so no subject that a client could choose:
//     TestTokenEndpointBadInput.
//   - §4.16 No page is framed: TestNoPageIsFramed.
//   - §4.17 No answer by postMessage: query and form_post are the only response modes:
//     TestAuthorizeRedirectsErrors.
//
// Beyond it: a cookie that another host of the domain may have set counts for
// nothing (TestTossedCookies), nothing that was in the browser before becomes a
// user's session (TestSessionsAreNotFixed), and what one tenant gives out is worth
// nothing at another (TestTenants, TestTenantsAreApart).
package op
