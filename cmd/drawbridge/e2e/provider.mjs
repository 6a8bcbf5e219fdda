// A foreign OpenID Provider: oidc-provider with a login page, a consent page and three users (users.mjs).
//
// env: PORT · CLIENTS (JSON array of client metadata; default one client drawbridge/secret with REDIRECT_URIS and
// POST_LOGOUT_REDIRECT_URIS, space-separated, and BACKCHANNEL_LOGOUT_URI) · PORTAL (where a client portal/secret of its
// own is, if there is one) · ID_TOKEN_ALG RS256|ES256 · CLAIMS_IN_ID_TOKEN=1 (otherwise scope
// claims are at userinfo only) · CONSENT=skip · USERS (JSON, merged over the three users by login)
import { randomBytes } from 'node:crypto';
import { exportJWK, generateKeyPair } from 'jose';
import Provider from 'oidc-provider';
import { env, envList, escape, listen, page, readForm, ready, sendPage } from './kit.mjs';
import { users as defaults } from './users.mjs';

const alg = env('ID_TOKEN_ALG', 'RS256');
const users = Object.entries(JSON.parse(env('USERS', '{}'))).reduce(
  (all, [login, claims]) => ({ ...all, [login]: { ...all[login], ...claims } }),
  defaults,
);
const userBySubject = new Map(Object.values(users).map((user) => [user.sub, user]));

const { url, handle } = await listen();
const provider = new Provider(url, {
  clients: JSON.parse(env('CLIENTS', 'null')) ?? [defaultClient(), ...portalClient()],
  // Its logout tokens go to this machine, where it would send nothing by itself.
  fetch: (at, { dispatcher, ...options }) => fetch(at, options),
  clientDefaults: { id_token_signed_response_alg: alg },
  jwks: { keys: [await newKey('RS256'), await newKey('ES256')] },
  enabledJWA: { idTokenSigningAlgValues: ['RS256', 'ES256'] },
  pkce: { required: () => true },
  conformIdTokenClaims: env('CLAIMS_IN_ID_TOKEN', '') !== '1',
  acrValues: ['loa:1', 'loa:2'],
  claims: {
    openid: ['sub'],
    profile: [
      'name', 'given_name', 'family_name', 'nickname', 'preferred_username', 'gender', 'birthdate', 'zoneinfo', 'locale',
      'updated_at', 'dept', 'customer_id', 'groups', 'group_permissions', 'urn:onegini.com:oidc:x',
      'SUB', // nobody has it but whom USERS gives it: a provider that says who somebody is in two spellings
    ],
    email: ['email', 'email_verified'],
    phone: ['phone_number', 'phone_number_verified'],
    address: ['address'],
  },
  // Cookies do not tell ports apart: two providers on 127.0.0.1 must not overwrite each other's.
  cookies: { keys: [randomBytes(32).toString('hex')], names: cookieNames(new URL(url).port) },
  ttl: { AccessToken: 600, AuthorizationCode: 60, Grant: 86400, IdToken: 600, Interaction: 600, RefreshToken: 86400, Session: 86400 },
  findAccount: (ctx, sub) => userBySubject.has(sub) && { accountId: sub, claims: () => userBySubject.get(sub) },
  issueRefreshToken: (ctx, client) => client.grantTypeAllowed('refresh_token'),
  loadExistingGrant: env('CONSENT', 'ask') === 'skip' ? grantEverything : undefined,
  renderError: (ctx, out) => {
    ctx.type = 'html';
    ctx.body = page('The provider refused', `<pre>${escape(JSON.stringify(out, null, 2))}</pre>`);
  },
  features: {
    devInteractions: { enabled: false },
    backchannelLogout: { enabled: true },
    rpInitiatedLogout: {
      enabled: true,
      logoutSource: (ctx, form) => {
        ctx.body = page('Sign out?', `${form}<button type="submit" form="op.logoutForm" name="logout" value="yes">Sign out</button>`);
      },
      postLogoutSuccessSource: (ctx) => {
        ctx.body = page('Signed out', '<p>You are signed out at the provider.</p>');
      },
    },
  },
});
provider.on('server_error', (ctx, err) => console.error(err));
provider.on('backchannel.error', (ctx, err, client) => console.error(client.clientId, err));

const handleProtocol = provider.callback();
handle((req, res, at) => {
  const [, uid, step] = at.pathname.match(/^\/interaction\/([\w-]+)(?:\/(login|consent|abort))?$/) ?? [];
  return uid ? interact(req, res, uid, step) : handleProtocol(req, res);
});
ready('provider', { url, issuer: url, id_token_alg: alg });

async function interact(req, res, uid, step) {
  const interaction = await provider.interactionDetails(req, res);
  if (req.method === 'GET') return interaction.prompt.name === 'login' ? showLogin(res, uid) : showConsent(res, uid, interaction);
  switch (step) {
    case 'login': return login(req, res, uid, interaction);
    case 'consent': return consent(req, res, interaction);
    default: return provider.interactionFinished(req, res, { error: 'access_denied', error_description: 'The user refused.' });
  }
}

function showLogin(res, uid, status = 200, problem = '') {
  sendPage(res, status, 'Sign in at the provider', `<p>${escape(problem)}</p>
<form method="post" action="/interaction/${uid}/login"><label>Login <input name="login" required autofocus></label>
<button type="submit">Sign in</button></form>${abortForm(uid)}`);
}

async function login(req, res, uid, { params }) {
  const user = users[(await readForm(req)).get('login')];
  if (!user) return showLogin(res, uid, 401, 'Nobody has that login.');
  const acr = params.acr_values?.split(' ')[0] ?? 'loa:1';
  return provider.interactionFinished(req, res, { login: { accountId: user.sub, acr, amr: ['pwd'] } });
}

function showConsent(res, uid, { params }) {
  sendPage(res, 200, 'Share your details?', `<p>${escape(params.client_id)} asks for: ${escape(params.scope)}</p>
<form method="post" action="/interaction/${uid}/consent"><button type="submit">Accept</button></form>${abortForm(uid)}`);
}

async function consent(req, res, { params, prompt, grantId, session }) {
  const found = grantId && await provider.Grant.find(grantId);
  const grant = found || new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  if (prompt.details.missingOIDCScope) grant.addOIDCScope(prompt.details.missingOIDCScope.join(' '));
  if (prompt.details.missingOIDCClaims) grant.addOIDCClaims(prompt.details.missingOIDCClaims);
  return provider.interactionFinished(req, res, { consent: { grantId: await grant.save() } });
}

async function grantEverything(ctx) {
  const known = ctx.oidc.session.grantIdFor(ctx.oidc.client.clientId);
  const grant = (known && await provider.Grant.find(known))
    || new provider.Grant({ accountId: ctx.oidc.session.accountId, clientId: ctx.oidc.client.clientId });
  grant.addOIDCScope(ctx.oidc.params.scope);
  await grant.save();
  return grant;
}

function abortForm(uid) {
  return `<form method="post" action="/interaction/${uid}/abort"><button type="submit">Refuse</button></form>`;
}

function defaultClient() {
  return {
    client_id: 'drawbridge',
    client_secret: 'secret',
    grant_types: ['authorization_code', 'refresh_token'],
    redirect_uris: envList('REDIRECT_URIS'),
    post_logout_redirect_uris: envList('POST_LOGOUT_REDIRECT_URIS'),
    ...process.env.BACKCHANNEL_LOGOUT_URI && {
      backchannel_logout_uri: process.env.BACKCHANNEL_LOGOUT_URI, backchannel_logout_session_required: true,
    },
  };
}

function portalClient() {
  const at = process.env.PORTAL;
  return !at ? [] : [{
    client_id: 'portal', client_secret: 'secret', grant_types: ['authorization_code', 'refresh_token'],
    redirect_uris: [`${at}/callback`], post_logout_redirect_uris: [`${at}/signed-out`],
  }];
}

function cookieNames(port) {
  return { session: `_session_${port}`, interaction: `_interaction_${port}`, resume: `_resume_${port}` };
}

async function newKey(keyAlg) {
  const { privateKey } = await generateKeyPair(keyAlg, { extractable: true });
  return { ...await exportJWK(privateKey), alg: keyAlg, use: 'sig', kid: `${keyAlg}-${randomBytes(4).toString('hex')}` };
}
