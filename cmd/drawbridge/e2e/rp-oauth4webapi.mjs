// A relying party on oauth4webapi that needs nobody: it walks whole logins itself, fills in the forms it meets, and
// prints one JSON line {runs, errors, seconds, last: {claims, header, userinfo, refreshed, signed_out, pages}}.
// Its exit code is 0 where no run failed.
//
// env: ISSUER · CLIENT_ID · CLIENT_SECRET (absent: public client) · REDIRECT_URI (never visited) · POST_LOGOUT_REDIRECT_URI
// (absent: no logout) · SCOPE · ID_TOKEN_ALG · FORM (JSON of field values, default {"login":"alice"}) · PARAMS (JSON of
// further authorization parameters) · DECRYPTION_KEY (private JWK; absent: nothing is encrypted) · USERINFO_ALG (absent:
// userinfo is plain JSON) · RUNS and PARALLEL (default 1)
import { compactDecrypt, decodeProtectedHeader, importJWK } from 'jose';
import * as oauth from 'oauth4webapi';
import { Agent } from './agent.mjs';
import { env } from './kit.mjs';

const issuer = new URL(env('ISSUER'));
const loopback = { [oauth.allowInsecureRequests]: true };
const redirectURI = env('REDIRECT_URI');
const postLogoutRedirectURI = process.env.POST_LOGOUT_REDIRECT_URI;
const form = JSON.parse(env('FORM', '{"login":"alice"}'));
const client = {
  client_id: env('CLIENT_ID', 'drawbridge'),
  id_token_signed_response_alg: env('ID_TOKEN_ALG', 'RS256'),
  userinfo_signed_response_alg: process.env.USERINFO_ALG,
};
const decryptionKey = process.env.DECRYPTION_KEY && await importJWK(JSON.parse(process.env.DECRYPTION_KEY));
const decrypt = async (jwe) => new TextDecoder().decode((await compactDecrypt(jwe, decryptionKey)).plaintext);
const decrypting = decryptionKey && { [oauth.jweDecrypt]: decrypt };
const authentication = process.env.CLIENT_SECRET ? oauth.ClientSecretBasic(process.env.CLIENT_SECRET) : oauth.None();

const server = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, loopback));
const report = await runMany(Number(env('RUNS', 1)), Number(env('PARALLEL', 1)));
console.log(JSON.stringify(report));
process.exit(report.errors.length ? 1 : 0);

async function runMany(runs, parallel) {
  const report = { runs, errors: [], seconds: 0, last: undefined };
  const began = performance.now();
  let left = runs;
  const worker = async () => {
    while (left-- > 0) {
      try {
        report.last = await journey();
      } catch (err) {
        report.errors.push([err.error ?? err.code ?? err.name, err.message, err.cause?.message].filter(Boolean).join(': '));
      }
    }
  };
  await Promise.all(Array.from({ length: parallel }, worker));
  report.seconds = (performance.now() - began) / 1000;
  return report;
}

/** One login from the first redirect to the last logout page, with a browser of its own. */
async function journey() {
  const agent = new Agent();
  const { tokens, claims, pages } = await signIn(agent);
  const userinfo = await fetchUserInfo(tokens.access_token, claims.sub);
  const refreshed = tokens.refresh_token && await refresh(tokens.refresh_token, claims.sub);
  const signedOut = postLogoutRedirectURI && await signOut(agent, decryptionKey ? await decrypt(tokens.id_token) : tokens.id_token);
  return { claims, header: decodeProtectedHeader(tokens.id_token), userinfo, refreshed, signed_out: signedOut, pages };
}

async function signIn(agent) {
  const verifier = oauth.generateRandomCodeVerifier();
  const state = oauth.generateRandomState();
  const nonce = oauth.generateRandomNonce();
  const start = new URL(server.authorization_endpoint);
  start.search = new URLSearchParams({
    response_type: 'code',
    client_id: client.client_id,
    redirect_uri: redirectURI,
    scope: env('SCOPE', 'openid profile email'),
    state,
    nonce,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    ...JSON.parse(env('PARAMS', '{}')),
  });
  const { url, pages, posted } = await agent.walk(start, form, redirectURI);
  const answer = oauth.validateAuthResponse(server, client, posted ? new URLSearchParams(posted) : new URL(url), state);
  const response = await oauth.authorizationCodeGrantRequest(server, client, authentication, answer, redirectURI, verifier, loopback);
  const tokens = await oauth.processAuthorizationCodeResponse(server, client, response, { expectedNonce: nonce, requireIdToken: true, ...decrypting });
  await oauth.validateApplicationLevelSignature(server, response, loopback);
  return { tokens, claims: oauth.getValidatedIdTokenClaims(tokens), pages };
}

async function fetchUserInfo(accessToken, subject) {
  const response = await oauth.userInfoRequest(server, client, accessToken, loopback);
  const userinfo = await oauth.processUserInfoResponse(server, client, subject, response, decrypting);
  if (client.userinfo_signed_response_alg) await oauth.validateApplicationLevelSignature(server, response, loopback);
  return userinfo;
}

async function refresh(refreshToken, subject) {
  const response = await oauth.refreshTokenGrantRequest(server, client, authentication, refreshToken, loopback);
  const tokens = await oauth.processRefreshTokenResponse(server, client, response, decrypting);
  if (tokens.id_token) await oauth.validateApplicationLevelSignature(server, response, loopback);
  const claims = oauth.getValidatedIdTokenClaims(tokens);
  if (claims && claims.sub !== subject) throw new Error(`refresh changed sub from ${subject} to ${claims.sub}`);
  const rotated = tokens.refresh_token !== undefined && tokens.refresh_token !== refreshToken;
  return { claims, rotated, userinfo: await fetchUserInfo(tokens.access_token, subject) };
}

async function signOut(agent, idToken) {
  const state = oauth.generateRandomState();
  const end = new URL(server.end_session_endpoint);
  end.search = new URLSearchParams({ id_token_hint: idToken, post_logout_redirect_uri: postLogoutRedirectURI, client_id: client.client_id, state });
  const { url } = await agent.walk(end, form, postLogoutRedirectURI);
  if (new URL(url).searchParams.get('state') !== state) throw new Error(`logout came back without its state: ${url}`);
  return true;
}
