// A resource server that knows nobody: it reads access tokens with jose and with oauth4webapi (RFC 9068), and asks about
// them with openid-client and with oauth4webapi (RFC 7662).
//
// GET /read  JSON {header, claims} of the bearer token, on which both libraries agree; 401 {error} where either refuses it
// GET /ask   JSON of what the issuer says about the bearer token, in which both libraries agree
//
// env: PORT · ISSUER · AUDIENCE (what tokens must be meant for) · CLIENT_ID · CLIENT_SECRET
import { isDeepStrictEqual } from 'node:util';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import * as oauth from 'oauth4webapi';
import * as oidc from 'openid-client';
import { env, listen, ready, sendJSON } from './kit.mjs';

const issuer = new URL(env('ISSUER'));
const audience = env('AUDIENCE');
const secret = env('CLIENT_SECRET');
const client = { client_id: env('CLIENT_ID') };
const loopback = { [oauth.allowInsecureRequests]: true };
const server = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, loopback));
const config = await oidc.discovery(issuer, client.client_id, secret, oidc.ClientSecretBasic(secret), { execute: [oidc.allowInsecureRequests] });
const jwks = createRemoteJWKSet(new URL(server.jwks_uri));

const { url, handle } = await listen();
handle(async (req, res, at) => {
  const route = { '/read': read, '/ask': ask }[at.pathname];
  if (!route) return sendJSON(res, 404, { error: 'not_found' });
  return route(req, res, at);
});
ready('resource', { url });

async function read(req, res, at) {
  const [byJose, byOAuth] = await Promise.allSettled([
    jwtVerify(bearer(req), jwks, { issuer: server.issuer, audience, typ: 'at+jwt', requiredClaims: ['sub', 'exp', 'iat', 'jti', 'client_id'] }),
    oauth.validateJwtAccessToken(server, new Request(at, { headers: { authorization: req.headers.authorization } }), audience, loopback),
  ]);
  if (byJose.status !== byOAuth.status) throw new Error(`jose: ${byJose.reason ?? 'good'}, oauth4webapi: ${byOAuth.reason ?? 'good'}`);
  if (byJose.reason) return sendJSON(res, 401, { error: byJose.reason.code });
  return sendJSON(res, 200, { header: byJose.value.protectedHeader, claims: byJose.value.payload });
}

async function ask(req, res) {
  const token = bearer(req);
  const response = await oauth.introspectionRequest(server, client, oauth.ClientSecretBasic(secret), token, loopback);
  const [one, other] = await Promise.all([oidc.tokenIntrospection(config, token), oauth.processIntrospectionResponse(server, client, response)]);
  if (!isDeepStrictEqual({ ...one }, { ...other })) throw new Error(`${JSON.stringify(one)} and ${JSON.stringify(other)}`);
  return sendJSON(res, 200, one);
}

function bearer(req) {
  return req.headers.authorization?.replace(/^Bearer /, '') ?? '';
}
