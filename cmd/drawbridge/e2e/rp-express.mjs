// A relying party on express-openid-connect, as an application in production would use it: form_post, a session of its
// own in a cookie, back-channel logout with a store.
//
// GET /            signs in and goes on to /session
// POST /callback   takes the answer (the library's)
// GET /session     JSON {claims, header, userinfo, tokens}, 401 where nobody is signed in
// GET /refresh     spends the refresh token, then the same JSON
// GET /logout      RP-initiated logout (the library's), comes back to /signed-out
// GET /signed-out  JSON {signed_out}
// POST /backchannel takes a logout token (the library's)
//
// env: PORT · ISSUER · CLIENT_ID · CLIENT_SECRET · SCOPE · ID_TOKEN_ALG
import { randomBytes } from 'node:crypto';
import express from 'express';
import openid from 'express-openid-connect';
import { decodeProtectedHeader } from 'jose';
import { env, listen, ready } from './kit.mjs';

const { url: self, handle } = await listen();
const { port } = new URL(self);
const app = express();
app.use(openid.auth({
  baseURL: self,
  issuerBaseURL: env('ISSUER'),
  clientID: env('CLIENT_ID'),
  clientSecret: env('CLIENT_SECRET'),
  secret: randomBytes(32).toString('hex'),
  idTokenSigningAlg: env('ID_TOKEN_ALG', 'RS256'),
  authRequired: false,
  idpLogout: true,
  authorizationParams: { response_type: 'code', response_mode: 'form_post', scope: env('SCOPE', 'openid profile email') },
  // Cookies do not tell ports apart.
  session: { name: `express_${port}` },
  transactionCookie: { name: `express_transaction_${port}` },
  routes: { login: false, callback: '/callback', logout: '/logout', postLogoutRedirect: '/signed-out', backchannelLogout: '/backchannel' },
  backchannelLogout: { store: memory() },
}));
app.get('/', (req, res) => res.oidc.login({ returnTo: '/session' }));
app.get('/session', show);
app.get('/refresh', async (req, res) => {
  await req.oidc.accessToken.refresh();
  await show(req, res);
});
app.get('/signed-out', (req, res) => res.json({ signed_out: !req.oidc.isAuthenticated() }));
app.use((err, req, res, next) => {
  if (res.headersSent) return next(err);
  console.error(err);
  return res.status(400).json({ error: err.error ?? err.cause?.error ?? err.code ?? err.name, message: err.message });
});
handle((req, res) => app(req, res));
ready('rp-express', { url: self });

async function show(req, res) {
  if (!req.oidc.isAuthenticated()) return res.status(401).json({ error: 'not_signed_in' });
  const { access_token, token_type } = req.oidc.accessToken;
  return res.json({
    claims: req.oidc.idTokenClaims,
    header: decodeProtectedHeader(req.oidc.idToken),
    userinfo: await req.oidc.fetchUserInfo(),
    tokens: { access_token, token_type, refresh_token: req.oidc.refreshToken, id_token: req.oidc.idToken },
  });
}

/** The least that the library takes as a store of sessions that were ended. */
function memory() {
  const kept = new Map();
  return {
    get: (id, done) => done(null, kept.get(id)),
    set: (id, value, done) => { kept.set(id, value); done(null); },
    destroy: (id, done) => { kept.delete(id); done(null); },
  };
}
