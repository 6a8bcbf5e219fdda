// A claims hook: answers every POST whose path starts with /v1/customize- in the way that was set last.
//
// PUT    /mode      {"mode": one of the modes below, "claims": {…}?, "delay_ms": n?}
// GET    /requests  [{path, headers, body, mode}], oldest first
// DELETE /requests  forgets them
//
// env: PORT · MODE (default add)
import { env, listen, readText, ready, sendJSON } from './kit.mjs';

const modes = {
  // Returns what it was sent and the claims that were set beside the mode.
  add: (res, { claims }) => sendJSON(res, 200, { claims: { ...claims, ...setting.claims } }),
  // Like add, and tries to be somebody else with somebody else's rights.
  forge: (res, { claims }) => sendJSON(res, 200, {
    claims: { ...claims, ...setting.claims, sub: 'forged', group_permissions: { root: ['everything'] }, 'urn:onegini.com:oidc:x': 'forged' },
  }),
  // Says sub twice, in two spellings that some readers take for one.
  twins: (res, { claims }) => sendJSON(res, 200, { claims: { ...claims, ...setting.claims, SUB: 'forged' } }),
  // Answers with the claims that were set and nothing else.
  replace: (res) => sendJSON(res, 200, { claims: setting.claims }),
  slow: (res, body) => setTimeout(() => modes.add(res, body), setting.delay_ms),
  204: (res) => res.writeHead(204).end(),
  403: (res) => sendJSON(res, 403, { message: 'refused by the hook' }),
  500: (res) => sendJSON(res, 500, { message: 'the hook broke' }),
  // Not an answer at all.
  garbage: (res) => res.writeHead(200, { 'content-type': 'application/json' }).end('{"claims": {'),
  hangup: (res) => res.destroy(),
};

let setting = { mode: env('MODE', 'add'), claims: { enriched: 'by the hook' }, delay_ms: 5000 };
const requests = [];

const { url, handle } = await listen();
handle(async (req, res, at) => {
  if (req.method === 'POST' && at.pathname.startsWith('/v1/customize-')) return customize(req, res, at.pathname);
  switch (`${req.method} ${at.pathname}`) {
    case 'PUT /mode': return setMode(res, JSON.parse(await readText(req)));
    case 'GET /requests': return sendJSON(res, 200, requests);
    case 'DELETE /requests': requests.length = 0; return res.writeHead(204).end();
    default: return sendJSON(res, 404, { message: 'no such path' });
  }
});
ready('hook', { url });

async function customize(req, res, path) {
  const body = JSON.parse(await readText(req));
  requests.push({ path, headers: req.headers, body, mode: setting.mode });
  return modes[setting.mode](res, body);
}

function setMode(res, wanted) {
  if (!Object.hasOwn(modes, wanted.mode)) return sendJSON(res, 400, { message: `modes: ${Object.keys(modes).join(', ')}` });
  setting = { claims: { enriched: 'by the hook' }, delay_ms: 5000, ...wanted };
  return sendJSON(res, 200, setting);
}
