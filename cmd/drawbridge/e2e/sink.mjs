// A webhook receiver: accepts every POST, remembers it, and misbehaves when told to.
//
// PUT    /statuses    ["500", "429", "hang", "hangup", …], one for each of the next deliveries; 200 when they are used up.
//                     hang never answers, hangup breaks the connection after reading.
// GET    /deliveries  [{path, headers, body, answered, at}], in order of arrival; body is the text as it came
// DELETE /deliveries  forgets them
//
// env: PORT
import { listen, readText, ready, sendJSON } from './kit.mjs';

let statuses = [];
const deliveries = [];

const { url, handle } = await listen();
handle(async (req, res, at) => {
  switch (`${req.method} ${at.pathname}`) {
    case 'PUT /statuses': statuses = JSON.parse(await readText(req)).map(String); return sendJSON(res, 200, statuses);
    case 'GET /deliveries': return sendJSON(res, 200, deliveries);
    case 'DELETE /deliveries': deliveries.length = 0; return res.writeHead(204).end();
  }
  if (req.method !== 'POST') return sendJSON(res, 405, { message: 'deliveries are POSTed' });
  return take(req, res, at);
});
ready('sink', { url });

async function take(req, res, at) {
  const body = await readText(req);
  const answered = statuses.shift() ?? '200';
  deliveries.push({ path: at.pathname + at.search, headers: req.headers, body, answered, at: new Date().toISOString() });
  if (answered === 'hang') return undefined;
  if (answered === 'hangup') return res.destroy();
  return res.writeHead(Number(answered)).end();
}
