// A relying party on openid-client with every check it offers switched on.
//
// GET /            starts a login; query parameters go along as they are (prompt, max_age, acr_values, login_hint, …)
// GET /callback    completes it: JSON {claims, header, userinfo, tokens}, or 400 {error, …}; POST takes a form_post
// GET /session     the same JSON again, 401 where nobody is signed in
// GET /refresh     spends the refresh token, then the same JSON
// GET /logout      RP-initiated logout, comes back to /signed-out
// GET /signed-out  JSON {signed_out, state_matches}
// POST /backchannel takes a logout token: 200, or 400 with what is wrong with it
// GET /frontchannel is loaded in a frame
// GET /told        JSON {backchannel: claims of logout tokens, frontchannel: parameters}
// GET /jwks.json   the public key that tokens and userinfo are encrypted for
//
// env: PORT · ISSUER · CLIENT_ID · CLIENT_SECRET (absent: public client) · TOKEN_AUTH client_secret_basic|client_secret_post
// · SCOPE · ID_TOKEN_ALG · ENCRYPTION (absent: none; how ID tokens, logout tokens and signed userinfo are encrypted, such
// as ECDH-ES; `encryption` is then the outer header of the ID token, as jose has opened it)
import { compactDecrypt, createRemoteJWKSet, exportJWK, generateKeyPair, jwtVerify } from 'jose';
import * as oidc from 'openid-client';
import { env, listen, readForm, ready, redirect, sendJSON, sendPage } from './kit.mjs';

const clientId = env('CLIENT_ID', 'drawbridge');
const clientSecret = process.env.CLIENT_SECRET;
const scope = env('SCOPE', 'openid profile email');
const { url: self, handle } = await listen();
const redirectURI = `${self}/callback`;
const idTokenAlg = env('ID_TOKEN_ALG', 'RS256');
const encryption = process.env.ENCRYPTION;
const keys = encryption && await generateKeyPair(encryption, { extractable: true });

// By browser: {pending: Map(state → checks), signedIn, leaving}. The cookie's name carries the port, for cookies do not.
const browsers = new Map();
const cookieName = `rp_${new URL(self).port}`;

const routes = {
  '/': start,
  '/callback': complete,
  '/session': (req, res, at, browser) => showSession(res, browser),
  '/refresh': refresh,
  '/logout': logout,
  '/signed-out': signedOut,
  '/backchannel': backchannel,
  '/frontchannel': frontchannel,
  '/told': (req, res) => sendJSON(res, 200, told),
  '/jwks.json': async (req, res) => sendJSON(res, 200, { keys: [{ ...await exportJWK(keys.publicKey), use: 'enc', alg: encryption, kid: 'only' }] }),
};
const told = { backchannel: [], frontchannel: [] };

handle(async (req, res, at) => {
  const route = routes[at.pathname];
  if (!route) return sendJSON(res, 404, { error: 'not_found' });
  try {
    return await route(req, res, at, browserOf(req, res));
  } catch (err) {
    return sendJSON(res, 400, await explain(err));
  }
});
ready('rp-openid-client', { url: self, redirect_uri: redirectURI, post_logout_redirect_uri: `${self}/signed-out` });

let discovered;
/** The provider's configuration, fetched at first use and again after a failure. */
async function provider() {
  discovered ??= oidc.discovery(
    new URL(env('ISSUER')),
    clientId,
    { client_secret: clientSecret, id_token_signed_response_alg: idTokenAlg, ...encryption && { userinfo_signed_response_alg: idTokenAlg } },
    clientAuthentication(),
    { execute: [oidc.allowInsecureRequests, oidc.enableNonRepudiationChecks, decrypts] },
  );
  try {
    return await discovered;
  } catch (err) {
    discovered = undefined;
    throw err;
  }
}

function decrypts(config) {
  if (encryption) oidc.enableDecryptingResponses(config, ['A128CBC-HS256', 'A256GCM'], { key: keys.privateKey, alg: encryption, kid: 'only' });
}

function clientAuthentication() {
  if (!clientSecret) return oidc.None();
  return env('TOKEN_AUTH', 'client_secret_basic') === 'client_secret_post'
    ? oidc.ClientSecretPost(clientSecret)
    : oidc.ClientSecretBasic(clientSecret);
}

async function start(req, res, at, browser) {
  const config = await provider();
  const checks = {
    pkceCodeVerifier: oidc.randomPKCECodeVerifier(),
    expectedState: oidc.randomState(),
    expectedNonce: oidc.randomNonce(),
    idTokenExpected: true,
  };
  const asked = Object.fromEntries(at.searchParams);
  if (asked.max_age) checks.maxAge = Number(asked.max_age);
  browser.pending.set(checks.expectedState, checks);
  const target = oidc.buildAuthorizationUrl(config, {
    redirect_uri: redirectURI,
    scope,
    state: checks.expectedState,
    nonce: checks.expectedNonce,
    code_challenge: await oidc.calculatePKCECodeChallenge(checks.pkceCodeVerifier),
    code_challenge_method: 'S256',
  });
  // Appended, not set: a parameter that repeats must arrive repeated.
  for (const [name, value] of at.searchParams) {
    if (name === 'scope') target.searchParams.set(name, value);
    else target.searchParams.append(name, value);
  }
  redirect(res, target);
}

async function complete(req, res, at, browser) {
  const posted = req.method === 'POST' && await readForm(req);
  const checks = browser.pending.get((posted || at.searchParams).get('state'));
  if (!checks) return sendJSON(res, 400, { error: 'unknown_state', message: 'No login of this browser has that state.' });
  browser.pending.delete(checks.expectedState);
  const config = await provider();
  const tokens = await oidc.authorizationCodeGrant(config, posted ? new Request(at, { method: 'POST', body: posted }) : at, checks);
  browser.signedIn = await describe(config, tokens, tokens.claims().sub);
  return showSession(res, browser);
}

async function refresh(req, res, at, browser) {
  const had = browser.signedIn;
  if (!had?.tokens.refresh_token) return sendJSON(res, 400, { error: 'no_refresh_token' });
  const config = await provider();
  const tokens = await oidc.refreshTokenGrant(config, had.tokens.refresh_token);
  const claims = tokens.claims();
  if (claims && claims.sub !== had.claims.sub) throw new Error(`refresh changed sub from ${had.claims.sub} to ${claims.sub}`);
  browser.signedIn = await describe(config, tokens, had.claims.sub, had);
  return showSession(res, browser);
}

async function logout(req, res, at, browser) {
  const config = await provider();
  browser.leaving = oidc.randomState();
  redirect(res, oidc.buildEndSessionUrl(config, {
    post_logout_redirect_uri: `${self}/signed-out`,
    id_token_hint: browser.signedIn?.hint ?? '',
    state: browser.leaving,
  }));
}

function signedOut(req, res, at, browser) {
  const stateMatches = browser.leaving !== undefined && at.searchParams.get('state') === browser.leaving;
  browser.signedIn = undefined;
  browser.leaving = undefined;
  sendJSON(res, 200, { signed_out: true, state_matches: stateMatches });
}

/** OpenID Connect Back-Channel Logout 1.0 §2.6. */
async function backchannel(req, res) {
  const form = await readForm(req);
  const { payload } = await verified(form.get('logout_token') ?? '', {
    typ: 'logout+jwt', requiredClaims: ['iat', 'exp', 'jti', 'events'], maxTokenAge: '2 minutes',
  });
  const event = payload.events['http://schemas.openid.net/event/backchannel-logout'];
  const replayed = told.backchannel.some((had) => had.jti === payload.jti);
  if ([...form].length !== 1 || !event || Object.keys(event).length || 'nonce' in payload || !(payload.sub || payload.sid) || replayed) {
    throw new Error(`not a logout token: ${JSON.stringify(payload)}`);
  }
  told.backchannel.push(payload);
  sendJSON(res, 200, {});
}

function frontchannel(req, res, at) {
  told.frontchannel.push(Object.fromEntries(at.searchParams));
  sendPage(res, 200, 'Signed out', '');
}

/** What jose reads in a token that the provider has signed for this client, and encrypted where that was agreed. */
async function verified(token, checks) {
  const metadata = (await provider()).serverMetadata();
  const opened = encryption && await compactDecrypt(token, keys.privateKey, { keyManagementAlgorithms: [encryption] });
  const signed = opened ? new TextDecoder().decode(opened.plaintext) : token;
  const options = { issuer: metadata.issuer, audience: clientId, algorithms: [idTokenAlg], ...checks };
  return { ...await jwtVerify(signed, createRemoteJWKSet(new URL(metadata.jwks_uri)), options), signed, encryption: opened?.protectedHeader };
}

/** What a token answer says about the user; a refresh may leave out the ID token and the refresh token. */
async function describe(config, tokens, subject, had) {
  const kept = { ...had?.tokens, ...tokens };
  const read = await verified(kept.id_token);
  return {
    claims: tokens.claims() ?? had?.claims,
    header: read.protectedHeader,
    encryption: read.encryption,
    hint: read.signed, // a provider need not be able to read what is encrypted for the client
    userinfo: await oidc.fetchUserInfo(config, tokens.access_token, subject),
    tokens: kept,
  };
}

function showSession(res, browser) {
  if (!browser.signedIn) return sendJSON(res, 401, { error: 'not_signed_in' });
  return sendJSON(res, 200, browser.signedIn);
}

function browserOf(req, res) {
  const sent = (req.headers.cookie ?? '').split('; ').find((c) => c.startsWith(`${cookieName}=`))?.slice(cookieName.length + 1);
  if (browsers.has(sent)) return browsers.get(sent);
  const id = oidc.randomState();
  browsers.set(id, { pending: new Map() });
  res.setHeader('set-cookie', `${cookieName}=${id}; Path=/; HttpOnly; SameSite=Lax`);
  return browsers.get(id);
}

/** An error of the library as JSON: the provider's own code where it sent one, else the check that failed. */
async function explain(err) {
  const sent = await answerOf(err);
  return {
    error: err.error ?? sent?.error ?? err.code ?? err.name,
    error_description: err.error_description ?? sent?.error_description,
    message: err.message,
    status: err.status,
    cause: err.cause instanceof Error ? err.cause.message : undefined,
  };
}

/** The body of an answer that came with a WWW-Authenticate challenge, which the library leaves unread. */
async function answerOf(err) {
  if (!(err.response instanceof Response) || err.response.bodyUsed) return undefined;
  return err.response.json().catch(() => undefined);
}
